"""The watch of the Lease: what it tells, how it resumes, and what it needs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest

from clusters import MINE, NAMESPACE, Pod
from edges.kubernetes.lease.conftest import GROUP, LONG, TIGHT, Watcher, newest
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.lease import Gone
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager_lab.faults import Break, Hang
from vipmanager_lab.kube.faults import EXPIRED
from vipmanager_lab.kube.kinds import LEASES

if TYPE_CHECKING:
    from vipmanager_lab.kube.endpoint import Call


def watching(pod: Pod, times: int = 1) -> list[str | None]:
    """Wait until so many watches have begun; give the version that each began after."""
    calls = pod.cluster.endpoint.await_calls(lambda calls: sum(map(_watch, calls)) >= times)
    queries = [parse_qs(it.query, keep_blank_values=True) for it in calls if _watch(it)]
    return [query.get("resourceVersion", [None])[0] for query in queries]


def _watch(call: Call) -> bool:
    return call.action == "watch leases" and call.status == 200


def test_each_state_is_told_in_order(pod: Pod, lease: KubeLease) -> None:
    watcher = Watcher(lease)
    watching(pod)
    made = lease.create(MINE)
    changed = lease.replace(replace(made, holder="pod-2"))
    pod.cluster.store.delete(GROUP)
    assert [watcher.states.get(timeout=LONG) for _ in range(3)] == [made, changed, None]


def test_three_verbs_on_one_name_are_all_that_a_shipped_lease_needs(
    pod: Pod, lease: KubeLease
) -> None:
    pod.cluster.access.deny(pod.account.user)
    pod.account.allow(LEASES, ["get", "watch", "update"], ["group"])
    pod.cluster.store.create(LEASES, NAMESPACE, {"metadata": {"name": "group"}, "spec": {}})
    watcher = Watcher(lease)
    read = newest(lease)
    assert watcher.states.get(timeout=LONG) == read
    won = lease.replace(replace(read, holder="pod-1", transitions=1))
    assert watcher.states.get(timeout=LONG) == won
    pod.cluster.endpoint.break_watches()
    won = lease.replace(replace(won, transitions=2))
    assert watcher.states.get(timeout=LONG) == won
    assert {it.status for it in pod.cluster.endpoint.calls} == {200}
    assert set(pod.cluster.endpoint.counts()) == {"get leases", "watch leases", "update leases"}


def test_a_watch_begins_with_what_there_is_and_resumes_after_what_was_seen_last(
    pod: Pod, lease: KubeLease
) -> None:
    made = lease.create(MINE)
    watcher = Watcher(lease)
    assert watcher.states.get(timeout=LONG) == made
    pod.cluster.endpoint.break_watches()
    assert watching(pod, times=2) == [None, made.resource_version]


def test_a_broken_watch_resumes_and_misses_nothing(pod: Pod, lease: KubeLease) -> None:
    record = lease.create(MINE)
    watcher = Watcher(lease)
    told = [record]
    assert watcher.states.get(timeout=LONG) == record
    pod.cluster.faults.inject("watch leases", Break.RESET, times=2)
    pod.cluster.endpoint.break_watches()
    for transitions in range(10, 15):
        record = lease.replace(replace(record, transitions=transitions))
        told.append(record)
    assert watcher.until(lambda it: it == record) == told[1:]
    assert isinstance(watcher.failures.get(timeout=LONG), Transient)
    pod.cluster.endpoint.break_watches()
    record = lease.replace(replace(record, holder="pod-2"))
    assert watcher.states.get(timeout=LONG) == record  # and nothing twice


def test_after_a_restart_the_present_state_is_told(pod: Pod, lease: KubeLease) -> None:
    record = lease.create(MINE)
    watcher = Watcher(lease)
    assert watcher.states.get(timeout=LONG) == record
    watching(pod)
    pod.cluster.faults.inject("watch leases", Hang())
    pod.cluster.endpoint.break_watches()
    pod.cluster.faults.await_hang()
    record = lease.replace(replace(record, holder="pod-2"))
    pod.cluster.restart()
    pod.cluster.faults.release_hangs()
    assert watcher.states.get(timeout=LONG) == record
    assert watching(pod, times=3)[-1] is None


def test_a_version_that_is_refused_before_the_watch_begins_is_not_asked_for_again(
    pod: Pod, lease: KubeLease
) -> None:
    record = lease.create(MINE)
    watcher = Watcher(lease)
    assert watcher.states.get(timeout=LONG) == record
    pod.cluster.faults.inject("watch leases", EXPIRED)
    pod.cluster.endpoint.break_watches()
    assert watcher.states.get(timeout=LONG) == record
    assert watching(pod, times=2) == [None, None]


def test_the_changes_of_others_carry_a_quiet_watch_forward(pod: Pod, kube: Kube) -> None:
    # A real one has its first bookmark two seconds before the end.
    lease = KubeLease(kube, namespace=NAMESPACE, name="group", quiet=4)
    made = lease.create(MINE)
    watcher = Watcher(lease)
    assert watcher.states.get(timeout=LONG) == made
    body = {"metadata": {"name": "other"}, "spec": {}}
    other = pod.cluster.store.create(LEASES, NAMESPACE, body)
    first, resumed = watching(pod, times=2)
    assert first is None
    assert int(resumed or "0") >= int(other["metadata"]["resourceVersion"])
    pod.cluster.endpoint.break_watches()
    changed = lease.replace(replace(made, holder="pod-2"))
    assert watcher.states.get(timeout=LONG) == changed  # and nothing twice
    lease.close()


def test_a_version_that_is_always_too_old_is_not_asked_for_in_a_tight_loop(
    pod: Pod, kube: Kube, lease: KubeLease
) -> None:
    pod.cluster.faults.inject("watch leases", EXPIRED, times=10_000)
    Watcher(lease)
    for _ in range(TIGHT):
        with pytest.raises(Gone):
            list(kube.watch_lease(NAMESPACE, "group", "", 1))
    watches = pod.cluster.endpoint.counts()["watch leases"] - TIGHT
    assert 0 < watches < TIGHT / 2


def test_a_watch_whose_other_end_fell_silent_is_made_anew(pod: Pod, kube: Kube) -> None:
    lease = KubeLease(kube, namespace=NAMESPACE, name="group", quiet=1)
    watcher = Watcher(lease)
    watching(pod)
    pod.cluster.faults.inject("watch leases", Hang())
    pod.cluster.faults.await_hang()
    assert "no answer within 4 s" in str(watcher.failures.get(timeout=LONG))
    made = lease.create(MINE)
    assert watcher.states.get(timeout=LONG) == made
    lease.close()
    pod.cluster.faults.release_hangs()


def test_a_watch_that_is_not_allowed_says_so_and_begins_once_it_is(
    pod: Pod, lease: KubeLease
) -> None:
    pod.cluster.access.deny(pod.account.user)
    watcher = Watcher(lease)
    failure = watcher.failures.get(timeout=LONG)
    assert isinstance(failure, Permanent)
    assert "allow watch on leases" in str(failure)
    pod.account.allow(LEASES, ["create", "watch"])
    made = lease.create(MINE)
    assert watcher.states.get(timeout=LONG) == made


def test_a_watch_takes_up_a_rotated_token(pod: Pod, lease: KubeLease) -> None:
    watcher = Watcher(lease)
    watching(pod)
    pod.account.rotate()
    pod.cluster.access.revoke(pod.token)
    pod.cluster.endpoint.break_watches()
    watching(pod, times=2)
    made = lease.create(MINE)
    assert watcher.states.get(timeout=LONG) == made
