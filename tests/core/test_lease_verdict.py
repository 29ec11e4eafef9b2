"""Who may write a route when a Lease decides."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from claims import ADDRESS, OURS, R, T, W, Y, tables
from vipmanager.core.election.role import Role
from vipmanager.core.lease_verdict import FOUGHT, SETTLE, Back, as_another, judge, served
from vipmanager.core.values import DesiredRoute, EniId
from vipmanager.core.verdict import Decision, RouteHistory, Verdict

RIVAL = EniId("eni-a1")
NOBODY: Mapping[DesiredRoute, Back] = MappingProxyType({})


def judged(
    *what: str,
    memory: RouteHistory | None = None,
    back: Mapping[DesiredRoute, Back] = NOBODY,
    now: float = 100.0,
    repair: bool = True,
) -> Decision:
    found = tables(*what)
    steers = [DesiredRoute(table=t, destination=ADDRESS, eni=OURS) for t in found]  # type: ignore[arg-type]
    return judge(
        steers,
        found,  # type: ignore[arg-type]
        memory=memory or RouteHistory(),
        back=back,
        now=now,
        repair=repair,
    )


def verdicts(judgement: Decision) -> list[Verdict]:
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
    memory = RouteHistory().wrote(steer, at=100.0, replaced=RIVAL)
    soon = judged(RIVAL, memory=memory, now=100.5)
    assert verdicts(soon) == [T]
    assert soon.recheck == 0.5
    assert [f.condition.name for f in soon.findings] == ["NOT_VISIBLE"]
    assert verdicts(judged(RIVAL, memory=memory, now=100.0 + SETTLE)) == [W]


def test_another_rival_than_the_one_replaced_is_written_over_at_once() -> None:
    steer = judged(RIVAL).judged[0].steer
    memory = RouteHistory().wrote(steer, at=100.0, replaced=EniId("eni-c1"))
    assert verdicts(judged(RIVAL, memory=memory, now=100.5)) == [W]


def test_a_rival_that_is_back_again_and_again_is_left_alone_in_the_end() -> None:
    steer = judged(RIVAL).judged[0].steer
    back, seen = Back(rival=RIVAL, at=100.0), []
    for _ in range(FOUGHT):
        shown = judged(RIVAL, back={steer: back}, now=back.at)
        seen.append(shown.recheck or 0.0)
        back = back.again(RIVAL, back.at + seen[-1])
        assert verdicts(judged(RIVAL, back={steer: back}, now=back.at + back.pause)) in ([W], [Y])
    assert seen == [0.0, 5.0, 10.0, 20.0, 40.0]
    left = judged(RIVAL, back={steer: back}, now=back.at + 10_000.0)
    assert verdicts(left) == [Y]
    assert [f.condition.name for f in left.findings] == ["DISPLACED"]
    assert RIVAL in left.findings[0].text


def test_a_route_that_was_left_to_a_rival_is_taken_back_from_nobody_else() -> None:
    steer = judged(RIVAL).judged[0].steer
    back = {steer: Back(rival=RIVAL, at=0.0, times=FOUGHT)}
    assert verdicts(judged("eni-c1", back=back)) == [W]
    gone = {steer: Back(rival=EniId("eni-x1"), at=0.0, times=FOUGHT)}
    assert verdicts(judged("blackhole", back=gone)) == [W]


def test_a_standby_calls_only_its_own_routes_right() -> None:
    shown = as_another(judged("us", RIVAL, "none").judged, Role.STANDBY)
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
    (shown,) = as_another(judged(shows).judged, Role.STANDBY)
    assert served(shown) is right


def test_a_route_at_another_eni_is_not_served_for_the_holder() -> None:
    assert not served(judged(RIVAL).judged[0])
