"""Two pods with one floating IP: a rollout, and a mistake."""

import time
from collections.abc import Callable
from itertools import pairwise

from agent_fixtures import Stage, converged, wait_until
from vipmanager_lab.world import World

OVERLAP = 30.0
"""Seconds that a terminating pod may live on (Kubernetes' default grace period)."""


def moves(world: World, destination: str) -> int:
    """Count how often a floating IP changed hands, seen from one table."""
    owners = [
        call.parameters["NetworkInterfaceId"]
        for call in world.endpoint.calls
        if call.action in {"CreateRoute", "ReplaceRoute"}
        and call.error is None
        and call.parameters["RouteTableId"] == world.client_table
        and call.parameters["DestinationCidrBlock"] == destination
    ]
    return sum(one != other for one, other in pairwise(owners))


def test_a_rollout_in_which_old_and_new_overlap_moves_the_floating_ip_exactly_once(
    make_world: Callable[..., World],
) -> None:
    stage = Stage(make_world(tables=10))
    old = stage.sidecar(stage.pod("a", name="old"))
    old.wait_for(converged)
    new = stage.sidecar(stage.pod("b", name="new"))
    new.wait_for(converged)
    began = time.monotonic()
    old.wait_for(lambda r: r["event"] == "displaced")
    # Both stay for the whole overlap, in which the old one must not take anything back.
    wait_until(lambda: time.monotonic() - began > OVERLAP, seconds=OVERLAP + 5)
    stage.world.kill_pod("old")
    assert stage.points_at("b")
    for destination in stage.destinations():
        assert moves(stage.world, destination) == 1
    assert new.running


def test_two_replicas_by_mistake_come_to_an_end_and_both_say_what_is_wrong(
    make_world: Callable[..., World],
) -> None:
    stage = Stage(make_world(tables=10))
    pods = [stage.pod(zone, name=f"pod-{zone}") for zone in "ab"]
    agents = [stage.sidecar(pod) for pod in pods]
    wait_until(
        lambda: any(r["event"] == "displaced" for a in agents for r in a.records), seconds=60
    )
    # Each floating IP comes to one pod, rarely not both to the same one (README, Limits).
    wait_until(lambda: all(len(stage.world.targets(d)) == 1 for d in stage.destinations()))
    settled = stage.world.writes()
    passes = stage.world.endpoint.counts()["DescribeRouteTables"]
    wait_until(lambda: stage.world.endpoint.counts()["DescribeRouteTables"] > passes + 20)
    assert stage.world.writes() == settled
    for destination in stage.destinations():
        assert moves(stage.world, destination) <= 4
    for agent, zone in zip(agents, "ba", strict=True):
        rivals = stage.enis(zone)
        assert any(eni in text for text in agent.text for eni in rivals), agent.text


def test_a_container_that_restarts_in_its_pod_does_not_steal_the_floating_ip_back(
    make_world: Callable[..., World],
) -> None:
    stage = Stage(make_world(tables=10))
    pod = stage.pod("a", name="old")
    first = stage.sidecar(pod)
    first.wait_for(converged)
    first.close()
    new = stage.sidecar(stage.pod("b", name="new"))
    new.wait_for(converged)
    again = stage.sidecar(pod)
    again.wait_for(lambda r: r["event"] == "displaced")
    passes = stage.world.endpoint.counts()["DescribeRouteTables"]
    wait_until(lambda: stage.world.endpoint.counts()["DescribeRouteTables"] > passes + 10)
    assert stage.points_at("b")
