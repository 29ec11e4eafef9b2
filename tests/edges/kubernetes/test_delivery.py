"""What nobody waits for: sent one after the other, again and again, until it is taken."""

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from vipmanager.core.downward import PodReference
from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.edges.kubernetes.delivery import QUEUE, Delivery

POD = PodReference(namespace="telco", name="app-0", uid="u")
LONG = 20.0
"""Seconds that nothing here takes."""


class Api:
    """Takes what it is sent, unless a test says otherwise, and remembers all attempts."""

    def __init__(self) -> None:
        self.tried: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.said: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self.errors: list[Exception] = []
        """What the next attempts meet."""
        self.free = threading.Event()
        """Not set: it hangs."""
        self.free.set()

    def deliver(
        self, *, latest: bool = False, pod: Callable[[], PodReference] = lambda: POD
    ) -> Delivery[str]:
        return Delivery(
            self._send,
            pod,
            say=lambda level, _, text: self.said.put((level, text)),
            about="letters",
            one="a letter",
            more="letters",
            latest=latest,
        )

    def _send(self, pod: PodReference, thing: str) -> str:
        assert pod == POD
        self.tried.put(thing)
        assert self.free.wait(LONG)
        if self.errors:
            raise self.errors.pop(0)
        return "" if thing == "known" else f"{thing} is taken"

    def tries(self, times: int) -> list[str]:
        return [self.tried.get(timeout=LONG) for _ in range(times)]

    def says(self) -> tuple[str, str]:
        return self.said.get(timeout=LONG)


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    yield made
    made.free.set()


def test_one_after_the_other_and_the_newest_of_each_key(api: Api) -> None:
    delivery = api.deliver()
    api.free.clear()
    delivery.put("a", 1)
    assert api.tries(1) == ["a"]
    for thing, key in ("b", 1), ("c", 2), ("d", 1):
        delivery.put(thing, key)
    assert not delivery.drain(0.0)
    api.free.set()
    assert delivery.drain(LONG)
    assert api.tries(2) == ["c", "d"]
    assert api.tried.empty()
    assert api.said.empty()


def test_the_oldest_go_where_too_many_wait(api: Api) -> None:
    delivery = api.deliver()
    api.free.clear()
    delivery.put("first", -1)
    api.tries(1)
    for number in range(QUEUE + 2):
        delivery.put(str(number), number)
    api.free.set()
    assert delivery.drain(LONG)
    assert api.tries(QUEUE) == [str(number) for number in range(2, QUEUE + 2)]
    assert api.tried.empty()


@pytest.mark.parametrize("error", [Transient("away"), Permanent("refused")])
def test_what_fails_is_tried_again_before_what_waits(api: Api, error: Failure) -> None:
    api.errors.append(error)
    delivery = api.deliver()
    delivery.put("a", 1)
    delivery.put("b", 2)
    assert api.tries(3) == ["a", "a", "b"]
    assert api.says() == ("warning", f"a letter has to wait: {error}")
    assert api.says() == ("info", "a is taken")
    assert delivery.drain(LONG)
    assert api.said.empty()


def test_where_only_the_latest_counts_it_takes_the_place_of_what_failed(api: Api) -> None:
    api.errors += [Transient("away")]
    delivery = api.deliver(latest=True)
    delivery.put("a")
    assert api.says()[0] == "warning"
    delivery.put("b")
    assert api.tries(2) == ["a", "b"]
    assert api.says() == ("info", "b is taken")


def test_that_all_is_right_again_is_said_once_something_was_taken(api: Api) -> None:
    api.errors += [Transient("away")]
    delivery = api.deliver(latest=True)
    delivery.put("a")
    assert api.says()[0] == "warning"
    delivery.put("known")
    assert api.tries(2) == ["a", "known"]
    delivery.put("b")
    assert api.says() == ("info", "b is taken")


def test_what_is_refused_is_not_waited_for(api: Api) -> None:
    api.errors += [Permanent("refused")]
    delivery = api.deliver()
    delivery.put("a")
    assert delivery.drain(LONG)
    assert api.tries(1) == ["a"]
    assert api.says()[0] == "warning"


def test_a_bug_ends_it_with_one_line(api: Api) -> None:
    api.errors += [ZeroDivisionError()]
    delivery = api.deliver()
    delivery.put("a", 1)
    assert api.says() == ("error", "no letters from now on: a bug: ZeroDivisionError()")
    delivery.put("b", 2)
    assert delivery.drain(LONG)
    assert api.tries(1) == ["a"]
    assert api.tried.empty()
    assert api.said.empty()


def test_nothing_is_sent_for_a_pod_that_nobody_knows(api: Api) -> None:
    def unknown() -> PodReference:
        raise Permanent("POD_NAME is not set")

    delivery = api.deliver(pod=unknown)
    delivery.put("a")
    assert api.says() == ("warning", "no letters from now on: POD_NAME is not set")
    assert delivery.drain(LONG)
    assert api.tried.empty()


def test_two_of_them_do_not_hold_each_other_up(api: Api) -> None:
    hanging = Api()
    hanging.free.clear()
    hanging.deliver().put("a")
    hanging.tries(1)
    delivery = api.deliver()
    delivery.put("b")
    assert delivery.drain(LONG)
    hanging.free.set()
