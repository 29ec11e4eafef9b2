"""Reading the Lease, and the compare-and-swap that decides an election."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from clusters import MINE, NAMESPACE, Pod
from edges.kubernetes.lease.conftest import GROUP, newest
from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, Transient
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager_lab.faults import Break, Hang
from vipmanager_lab.kube.faults import INTERNAL, TOO_MANY, UNAVAILABLE, Fault
from vipmanager_lab.kube.kinds import LEASES


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
    uid = pod.environ["POD_UID"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "app-0", "uid": uid}
    others = {"labels": {"app": "a"}, "ownerReferences": [owner]}
    pod.cluster.store.create(LEASES, NAMESPACE, {"metadata": {"name": "group"} | others})
    lease.replace(replace(newest(lease), holder="pod-1"))
    kept = pod.cluster.store.get(GROUP)
    assert {name: kept["metadata"][name] for name in others} == others


def test_what_others_wrote_is_escaped_where_it_is_read_and_put_back_as_it_was(
    pod: Pod, lease: KubeLease
) -> None:
    theirs = {"note": "two\nlines", "vipmanager/zone": "a\x1b[2J"}
    body = {
        "metadata": {"name": "group", "annotations": theirs},
        "spec": {"holderIdentity": "x\n2026-01-01 INFO all is well\u202e"},
    }
    pod.cluster.store.create(LEASES, NAMESPACE, body)
    read = newest(lease)
    assert read.holder == r"x\n2026-01-01 INFO all is well\u202e"
    assert read.annotations["vipmanager/zone"] == r"a\x1b[2J"
    lease.replace(replace(read, holder="pod-1"))
    assert pod.cluster.store.get(GROUP)["metadata"]["annotations"]["note"] == "two\nlines"


@pytest.mark.own("a real one drops the field, without the feature gate CoordinatedLeaderElection")
def test_a_replacement_keeps_the_fields_of_newer_versions(pod: Pod, lease: KubeLease) -> None:
    body = {"metadata": {"name": "group"}, "spec": {"strategy": "OldestEmulationVersion"}}
    pod.cluster.store.create(LEASES, NAMESPACE, body)
    lease.replace(replace(newest(lease), holder="pod-1"))
    assert pod.cluster.store.get(GROUP)["spec"]["strategy"] == "OldestEmulationVersion"


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
