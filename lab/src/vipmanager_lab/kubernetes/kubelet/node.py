"""A node's object, its status and its Lease: pure, but for the calls that write them."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vipmanager_lab.kubernetes.api import Api, ApiError
from vipmanager_lab.kubernetes.kubelet.status import stamp

LEASE_SECONDS = 40
"""How long a node without a renewal counts as living, as kubelet writes it."""
_NODES = "/api/v1/nodes"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_GOOD = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID"),
    "Ready": ("True", "KubeletReady"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a node is."""

    name: str
    region: str
    zone: str
    """With the region, such as eu-central-1a."""
    instance: str
    address: str
    pods: int
    """How many it has addresses for."""
    labels: Mapping[str, str] = field(default_factory=dict)
    since: datetime


def labels(identity: Identity) -> dict[str, str]:
    """Give its labels: those of every node, then its own."""
    machine = platform.machine()
    return {
        "kubernetes.io/hostname": identity.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": _ARCHITECTURES.get(machine, machine),
        "node.kubernetes.io/instance-type": "lab",
        "topology.kubernetes.io/region": identity.region,
        "topology.kubernetes.io/zone": identity.zone,
        **identity.labels,
    }


def status(identity: Identity, now: datetime) -> dict[str, Any]:
    """Give its status: well, and with room."""
    room = {
        "cpu": "8",
        "memory": "16Gi",
        "ephemeral-storage": "64Gi",
        "pods": str(identity.pods),
    }
    return {
        "capacity": room,
        "allocatable": room,
        "addresses": [
            {"type": "InternalIP", "address": identity.address},
            {"type": "Hostname", "address": identity.name},
        ],
        "nodeInfo": {
            "architecture": labels(identity)["kubernetes.io/arch"],
            "bootID": identity.instance,
            "containerRuntimeVersion": "lab://1",
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": "v1.37.0-lab",
            "machineID": identity.instance,
            "operatingSystem": "linux",
            "osImage": "lab",
            "systemUUID": identity.instance,
        },
        "conditions": [
            {
                "type": kind,
                "status": value,
                "reason": reason,
                "message": "",
                "lastHeartbeatTime": stamp(now),
                "lastTransitionTime": stamp(identity.since),
            }
            for kind, (value, reason) in _GOOD.items()
        ],
    }


def register(api: Api, identity: Identity) -> None:
    """Create the node, or take it over where it is there.

    Raises:
        ApiError: it was refused.
    """
    metadata = {"name": identity.name, "labels": labels(identity)}
    spec = {"providerID": f"aws:///{identity.zone}/{identity.instance}"}
    try:
        api.create(_NODES, {"metadata": metadata, "spec": spec})
    except ApiError as error:
        if error.reason != "AlreadyExists":
            raise
        api.patch(f"{_NODES}/{identity.name}", {"metadata": metadata})
    report(api, identity)


def report(api: Api, identity: Identity) -> None:
    """Write the node's status.

    Raises:
        ApiError: it was refused.
    """
    body = {"status": status(identity, datetime.now(UTC))}
    api.patch(f"{_NODES}/{identity.name}/status", body, "strategic")


def renew(api: Api, name: str) -> None:
    """Renew the node's Lease; create it where there is none.

    Raises:
        ApiError: it was refused.
    """
    spec = {
        "holderIdentity": name,
        "leaseDurationSeconds": LEASE_SECONDS,
        "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    try:
        api.patch(f"{_LEASES}/{name}", {"spec": spec})
    except ApiError as error:
        if error.reason != "NotFound":
            raise
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": _uid(api, name)}
        metadata = {"name": name, "namespace": "kube-node-lease", "ownerReferences": [owner]}
        api.create(_LEASES, {"metadata": metadata, "spec": spec})


def _uid(api: Api, name: str) -> str:
    return str(api.get(f"{_NODES}/{name}")["metadata"]["uid"])
