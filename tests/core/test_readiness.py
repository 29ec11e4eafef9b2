"""Static stability: an outage of the API makes no healthy pod unready."""

from dataclasses import replace

import pytest

from reports import (
    ADDRESS,
    contested,
    displaced,
    failed,
    judged,
    refused,
    report,
    skipped,
    waiting,
    wrote,
)
from vipmanager.core.actions import AddRule
from vipmanager.core.election.role import Role
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.findings import Condition, find
from vipmanager.core.readiness import STEERED, Readiness, alive
from vipmanager.core.report import Done, Report
from vipmanager.core.values import PolicyRule
from vipmanager.core.verdict import Verdict

CLEAN = report()
READY, UNREADY = Readiness(ready=True, why="well"), Readiness()
W = Verdict.WRITE


@pytest.mark.parametrize(
    ("name", "given", "from_ready", "from_unready"),
    [
        ("a clean pass", CLEAN, True, True),
        ("clean, with IMDS silent", report(skipped()), True, True),
        ("EC2 can't be reached", report(waiting(), observed=False), True, False),
        ("IMDS refuses", report(failed("observe"), observed=False), True, False),
        ("a write under way", report(done=(wrote(),), judged=(judged(W),)), True, False),
        (
            "a repair that fails for a while",
            report(waiting("rtb-00"), done=(wrote(0, Transient("x")),), judged=(judged(W),)),
            True,
            False,
        ),
        (
            "a route that may be drifting",
            report(contested(), judged=(judged(Verdict.WAIT),)),
            True,
            False,
        ),
        (
            "another pod took over",
            report(displaced(), judged=(judged(Verdict.YIELD),)),
            False,
            False,
        ),
        (
            "a wrong route that we may not fix",
            report(failed("rtb-00"), done=(wrote(0, Permanent("x")),), judged=(judged(W),)),
            False,
            False,
        ),
        (
            "a wrong route that we refuse to fix",
            report(refused("rtb-00"), judged=(judged(W),)),
            False,
            False,
        ),
        (
            "a finding on something that is right",
            report(failed("Intf1Peers"), judged=(judged(Verdict.RIGHT),)),
            True,
            False,
        ),
    ],
)
def test_readiness_is_lost_on_evidence_only(
    name: str,
    given: Report,
    from_ready: bool,  # noqa: FBT001 - a table's columns
    from_unready: bool,  # noqa: FBT001
) -> None:
    assert READY.after(given).ready is from_ready, name
    assert UNREADY.after(given).ready is from_unready, name


LOST = find(
    Condition.LOST,
    "192.168.0.1",
    address="192.168.0.1",
    why="net1 is down",
    count=1,
    total=1,
    eni="eni-a1",
    remedy="ip link set net1 up",
)
REFUSED_RULE = Done(
    action=AddRule(rule=PolicyRule(priority=8610, source=ADDRESS, table=86003), reason="x"),
    seconds=0.0,
    failure=Permanent("no NET_ADMIN", "allow it"),
)


@pytest.mark.parametrize("role", [None, *Role])
@pytest.mark.parametrize("fresh", [True, False])
def test_what_is_lost_makes_every_pod_unready_by_an_old_reading_too(
    role: Role | None,
    fresh: bool,  # noqa: FBT001 - a table's column
) -> None:
    health = READY.after(replace(report(LOST), role=role, fresh=fresh))
    assert not health.ready
    assert health.why.startswith("192.168.0.1 is lost: net1 is down")


@pytest.mark.parametrize("after", [report(waiting(), observed=False), report(skipped())])
def test_a_reading_that_fails_makes_nothing_ready_that_was_lost(after: Report) -> None:
    health = READY.after(report(LOST)).after(after)
    assert health.ready is after.clean


def test_who_was_relieved_is_not_ready() -> None:
    relieved = replace(report(find(Condition.RELIEVED, "lease")), role=Role.RELIEVED)
    assert not READY.after(relieved).ready


def test_a_pod_that_the_kernel_lets_set_no_rule_is_not_ready() -> None:
    refused = report(
        REFUSED_RULE.failure.finding("ip rule"),  # type: ignore[union-attr]
        done=(REFUSED_RULE,),
        judged=(judged(Verdict.RIGHT),),
    )
    assert not READY.after(refused).ready


@pytest.mark.parametrize(
    "given",
    [
        report(done=(wrote(),), judged=(judged(W), judged(Verdict.RIGHT, 1))),
        report(contested(), judged=(judged(Verdict.WAIT),)),
        report(waiting("net1"), judged=(judged(Verdict.RIGHT),)),
    ],
)
def test_nobody_says_that_all_is_steered_here_without_a_reading_that_shows_it(
    given: Report,
) -> None:
    before = READY.after(CLEAN)
    assert before.why == STEERED
    after = before.after(given)
    assert after.ready
    assert STEERED not in after.why


def test_readiness_returns_with_the_next_clean_pass() -> None:
    assert READY.after(report(displaced())).after(CLEAN).ready


def test_the_reason_names_the_rival_or_the_table() -> None:
    assert "eni-b1" in READY.after(report(displaced())).why
    wrong = report(failed("rtb-00"), judged=(judged(W),))
    assert "access denied" in READY.after(wrong).why
    assert "EC2 does not answer" in READY.after(report(waiting(), observed=False)).why


@pytest.mark.parametrize(("since", "expected"), [(0, True), (119, True), (121, False)])
def test_a_loop_that_turns_is_alive(since: float, expected: bool) -> None:  # noqa: FBT001
    assert alive(since_pass=since, resync=30) is expected
