"""The Lease at a real API server: webhooks, certificates, overload, a renewed token."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from clusters import MINE, NAMESPACE, Pod
from kubernetes.conftest import LONG, direct_pod
from kubernetes.webhook import NAME, Webhook
from vipmanager.core.failures import Failure, Permanent, Throttled, Transient
from vipmanager.core.lease import LeaseRecord
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager.edges.kubernetes.service_account import AGE
from vipmanager_lab.kube.api import refusal
from vipmanager_lab.kube.faults import TOO_MANY
from vipmanager_lab.kube.kinds import LEASES
from vipmanager_lab.kubernetes.assets import find
from vipmanager_lab.kubernetes.plane import Plane

FAR = 500
"""Versions that a control plane that starts does not write by itself."""


def renewed(lease: KubeLease, record: LeaseRecord) -> LeaseRecord:
    return lease.replace(replace(record, transitions=record.transitions + 1))


def renewed_at_last(lease: KubeLease) -> LeaseRecord:
    """Renew by what is read, as often as it takes."""
    deadline = time.monotonic() + LONG
    while True:
        try:
            record = lease.read()
            assert record is not None
            return renewed(lease, record)
        except Transient:
            assert time.monotonic() < deadline


def told_of_certificates(lease: KubeLease) -> str:
    """Read until a failure tells of them, and not of a connection that broke off."""
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:
        try:
            lease.read()
        except Transient as failure:
            if "TLS failed" in str(failure):
                return str(failure)
    raise AssertionError("certificates that are not known are trusted")


def patiently(write: Callable[[], LeaseRecord]) -> LeaseRecord:
    """Write again as long as it is throttled."""
    deadline = time.monotonic() + LONG
    while True:
        try:
            return write()
        except Throttled:
            assert time.monotonic() < deadline


class Watcher:
    def __init__(self, lease: KubeLease) -> None:
        self.states: queue.SimpleQueue[LeaseRecord | None] = queue.SimpleQueue()
        self.failures: queue.SimpleQueue[Failure] = queue.SimpleQueue()
        lease.watch(self.states.put, self.failures.put)

    def hears(self, record: LeaseRecord) -> bool:
        """Wait for a state."""
        while self.states.get(timeout=LONG) != record:
            pass
        return True


def test_a_webhook_that_denies_a_write_is_told_in_its_words(
    lease: KubeLease, webhook: Webhook
) -> None:
    held = lease.create(MINE)
    webhook.begin(denial="not on a Friday")
    with pytest.raises(Permanent, match=f'"{NAME}" denied the request: not on a Friday'):
        renewed(lease, held)
    webhook.end()
    assert renewed(lease, held).transitions == held.transitions + 1


def test_a_slow_webhook_delays_a_write_that_has_the_time(
    direct: Pod, lease: KubeLease, webhook: Webhook
) -> None:
    held = lease.create(MINE)
    webhook.begin(seconds=4)
    kube = Kube(direct.environ)
    patient = KubeLease(kube, namespace=NAMESPACE, name="group", write=20)
    won = renewed(patient, held)
    assert patient.read() == won
    kube.close()


def test_new_certificates_are_taken_up_and_no_connection_has_to_live_on(
    plane: Plane, direct: Pod, lease: KubeLease
) -> None:
    record = lease.create(MINE)
    watcher = Watcher(lease)
    assert watcher.hears(record)
    plane.rotate()
    (direct.account.folder / "ca.crt").write_text(plane.authority.read_text())
    plane.apiserver.kill()
    plane.start_apiserver()
    record = renewed_at_last(lease)
    assert watcher.hears(record)


def test_certificates_that_are_not_known_yet_are_named_until_they_are(
    plane: Plane, direct: Pod, lease: KubeLease
) -> None:
    lease.create(MINE)
    plane.rotate()
    plane.apiserver.kill()
    plane.start_apiserver()
    assert "ca.crt is read again" in told_of_certificates(lease)
    (direct.account.folder / "ca.crt").write_text(plane.authority.read_text())
    renewed_at_last(lease)


def test_a_watch_hears_again_after_a_restore_took_the_versions_back(
    plane: Plane, direct: Pod, lease: KubeLease
) -> None:
    lease.create(MINE)
    copy = plane.backup()
    record = renewed_at_last(lease)  # etcd was away for it
    kube = Kube(direct.environ)
    watching = KubeLease(kube, namespace=NAMESPACE, name="group", quiet=3)
    for _ in range(FAR):
        record = renewed(lease, record)
    watcher = Watcher(watching)
    assert watcher.hears(record)
    plane.restore(copy)
    assert watcher.hears(renewed_at_last(lease))
    watching.close()
    kube.close()


def test_a_renewed_token_is_used_before_the_old_one_is_refused(pod: Pod) -> None:
    pod.account.allow(LEASES, ["get"])
    now = 0.0
    kube = Kube(pod.environ, now=lambda: now)
    kube.get_lease(NAMESPACE, "group")
    new = pod.account.rotate()
    kube.get_lease(NAMESPACE, "group")
    now += AGE
    kube.get_lease(NAMESPACE, "group")
    calls = pod.cluster.endpoint.calls_of("get leases")
    assert [it.token for it in calls] == [pod.token, pod.token, new]
    assert {it.status for it in calls} == {404}
    kube.close()


@pytest.fixture
def busy(plane: Plane, tmp_path: Path) -> Iterator[tuple[Plane, Pod]]:
    """An API server of its own that does one write at a time."""
    assert plane
    flags = ["--enable-priority-and-fairness=false", "--max-mutating-requests-inflight=1"]
    with Plane(find(), flags=flags) as made, direct_pod(made, tmp_path) as pod:
        yield made, pod


def test_overload_is_throttling_with_the_time_to_wait_as_the_lab_has_it(
    busy: tuple[Plane, Pod],
) -> None:
    plane, pod = busy
    pod.account.allow(LEASES, ["get", "update", "create"])
    kube = Kube(pod.environ)
    lease = KubeLease(kube, namespace=NAMESPACE, name="group", write=20)
    held = patiently(lambda: lease.create(MINE))  # others write too
    with Webhook(plane, NAMESPACE) as webhook, ThreadPoolExecutor(1) as beside:
        webhook.begin(seconds=4)
        slow = beside.submit(patiently, lambda: renewed(lease, held))
        webhook.await_asked()
        with pytest.raises(Throttled) as caught:
            renewed(lease, held)
        said = refusal(TOO_MANY.error(), plain=True).body.decode().strip()
        assert str(caught.value) == (
            f"the Kubernetes API: update leases: 429 {said}; "
            f"it asks to wait {TOO_MANY.retry_after} s; it is tried again"
        )
        assert slow.result().transitions == held.transitions + 1
    kube.close()
