"""The floating IP follows its pod, with real packets: every pattern, mode and family."""

from collections.abc import Callable

import pytest

from agent_fixtures import Stage, converged
from vipmanager_lab.world import World


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("mode", ["init", "sidecar"])
@pytest.mark.parametrize("pattern", [1, 2])
def test_a_floating_ip_answers_in_zone_a_and_then_in_zone_b(
    make_world: Callable[..., World], pattern: int, mode: str, version: int
) -> None:
    stage = Stage(make_world(), pattern=pattern, version=version)
    for zone in "ab":
        pod = stage.pod(zone, name=f"pod-{zone}")
        if mode == "init":
            agent = stage.init(pod)
            assert agent.wait() == 0, agent.text
        else:
            stage.sidecar(pod).wait_for(converged)
        assert stage.points_at(zone)
        stage.world.application(pod, stage.floating)
        stage.answers()
        stage.world.fail_zone(zone)


@pytest.mark.parametrize("pattern", [1, 2])
def test_an_empty_vpc_costs_a_write_per_route_a_failover_too_and_a_right_one_none(
    make_world: Callable[..., World], pattern: int
) -> None:
    stage = Stage(make_world(tables=10), pattern=pattern)
    pod = stage.pod("a", name="pod-a")
    assert stage.init(pod).wait() == 0
    assert stage.world.endpoint.counts()["CreateRoute"] == 20
    assert stage.world.endpoint.counts()["ReplaceRoute"] == 0
    stage.world.endpoint.clear_calls()
    assert stage.init(pod).wait() == 0
    assert stage.world.writes() == 0
    assert stage.init(stage.pod("b", name="pod-b")).wait() == 0
    assert stage.world.endpoint.counts()["ReplaceRoute"] == 20
    assert stage.world.endpoint.counts()["CreateRoute"] == 0
    assert stage.points_at("b")


def test_source_based_routing_answers_without_peers(make_world: Callable[..., World]) -> None:
    for version in (4, 6):
        stage = Stage(make_world(), version=version)
        pod = stage.pod()
        config = {"UseSBR": "True", "Intf1Peers": "", "Intf2Peers": ""}
        assert stage.init(pod, **config).wait() == 0
        stage.world.application(pod, stage.floating)
        stage.answers()
        rules = pod.run(["ip", f"-{version}", "rule"])
        for floating in stage.floating:
            assert f"from {floating.partition('/')[0]} lookup" in rules


def test_both_families_on_one_interface_are_steered(world: World) -> None:
    stage = Stage(world)
    both = [[f, g] for f, g in zip(world.floating(), world.floating(version=6), strict=True)]
    pod = world.start_pod("pod", "a", both)
    peers = {key: f"{four},{world.peers(6)[key]}" for key, four in world.peers(4).items()}
    agent = stage.init(pod, **peers)
    assert agent.wait() == 0, agent.text
    world.application(pod, [a for pair in both for a in pair])
    stage.answers()
    Stage(world, version=6).answers()


def test_a_pod_with_duplicate_address_detection_is_waited_for(world: World) -> None:
    stage = Stage(world, version=6)
    pod = stage.pod(dad=True)
    agent = stage.init(pod)
    assert agent.wait() == 0
    assert any("tentative" in text for text in agent.text)
    assert stage.points_at("a")


def test_peer_routes_that_are_no_longer_wanted_are_removed(stage: Stage) -> None:
    pod = stage.pod()
    assert stage.init(pod).wait() == 0
    assert "10.0.100.11 via" in pod.run(["ip", "route"])
    assert stage.init(pod, Intf2Peers="").wait() == 0
    routes = pod.run(["ip", "route"])
    assert "10.0.100.10 via" in routes
    assert "10.0.100.11 via" not in routes
    assert stage.init(pod, Intf1Peers="", Intf2Peers="").wait() == 0
    assert "proto 86" not in pod.run(["ip", "route"])
    assert "8600" not in pod.run(["ip", "rule"])


def test_a_peer_network_that_covers_the_node_does_not_cut_kubelet_off(stage: Stage) -> None:
    pod = stage.pod()
    assert stage.init(pod, Intf1Peers="10.0.0.0/16", Intf2Peers="").wait() == 0
    address = stage.world.nodes["a"].pod_addresses[0]
    reply = pod.run(["ip", "route", "get", "10.0.1.10", "from", str(address)])
    assert "dev eth0" in reply
    to_peer = pod.run(["ip", "route", "get", "10.0.100.10"])
    assert "dev net1" in to_peer
    assert "src 192.168.0.1" in to_peer
