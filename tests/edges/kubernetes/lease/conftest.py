"""A Lease through the real client, over TLS, at the lab's Kubernetes API."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from clusters import NAMESPACE, Pod, pod_in_a_cluster
from vipmanager.core.failures import Failure
from vipmanager.core.lease import LeaseRecord
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager_lab.kube.kinds import LEASES
from vipmanager_lab.kube.store import Key

if TYPE_CHECKING:
    from pathlib import Path

GROUP = Key(LEASES, NAMESPACE, "group")
LONG = 20.0
"""Seconds that nothing here takes."""
TIGHT = 30
"""Turns of a loop without a pause, which one with pauses is compared with."""


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with pod_in_a_cluster(tmp_path) as made:
        made.account.allow(LEASES, ["get", "watch", "update"], ["group"])
        made.account.allow(LEASES, ["create"])
        yield made


@pytest.fixture
def kube(pod: Pod) -> Iterator[Kube]:
    kube = Kube(pod.environ)
    yield kube
    kube.close()


@pytest.fixture
def lease(kube: Kube) -> Iterator[KubeLease]:
    lease = KubeLease(kube, namespace=NAMESPACE, name="group")
    yield lease
    lease.close()


def newest(lease: KubeLease) -> LeaseRecord:
    found = lease.read()
    assert found is not None
    return found


class Watcher:
    def __init__(self, lease: KubeLease) -> None:
        self.states: queue.SimpleQueue[LeaseRecord | None] = queue.SimpleQueue()
        self.failures: queue.SimpleQueue[Failure] = queue.SimpleQueue()
        lease.watch(self.states.put, self.failures.put)

    def until(self, wanted: Callable[[LeaseRecord | None], Any]) -> list[LeaseRecord | None]:
        heard = [self.states.get(timeout=LONG)]
        while not wanted(heard[-1]):
            heard.append(self.states.get(timeout=LONG))
        return heard
