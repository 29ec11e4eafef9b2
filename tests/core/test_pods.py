"""Which pods may be behind a rival, from what Multus wrote into their objects."""

import json
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from vipmanager.core.pods import NETWORKS, STATUS, PodObject, Rival, behind, pod_object
from vipmanager.core.values import EniId, Mac
from worlds import networks

DESTINATION = networks("192.168.0.1/32")[0]
FLOATING = frozenset({ip_address("192.168.0.1")})
OTHER = frozenset({ip_address("192.168.0.9")})
OURS, THEIRS = Mac("02:00:00:00:00:0a"), Mac("02:00:00:00:00:0b")
ME = PodObject(uid="me", addresses=FLOATING, macs=frozenset({OURS}))
RIVAL = Rival(destination=DESTINATION, eni=EniId("eni-b1"), mac=THEIRS, ours=OURS)
PRIMARY = {"name": "aws-cni", "interface": "eth0", "ips": ["10.0.1.11"], "default": True}


def net1(**more: object) -> dict[str, object]:
    return {"name": "telco/if1", "interface": "net1", **more}


def pod(*interfaces: Mapping[str, object], **metadata: object) -> dict[str, Any]:
    status = json.dumps([PRIMARY, *interfaces])
    annotations = {NETWORKS: "if1", STATUS: status}
    return {"metadata": {"uid": "u", "annotations": annotations, **metadata}}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        pytest.param(
            pod(net1(ips=["192.168.0.1"], mac="02:00:00:00:00:0A")),
            PodObject(uid="u", addresses=FLOATING, macs=frozenset({OURS})),
            id="both are told",
        ),
        pytest.param(
            pod(net1(mac="02:00:00:00:00:0a")),
            PodObject(uid="u", addresses=None, macs=frozenset({OURS})),
            id="no ips, as with Multus 4.1.0",
        ),
        pytest.param(
            pod(net1(ips=["192.168.0.1"])),
            PodObject(uid="u", addresses=FLOATING, macs=None),
            id="no mac, as with DPDK",
        ),
        pytest.param(
            pod(), PodObject(uid="u", addresses=None, macs=None), id="asked for, and not there yet"
        ),
        pytest.param(
            {"metadata": {"uid": "u", "annotations": {NETWORKS: "if1"}}},
            PodObject(uid="u", addresses=None, macs=None),
            id="before Multus",
        ),
        pytest.param(
            {"metadata": {"uid": "u", "annotations": {NETWORKS: "if1", STATUS: '[{"ips": 1}]'}}},
            PodObject(uid="u", addresses=None, macs=None),
            id="nonsense",
        ),
        pytest.param({"metadata": {"uid": "u"}}, PodObject(uid="u"), id="a pod without Multus"),
        pytest.param(
            {"metadata": {"uid": "u", "deletionTimestamp": "2026-11-28T00:00:00Z"}},
            PodObject(uid="u", going=True),
            id="being deleted",
        ),
        pytest.param(
            {"metadata": {"uid": "u"}, "status": {"phase": "Failed"}},
            PodObject(uid="u", going=True),
            id="evicted",
        ),
    ],
)
def test_an_object_tells_what_multus_wrote_into_it(
    document: dict[str, Any], expected: PodObject
) -> None:
    assert pod_object(document) == expected


@pytest.mark.parametrize("document", [{}, {"metadata": None}, {"metadata": {"name": "a"}}])
def test_what_is_no_pod_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no pod"):
        pod_object(document)


@pytest.mark.parametrize(
    ("other", "may_be"),
    [
        (PodObject(uid="x", addresses=FLOATING, macs=frozenset({THEIRS})), True),
        (PodObject(uid="x", addresses=FLOATING, macs=None), True),
        (PodObject(uid="x", addresses=None, macs=frozenset({THEIRS})), True),
        (PodObject(uid="x", addresses=FLOATING, macs=frozenset({Mac("02:00:00:00:00:0c")})), False),
        (PodObject(uid="x", addresses=OTHER, macs=frozenset({THEIRS})), False),
        (PodObject(uid="x", addresses=FLOATING, macs=frozenset({THEIRS}), going=True), False),
        (PodObject(uid="x"), False),
        (ME, False),
    ],
)
def test_who_may_be_behind_a_rival(other: PodObject, may_be: bool) -> None:  # noqa: FBT001
    assert behind(RIVAL, ME, [ME, other]) == ((other,) if may_be else ())


def test_what_this_pods_own_object_does_not_tell_is_expected_of_none() -> None:
    silent = PodObject(uid="me", addresses=OTHER, macs=frozenset({Mac("0a:00:00:00:00:01")}))
    other = PodObject(uid="x", addresses=OTHER, macs=frozenset({Mac("0a:00:00:00:00:02")}))
    assert behind(RIVAL, silent, [silent, other, PodObject(uid="y")]) == (other,)
