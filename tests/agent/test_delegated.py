"""Prefixes that EC2 delegated to an ENI: a pod's address inside one needs no route."""

from collections.abc import Callable
from ipaddress import ip_network

import pytest

from agent_fixtures import Stage
from vipmanager_lab.world import World


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("pattern", "told_by"),
    [(1, "EC2"), (2, "EC2"), (1, "IMDS")],  # with pattern 2 EC2 has to tell who lives where
)
def test_an_address_of_a_delegated_prefix_is_left_alone_and_the_other_steered(
    make_world: Callable[..., World], pattern: int, version: int, told_by: str
) -> None:
    world = make_world()
    stage = Stage(world, pattern=pattern, version=version)
    subnet = ip_network("10.0.11.0/24") if version == 4 else world.ipv6["a1"]
    lowest = subnet[16] if version == 4 else subnet[1 << 48]
    prefix = ip_network(f"{lowest}/{28 if version == 4 else 80}")
    world.account.assign_prefix(stage.enis("a")[0], prefix)
    if told_by == "IMDS":
        world.faults.deny("DescribeNetworkInterfaces")
    own = f"{prefix[5]}/{subnet.prefixlen}"
    pod = world.start_pod("pod", "a", [(stage.floating[0], own), stage.floating[1]])
    agent = stage.init(pod)
    assert agent.wait() == 0, agent.text
    assert any(f"{prefix[5]} on net1 is" in text and "own address" in text for text in agent.text)
    assert stage.points_at("a")
    assert world.writes() == 2 * len(world.tables)


def test_the_lab_brings_packets_to_an_address_of_a_delegated_prefix(stage: Stage) -> None:
    world = stage.world
    world.account.assign_prefix(stage.enis("a")[0], ip_network("10.0.11.16/28"))
    own = "10.0.11.21/24"
    pod = world.start_pod("pod", "a", [own])
    assert stage.init(pod).wait() == 0
    world.application(pod, [own])
    prober = world.probe([own])
    prober.wait_for(lambda r: r["event"] == "answered" and r["address"] == "10.0.11.21")
    prober.close()
