"""Which pod holds the floating IPs, and whether another one stands by."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from vipmanager.core.downward import pod_in_zone
from vipmanager.core.election.record import POD, ZONE
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.pods import PodObject, pod_object
from vipmanager.core.values import Address
from vipmanager.drill.mark import Object
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A pod that is to go."""

    namespace: str
    name: str
    uid: str
    addresses: frozenset[Address] = frozenset()
    """Of its Multus interfaces, as far as they are told."""

    def __str__(self) -> str:
        """Name it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Who has a Lease."""

    identity: str
    """Empty for nobody."""
    pod: str
    """As `namespace/name`; empty where the Lease does not tell."""
    transitions: int
    place: str
    """For people."""

    @property
    def uid(self) -> str:
        """The UID of the holder's pod."""
        return self.identity.partition("/")[0]


def holding(lease: KubeLease) -> Holding | None:
    """Read who has the Lease; None where there is none."""
    record = lease.read()
    if record is None:
        return None
    pod, zone = record.annotations.get(POD, ""), record.annotations.get(ZONE, "")
    identity = record.holder or ""
    return Holding(
        identity=identity,
        pod=pod,
        transitions=record.transitions,
        place=(pod_in_zone(pod, zone) or identity) if identity else "nobody",
    )


def held(lease: KubeLease, name: str) -> Holding:
    """Give who has the Lease.

    Raises:
        Permanent: nobody has.
    """
    found = holding(lease)
    if found is None:
        raise Permanent(f"there is no Lease {name}", "see: kubectl get leases -A")
    if not found.identity:
        raise Permanent(
            f"nobody holds the Lease {name}",
            "a drill needs a group that is well: vipmanager status",
        )
    return found


def victim(kube: Kube, namespace: str, name: str) -> Victim:
    """Read a pod that is to go.

    Raises:
        Permanent: there is none, or it is going already.
    """
    found = kube.get_pod(namespace, name)
    if found is None:
        raise Permanent(
            f"there is no pod {namespace}/{name}", f"see: kubectl get pods -n {namespace}"
        )
    pod = _read(found)
    if pod.going:
        raise Permanent(f"pod {namespace}/{name} is being deleted already, or has finished")
    return Victim(
        namespace=namespace, name=name, uid=pod.uid, addresses=pod.addresses or frozenset()
    )


def on_node(
    kube: Kube, node: str, *, holder: str, addresses: Collection[Address], every: bool, me: str
) -> tuple[Victim, ...]:
    """Give the pods of a node that a drill evicts.

    Args:
        kube: needs `list` on pods in all namespaces.
        node: its name.
        holder: the UID of the pod that holds the Lease, or nothing.
        addresses: the floating IPs that are probed.
        every: all pods that `kubectl drain` would evict, not only those of the floating IPs.
        me: this pod's name, which stays.

    Raises:
        Permanent: there are none.
    """
    found = []
    for document in kube.list_pods_on(node):
        pod = _read(document)
        if pod.going or pod.name == me:
            continue
        ours = pod.uid == holder or bool((pod.addresses or frozenset()) & set(addresses))
        if ours or (every and _evictable(document)):
            found.append(
                Victim(
                    namespace=document["metadata"]["namespace"],
                    name=pod.name,
                    uid=pod.uid,
                    addresses=pod.addresses or frozenset(),
                )
            )
    if not found:
        raise Permanent(
            f"no pod on node {node} is known to hold {', '.join(map(str, addresses))}",
            "name the node that it is on, or the Lease of its group: --lease NAME",
        )
    return tuple(found)


def standbys(kube: Kube, victims: Iterable[Victim], addresses: Collection[Address]) -> int:
    """Count the pods that are left with the floating IPs once these are gone.

    Args:
        kube: needs `list` on pods in the namespaces of the victims.
        victims: the pods that go.
        addresses: the floating IPs that are probed.
    """
    gone = tuple(victims)
    uids = {v.uid for v in gone}
    wanted = set(addresses).union(*(v.addresses for v in gone))
    others = [
        _read(document)
        for namespace in sorted({v.namespace for v in gone})
        for document in kube.list_pods(namespace)
    ]
    return sum(
        pod.uid not in uids and not pod.going and bool((pod.addresses or frozenset()) & wanted)
        for pod in others
    )


def _evictable(document: Object) -> bool:
    """Tell whether `kubectl drain --ignore-daemonsets` evicts it: no mirror pod, no daemon."""
    metadata = document["metadata"]
    if "kubernetes.io/config.mirror" in (metadata.get("annotations") or {}):
        return False
    owners = metadata.get("ownerReferences") or ()
    return not any(o.get("kind") == "DaemonSet" and o.get("controller") for o in owners)


def _read(document: Object) -> PodObject:
    try:
        return pod_object(document)
    except ValueError as error:
        raise Transient(f"the Kubernetes API: a pod is not as expected ({error})") from error
