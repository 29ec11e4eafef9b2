"""What Kubernetes tells a pod of its networks: as it comes, late, and as it should never be."""

import json
from ipaddress import ip_address
from pathlib import Path

import pytest

from vipmanager.core.downward import pod_networks
from vipmanager.edges.downward import FOLDER_KEY, networks
from vipmanager.edges.settings import SettingsError, load


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("nad-if1, nad-if2", ("net1", "net2")),
        ("telco/nad-if1@sig,nad-if2", ("sig", "net2")),
        ('[{"name": "nad-if1"}, {"name": "nad-if2", "interface": "oam"}]', ("net1", "oam")),
        ('[{"name": "nad-if1", "interface": "a\\nb\\u001b[31m"}]', ("a\\nb\\x1b[31m",)),
        ("", ()),
    ],
)
def test_multus_names_what_nobody_named_by_its_place(
    annotation: str, expected: tuple[str, ...]
) -> None:
    assert pod_networks((), annotation, None).wanted == expected


CLUSTER = {"name": "aws-cni", "interface": "eth0", "ips": ["10.0.1.11"], "default": True}
EGRESS = {"name": "aws-cni", "interface": "v4if0", "ips": ["169.254.172.5"]}
DUMMY = {"name": "aws-cni", "interface": "dummyc11fb0c1bc7", "mac": "0", "default": True}
OURS = {"name": "telco/nad-if1", "interface": "sig", "ips": ["192.168.0.1"]}
DPDK = {"name": "telco/nad-dpdk", "device-info": {"type": "pci"}}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([CLUSTER], ()),
        ([CLUSTER, OURS], ("sig",)),
        ([CLUSTER, EGRESS, OURS], ("sig",)),
        ([DUMMY, OURS, DPDK], ("sig",)),
        ([OURS], ("sig",)),
    ],
)
def test_what_multus_attached_is_what_is_not_the_cluster_network_s(
    entries: list[dict[str, object]], expected: tuple[str, ...]
) -> None:
    assert pod_networks((), None, json.dumps(entries, indent=4)).attached == expected


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": 1}', "[{}]", '[{"name": 1}, null]', "[[]]"])
def test_an_annotation_that_is_no_good_counts_as_not_told_and_is_said(text: str) -> None:
    found = pod_networks((), None, text)
    assert found.attached is None
    assert "network-status" in found.problem


def test_annotations_are_read_again_each_time(tmp_path: Path) -> None:
    own = ip_address("10.0.1.11")
    read = networks((own,), {FOLDER_KEY: str(tmp_path)})
    assert (read().addresses, read().wanted, read().attached) == ((own,), None, None)
    (tmp_path / "networks").write_text("nad-if1")
    (tmp_path / "network-status").write_text("")
    assert (read().wanted, read().attached) == (("net1",), None)
    (tmp_path / "network-status").write_text(json.dumps([CLUSTER, OURS]))
    assert read().attached == ("sig",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("10.0.1.11", ("10.0.1.11",)),
        ("2001:db8::5,10.0.1.11", ("2001:db8::5", "10.0.1.11")),
    ],
)
def test_the_pod_s_own_addresses_are_settings(text: str, expected: tuple[str, ...]) -> None:
    assert load({"POD_IPS": text}).pod_addresses == tuple(map(ip_address, expected))


def test_addresses_that_are_none_are_named_with_their_variable() -> None:
    with pytest.raises(SettingsError, match=r"^POD_IPS='10.0.1': expected IP addresses"):
        load({"POD_IPS": "10.0.1"})
