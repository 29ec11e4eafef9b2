"""Static stability: an outage of the API makes no healthy pod unready."""

import pytest

from reports import (
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
from vipmanager.core.claim import Verdict
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.health import Health, alive
from vipmanager.core.report import Report

CLEAN = report()
READY, UNREADY = Health(ready=True, why="well"), Health()
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
