"""The simulation itself: virtual time, processes that stop and die, and paths that are cut."""

import pytest

from simulation.calls import Client, Service, Sockets
from simulation.hub import NEVER, Condition, Endless, Host, Hub, Process
from simulation.network import BACKED_OFF, Network
from simulation.pair import Group
from vipmanager.core.failures import Transient


def process(hub: Hub, *, rate: float = 1.0) -> Process:
    return Process(hub, Host(hub, "node", rate=rate, offset=500.0))


@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
def test_a_wait_ends_when_its_own_machine_says_so(rate: float) -> None:
    hub = Hub()
    slow = process(hub, rate=rate)
    over = slow.condition()

    def wait() -> tuple[float, float]:
        began = slow.now()
        with over:
            assert not over.wait_for(lambda: False, 4.0)
        return slow.now() - began, hub.now

    assert slow.start("wait", wait).result() == pytest.approx((4.0, 4.0 / rate))


def test_a_wait_ends_as_soon_as_somebody_says_so() -> None:
    hub = Hub()
    one, said = process(hub), list[str]()
    over = one.condition()

    def say() -> None:
        hub.sleep(1.5)
        with over:
            said.append("so")
            over.notify_all()

    one.start("say", say)
    with over:  # this caller drives time itself
        assert over.wait_for(lambda: said, 60.0)
    assert hub.now == 1.5


def test_a_killed_process_moves_no_more_and_tidies_up_without_harm() -> None:
    hub = Hub()
    dying, other, seen = process(hub), process(hub), list[str]()
    lock = dying.condition()

    def hold() -> None:
        with lock:
            hub.sleep(10.0)
            seen.append("moved")

    def tidy() -> None:
        try:
            hub.sleep(10.0)
        finally:
            with lock:  # which is held, by work that is dead too
                seen.append("tidied")
                lock.notify_all()
            hub.sleep(1.0)  # for ever
            seen.append("moved")

    def live() -> None:
        hub.sleep(20.0)
        seen.append("lived")

    dying.start("tidy", tidy)
    dying.start("hold", hold)
    other.start("live", live)
    hub.at(5.0, dying.kill)
    hub.at(6.0, dying.call, seen.append, "heard")
    hub.run(100.0)
    assert seen == ["tidied", "lived"]


def test_a_stopped_process_does_what_it_missed_once_it_goes_on() -> None:
    hub = Hub()
    stopped, seen = process(hub), list[tuple[str, float]]()

    def tell(what: str) -> None:
        seen.append((what, hub.now))

    def work() -> None:
        tell("begins")
        hub.sleep(2.0)
        tell("wakes")

    stopped.start("work", work)
    hub.at(1.0, stopped.stop)
    hub.at(1.5, stopped.stop)
    hub.at(3.0, stopped.call, tell, "hears")
    hub.at(4.0, stopped.cont)
    hub.at(5.0, stopped.cont)
    hub.run(10.0)
    assert seen == [("begins", 0.0), ("wakes", 5.0), ("hears", 5.0)]


def test_a_deadlock_is_told() -> None:
    hub = Hub()
    stuck = process(hub)
    one, other = stuck.condition(), stuck.condition()

    def take(first: Condition, second: Condition) -> None:
        with first:
            hub.sleep(1.0)
            with second:
                pass

    task = stuck.start("one", lambda: take(one, other))
    stuck.start("other", lambda: take(other, one))
    with pytest.raises(AssertionError, match="nothing will ever happen again"):
        task.result()


def test_work_that_never_ends_is_told() -> None:
    hub = Hub()

    def spin() -> None:
        while True:
            hub.sleep(1e-9)

    process(hub).start("spin", spin)
    with pytest.raises(Endless, match="still busy"):
        hub.run(1.0)


def client(hub: Hub, *, linger: bool = False) -> tuple[Network, Client]:
    """Give a path of 0.1 s there and back, and a client with a connection open."""
    network = Network(hub)
    network.end("node", "a")
    network.end("ec2@b", "b")
    service = Service(
        name="ec2",
        zones="b",
        connect=1.0,
        timeout=2.0,
        addresses=True,
        latency=(0.1, 0.1),
    )
    sockets = Sockets(linger=linger, silent=NEVER, user_timeout=NEVER)
    made = Client(network, service, process(hub), sockets)
    made.call(lambda left: left, kind="read")
    return network, made


def test_what_is_sent_on_a_cut_path_arrives_once_it_is_mended() -> None:
    hub = Hub()
    network, calls = client(hub)
    path, began = ("node", "ec2@b"), hub.now
    network.close(path)
    hub.at(began + 0.5, network.mend, path)
    left = calls.call(lambda left: left, kind="write")
    assert 0.5 <= left - began <= 1.0
    assert hub.now == pytest.approx(left + 0.1)


@pytest.mark.parametrize(("linger", "arrived"), [(False, 1), (True, 0)])
def test_it_arrives_after_its_sender_gave_up_unless_that_takes_it_back(
    *, linger: bool, arrived: int
) -> None:
    hub = Hub()
    network, calls = client(hub, linger=linger)
    path, began, served = ("node", "ec2@b"), hub.now, list[float]()
    network.close(path)
    with pytest.raises(Transient, match="no answer within 2 s"):
        calls.call(served.append, kind="write")
    assert hub.now == pytest.approx(began + 2.0)
    hub.run(began + 60.0)
    assert served == []
    network.mend(path)
    hub.run(hub.now + BACKED_OFF + 1.0)
    assert len(served) == arrived
    assert all(left >= began + 60.0 for left in served)


def trace(seed: int) -> list[str]:
    pair, lines = Group(seed), list[str]()
    pair.world.trace = lines.append
    pair.begin()
    pair.world.ec2.service.lost = 0.2
    pair.lose(0)
    pair.run(30)
    return lines


def test_a_seed_gives_the_same_run_again() -> None:
    one = trace(7)
    assert len(one) > 20
    assert trace(7) == one
    assert trace(8) != one
