"""What every `Lease` does, in memory and through real lightkube at the lab's API."""

import queue
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clusters import MINE, NAMESPACE, pod_in_a_cluster
from vipmanager.core.failures import Conflict, Failure
from vipmanager.core.lease import LeaseRecord
from vipmanager.edges.kube import Kube
from vipmanager.edges.lease import KubeLease
from vipmanager.edges.memory import MemoryLease
from vipmanager.lab.kube.kinds import LEASES
from vipmanager.lab.kube.store import Key
from vipmanager.ports import Lease

LONG = 20.0
"""Seconds that nothing here takes."""


class Given:
    """A Lease, and somebody who deletes it."""

    def __init__(self, lease: Lease, delete: Callable[[], object]) -> None:
        self.lease, self.delete = lease, delete


@pytest.fixture(params=["memory", "kubernetes"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Given]:
    if request.param == "memory":
        made = MemoryLease()
        yield Given(made, made.delete)
        return
    with pod_in_a_cluster(tmp_path) as pod:
        pod.account.allow(LEASES, ["get", "watch", "update", "create"])
        kube = Kube(pod.environ)
        lease = KubeLease(kube, namespace=NAMESPACE, name="group")
        yield Given(lease, lambda: pod.cluster.store.delete(Key(LEASES, NAMESPACE, "group")))
        lease.close()
        kube.close()


def test_a_lease_that_is_not_there_is_none(given: Given) -> None:
    assert given.lease.read() is None


def test_a_record_comes_back_as_it_was_written(given: Given) -> None:
    made = given.lease.create(MINE)
    assert given.lease.read() == made
    assert made.uid
    assert replace(made, uid="", resource_version="", rest="{}") == MINE


def test_of_two_that_replace_the_same_version_one_wins(given: Given) -> None:
    read = given.lease.create(MINE)
    won = given.lease.replace(replace(read, holder="pod-2/n", transitions=4))
    with pytest.raises(Conflict):
        given.lease.replace(replace(read, holder="pod-3/n", transitions=4))
    assert given.lease.read() == won


def test_a_lease_is_created_once(given: Given) -> None:
    given.lease.create(MINE)
    with pytest.raises(Conflict):
        given.lease.create(MINE)


def test_a_lease_made_again_is_another(given: Given) -> None:
    held = given.lease.create(MINE)
    given.delete()
    with pytest.raises(Conflict):
        given.lease.replace(held)
    assert given.lease.create(MINE).uid != held.uid


def test_a_watch_tells_what_there_is_each_change_and_the_end(given: Given) -> None:
    first = given.lease.create(MINE)
    heard: queue.SimpleQueue[LeaseRecord | None] = queue.SimpleQueue()
    failed: queue.SimpleQueue[Failure] = queue.SimpleQueue()
    given.lease.watch(heard.put, failed.put)
    assert heard.get(timeout=LONG) == first
    second = given.lease.replace(replace(first, renew_time="2026-01-01T00:00:02.000000Z"))
    assert heard.get(timeout=LONG) == second
    given.delete()
    assert heard.get(timeout=LONG) is None
