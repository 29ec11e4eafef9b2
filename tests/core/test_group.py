"""Whose a Lease is: the same group's, another's, or nobody can tell."""

from dataclasses import replace

import pytest

from vipmanager.core.downward import PodReference
from vipmanager.core.election import record
from vipmanager.core.election.group import Kin, addresses_of, kin
from vipmanager.core.election.values import ElectionSettings, Member, Why
from vipmanager.core.lease import LeaseRecord

ME = Member(
    pod="uid-1",
    name="telco/app-6c4b7-x2x4z",
    nonce="a",
    address="10.0.0.1:7946",
    zone="a",
    fingerprint="mine",
    addresses=("192.168.0.1", "192.168.0.2"),
    workload="telco/app",
    revision="6c4b7",
)
SAME, OTHER, UNCLEAR = Kin
NEW = ("192.168.0.5",)


def lease(**changes: object) -> LeaseRecord:
    """Give the Lease of a holder that is as this agent, apart from something."""
    holder = replace(ME, pod="uid-2", **changes)  # type: ignore[arg-type]
    times = ElectionSettings()
    return record.acquired(LeaseRecord(uid="1"), holder, times, why=Why.FREE, distrust=False)


@pytest.mark.parametrize(
    ("changes", "whose"),
    [
        ({}, SAME),
        ({"workload": "other/web"}, SAME),
        ({"fingerprint": "x", "addresses": ("192.168.0.1", "192.168.0.3")}, SAME),
        ({"fingerprint": "x", "addresses": ("192.168.0.2",), "workload": "other/web"}, SAME),
        ({"fingerprint": "x", "addresses": NEW, "revision": "6c5b8"}, SAME),
        ({"fingerprint": "x", "addresses": NEW}, OTHER),
        ({"fingerprint": "x", "addresses": NEW, "workload": "other/app", "revision": "1"}, OTHER),
        ({"fingerprint": "x", "addresses": NEW, "workload": "", "revision": ""}, OTHER),
        ({"fingerprint": "x", "addresses": NEW, "revision": ""}, UNCLEAR),
        ({"fingerprint": "x", "addresses": (), "workload": "", "revision": ""}, UNCLEAR),
    ],
)
def test_whose_a_lease_is(changes: dict[str, object], whose: Kin) -> None:
    assert kin(ME, lease(**changes)) is whose


def test_a_lease_without_a_holder_or_a_mark_is_anybodys() -> None:
    assert kin(ME, None) is SAME
    assert kin(ME, record.released(lease(fingerprint="x", addresses=NEW, workload="w"))) is SAME
    assert kin(ME, LeaseRecord(holder="uid-2/b")) is SAME


def test_an_older_vipmanager_sees_its_own_group_by_the_fingerprint_alone() -> None:
    """Version 0.1.0 compares that annotation, and leaves out what it does not know."""
    assert lease(workload="w").annotations[record.FINGERPRINT] == ME.fingerprint
    assert addresses_of(lease()) == ME.addresses


@pytest.mark.parametrize(
    ("name", "workload", "revision"),
    [
        ("busybox-deployment-7d9c6b8f5-x2x4z", "busybox-deployment", "7d9c6b8f5"),
        ("web-b-bcdfg", "web", "b"),
        ("web-prod-x2x4z", "web-prod", ""),
        ("db-0", "db", ""),
        ("db-c4d5f-12", "db-c4d5f", ""),
        ("alone", "alone", ""),
        (f"{'n' * 46}-7d9c6b8f54-x2x4z", "n" * 46, "7d9c6b8f54"),
        (f"{'n' * 47}-7d9c6b8f54x2x4z", "n" * 46, ""),
        (f"{'n' * 50}-7d9c6b8x2x4z", "n" * 46, ""),
    ],
)
def test_a_pods_name_tells_what_made_it(name: str, workload: str, revision: str) -> None:
    pod = PodReference(namespace="telco", name=name, uid="u")
    assert pod.workload == (f"telco/{workload}", revision)


def test_a_manifest_may_tell_the_revision() -> None:
    pod = PodReference(namespace="telco", name="db-0", uid="u", revision="db-5f6d7")
    assert pod.workload == ("telco/db", "db-5f6d7")
