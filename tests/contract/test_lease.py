"""What every `Lease` does: in memory, simulated, and through the real client at the lab's API."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from clusters import MINE, NAMESPACE, pod_in_a_cluster
from simulation.hub import Process
from simulation.kubernetes import LeaseClient
from simulation.world import World
from vipmanager.core.failures import Conflict, Failure, Transient
from vipmanager.core.lease import LeaseRecord
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager.edges.memory import MemoryLease
from vipmanager.engine.threads import Threads
from vipmanager.ports import Lease, Tasks
from vipmanager_lab.faults import Hang
from vipmanager_lab.kube.kinds import LEASES
from vipmanager_lab.kube.store import Key

LONG = 20.0
"""Seconds that nothing here takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A Lease that is not there, somebody who deletes it, and what a network does to it."""

    lease: Lease
    delete: Callable[[], object]
    tasks: Tasks = field(default_factory=Threads)
    """To wait with, in the time that passes where the Lease is."""
    cut: Callable[[], object] = lambda: None
    """Has the next replacement go unanswered, by a server that has got it."""
    mend: Callable[[], object] = lambda: None


class Watcher:
    """Keeps what a watch tells."""

    def __init__(self, given: Given) -> None:
        self._changed = given.tasks.condition()
        self._states: deque[LeaseRecord | None] = deque()
        self.failures: list[Failure] = []
        given.lease.watch(self._heard, self.failures.append)

    def next(self) -> LeaseRecord | None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._states, LONG), "nothing was told"
            return self._states.popleft()

    def _heard(self, record: LeaseRecord | None) -> None:
        with self._changed:
            self._states.append(record)
            self._changed.notify_all()


@pytest.fixture(params=["memory", "simulated", "kubernetes"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Given]:
    if request.param == "memory":
        made = MemoryLease()
        yield Given(lease=made, delete=made.delete)
        return
    if request.param == "simulated":
        world = World()
        node = world.nodes["a"].host
        process = Process(world.hub, node)
        truth = world.kube.lease("group")
        truth.delete()
        yield Given(
            lease=LeaseClient(world.kube, "group", process, "pod-1"),
            delete=truth.delete,
            tasks=process,
            cut=partial(setattr, world.kube.service, "latency", (8.0, 8.0)),
            mend=partial(setattr, world.kube.service, "latency", world.kube.service.latency),
        )
        return
    with pod_in_a_cluster(tmp_path) as pod:
        pod.account.allow(LEASES, ["get", "watch", "update", "create"])
        kube = Kube(pod.environ)
        lease = KubeLease(kube, namespace=NAMESPACE, name="group")
        yield Given(
            lease=lease,
            delete=lambda: pod.cluster.store.delete(Key(LEASES, NAMESPACE, "group")),
            cut=lambda: pod.cluster.faults.inject("update leases", Hang()),
            mend=pod.cluster.faults.release_hangs,
        )
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
    watcher = Watcher(given)
    assert watcher.next() == first
    second = given.lease.replace(replace(first, renew_time="2026-01-01T00:00:02.000000Z"))
    assert watcher.next() == second
    given.delete()
    assert watcher.next() is None
    assert not watcher.failures


def test_a_watch_of_no_lease_tells_nothing_before_there_is_one(given: Given) -> None:
    watcher = Watcher(given)
    assert given.lease.read() is None
    made = given.lease.create(MINE)
    assert watcher.next() == made


@pytest.mark.parametrize("given", ["simulated", "kubernetes"], indirect=True)
def test_a_replacement_without_an_answer_is_given_up_and_lands_all_the_same(given: Given) -> None:
    held = given.lease.create(MINE)
    watcher = Watcher(given)
    assert watcher.next() == held
    given.cut()
    with pytest.raises(Transient, match="no answer within"):
        given.lease.replace(replace(held, transitions=4))
    given.mend()
    landed = watcher.next()
    assert landed is not None
    assert landed.transitions == 4
    assert given.lease.read() == landed
