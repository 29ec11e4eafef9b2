"""What Nodes and zonal shifts say, and what they may be made of."""

from dataclasses import replace
from typing import Any

import pytest

from vipmanager.core.places import of_node, of_zone, unknown_zone
from worlds import SUBNETS


def node(**parts: object) -> dict[str, Any]:
    return {"metadata": {"name": "n1"}, **parts}


def tainted(*keys: str) -> dict[str, Any]:
    return node(spec={"taints": [{"key": key, "effect": "NoSchedule"} for key in keys]})


STAYS: list[dict[str, Any]] = [
    node(),
    node(spec=None),
    node(spec={"unschedulable": False, "taints": []}),
    tainted("dedicated", "node.kubernetes.io/disk-pressure"),
    tainted("DeletionCandidateOfClusterAutoscaler"),
    tainted("aws-node-termination-handler/rebalance-recommendation"),
]


@pytest.mark.parametrize("found", STAYS)
def test_a_node_that_only_has_trouble_is_not_left(found: dict[str, Any]) -> None:
    assert of_node(found) == ""


LEAVES = [
    (node(spec={"unschedulable": True}), "node n1 is cordoned"),
    (tainted("node.kubernetes.io/unschedulable"), "node n1 is cordoned"),
    (tainted("dedicated", "ToBeDeletedByClusterAutoscaler"), "by the Cluster Autoscaler"),
    (tainted("karpenter.sh/disrupted"), "taken away by Karpenter"),
    (tainted("karpenter.sh/disruption"), "taken away by Karpenter"),
    (tainted("aws-node-termination-handler/spot-itn"), "about to be interrupted"),
    ({"metadata": {"name": "n1", "deletionTimestamp": "2026-11-28T00:00:00Z"}}, "being deleted"),
]


@pytest.mark.parametrize(
    ("found", "said"), LEAVES, ids=lambda it: it if isinstance(it, str) else ""
)
def test_a_node_whose_pods_are_about_to_go_is_left(found: dict[str, Any], said: str) -> None:
    assert said in of_node(found)


NO_NODES: list[dict[str, Any]] = [
    {},
    {"metadata": {}},
    {"metadata": {"name": 7}},
    {"metadata": []},
    node(spec=[]),
    node(spec={"taints": {}}),
    node(spec={"taints": ["x"]}),
]


@pytest.mark.parametrize("found", NO_NODES)
def test_what_is_no_node_is_refused(found: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        of_node(found)


def shift(away: object, status: object = "APPLIED", **more: object) -> dict[str, Any]:
    return {"awayFrom": away, "appliedStatus": status, **more}


def test_a_shift_in_effect_says_what_it_is() -> None:
    away = shift("use1-az1")
    assert of_zone("use1-az1", {"zonalShifts": [away]}).endswith("away (zonal shift)")
    practice = shift("use1-az1", shiftType="PRACTICE_RUN")
    assert of_zone("use1-az1", {"zonalShifts": [practice]}).endswith("(practice run)")
    assert of_zone("use1-az1", {"zonalShifts": [], "autoshifts": [away]}).endswith("(autoshift)")


STILL = [
    {"zonalShifts": []},
    {"zonalShifts": [], "autoshifts": None},
    {"zonalShifts": [shift("use1-az2")]},
    {"zonalShifts": [shift("use1-az10")]},
    {"zonalShifts": [shift("use1-az1", "NOT_APPLIED")]},
    {"zonalShifts": [shift("use1-az2")], "autoshifts": [shift("use1-az1", "NOT_APPLIED")]},
]


@pytest.mark.parametrize("resource", STILL)
def test_a_shift_of_another_zone_or_one_that_waits_moves_nothing(resource: dict[str, Any]) -> None:
    assert of_zone("use1-az1", resource) == ""


STRANGE = [
    {},
    {"zonalShifts": None},
    {"zonalShifts": {}},
    {"zonalShifts": ["use1-az1"]},
    {"zonalShifts": [{}]},
    {"zonalShifts": [shift(None)]},
    {"zonalShifts": [shift("use1-az1", None)]},
    {"zonalShifts": [], "autoshifts": "none"},
]


@pytest.mark.parametrize("resource", STRANGE)
def test_what_is_no_answer_of_arc_is_refused(resource: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        of_zone("use1-az1", resource)


def test_a_zone_without_a_subnet_is_told_with_those_that_there_are() -> None:
    (finding,) = unknown_zone("euc1-az1", SUBNETS)
    assert finding.text == (
        "PreferredZone=euc1-az1: no subnet of the VPC is there; its zones are eu-central-1a, "
        "eu-central-1b"
    )
    assert unknown_zone("eu-central-1b", SUBNETS) == ()
    assert unknown_zone(None, SUBNETS) == ()


def test_where_ec2_told_no_zone_nothing_is_said_of_one() -> None:
    untold = tuple(replace(subnet, zone=None) for subnet in SUBNETS)
    assert unknown_zone("eu-central-1z", untold) == ()
    assert unknown_zone("eu-central-1z", ()) == ()
