"""What a person ordered, and what comes of it: everything is looked up before anything is done."""

import enum
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vipmanager.core.failures import Permanent
from vipmanager.core.values import Address
from vipmanager.drill.causes import (
    Cause,
    DeletePods,
    DrainNode,
    RunCommand,
    undo_drain,
    undo_run,
)
from vipmanager.drill.cordon import Cordon, clean
from vipmanager.drill.holder import Victim, held, on_node, standbys, victim
from vipmanager.drill.mark import Mark
from vipmanager.drill.run import Drill, Group, Pace
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager.edges.probing import Channel, Datagrams, Handshakes, Held, Pings

SLACK = 120.0
"""Seconds beyond its time-out after which a drill is dead (guess): clocks differ."""


class Probe(enum.Enum):
    """How an address is asked whether it answers."""

    ICMP = "icmp"
    UDP = "udp"
    TCP = "tcp"


class Way(enum.Enum):
    """What is caused."""

    DELETE_POD = "--delete-pod"
    DELETE_HOLDER = "--delete-holder"
    DRAIN_NODE = "--drain-node"
    RUN = "--run"


Named = tuple[str, str]
"""A namespace, empty for the own one, and a name in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One drill."""

    addresses: tuple[Address, ...]
    probe: Probe
    port: int = 0
    hold: tuple[int, ...] = ()
    """TCP ports to which a connection is held."""
    way: Way
    about: str
    """The node, or the command."""
    pod: Named = ("", "")
    every: bool = False
    """Whether all pods of the node are evicted."""
    lease: Named | None = None
    pace: Pace
    environ: Mapping[str, str]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    me: str = field(default_factory=socket.gethostname)
    """This host's name: in a pod the pod's."""

    def cordon(self) -> Cordon:
        """Give the cordon that it needs."""
        now = time.time()
        by, until = f"{self.me}, process {os.getpid()}", now + self.pace.timeout + SLACK
        return Cordon(node=self.about, mark=Mark(id=self.id, by=by, since=now, until=until))


def undoing(order: Order, cordon: Cordon) -> Callable[[], None]:
    """Give what takes away all that an order may leave; a process forked now can do it too."""
    match order.way:
        case Way.DRAIN_NODE:
            return undo_drain(cordon, order.environ)
        case Way.RUN:
            return undo_run(order.id)
        case _:
            return lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A drill that may be played."""

    drill: Drill
    lone: bool
    """Whether no other pod is known to stand by."""


def must_be_in_a_pod(environ: Mapping[str, str]) -> None:
    """See whether there is a Kubernetes API to ask.

    Raises:
        Permanent: there is none.
    """
    if not environ.get("KUBERNETES_SERVICE_HOST"):
        raise Permanent(
            "the Kubernetes API is reached from a pod alone, and this is none",
            "run it in a pod (docs/drill.md), or use your own kubectl: --run 'kubectl ...'",
        )


def prepare(order: Order, cordon: Cordon, kube: Kube, tell: Callable[[str], None]) -> Prepared:
    """Look everything up, and ask whether it may be done; nothing is changed.

    Only what a dead drill has left is taken away, where this one needs Nodes anyway.

    Raises:
        Failure: it may not be, or something is not there.
    """
    if order.way is not Way.RUN or order.lease is not None:
        must_be_in_a_pod(order.environ)
    group = _group(order, kube)
    holder = None if group is None else _holder(group, kube)
    cause = _cause(order, cordon, kube, holder, tell)
    leaving = cause.victims or ([holder] if holder is not None else [])
    lone = bool(leaving) and not standbys(kube, leaving, order.addresses)
    cause.rehearse()
    channels = {str(a): _channel(order, str(a)) for a in order.addresses}
    connections = {(str(a), p): Held(str(a), p) for a in order.addresses for p in order.hold}
    drill = Drill(
        cause=cause,
        pace=order.pace,
        channels=channels,
        held=connections,
        group=group,
        recheck=lambda: _recheck(order, group, kube, tell),
    )
    return Prepared(drill=drill, lone=lone)


def _group(order: Order, kube: Kube) -> Group | None:
    if order.lease is None:
        return None
    namespace, name = order.lease[0] or kube.namespace, order.lease[1]
    lease = KubeLease(kube, namespace=namespace, name=name)
    return Group(name=f"{namespace}/{name}", lease=lease, before=held(lease, f"{namespace}/{name}"))


def _recheck(order: Order, group: Group | None, kube: Kube, tell: Callable[[str], None]) -> None:
    """See that no other drill and no failover has come in between.

    Raises:
        Failure: one has.
    """
    if order.way is Way.DRAIN_NODE:
        clean(kube, tell, dead_at=time.time())
    if group is None:
        return
    now, before = held(group.lease, group.name), group.before
    if (now.identity, now.transitions) != (before.identity, before.transitions):
        raise Permanent(
            f"nothing was caused: Lease {group.name} went from {before.place} to {now.place} "
            "meanwhile",
            "start the drill again",
        )


def _holder(group: Group, kube: Kube) -> Victim:
    namespace, _, name = group.before.pod.partition("/")
    if not name:
        raise Permanent(
            f"Lease {group.name} does not tell its holder's pod", "name it: --delete-pod POD"
        )
    found = victim(kube, namespace, name)
    if found.uid != group.before.uid:
        raise Permanent(
            f"Lease {group.name} is held by a pod that is gone; {found} is another one",
            "wait until a pod that lives has taken it: vipmanager status",
        )
    return found


def _cause(
    order: Order,
    cordon: Cordon,
    kube: Kube,
    holder: Victim | None,
    tell: Callable[[str], None],
) -> Cause:
    match order.way:
        case Way.RUN:
            return RunCommand(order.about, order.id)
        case Way.DELETE_POD:
            namespace, name = order.pod
            return DeletePods(kube, [victim(kube, namespace or kube.namespace, name)])
        case Way.DELETE_HOLDER:
            return DeletePods(kube, [] if holder is None else [holder])
        case Way.DRAIN_NODE:
            clean(kube, tell, dead_at=time.time())
            victims = on_node(
                kube,
                order.about,
                holder="" if holder is None else holder.uid,
                addresses=order.addresses,
                every=order.every,
                me=order.me,
            )
            return DrainNode(kube, cordon, victims)


def _channel(order: Order, address: str) -> Channel:
    match order.probe:
        case Probe.ICMP:
            return Pings(address)
        case Probe.UDP:
            return Datagrams(address, order.port)
        case Probe.TCP:
            return Handshakes(address, order.port)
