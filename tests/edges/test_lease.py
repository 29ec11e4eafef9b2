"""The Lease edge: real lightkube, over TLS, against the lab's Kubernetes API."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest

from clusters import NAMESPACE, Pod, pod_in_a_cluster
from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, Transient
from vipmanager.core.lease import LeaseRecord
from vipmanager.edges.kube import Kube
from vipmanager.edges.lease import KubeLease
from vipmanager.lab.faults import Break, Hang
from vipmanager.lab.kube.certificates import Authority
from vipmanager.lab.kube.faults import INTERNAL, TOO_MANY, UNAVAILABLE, Fault
from vipmanager.lab.kube.kinds import LEASES
from vipmanager.lab.kube.store import Key
from vipmanager.lab.server import HttpAnswer, Server

if TYPE_CHECKING:
    from pathlib import Path

GROUP = Key(LEASES, NAMESPACE, "group")
LONG = 20.0
"""Seconds that nothing here takes."""

MINE = LeaseRecord(
    holder="pod-1",
    transitions=3,
    duration=2,
    acquire_time="2026-01-01T00:00:00.000000Z",
    renew_time="2026-01-01T00:00:01.000000Z",
    annotations={"vipmanager/fingerprint": "f"},
)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with pod_in_a_cluster(tmp_path) as made:
        made.account.allow(LEASES, ["get", "list", "watch", "update"], ["group"])
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


def test_a_lease_that_is_not_there_is_none(lease: KubeLease) -> None:
    assert lease.read() is None


def test_a_record_comes_back_as_it_was_written(lease: KubeLease) -> None:
    made = lease.create(MINE)
    assert lease.read() == made
    assert made.uid
    assert replace(made, uid="", resource_version="", rest="{}") == MINE


def test_of_two_that_replace_the_same_version_one_wins(lease: KubeLease) -> None:
    read = lease.create(MINE)
    won = lease.replace(replace(read, holder="pod-2", transitions=4))
    with pytest.raises(Conflict, match="the object has been modified"):
        lease.replace(replace(read, holder="pod-3", transitions=4))
    assert lease.read() == won


def test_a_lease_is_created_once(lease: KubeLease) -> None:
    lease.create(MINE)
    with pytest.raises(Conflict, match="already exists"):
        lease.create(MINE)


def test_a_deleted_lease_is_not_brought_back_by_its_holder(pod: Pod, lease: KubeLease) -> None:
    held = lease.create(MINE)
    pod.cluster.store.delete(GROUP)
    with pytest.raises(Conflict):
        lease.replace(replace(held, renew_time="2026-01-01T00:00:02.000000Z"))
    assert lease.read() is None
    again = lease.create(MINE)
    assert again.uid != held.uid
    with pytest.raises(Conflict):
        lease.replace(held)


def test_a_replacement_keeps_what_others_wrote_into_the_lease(pod: Pod, lease: KubeLease) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app", "uid": "1"}
    others = {"labels": {"app": "a"}, "ownerReferences": [owner]}
    body = {"metadata": {"name": "group"} | others, "spec": {"strategy": "OldestEmulationVersion"}}
    pod.cluster.store.create(LEASES, NAMESPACE, body)
    lease.replace(replace(newest(lease), holder="pod-1"))
    kept = pod.cluster.store.get(GROUP)
    assert {name: kept["metadata"][name] for name in others} == others
    assert kept["spec"]["strategy"] == "OldestEmulationVersion"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (TOO_MANY, Throttled),
        (INTERNAL, Transient),
        (UNAVAILABLE, Transient),
        (Break.RESET, Transient),
        (Break.LOST, Transient),
        (Break.TRUNCATED, Transient),
        (Hang(), Transient),
    ],
)
def test_what_time_heals_is_transient(
    pod: Pod, lease: KubeLease, fault: Fault, expected: type[Failure]
) -> None:
    held = lease.create(MINE)
    pod.cluster.faults.inject("update leases", fault)
    with pytest.raises(expected) as caught:
        lease.replace(replace(held, transitions=4))
    assert type(caught.value) is expected
    assert str(caught.value).startswith("the Kubernetes API: update leases: ")


def test_a_refusal_names_what_to_allow(pod: Pod, lease: KubeLease) -> None:
    pod.cluster.access.deny(pod.account.user)
    with pytest.raises(Permanent, match=r"cannot get resource .* allow get on leases in a Role"):
        lease.read()


def test_a_rotated_token_is_taken_up(pod: Pod, lease: KubeLease) -> None:
    lease.create(MINE)
    pod.account.rotate()
    pod.cluster.access.revoke(pod.token)
    assert newest(lease).holder == "pod-1"


def test_many_candidates_take_turns_and_no_turn_is_lost(pod: Pod, lease: KubeLease) -> None:
    lease.create(replace(MINE, transitions=0))

    def candidate(_number: int) -> None:
        kube = Kube(pod.environ)
        mine = KubeLease(kube, namespace=NAMESPACE, name="group")
        won = 0
        while won < 5:
            read = newest(mine)
            try:
                mine.replace(replace(read, transitions=read.transitions + 1))
                won += 1
            except Conflict:
                continue
        kube.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(candidate, range(4)))
    assert newest(lease).transitions == 20


# Watching


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


def watching(pod: Pod, times: int = 1) -> None:
    """Wait until so many watches have begun."""
    pod.cluster.endpoint.await_calls(
        lambda calls: sum(it.action == "watch leases" and it.status == 200 for it in calls) >= times
    )


def test_each_state_is_told_in_order(pod: Pod, lease: KubeLease) -> None:
    watcher = Watcher(lease)
    assert watcher.states.get(timeout=LONG) is None
    watching(pod)
    made = lease.create(MINE)
    changed = lease.replace(replace(made, holder="pod-2"))
    pod.cluster.store.delete(GROUP)
    assert [watcher.states.get(timeout=LONG) for _ in range(3)] == [made, changed, None]


def test_a_broken_watch_resumes_and_misses_nothing(pod: Pod, lease: KubeLease) -> None:
    record = lease.create(MINE)
    watcher = Watcher(lease)
    watching(pod)
    pod.cluster.faults.inject("watch leases", Break.RESET, times=2)
    pod.cluster.endpoint.break_watches()
    told = [record]
    for transitions in range(10, 15):
        record = lease.replace(replace(record, transitions=transitions))
        told.append(record)
    assert watcher.until(lambda it: it == record) == told
    assert isinstance(watcher.failures.get(timeout=LONG), Transient)
    pod.cluster.endpoint.break_watches()
    record = lease.replace(replace(record, holder="pod-2"))
    assert watcher.states.get(timeout=LONG) == record  # and nothing twice
    assert pod.cluster.endpoint.counts()["list leases"] == 1


def test_after_a_compaction_the_present_state_is_read_again(pod: Pod, lease: KubeLease) -> None:
    record = lease.create(MINE)
    watcher = Watcher(lease)
    assert watcher.states.get(timeout=LONG) == record
    watching(pod)
    pod.cluster.faults.inject("watch leases", Hang())
    pod.cluster.endpoint.break_watches()
    pod.cluster.faults.await_hang()
    record = lease.replace(replace(record, holder="pod-2"))
    pod.cluster.store.compact()
    pod.cluster.faults.release_hangs()
    assert watcher.states.get(timeout=LONG) == record


def test_a_watch_whose_other_end_fell_silent_is_made_anew(pod: Pod, kube: Kube) -> None:
    lease = KubeLease(kube, namespace=NAMESPACE, name="group", quiet=1)
    watcher = Watcher(lease)
    watching(pod)
    pod.cluster.faults.inject("watch leases", Hang())
    pod.cluster.faults.await_hang()
    assert "no answer (ReadTimeout" in str(watcher.failures.get(timeout=LONG))
    made = lease.create(MINE)
    assert watcher.until(lambda it: it is not None)[-1] == made
    lease.close()
    pod.cluster.faults.release_hangs()


def test_a_watch_that_is_not_allowed_says_so_and_begins_once_it_is(
    pod: Pod, lease: KubeLease
) -> None:
    pod.cluster.access.deny(pod.account.user)
    watcher = Watcher(lease)
    failure = watcher.failures.get(timeout=LONG)
    assert isinstance(failure, Permanent)
    assert "allow list on leases" in str(failure)
    pod.account.allow(LEASES, ["*"])
    assert watcher.states.get(timeout=LONG) is None


def test_a_watch_takes_up_a_rotated_token(pod: Pod, lease: KubeLease) -> None:
    watcher = Watcher(lease)
    assert watcher.states.get(timeout=LONG) is None
    watching(pod)
    pod.account.rotate()
    pod.cluster.access.revoke(pod.token)
    pod.cluster.endpoint.break_watches()
    watching(pod, times=2)
    made = lease.create(MINE)
    assert watcher.states.get(timeout=LONG) == made


# Whatever answers

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "answer",
    [
        HttpAnswer(body=b"<html>sign in</html>", headers={"Content-Type": "text/html"}),
        HttpAnswer(body=b"[]", headers=JSON),
        HttpAnswer(body=b"{}", headers=JSON),
        HttpAnswer(body=b'{"metadata": null, "items": [{}]}', headers=JSON),
        HttpAnswer(body=b'{"metadata": {"resourceVersion": "1"}, "spec": 5, "items": [5]}'),
        HttpAnswer(status=502, body=b"bad gateway"),
        HttpAnswer(status=502, body=b"bad gateway", headers=JSON),
        HttpAnswer(status=400, body=b"{}", headers=JSON),
        HttpAnswer(status=204),
    ],
)
def test_what_is_no_kubernetes_api_is_a_failure_and_no_crash(
    tmp_path: Path, answer: HttpAnswer
) -> None:
    authority = Authority()
    server = Server(lambda _: answer, tls=authority.server([IPv4Address("127.0.0.1")]))
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server.listen(listener)
    for name, text in {"ca.crt": authority.pem, "token": "t", "namespace": "n"}.items():
        (tmp_path / name).write_text(text)
    kube = Kube(
        {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(port),
            "VIPMANAGER_SERVICE_ACCOUNT": str(tmp_path),
        }
    )
    lease = KubeLease(kube, namespace=NAMESPACE, name="group")
    for call in (lease.read, lambda: lease.create(MINE), lambda: lease.replace(MINE)):
        with pytest.raises(Failure):
            call()
    watcher = Watcher(lease)
    assert isinstance(watcher.failures.get(timeout=LONG), Failure)
    lease.close()
    kube.close()
    server.close()
