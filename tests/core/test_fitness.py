"""What a pass tells of the pod's fitness to carry its floating IPs."""

from dataclasses import replace

import pytest

from reports import ENI, judged, report, skipped, waiting
from vipmanager.core.actions import AddRule
from vipmanager.core.election.state import UNKNOWN
from vipmanager.core.election.values import Fitness
from vipmanager.core.failures import Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.fitness import fitness
from vipmanager.core.report import Done, Report
from vipmanager.core.values import FloatingIP, PolicyRule, VpcId
from vipmanager.core.verdict import Verdict
from worlds import networks

DESTINATION = networks("192.168.0.1/32")[0]
CARRIED = FloatingIP(
    address=DESTINATION.network_address,
    interface="net1",
    eni=ENI,
    vpc=VpcId("vpc-1"),
    destination=DESTINATION,
)


def passed(*findings: Finding, done: tuple[Done, ...] = ()) -> Report:
    judgements = (judged(Verdict.RIGHT),)
    return replace(report(*findings, done=done), floating=(CARRIED,), judged=judgements)


def test_a_pass_that_finds_all_in_order_makes_the_pod_fit() -> None:
    assert fitness(passed(skipped()), UNKNOWN).may_take


def test_without_a_floating_ip_there_is_nothing_to_take() -> None:
    assert not fitness(report(), UNKNOWN).may_keep


@pytest.mark.parametrize(
    ("finding", "lack"),
    [
        (
            find(Condition.INTERFACE_DOWN, "net1", interface="net1", state="down", command=""),
            "an interface is down",
        ),
        (find(Condition.ENI_NOT_YET, "net1", interface="net1", mac="02"), "an ENI is detached"),
        (
            find(Condition.ADDRESS_TENTATIVE, "net1", interface="net1", address="fd00::1"),
            "the pod's routes are not ready",
        ),
    ],
)
def test_what_is_missing_is_named(finding: Finding, lack: str) -> None:
    assert str(fitness(passed(finding), Fitness())) == lack


def test_a_rule_that_the_kernel_refuses_makes_the_pod_unfit() -> None:
    rule = PolicyRule(priority=100, table=1, source=DESTINATION, protocol=66)
    failed = Done(
        action=AddRule(rule=rule, reason="x"), seconds=0.0, failure=Permanent("no NET_ADMIN")
    )
    assert not fitness(passed(done=(failed,)), Fitness()).kernel


def test_an_api_that_is_away_leaves_everybody_fit_who_knows_his_routes() -> None:
    away = report(waiting(), observed=False)
    assert fitness(away, fitness(passed(), UNKNOWN)).may_take
    assert not fitness(away, UNKNOWN).may_take


def test_a_pass_that_reads_only_the_pod_tells_what_is_wrong_there() -> None:
    unread = replace(passed(), fresh=False)
    assert fitness(unread, UNKNOWN).may_take
