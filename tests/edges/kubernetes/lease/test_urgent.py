"""An acquisition over two connections at once, and connections whose packets vanish."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus

import pytest

from clusters import MINE, NAMESPACE, Pod
from edges.kubernetes.lease.conftest import newest
from vipmanager.core.failures import Conflict, Permanent, Transient
from vipmanager.core.lease import LeaseRecord
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager.edges.wire.connection import SILENT
from vipmanager_lab.faults import Break, Hang


@pytest.fixture
def held(kube: Kube, lease: KubeLease) -> LeaseRecord:
    """A Lease that is there, and two connections that wait for a call."""
    made = lease.create(MINE)
    rest(kube, lease)
    return made


def rest(kube: Kube, lease: KubeLease) -> None:
    """Call until two connections wait for the next call."""
    while kube.ready < 2:
        lease.read()


def updates(pod: Pod, times: int) -> list[int | None]:
    """Wait for so many replacements; give how they were answered, in that order."""
    calls = pod.cluster.endpoint.await_calls(
        lambda calls: sum(it.action == "update leases" for it in calls) >= times
    )
    return [it.status for it in calls if it.action == "update leases"]


def taken(held: LeaseRecord) -> LeaseRecord:
    return replace(held, holder="pod-2", transitions=held.transitions + 1)


def test_one_of_both_is_done_and_that_is_the_answer(
    pod: Pod, kube: Kube, lease: KubeLease, held: LeaseRecord
) -> None:
    record = held
    for times in range(1, 11):
        wanted = taken(record)
        record = lease.replace(wanted, urgent=True)
        assert record.transitions == wanted.transitions
        assert sorted(updates(pod, 2 * times)[-2:], key=str) == [200, 409]
        rest(kube, lease)
    assert newest(lease) == record
    assert pod.cluster.endpoint.connections == 2


def test_what_is_not_urgent_is_sent_once(pod: Pod, lease: KubeLease, held: LeaseRecord) -> None:
    lease.replace(taken(held))
    assert updates(pod, 1) == [200]


@pytest.mark.parametrize("keep", [1, 0])
def test_packets_that_vanish_keep_an_acquisition_from_nothing(
    pod: Pod, kube: Kube, lease: KubeLease, held: LeaseRecord, keep: int
) -> None:
    pod.cluster.endpoint.silence(keep=keep)
    won = lease.replace(taken(held), urgent=True)
    assert HTTPStatus.OK in updates(pod, 1)
    assert newest(lease) == won
    rest(kube, lease)


@pytest.mark.parametrize("keep", [1, 0])
def test_a_call_goes_elsewhere_where_nobody_acknowledges_it(
    pod: Pod, lease: KubeLease, held: LeaseRecord, keep: int
) -> None:
    pod.cluster.endpoint.silence(keep=keep)
    assert [lease.read() for _ in range(3)] == [held] * 3


def test_an_answer_that_takes_long_is_waited_for(
    pod: Pod, lease: KubeLease, held: LeaseRecord
) -> None:
    pod.cluster.faults.inject("update leases", Hang(seconds=4 * SILENT))
    lease.replace(taken(held))
    assert updates(pod, 1) == [200]


def test_the_slow_one_of_both_is_not_waited_for(
    pod: Pod, lease: KubeLease, held: LeaseRecord
) -> None:
    pod.cluster.faults.inject("update leases", Hang())
    won = lease.replace(taken(held), urgent=True)
    assert newest(lease) == won
    pod.cluster.faults.release_hangs()
    assert updates(pod, 2) == [200, 409]


def test_a_conflict_of_both_is_one(pod: Pod, lease: KubeLease, held: LeaseRecord) -> None:
    won = lease.replace(replace(taken(held), holder="pod-3"))
    with pytest.raises(Conflict):
        lease.replace(taken(held), urgent=True)
    assert newest(lease) == won
    assert updates(pod, 3) == [200, 409, 409]


def test_a_twin_that_landed_unheard_is_a_conflict_and_stands_in_the_lease(
    pod: Pod, lease: KubeLease, held: LeaseRecord
) -> None:
    pod.cluster.faults.inject("update leases", Break.LOST)
    pod.cluster.faults.inject("update leases", Hang())
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(lease.replace, taken(held), urgent=True)
        assert updates(pod, 1) == [None]  # it has landed, before its twin
        pod.cluster.faults.await_hang()
        pod.cluster.faults.release_hangs()
        with pytest.raises(Conflict):
            written.result()
    assert newest(lease).holder == "pod-2"
    assert newest(lease).transitions == held.transitions + 1


@pytest.mark.parametrize("urgent", [False, True])
def test_a_write_has_the_time_that_it_was_given_and_no_more(
    pod: Pod, kube: Kube, held: LeaseRecord, *, urgent: bool
) -> None:
    pod.cluster.faults.inject("update leases", Hang(), times=2)
    short = KubeLease(kube, namespace=NAMESPACE, name="group", write=0.5)
    with pytest.raises(Transient, match=r"no answer within 0\.5 s"):
        short.replace(taken(held), urgent=urgent)
    pod.cluster.faults.release_hangs()


def test_both_refused_is_a_refusal(pod: Pod, lease: KubeLease, held: LeaseRecord) -> None:
    pod.cluster.access.deny(pod.account.user)
    with pytest.raises(Permanent, match="allow update on leases"):
        lease.replace(taken(held), urgent=True)
