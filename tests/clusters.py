"""A cluster of the lab on the loopback, and a pod in it."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vipmanager.core.lease import LeaseRecord
from vipmanager.lab.kube.account import ServiceAccount
from vipmanager.lab.kube.cluster import Cluster

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
    cluster: Cluster
    port: int
    account: ServiceAccount
    token: str
    environ: Mapping[str, str]


@contextmanager
def pod_in_a_cluster(folder: Path) -> Iterator[Pod]:
    with Cluster(bookmark_seconds=0.05) as cluster:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        cluster.listen(listener)
        account = cluster.service_account(NAMESPACE, "vip", folder / "serviceaccount")
        token = account.mount()
        environ = cluster.pod_environ(account, "app-0", "127.0.0.1", port)
        yield Pod(cluster=cluster, port=port, account=account, token=token, environ=environ)
