"""A Kubernetes API that the pods of a world reach, with what the manifests of a standby bring.

Pods call it over their primary interface, as the cluster's Service address leads there.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vipmanager.lab.closing import Closing
from vipmanager.lab.kube.account import ServiceAccount
from vipmanager.lab.kube.cluster import Cluster
from vipmanager.lab.kube.kinds import LEASES, PODS
from vipmanager.lab.kube.store import Key
from vipmanager.lab.router import EC2_ENDPOINT
from vipmanager.lab.world import World

NAMESPACE = "telco"
LEASE = "vipmanager"
PORT = 6443
CALL_MS = (10, 30)
"""Milliseconds that a call takes once `slow` was called: at least, and at most."""


class ControlPlane(Closing):
    """The cluster, and the service account that the pods of one Deployment share.

    It may do nothing until it is allowed to.
    """

    def __init__(self, world: World) -> None:
        self.cluster = Cluster([EC2_ENDPOINT])
        listener = world.network.vpc.socket()
        listener.bind((str(EC2_ENDPOINT), PORT))
        self.cluster.listen(listener)
        folder = Path(tempfile.mkdtemp(prefix="serviceaccount", dir="/run"))
        self.account: ServiceAccount = self.cluster.service_account(NAMESPACE, "vip", folder)
        self.account.mount()

    def close(self) -> None:
        """End it, with every connection."""
        self.cluster.close()

    def slow(self) -> None:
        """Let calls take as long as those of a real cluster."""
        fastest, slowest = (ms / 1000 for ms in CALL_MS)
        self.cluster.faults.latency = fastest
        self.cluster.faults.jitter = slowest - fastest

    def create_pod(self, name: str) -> dict[str, str]:
        """Create the object of a pod; give the environment that kubelet gives its container."""
        return dict(self.cluster.pod_environ(self.account, name, str(EC2_ENDPOINT), PORT))

    def delete_pod(self, name: str) -> None:
        """Delete the object of a pod."""
        self.cluster.store.delete(Key(PODS, NAMESPACE, name))

    def ship_lease(self) -> None:
        """Create the Lease, with nothing in it, and the Role that lets an agent use this one."""
        self.cluster.store.create(LEASES, NAMESPACE, {"metadata": {"name": LEASE}, "spec": {}})
        self.account.allow(LEASES, ("get", "watch", "update"), names=(LEASE,))

    def lease(self) -> Mapping[str, Any]:
        """Read the Lease.

        Raises:
            StatusError: there is none.
        """
        return self.cluster.store.get(Key(LEASES, NAMESPACE, LEASE))

    def delete_lease(self) -> None:
        """Delete the Lease."""
        self.cluster.store.delete(Key(LEASES, NAMESPACE, LEASE))
