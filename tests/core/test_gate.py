"""What a pod may write while its application is not known to be well."""

import pytest

from vipmanager.core.findings import Condition, find
from vipmanager.core.gate import held_back
from vipmanager.core.values import DesiredRoute, EniId, RouteTableId
from vipmanager.core.verdict import Decision, RouteDecision, RouteHistory, Verdict
from worlds import networks, route

DESTINATION = networks("192.168.0.1/32")[0]
SICK = find(Condition.UNHEALTHY, "HealthCheck", why="tcp://127.0.0.1:80: Connection refused")
W, WAIT = Verdict.WRITE, Verdict.WAIT


@pytest.mark.parametrize(
    ("shows", "repair", "verdict"),
    [
        ("nothing", True, W),
        ("a blackhole", True, W),
        ("eni-b1", True, WAIT),
        ("eni-dead", True, W),
        ("nothing", False, WAIT),
        ("a blackhole", False, WAIT),
        ("eni-b1", False, WAIT),
        ("eni-dead", False, WAIT),
    ],
)
def test_only_a_repair_that_takes_nothing_is_made(
    shows: str,
    repair: bool,  # noqa: FBT001 - a table's column
    verdict: Verdict,
) -> None:
    routes = {
        "nothing": None,
        "a blackhole": route(str(DESTINATION), "eni-b1", blackhole=True),
        "eni-b1": route(str(DESTINATION), "eni-b1"),
        "eni-dead": route(str(DESTINATION), "eni-dead"),
    }
    steer = DesiredRoute(table=RouteTableId("rtb-00"), destination=DESTINATION, eni=EniId("eni-a1"))
    judged = RouteDecision(steer=steer, verdict=W, reason="x", route=routes[shows], repair=repair)
    given = Decision(judged=(judged,), memory=RouteHistory(), findings=(), recheck=None)
    after = held_back(given, SICK, gone=frozenset({EniId("eni-dead")}))
    assert after.judged[0].verdict is verdict
    assert after.findings == (SICK,)


@pytest.mark.parametrize("verdict", [Verdict.RIGHT, Verdict.WAIT, Verdict.YIELD])
def test_what_is_not_written_anyway_stays_as_it_is(verdict: Verdict) -> None:
    steer = DesiredRoute(table=RouteTableId("rtb-00"), destination=DESTINATION, eni=EniId("eni-a1"))
    judged = RouteDecision(steer=steer, verdict=verdict, reason="x", route=None)
    given = Decision(judged=(judged,), memory=RouteHistory(), findings=(), recheck=None)
    assert held_back(given, SICK, gone=frozenset()).judged == (judged,)
