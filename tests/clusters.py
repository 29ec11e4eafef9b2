"""A cluster on the loopback, and a pod in it: the lab's own, or a real one.

`make test-kubernetes` runs the tests that take a cluster against a real API server (REAL in the
environment); `own` marks what only the lab's own can be told to do.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from vipmanager.core.lease import LeaseRecord
from vipmanager_lab.control_plane import MakeCluster
from vipmanager_lab.kube.account import ServiceAccount
from vipmanager_lab.kube.cluster import Cluster
from vipmanager_lab.kube.front import Front
from vipmanager_lab.kubernetes.assets import find
from vipmanager_lab.kubernetes.cluster import RealCluster
from vipmanager_lab.kubernetes.plane import Plane

REAL = "VIPMANAGER_TEST_KUBERNETES"
LOCAL = IPv4Address("127.0.0.1")
NAMESPACE = "telco"
MINE = LeaseRecord(
    holder="pod-1",
    transitions=3,
    duration=2,
    acquire_time="2026-01-01T00:00:00.000000Z",
    renew_time="2026-01-01T00:00:01.000000Z",
    annotations={"vipmanager/fingerprint": "f"},
)
"""A Lease that is held, as an agent writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    cluster: Front
    port: int
    account: ServiceAccount
    token: str
    environ: Mapping[str, str]


@cache
def plane() -> Plane:
    """Start one control plane for all tests of this process; the sandbox ends it."""
    return Plane(find())


def make_cluster(
    addresses: Sequence[IPv4Address | IPv6Address] = (LOCAL,),
) -> Front:
    if os.environ.get(REAL):
        return RealCluster.maker(plane(), NAMESPACE)(addresses)
    return Cluster(addresses, bookmark_seconds=0.05)


@contextmanager
def pod_in_a_cluster(folder: Path, make: MakeCluster = make_cluster) -> Iterator[Pod]:
    with make((LOCAL,)) as cluster:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        cluster.listen(listener)
        account = cluster.service_account(NAMESPACE, "vip", folder / "serviceaccount")
        token = account.mount()
        environ = cluster.pod_environ(account, "app-0", "127.0.0.1", port)
        yield Pod(cluster=cluster, port=port, account=account, token=token, environ=environ)
