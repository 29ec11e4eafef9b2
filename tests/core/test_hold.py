"""Who may write a route when a Lease decides."""

import pytest

from claims import ADDRESS, OURS, R, T, W, Y, tables
from vipmanager.core.claim import Judgement, Memory, Verdict
from vipmanager.core.hold import SETTLE, as_standby, judge, served
from vipmanager.core.values import EniId, Steer

RIVAL = EniId("eni-a1")


def judged(
    *what: str, memory: Memory | None = None, now: float = 100.0, repair: bool = True
) -> Judgement:
    found = tables(*what)
    steers = [Steer(table=t, destination=ADDRESS, eni=OURS) for t in found]  # type: ignore[arg-type]
    return judge(steers, found, memory=memory or Memory(), now=now, repair=repair)  # type: ignore[arg-type]


def verdicts(judgement: Judgement) -> list[Verdict]:
    return [j.verdict for j in judgement.judged]


@pytest.mark.parametrize(
    ("shows", "verdict"),
    [("us", R), ("none", W), ("blackhole", W), (RIVAL, W), ("igw-1", W), ("propagated", W)],
)
def test_the_holder_writes_whatever_is_not_its_own(shows: str, verdict: Verdict) -> None:
    assert verdicts(judged(shows)) == [verdict]


def test_a_living_rival_in_every_table_is_no_reason_to_yield() -> None:
    assert verdicts(judged(RIVAL, RIVAL, RIVAL)) == [W, W, W]


def test_what_ec2_does_not_show_yet_is_not_written_twice() -> None:
    steer = judged(RIVAL).judged[0].steer
    memory = Memory().wrote(steer, at=100.0, replaced=RIVAL)
    soon = judged(RIVAL, memory=memory, now=100.5)
    assert verdicts(soon) == [T]
    assert soon.recheck == 0.5
    assert [f.condition.name for f in soon.findings] == ["NOT_VISIBLE"]
    assert verdicts(judged(RIVAL, memory=memory, now=100.0 + SETTLE)) == [W]


def test_another_rival_than_the_one_replaced_is_written_over_at_once() -> None:
    steer = judged(RIVAL).judged[0].steer
    memory = Memory().wrote(steer, at=100.0, replaced=EniId("eni-c1"))
    assert verdicts(judged(RIVAL, memory=memory, now=100.5)) == [W]


def test_a_standby_calls_only_its_own_routes_right() -> None:
    shown = as_standby(judged("us", RIVAL, "none").judged)
    assert [j.verdict for j in shown] == [R, Y, Y]


def test_a_takeover_is_no_repair() -> None:
    assert judged(RIVAL, repair=False).judged[0].repair is False
    assert judged("none", repair=True).judged[0].repair is True
    assert judged("us", repair=True).judged[0].repair is False


@pytest.mark.parametrize(
    ("shows", "right"),
    [("us", True), (RIVAL, True), ("none", False), ("blackhole", False), ("igw-1", False)],
)
def test_a_standby_calls_a_route_served_that_leads_to_a_living_eni(
    shows: str, *, right: bool
) -> None:
    (shown,) = as_standby(judged(shows).judged)
    assert served(shown) is right


def test_a_route_at_another_eni_is_not_served_for_the_holder() -> None:
    assert not served(judged(RIVAL).judged[0])
