"""What work beside and waiting for it do: on threads, and in the simulation's virtual time."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from simulation.hub import Host, Hub, Process
from vipmanager.engine.inbox import Inbox, Wish
from vipmanager.engine.threads import SystemClock, Threads
from vipmanager.ports import Clock, Condition, Tasks

SHORT = 0.02
"""Seconds in which nothing happens that must not."""
LONG = 20.0
"""Seconds that nothing here takes."""


@dataclass(frozen=True, slots=True)
class Given:
    """Work beside, and the clock of its waiting."""

    tasks: Tasks
    clock: Clock


@pytest.fixture(params=["threads", "simulated"])
def given(request: pytest.FixtureRequest) -> Iterator[Given]:
    if request.param == "threads":
        clock: Clock = SystemClock()
        began = clock.now()
        yield Given(Threads(), clock)
    else:
        hub = Hub()
        clock = process = Process(hub, Host(hub, "node", rate=1.01, offset=500.0))
        began = clock.now()
        yield Given(process, clock)
        process.kill()
    assert clock.now() < began + LONG, "something was waited for that came earlier"


@pytest.fixture
def changed(given: Given) -> Condition:
    return given.tasks.condition()


@pytest.fixture
def inbox(given: Given) -> Inbox:
    return Inbox(given.tasks)


# --- Clock ---------------------------------------------------------------------------------------


def test_the_wall_clock_counts_from_1970(given: Given) -> None:
    assert given.clock.wall() > 1_700_000_000


# --- Task ----------------------------------------------------------------------------------------


def test_a_task_gives_what_its_work_gave_as_often_as_it_is_asked(given: Given) -> None:
    task = given.tasks.start("work", lambda: 42)
    assert [task.result(), task.result()] == [42, 42]


def test_a_task_raises_what_its_work_raised_and_tells_nobody_else(given: Given) -> None:
    def fail() -> None:
        raise KeyError("mine")

    failing = given.tasks.start("fails", fail)
    assert given.tasks.start("works", lambda: 42).result() == 42
    for _ in range(2):
        with pytest.raises(KeyError, match="mine"):
            failing.result()


def test_work_runs_beside_and_may_start_more(given: Given, changed: Condition) -> None:
    met: list[int] = []

    def meet(number: int) -> int:
        """Have the next one come, and wait until all are there."""
        after = given.tasks.start("next", lambda: meet(number + 1)) if number < 3 else None
        with changed:
            met.append(number)
            changed.notify_all()
            assert changed.wait_for(lambda: len(met) == 4)
        return number + (after.result() if after is not None else 0)

    assert meet(0) == 6


# --- Condition -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [None, LONG, 0.0])
def test_what_is_so_is_given_at_once(changed: Condition, seconds: float | None) -> None:
    with changed:
        assert changed.wait_for(lambda: "so", seconds) == "so"


@pytest.mark.parametrize("seconds", [SHORT, 0.0, -1.0])
def test_when_time_is_over_the_last_value_is_given(
    given: Given, changed: Condition, seconds: float
) -> None:
    seen: list[list[None]] = []

    def look() -> list[None]:
        seen.append([])
        return seen[-1]

    until = given.clock.now() + seconds
    with changed:
        found = changed.wait_for(look, seconds)
    assert found is seen[-1]
    assert given.clock.now() >= until


def test_all_who_wait_look_again_when_notified_and_wait_on_where_it_is_not_so(
    given: Given, changed: Condition
) -> None:
    waiting: list[int] = []
    told: list[str] = []

    def wait(number: int) -> tuple[str, ...]:
        with changed:
            waiting.append(number)
            changed.notify_all()
            return changed.wait_for(lambda: tuple(told))

    tasks = [given.tasks.start("waits", partial(wait, n)) for n in range(3)]
    with changed:
        assert changed.wait_for(lambda: len(waiting) == 3)
        assert not told
        told.append("all")
        changed.notify_all()
    assert [t.result() for t in tasks] == [("all",)] * 3
    assert wait(3) == ("all",)  # nobody notifies any more


def test_who_is_not_notified_waits_until_time_is_over(given: Given, changed: Condition) -> None:
    told: list[str] = []

    def tell() -> None:
        with changed:
            told.append("it")

    with changed:
        given.tasks.start("tells", tell)
        until = given.clock.now() + SHORT
        changed.wait_for(lambda: told, SHORT)
        assert given.clock.now() >= until


@pytest.mark.parametrize("waited", [False, True])
def test_one_at_a_time_has_the_lock(given: Given, changed: Condition, *, waited: bool) -> None:
    elsewhere = given.tasks.condition()
    come: list[int] = []
    inside: list[int] = []

    def be_alone(number: int) -> bool:
        with changed:
            come.append(number)
            changed.notify_all()
            if waited:
                changed.wait_for(lambda: len(come) == 3)
            inside.append(number)
            with elsewhere:  # time for the others to come in as well
                crowded = elsewhere.wait_for(lambda: len(inside) > 1, SHORT)
            inside.remove(number)
            return not crowded and bool(changed.wait_for(lambda: len(come) == 3))

    tasks = [given.tasks.start("enters", partial(be_alone, n)) for n in range(3)]
    assert all(t.result() for t in tasks)


def test_who_took_the_lock_twice_gives_it_back_while_waiting(
    given: Given, changed: Condition
) -> None:
    told: list[str] = []

    def tell() -> None:
        with changed:
            told.append("it")
            changed.notify_all()

    with changed, changed:
        given.tasks.start("tells", tell)
        assert not told
        assert changed.wait_for(lambda: told) == ["it"]


def test_who_fails_gives_the_lock_back(given: Given, changed: Condition) -> None:
    def fail() -> None:
        with changed:
            raise KeyError("mine")

    with pytest.raises(KeyError):
        given.tasks.start("fails", fail).result()
    with changed:
        assert changed.wait_for(lambda: True)


# --- Inbox ---------------------------------------------------------------------------------------


def test_a_wait_takes_all_reasons_oldest_first_and_none_twice(inbox: Inbox) -> None:
    for reason in ("one", "two", "one"):
        inbox.put(reason)
    assert inbox.wait(LONG) == ("one", "two")
    assert inbox.wait(0) == ()
    inbox.put("one")
    assert inbox.wait(LONG) == ("one",)


def test_a_wait_without_a_reason_takes_its_time(given: Given, inbox: Inbox) -> None:
    until = given.clock.now() + SHORT
    assert inbox.wait(SHORT) == ()
    assert given.clock.now() >= until


def test_a_wait_ends_with_the_first_reason(given: Given, inbox: Inbox) -> None:
    back = Inbox(given.tasks)

    def echo() -> None:
        for _ in range(20):
            for reason in inbox.wait(LONG):
                back.put(reason)

    echoing = given.tasks.start("echoes", echo)
    for number in range(20):
        inbox.put(f"{number}")
        assert back.wait(LONG) == (f"{number}",)
    echoing.result()


def test_an_order_that_nobody_waits_for_is_no_reason(inbox: Inbox) -> None:
    waits = [True]
    asked, given_up, withdrawn = (Wish(lambda: waits[0]) for _ in range(3))
    inbox.put("yield", given_up)
    inbox.put("claim", withdrawn)
    inbox.put("netlink")
    waits[0] = False
    assert withdrawn.withdraw()
    assert inbox.wait(LONG) == ("netlink",)
    waits[0] = True
    assert not given_up.take(), "void is void"
    inbox.put("yield", asked)
    inbox.put("yield", given_up)
    assert inbox.wait(LONG) == ("yield",)
    waits[0] = False
    assert asked.take(), "who obeys it next obeys it too"
    assert not asked.withdraw()


def test_a_pause_takes_its_time_and_no_reason(given: Given, inbox: Inbox) -> None:
    inbox.put("before")
    putting = given.tasks.start("puts", lambda: inbox.put("meanwhile"))
    until = given.clock.now() + SHORT
    inbox.pause(SHORT)
    assert given.clock.now() >= until
    putting.result()
    assert inbox.wait(LONG) == ("before", "meanwhile")
    assert not inbox.stopped


def test_a_stop_is_a_reason_and_ends_a_pause_and_each_later_one(given: Given, inbox: Inbox) -> None:
    given.tasks.start("stops", inbox.stop)
    inbox.pause(LONG)
    assert inbox.stopped
    inbox.pause(LONG)
    assert inbox.wait(LONG) == ("asked to stop",)


def test_a_stop_ends_a_wait(given: Given, inbox: Inbox) -> None:
    given.tasks.start("stops", inbox.stop)
    assert inbox.wait(LONG) == ("asked to stop",)
    assert inbox.stopped


def test_a_thread_ends_with_who_has_it() -> None:
    threads = Threads()
    thread = threads.start("test", threading.current_thread).result()
    del threads
    thread.join(LONG)
    assert not thread.is_alive()
