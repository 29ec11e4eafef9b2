"""Why a pod should leave where it runs: what its Node, and its zone's shifts, tell.

Empty means that it may stay. What is not as the APIs have it raises ValueError.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.values import Subnet

DRAINING: Mapping[str, str] = {
    # The node controller keeps it as long as spec.unschedulable (kubernetes.io, "Taints and
    # Tolerations"), which lasts a moment longer or less.
    "node.kubernetes.io/unschedulable": "is cordoned",
    # cluster-autoscaler, utils/taints/taints.go: before it drains a node that it takes away.
    "ToBeDeletedByClusterAutoscaler": "is taken away by the Cluster Autoscaler",
    # karpenter.sh, "Disruption": before it looks for a node in the place of this one; until 1.0
    # under the second name.
    "karpenter.sh/disrupted": "is taken away by Karpenter",
    "karpenter.sh/disruption": "is taken away by Karpenter",
    # aws-node-termination-handler, pkg/node/node.go, with TAINT_NODE. What it recommends alone
    # (rebalance-recommendation) ends nothing.
    "aws-node-termination-handler/spot-itn": "is about to be interrupted",
    "aws-node-termination-handler/scheduled-maintenance": "is about to be maintained",
    "aws-node-termination-handler/asg-lifecycle-termination": "is about to be terminated",
}
"""Taints of a node whose pods are about to go, and what each says."""

APPLIED = "APPLIED"
"""The status of the one shift that is in effect; others wait behind it (ARC API reference)."""


def of_node(node: Mapping[str, Any]) -> str:
    """Tell why a pod should leave a node.

    Args:
        node: as `GET /api/v1/nodes/NAME` gives it.

    Raises:
        ValueError: it is no Node.
    """
    metadata, spec = _mapping(node.get("metadata")), _mapping(node.get("spec"))
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise _strange("a Node without a name")
    if spec.get("unschedulable") is True:
        return f"node {name} is cordoned"
    if metadata.get("deletionTimestamp"):
        return f"node {name} is being deleted"
    taints = (str(_mapping(taint).get("key")) for taint in _list(spec.get("taints")))
    said = next((DRAINING[key] for key in taints if key in DRAINING), "")
    return f"node {name} {said}" if said else ""


def of_zone(zone: str, resource: Mapping[str, Any]) -> str:
    """Tell why a pod should leave its zone.

    Args:
        zone: the zone's id, such as `use1-az1`, which is the same in every account; ARC does not
            know names such as `us-east-1a`.
        resource: what ARC's `GetManagedResource` answers about the cluster.

    Raises:
        ValueError: it is no such answer.
    """
    if not isinstance(resource.get("zonalShifts"), list):
        raise _strange("no zonalShifts")
    said = next((kind for kind, away in _applied(resource) if away == zone), "")
    return f"zone {zone} is shifted away ({said})" if said else ""


def _applied(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give what each shift in effect is, and from where: practice runs are shifts like others."""
    for key, usual in (("zonalShifts", "zonal shift"), ("autoshifts", "autoshift")):
        for shift in map(_mapping, _list(resource.get(key))):
            status, away = shift.get("appliedStatus"), shift.get("awayFrom")
            if not isinstance(status, str) or not isinstance(away, str):
                raise _strange(f"a shift without appliedStatus or awayFrom in {key}")
            if status == APPLIED:
                practice = shift.get("shiftType") == "PRACTICE_RUN"
                yield "practice run" if practice else usual, away


def _strange(what: str) -> ValueError:
    return ValueError(what)


def _mapping(value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _strange(f"{type(value).__name__} instead of an object")
    return value


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _strange(f"{type(value).__name__} instead of a list")
    return value


def unknown_zone(preferred: str | None, subnets: Iterable[Subnet]) -> tuple[Finding, ...]:
    """Tell of a preferred zone in which no subnet is, where EC2 told in which zones they are."""
    zones = sorted({s.zone for s in subnets if s.zone is not None})
    if preferred is None or not zones or preferred in zones:
        return ()
    return (find(Condition.ZONE_UNKNOWN, "PreferredZone", zone=preferred, zones=", ".join(zones)),)
