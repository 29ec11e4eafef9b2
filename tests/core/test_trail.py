"""What somebody else did to a route, and the command that shows who."""

import shlex
from ipaddress import ip_network

from vipmanager.core.findings import Condition, Finding
from vipmanager.core.trail import KEPT, Trail
from vipmanager.core.values import (
    CloudRoute,
    DesiredRoute,
    EniId,
    Network,
    RouteTableId,
    Target,
    TargetKind,
)
from vipmanager.core.verdict import RouteDecision, Verdict

NOON = 1_796_040_000.0
"""2026-11-30T12:00:00Z."""
ONE: Network = ip_network("192.168.0.1/32")
NOBODY: frozenset[DesiredRoute] = frozenset()


def steer(table: str) -> DesiredRoute:
    return DesiredRoute(destination=ONE, table=RouteTableId(table), eni=EniId("eni-a"))


def read(table: str, target: str | None) -> RouteDecision:
    """A reading of one route; what it is judged is of no account."""
    route = None
    if target is not None:
        route = CloudRoute(destination=ONE, target=Target(kind=TargetKind.ENI, id=target))
    return RouteDecision(steer=steer(table), verdict=Verdict.WRITE, reason="", route=route)


def after(trail: Trail, at: float, **targets: str | None) -> Trail:
    """Read routes some seconds after noon; the answer takes half a second."""
    judged = [read(table, target) for table, target in targets.items()]
    return trail.after(judged, ours=NOBODY, sent=NOON + at, wall=NOON + at + 0.5)


def told(trail: Trail) -> list[Finding]:
    return list(trail.findings("eu-central-1"))


def test_a_deleted_route_is_told_with_the_look_up_of_its_table_and_time() -> None:
    trail = after(after(Trail(), 0, rtb1="eni-a"), 30, rtb1=None)
    (finding,) = told(trail)
    assert finding.condition is Condition.CHANGED_BY_ANOTHER
    assert "192.168.0.1/32 in rtb1 was deleted by somebody else" in finding.text
    command = finding.remedy.partition(": ")[2]
    words = shlex.split(command)
    assert words[:5] == ["aws", "cloudtrail", "lookup-events", "--region", "eu-central-1"]
    assert "AttributeKey=EventName,AttributeValue=DeleteRoute" in words
    assert words[words.index("--start-time") + 1] == "2026-11-30T11:59:59Z"
    assert words[words.index("--end-time") + 1] == "2026-11-30T12:00:32Z"
    assert "contains(CloudTrailEvent,'rtb1')" in words[words.index("--query") + 1]


def test_a_route_that_was_taken_names_who_has_it_and_several_tables_are_one_line() -> None:
    trail = after(Trail(), 0, rtb1="eni-a", rtb2="eni-a", rtb3="eni-a")
    trail = after(trail, 30, rtb1="eni-b", rtb2="eni-b", rtb3="eni-a")
    (finding,) = told(trail)
    assert "in rtb1 and 1 more was pointed at eni-b" in finding.text
    assert "AttributeValue=ReplaceRoute" in finding.remedy


def test_it_stays_as_long_as_the_route_is_away_and_ten_minutes_more() -> None:
    gone = after(after(Trail(), 0, rtb1="eni-a"), 30, rtb1=None)
    first = told(gone)
    taken = after(gone, 5000, rtb1="eni-b")
    assert told(taken) == first
    back = after(taken, 5030, rtb1="eni-a")
    assert told(after(back, 5060, rtb1="eni-a")) == first
    assert told(after(back, 5060 + KEPT, rtb1="eni-a")) == []


def test_what_never_led_here_and_what_this_agent_wrote_a_moment_ago_is_nobodys_doing() -> None:
    assert told(after(after(Trail(), 0, rtb1="eni-b"), 30, rtb1=None)) == []
    seen = after(Trail(), 0, rtb1="eni-a")
    lagging = seen.after(
        [read("rtb1", None)], ours=frozenset([steer("rtb1")]), sent=NOON + 2, wall=NOON + 2
    )
    assert told(lagging) == []
    (finding,) = told(after(lagging, 30, rtb1=None))  # it was not our own write that did not show
    assert "between 2026-11-30T12:00:00Z and 2026-11-30T12:00:30Z" in finding.text


def test_a_clock_that_was_set_back_gives_a_look_up_that_begins_before_its_end() -> None:
    (finding,) = told(after(after(Trail(), 3600, rtb1="eni-a"), 0, rtb1=None))
    words = shlex.split(finding.remedy.partition(": ")[2])
    assert words[words.index("--start-time") + 1] < words[words.index("--end-time") + 1]
