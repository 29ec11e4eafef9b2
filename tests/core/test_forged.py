"""Forged heartbeats are told once a minute at most, however many come, and from wherever."""

from collections.abc import Callable

import pytest

from vipmanager.core.findings import Finding
from vipmanager.core.forged import Forged
from vipmanager.core.heartbeat import Count

HOUR = 3600

FLOODS: dict[str, Callable[[int], Count]] = {
    "two a second from one": lambda at: Count(number=2 * at, last="10.0.1.9:4711"),
    "two a second from two": lambda at: Count(number=2 * at, last=f"10.0.1.{at % 2}:4711"),
    "from anywhere": lambda at: Count(number=1000 * at, last=f"[fd00::{at:x}]:{at}"),
    "now and then": lambda at: Count(number=at // 10, last=f"10.0.1.{at % 7}:4711"),
}


@pytest.mark.parametrize("count", FLOODS.values(), ids=FLOODS)
def test_an_hour_of_forged_heartbeats_is_told_a_few_times(count: Callable[[int], Count]) -> None:
    forged = Forged()
    told: list[tuple[Finding, ...]] = []
    for second in range(1, HOUR):
        forged = forged.after(count(second), float(second))
        if not told or told[-1] != forged.findings():
            told.append(forged.findings())
    assert all(told[1:]), "it is told as long as they come"
    assert len(told) <= HOUR / 60 + 1


def test_the_sender_is_named_at_once_and_a_minute_after_the_last_one_nothing_is_told() -> None:
    assert Forged().after(None, 1.0).findings() == ()
    forged = Forged().after(Count(number=1, last="[fd00::1]:4711"), 1.0)
    (finding,) = forged.findings()
    assert "[fd00::1]" in finding.text
    assert forged.after(Count(number=1, last="[fd00::1]:4711"), 60.0).findings() == (finding,)
    assert forged.after(Count(number=1, last="[fd00::1]:4711"), 61.0).findings() == ()


def test_another_sender_is_told_once_the_first_was_told_for_a_minute() -> None:
    forged = Forged().after(Count(number=1, last="10.0.1.1:1"), 0.0)
    forged = forged.after(Count(number=2, last="10.0.1.2:1"), 59.0)
    assert forged.address == "10.0.1.1"
    assert forged.after(Count(number=3, last="10.0.1.2:1"), 60.0).address == "10.0.1.2"
