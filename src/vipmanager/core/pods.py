"""Pods as the Kubernetes API shows them: which of them may be behind a rival.

Another cluster's pods, and those of another namespace, are not seen. That is why what follows from
a missing pod is done once, and not again and again (`engine/neighbours.py`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from vipmanager.core.text import printable
from vipmanager.core.values import Address, EniId, Mac, Network, covers

STATUS = "k8s.v1.cni.cncf.io/network-status"
"""Where Multus writes a pod's interfaces and their addresses at CNI ADD, before any container
starts (Multus, docs/how-to-use.md)."""
NETWORKS = "k8s.v1.cni.cncf.io/networks"
"""Where a pod asks for them."""

_FINISHED = {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PodObject:
    """A pod's object."""

    uid: str
    going: bool = False
    """Whether it is being deleted, or has finished."""
    addresses: frozenset[Address] | None = frozenset()
    """Of its Multus interfaces; None where it has some, and their addresses are not told."""
    macs: frozenset[Mac] | None = frozenset()
    """The same. With ipvlan and host-device it is the ENI's (ipvlan plugin, `Interface.Mac`)."""
    name: str = ""
    node: str = ""
    """Empty where it is not bound to one yet, or that is not told."""

    def may_have(self, destination: Network) -> bool:
        """Tell whether one of its addresses may be steered by a route to there."""
        if self.addresses is None:
            return True
        return any(covers(destination, a) for a in self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A living ENI that a destination is left to."""

    destination: Network
    eni: EniId
    mac: Mac | None
    """None where EC2 could not be asked."""
    ours: Mac | None
    """Of this pod's ENI for the same destination."""


def behind(rival: Rival, me: PodObject, pods: Iterable[PodObject]) -> tuple[PodObject, ...]:
    """Give the other pods that may be behind a rival.

    What this pod's own object does not tell, no other one is expected to: an address that the
    application configures itself stands in none.

    Args:
        rival: the ENI, and what is routed to it.
        me: this pod.
        pods: every pod that is looked at.
    """
    by_address = me.addresses is not None and me.may_have(rival.destination)
    by_mac = rival.mac is not None and me.macs is not None and rival.ours in me.macs

    def may_be(pod: PodObject) -> bool:
        if pod.uid == me.uid or pod.going or pod.addresses == frozenset():
            return False
        if by_mac and pod.macs is not None and rival.mac not in pod.macs:
            return False
        return pod.may_have(rival.destination) or not by_address

    return tuple(p for p in pods if may_be(p))


def pod_object(document: Mapping[str, Any]) -> PodObject:
    """Read a pod's object.

    Raises:
        ValueError: it is none.
    """
    try:
        metadata = document["metadata"]
        uid, annotations = metadata["uid"], metadata.get("annotations") or {}
        phase = (document.get("status") or {}).get("phase")
        name, node = metadata.get("name"), (document.get("spec") or {}).get("nodeName")
        going = metadata.get("deletionTimestamp") is not None or phase in _FINISHED
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no pod: {error!r}") from error
    if not isinstance(uid, str):
        raise ValueError(f"no pod: its uid is {uid!r}")  # noqa: TRY004 - as of any other answer
    addresses, macs = _interfaces(annotations)
    return PodObject(
        uid=uid,
        going=going,
        addresses=addresses,
        macs=macs,
        name=printable(name or ""),
        node=printable(node or ""),
    )


_Told = tuple[frozenset[Address] | None, frozenset[Mac] | None]


def _interfaces(annotations: Mapping[str, Any]) -> _Told:
    if not annotations.get(NETWORKS) and not annotations.get(STATUS):
        return frozenset(), frozenset()
    try:
        found = [i for i in json.loads(annotations[STATUS]) if not i.get("default")]
        # Multus 4.1.0 to 4.1.2 left ips out where a plugin told no interface (multus-cni#1359);
        # a device for DPDK has neither.
        ips = [i.get("ips") for i in found]
        macs = [i.get("mac") for i in found]
        addresses = frozenset(ip_address(ip) for some in ips for ip in some or ())
    except (KeyError, TypeError, AttributeError, ValueError):
        return None, None
    asked = not found and bool(annotations.get(NETWORKS))
    return (
        None if asked or not all(ips) else addresses,
        None if asked or not all(macs) else frozenset(Mac(str(m).lower()) for m in macs),
    )
