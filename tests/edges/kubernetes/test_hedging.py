"""One request, sent twice at once."""

import threading
from collections.abc import Callable, Iterator

import pytest

from vipmanager.core.failures import Conflict, Transient
from vipmanager.edges.kubernetes.hedging import first

LONG = 20.0
"""Seconds that nothing here takes."""


class Late:
    """A call that is answered when somebody says so."""

    def __init__(self) -> None:
        self.now = threading.Event()

    def answer(self) -> str:
        assert self.now.wait(LONG)
        return "late"


@pytest.fixture
def late() -> Iterator[Late]:
    made = Late()
    yield made
    made.now.set()


def say(text: str) -> Callable[[], str]:
    return lambda: text


def raising(error: Exception) -> Callable[[], str]:
    def call() -> str:
        raise error

    return call


def test_the_first_success_counts(late: Late) -> None:
    assert first([late.answer, say("at once")], patience=LONG) == "at once"


@pytest.mark.parametrize("error", [Transient("reset"), Conflict("twin")])
def test_after_a_failure_the_other_one_is_waited_for(late: Late, error: Exception) -> None:
    threading.Timer(0.05, late.now.set).start()
    assert first([raising(error), late.answer], patience=LONG) == "late"


def test_a_conflict_whose_twin_says_nothing_is_one(late: Late) -> None:
    with pytest.raises(Conflict):
        first([late.answer, raising(Conflict("twin"))], patience=0.01)


@pytest.mark.parametrize("turned", [False, True])
def test_a_conflict_and_a_failure_are_a_conflict(*, turned: bool) -> None:
    calls = [raising(Transient("reset")), raising(Conflict("twin"))]
    with pytest.raises(Conflict):
        first(calls[::-1] if turned else calls, patience=LONG)


def test_failures_of_both_are_a_failure() -> None:
    with pytest.raises(Transient, match="reset"):
        first([raising(Transient("reset"))] * 2, patience=LONG)


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        first([raising(ZeroDivisionError())] * 2, patience=LONG)
