"""Whose interface it is, with real links: what is left alone, numbered, told."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from agent_fixtures import Stage, Typed, converged
from vipmanager.edges.downward import FOLDER_KEY
from vipmanager_lab.world import World

CHANGES = 2
"""What `plan` exits with where there is something to do."""


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Mount annotations of Multus; give the variable that names the folder."""

    def mount(networks: str, attached: Sequence[str] | None) -> dict[str, str]:
        cluster = {"name": "aws-cni", "interface": "eth0", "default": True}
        status = [cluster, *({"name": f"nad-{i}", "interface": i} for i in attached or ())]
        (tmp_path / "networks").write_text(networks)
        text = "" if attached is None else json.dumps(status)
        (tmp_path / "network-status").write_text(text)
        return {FOLDER_KEY: str(tmp_path)}

    return mount


def test_links_of_others_are_left_alone_and_count_for_no_number(stage: Stage) -> None:
    """net1 and net2 have other names; a tunnel, a bridge and a veth have addresses."""
    pod = stage.pod()
    renamed = {"net1": "sig", "net2": "oam"}
    pod.ip_batch(
        [
            *(f"link set {old} down" for old in renamed),
            *(f"link set {old} name {new}" for old, new in renamed.items()),
            *(f"link set {new} up" for new in renamed.values()),
            "tuntap add a-tunnel mode tun",
            "link set a-tunnel up",
            "addr add 10.8.0.2/24 dev a-tunnel",
            "link add a-bridge type bridge",
            "link set a-bridge up",
            "addr add 10.8.1.2/24 dev a-bridge",
            "link add a-veth type veth peer name nowhere",
            "link set a-veth up",
            "addr add 10.8.2.2/24 dev a-veth",
        ]
    )
    agent = stage.init(pod, LogLevel="debug")
    assert agent.wait() == 0, agent.text
    assert stage.points_at("a")
    stage.world.application(pod, stage.floating)
    stage.answers()
    (aside,) = (r["names"] for r in agent.records if r["event"] == "aside")
    assert set(aside) == {"a-tunnel", "a-bridge", "a-veth", "nowhere"}
    for line in (r["text"] for r in agent.records if r["level"] != "debug"):
        assert not any(name in line for name in aside)


def test_a_macvlan_of_multus_is_told_whatever_its_name_is(
    stage: Stage, told: Callable[..., dict[str, str]]
) -> None:
    pod = stage.world.start_pod("pod", "a", [stage.floating[0]])
    pod.ip_batch(
        [
            "link add link eth0 name oam type macvlan",
            "link set oam up",
            "addr add 192.168.0.2/24 dev oam",
        ]
    )
    for annotations in (told("a, b@oam", None), told("a, b@oam", ["net1", "oam"])):
        agent = stage.init(pod, **annotations)
        assert agent.wait() == 1
        assert any("oam: its MAC" in line and "macvlan" in line for line in agent.text)
    agent = stage.init(pod, Intf2Peers="", **told("a", ["net1"]))
    assert agent.wait() == 0, agent.text


def test_a_pod_that_came_up_before_multus_is_told_to_be_deleted_and_is_not_waited_for(
    stage: Stage, told: Callable[..., dict[str, str]]
) -> None:
    pod = stage.world.start_pod("pod", "a", [])
    for annotations in (told("nad-if1, nad-if2", None), told("nad-if1@sig", [])):
        agent = stage.init(pod, InitTimeoutSeconds="600", **annotations)
        assert agent.wait() == 1
        assert any("delete the pod" in line and "not ready" in line for line in agent.text)
    doctor = Typed(stage, pod, "doctor", **told("nad-if1", None))
    assert "delete the pod" in doctor.out
    assert doctor.code == 1


def test_where_no_annotation_is_mounted_a_pod_without_interfaces_still_hears_of_it(
    stage: Stage,
) -> None:
    agent = stage.init(stage.world.start_pod("pod", "a", []), InitTimeoutSeconds="1")
    assert agent.wait() == 1
    assert any("delete the pod" in line for line in agent.text)


@pytest.mark.parametrize("device", [2, 3])
def test_peers_numbered_by_the_node_s_devices_are_answered(
    make_world: Callable[..., World], device: int
) -> None:
    """As the AWS sample numbers them: the pod has one interface, on the node's device N."""
    stage = Stage(make_world(interfaces=3))
    stage.floating = stage.floating[:1]
    client = stage.config["Intf1Peers"]
    config = {"Intf1Peers": "", "Intf2Peers": "", f"Intf{device}Peers": client}
    pod = stage.world.start_pod("pod", "a", stage.floating, first=device)
    agent = stage.init(pod, **config)
    assert agent.wait() == 0, agent.text
    assert any(f"Intf{device}Peers is for net1" in line for line in agent.text)
    stage.world.application(pod, stage.floating)
    stage.answers()


def test_peers_of_no_interface_fail_the_run_and_say_how_to_write_them(stage: Stage) -> None:
    pod = stage.world.start_pod("pod", "a", stage.floating[:1])
    agent = stage.init(pod, Intf1Peers="", Intf2Peers="", Intf7Peers="10.0.100.10")
    assert agent.wait() == 1
    assert any("write Intf1Peers for net1" in line for line in agent.text)


@pytest.mark.parametrize("version", [4, 6])
def test_an_address_that_is_deprecated_for_good_is_steered(world: World, version: int) -> None:
    stage = Stage(world, version=version)
    pod = stage.pod()
    for number, floating in enumerate(stage.floating, start=1):
        pod.ip_batch(
            [f"addr change {floating} dev net{number} valid_lft forever preferred_lft 0"],
            family=4 if version == 4 else 6,
        )
    agent = stage.init(pod)
    assert agent.wait() == 0, agent.text
    assert stage.points_at("a")
    stage.world.application(pod, stage.floating)
    stage.answers()


def test_an_address_whose_time_runs_out_is_left(stage: Stage) -> None:
    pod = stage.world.start_pod("pod", "a", [[stage.floating[0], "192.168.0.77/24"]])
    pod.ip_batch(["addr change 192.168.0.77/24 dev net1 valid_lft 600 preferred_lft 0"])
    agent = stage.init(pod)
    assert agent.wait() == 0, agent.text
    assert stage.world.targets("192.168.0.77/32") == {None}
    assert stage.world.targets("192.168.0.1/32") == {stage.enis("a")[0]}


@pytest.fixture
def without_ipv6(tmp_path: Path) -> dict[str, str]:
    """An `ip` as on a node with `ipv6.disable=1`: give the PATH with it in front."""
    real = shutil.which("ip")
    said = "RTNETLINK answers: Address family not supported by protocol"
    script = tmp_path / "ip"
    script.write_text(
        "#!/bin/sh\n"
        f'case " $* " in *" -6 "*) echo "{said}" >&2; exit 255;; esac\n'
        f'exec {real} "$@"\n'
    )
    script.chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"}


def test_on_a_node_without_ipv6_everything_works_with_ipv4(
    stage: Stage, without_ipv6: dict[str, str]
) -> None:
    pod = stage.pod()
    planned = Typed(stage, pod, "plan", **without_ipv6)
    assert planned.code == CHANGES, planned.out + planned.err
    agent = stage.sidecar(pod, **without_ipv6)
    agent.wait_for(converged)
    stage.world.application(pod, stage.floating)
    stage.answers()
    for words in (("doctor",), ("status",), ("cleanup", "--yes")):
        typed = Typed(stage, pod, *words, **without_ipv6)
        assert typed.code == 0, typed.out + typed.err
    assert all(stage.world.targets(d) == {None} for d in stage.destinations())
