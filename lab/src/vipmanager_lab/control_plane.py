"""A Kubernetes API that the pods of a world reach, with what the manifests of a standby bring.

Pods call it over their primary interface, as the cluster's Service address leads there.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from vipmanager_lab import arc
from vipmanager_lab.closing import Closing
from vipmanager_lab.imds import zone_id
from vipmanager_lab.kube.account import ServiceAccount
from vipmanager_lab.kube.cluster import Cluster
from vipmanager_lab.kube.front import Front
from vipmanager_lab.kube.kinds import LEASES, NODES, PODS
from vipmanager_lab.kube.store import Key
from vipmanager_lab.services import CLUSTER_IP
from vipmanager_lab.world import REGION, World

NAMESPACE = "telco"
LEASE = "vipmanager"
PORT = 6443


MakeCluster = Callable[[Sequence[IPv4Address | IPv6Address]], Front]


class ControlPlane(Closing):
    """The cluster, and the service account that the pods of one Deployment share.

    It may do nothing until it is allowed to.
    """

    def __init__(self, world: World, *, cluster: MakeCluster = Cluster) -> None:
        """Make it in a world.

        Args:
            world: where pods call it from.
            cluster: makes it: the lab's own, or a real one.
        """
        self.cluster = cluster([CLUSTER_IP])
        for listener in world.services.listen(CLUSTER_IP, PORT):
            self.cluster.listen(listener)
        folder = Path(tempfile.mkdtemp(prefix="serviceaccount", dir="/run"))
        self.account: ServiceAccount = self.cluster.service_account(NAMESPACE, "vip", folder)
        self.account.mount()
        for zone in world.nodes:
            self.cluster.store.create(NODES, "", {"metadata": {"name": _node(zone)}, "spec": {}})
        self.arc = arc.Arc.of(world)
        self.arc.serve(world.services)

    def close(self) -> None:
        """End it, with every connection."""
        self.cluster.close()
        self.arc.close()

    def create_pod(self, name: str, zone: str = "a") -> dict[str, str]:
        """Create the object of a pod; give the environment of its container."""
        given = self.cluster.pod_environ(
            self.account, name, str(CLUSTER_IP), PORT, node=_node(zone)
        )
        return {**given, **arc.ENVIRONMENT}

    def cordon(self, zone: str, *, undo: bool = False) -> None:
        """Cordon the node of a zone, as `kubectl cordon` does, or uncordon it.

        Raises:
            StatusError: there is no such node.
        """
        self.edit_node(zone, {"spec": {"unschedulable": None if undo else True}})

    def edit_node(self, zone: str, patch: Mapping[str, Any]) -> None:
        """Merge a patch into the Node of a zone."""
        self.cluster.store.patch(Key(NODES, "", _node(zone)), patch)

    def shift(self, zone: str, kind: str = "ZONAL_SHIFT") -> None:
        """Shift a zone away at ARC."""
        self.arc.shifts[zone_id(f"{REGION}{zone}")] = kind

    def end_shifts(self) -> None:
        """End every shift."""
        self.arc.shifts.clear()

    def delete_pod(self, name: str) -> None:
        """Delete the object of a pod."""
        self.cluster.store.delete(Key(PODS, NAMESPACE, name))

    def ship_lease(self) -> None:
        """Create the Lease, with nothing in it, and the Roles that let an agent use this one."""
        self.cluster.store.create(LEASES, NAMESPACE, {"metadata": {"name": LEASE}, "spec": {}})
        self.account.allow(LEASES, ("get", "watch", "update"), names=(LEASE,))
        self.account.allow(PODS, ("get",))

    def ship_nodes(self) -> None:
        """Create the ClusterRole that lets an agent read Nodes."""
        self.account.allow(NODES, ("get",))

    def lease(self) -> Mapping[str, Any]:
        """Read the Lease.

        Raises:
            StatusError: there is none.
        """
        return self.cluster.store.get(Key(LEASES, NAMESPACE, LEASE))

    def delete_lease(self) -> None:
        """Delete the Lease."""
        self.cluster.store.delete(Key(LEASES, NAMESPACE, LEASE))


def _node(zone: str) -> str:
    return f"node-{zone}"
