"""The scripts of deploy/node on a node of the lab: its own network namespace, links and IMDS."""

import ast
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from deploy.lifecycle import ACCOUNT, REGION, ROOT, shipped
from vipmanager_lab.ec2.account import Account
from vipmanager_lab.imds import Imds
from vipmanager_lab.netns import Netns
from vipmanager_lab.network import Network

SCRIPT = shipped("deploy/node/name-enis.py")
_numbers = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An instance with ENIs at device indexes 1 and 2; AL2023 named their links ens6 and ens7."""

    account: Account
    network: Network
    imds: Imds
    instance: str
    subnet: str
    enis: list[str]

    @property
    def netns(self) -> Netns:
        return self.network.host("node").netns

    def mac(self, eni: str) -> str:
        return self.account.view.enis[eni].mac

    def rename(self, old: str, new: str) -> None:
        self.netns.ip_batch([f"link set {old} down", f"link set {old} name {new}"])

    def links(self) -> dict[str, dict[str, Any]]:
        """What `ip` says of each link, by name."""
        return {link["ifname"]: link for link in self.netns.ip_json("link")}

    def macs(self) -> dict[str, str]:
        return {name: link["address"] for name, link in self.links().items() if name != "lo"}

    def start(self, count: int = 2, seconds: int = 30) -> subprocess.Popen[bytes]:
        return self.netns.popen(
            [sys.executable, "-I", "-c", SCRIPT, str(count), str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, count: int = 2, seconds: int = 30) -> str:
        """Run the script to its end; gives what it said."""
        out, err = self.start(count, seconds).communicate(timeout=60)
        assert err == b""
        return out.decode()

    def set(self, **options: Any) -> None:  # noqa: ANN401 - of several types
        """Change how the metadata service treats the node."""
        self.imds.set_options(self.instance, replace(self.imds.options(self.instance), **options))


@pytest.fixture
def node() -> Iterator[Node]:
    account = Account(ACCOUNT, REGION)
    vpc = account.create_vpc(IPv4Network("10.0.0.0/16"), ipv6=True)
    subnet = account.create_subnet(vpc, f"{REGION}a", IPv4Network("10.0.1.0/24"), ipv6=1)
    instance = account.run_instance(subnet)
    enis = [account.create_eni(subnet) for _ in range(2)]
    for index, eni in enumerate(enis, 1):
        account.attach(eni, instance, index)
    network = Network(f"boot{os.getpid()}n{next(_numbers)}", account.state)
    with network:
        imds = Imds(network.vpc, account.state, region=REGION)
        with imds:
            network.add_host("node", [account.primary_eni(instance), *enis])
            built = Node(
                account=account,
                network=network,
                imds=imds,
                instance=instance,
                subnet=subnet,
                enis=enis,
            )
            built.rename("eth1", "ens6")
            built.rename("eth2", "ens7")
            yield built


def _line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def test_the_script_is_python_3_9() -> None:
    ast.parse(SCRIPT, feature_version=(3, 9))


def test_enis_are_named_by_device_index_and_come_up(node: Node) -> None:
    first, second = node.enis
    said = node.run()
    assert node.macs()["eth1"] == node.mac(first)
    assert node.macs()["eth2"] == node.mac(second)
    assert "name-enis: eth1 was ens6" in said
    links = node.links()
    for name in ("eth1", "eth2"):
        assert "UP" in links[name]["flags"]
    addresses = node.netns.ip_json("-4", "addr", "show", "dev", "eth1")
    assert addresses == []


def test_the_order_of_the_kernels_names_does_not_matter(node: Node) -> None:
    node.rename("ens6", "ens9")
    node.run()
    assert [node.macs()[f"eth{n}"] for n in (1, 2)] == [node.mac(eni) for eni in node.enis]


def test_swapped_names_are_put_right(node: Node) -> None:
    node.rename("ens7", "eth1")
    node.rename("ens6", "eth2")
    node.run()
    assert [node.macs()[f"eth{n}"] for n in (1, 2)] == [node.mac(eni) for eni in node.enis]


def test_a_foreign_link_with_the_name_gets_out_of_the_way(node: Node) -> None:
    node.netns.ip_batch(["link add eth1 type veth peer name other"])
    foreign = node.macs()["eth1"]
    node.run()
    macs = node.macs()
    assert macs["eth1"] == node.mac(node.enis[0])
    assert macs["eth1-was"] == foreign


def test_replies_may_leave_where_the_request_did_not_come_in(node: Node) -> None:
    node.netns.sysctl({"ipv4/conf/all/rp_filter": 1, "ipv4/conf/ens6/rp_filter": 1})
    node.netns.sysctl({"ipv6/conf/ens6/accept_ra": 1})
    node.run()

    def setting(path: str) -> str:
        return node.netns.run(["cat", f"/proc/sys/net/{path}"]).strip()

    assert setting("ipv4/conf/all/rp_filter") == "0"
    assert setting("ipv4/conf/eth1/rp_filter") == setting("ipv4/conf/eth2/rp_filter") == "0"
    assert setting("ipv6/conf/eth1/accept_ra") == "0"


def test_enis_of_the_vpc_cni_and_of_other_cards_are_left_alone(node: Node) -> None:
    for index, card in ((3, 0), (1, 1)):
        eni = node.account.create_eni(node.subnet)
        node.account.attach(eni, node.instance, index, card)
        node.network.attach_eni("node", eni)
    node.rename("eth3", "ens8")
    before = node.macs()
    node.run()
    after = node.macs()
    assert after["ens8"] == before["ens8"]
    assert after["eth1c1"] == before["eth1c1"]
    assert after["eth1"] == node.mac(node.enis[0])


def test_a_repetition_changes_nothing(node: Node) -> None:
    def state() -> dict[str, tuple[int, list[str]]]:
        return {name: (link["ifindex"], link["flags"]) for name, link in node.links().items()}

    node.run()
    node.netns.wait_running("eth1", "eth2")
    before = state()
    node.run()
    assert state() == before


def test_a_late_eni_is_waited_for(node: Node) -> None:
    late = node.enis[1]
    node.network.detach_eni("node", late)
    node.account.detach(late)
    process = node.start()
    assert _line(process) == "name-enis: waiting: no ENI at device index 2"
    node.account.attach(late, node.instance, 2)
    assert _line(process) == f"name-enis: waiting: no link with MAC {node.mac(late)}"
    node.network.attach_eni("node", late)
    assert process.wait(timeout=30) == 0
    process.communicate()
    assert [node.macs()[f"eth{n}"] for n in (1, 2)] == [node.mac(eni) for eni in node.enis]


def test_metadata_that_lags_behind_the_attachment_is_waited_for(node: Node) -> None:
    node.set(lagging=frozenset({node.mac(node.enis[0])}))
    process = node.start()
    assert _line(process) == "name-enis: waiting: no ENI at device index 1"
    node.set(lagging=frozenset())
    assert process.wait(timeout=30) == 0
    process.communicate()


def test_a_metadata_service_that_refuses_is_asked_again(node: Node) -> None:
    node.set(enabled=False)
    process = node.start()
    assert _line(process) == "name-enis: waiting: HTTP Error 403: Forbidden"
    node.set(enabled=True)
    assert process.wait(timeout=30) == 0
    process.communicate()


@pytest.mark.parametrize("keys", [{"network-card-index"}, set()])
def test_either_spelling_of_the_network_card_is_understood(node: Node, keys: set[str]) -> None:
    node.set(card_keys=frozenset(keys))
    node.run()
    assert {"eth1", "eth2"} <= set(node.macs())


def test_an_eni_that_never_comes_is_named_and_the_names_stay(node: Node) -> None:
    process = node.start(count=3, seconds=0)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err.decode().strip() == "name-enis: gave up: no ENI at device index 3"
    assert {"ens6", "ens7"} <= set(node.macs())


def test_a_node_powers_off_when_its_group_wants_it_gone(node: Node, tmp_path: Path) -> None:
    called = tmp_path / "called"
    os.mkfifo(called)
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f'#!/bin/sh\necho "$@" >{called}\n', encoding="ascii")
    systemctl.chmod(0o755)
    node.set(target_lifecycle_state="InService")
    process = node.netns.popen(
        ["bash", str(ROOT / "deploy/node/leave-group"), "0.05"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    node.set(target_lifecycle_state="Terminated")
    assert called.read_text(encoding="ascii") == "poweroff\n"
    assert process.wait(timeout=30) == 0
