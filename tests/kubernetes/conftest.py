"""A real control plane for every test here; without its binaries they skip, and say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import clusters
from clusters import NAMESPACE, Pod
from kubernetes.webhook import Webhook
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager_lab.control_plane import MakeCluster
from vipmanager_lab.kube.kinds import LEASES
from vipmanager_lab.kubernetes.assets import AssetsError
from vipmanager_lab.kubernetes.cluster import RealCluster
from vipmanager_lab.kubernetes.plane import Plane

LONG = 30.0
"""Seconds that nothing here takes."""


@pytest.fixture(scope="session")
def plane() -> Plane:
    try:
        return clusters.plane()
    except AssetsError as error:
        pytest.skip(str(error))


@pytest.fixture
def make(plane: Plane) -> MakeCluster:
    """Make a cluster of the plane, with the lab's endpoint before it."""
    return RealCluster.maker(plane, NAMESPACE)


@pytest.fixture
def webhook(plane: Plane) -> Iterator[Webhook]:
    with Webhook(plane, NAMESPACE) as made:
        yield made


@pytest.fixture
def pod(make: MakeCluster, tmp_path: Path) -> Iterator[Pod]:
    """A pod that calls the API server through the lab's endpoint."""
    with clusters.pod_in_a_cluster(tmp_path, make) as made:
        yield made


@contextmanager
def direct_pod(plane: Plane, folder: Path) -> Iterator[Pod]:
    """A pod that calls the API server itself."""
    with RealCluster.maker(plane, NAMESPACE)([clusters.LOCAL]) as cluster:
        account = cluster.service_account(NAMESPACE, "vip", folder)
        token = account.mount()
        environ = cluster.pod_environ(account, "app-0", str(clusters.LOCAL), plane.port)
        yield Pod(cluster=cluster, port=plane.port, account=account, token=token, environ=environ)


@pytest.fixture
def direct(plane: Plane, tmp_path: Path) -> Iterator[Pod]:
    with direct_pod(plane, tmp_path) as made:
        yield made


@pytest.fixture
def lease(direct: Pod) -> Iterator[KubeLease]:
    """The Lease, that the pod may read, watch and write."""
    direct.account.allow(LEASES, ["get", "watch", "update", "create"])
    kube = Kube(direct.environ)
    made = KubeLease(kube, namespace=NAMESPACE, name="group")
    yield made
    made.close()
    kube.close()
