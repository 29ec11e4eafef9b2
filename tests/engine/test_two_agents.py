"""Two pods with the same floating IPs over one VPC: they never fight for long."""

import random
from collections.abc import Iterator

import pytest

from sim import Agent, LaggingCloud, Sim, moves, owners
from vipmanager.edges.memory import MemoryCloud
from vipmanager.engine.loop import Ending
from worlds import cloud, pointed

ONE, TWO = "192.168.0.1/32", "192.168.0.2/32"
TABLES = 4
SEEDS = 200


def one_owner(world: MemoryCloud) -> set[str]:
    """The zone that owns both addresses in all tables; more than one, or "none", is wrong."""
    return {target[4:5] for d in (ONE, TWO) for target in owners(world, d)}


@pytest.mark.parametrize(("first", "second"), ["ab", "ba"])
@pytest.mark.parametrize("seed", range(5))
def test_a_rollout_with_thirty_seconds_of_overlap_moves_every_route_once(
    sim: Sim, first: str, second: str, seed: int
) -> None:
    random.seed(seed)
    world = MemoryCloud(cloud(10))
    old = Agent(sim, world, zone=first).sidecar()
    sim.run(100)
    world.writes.clear()
    new = Agent(sim, world, zone=second).sidecar(at=100)
    sim.at(130, old.kill)
    sim.run(1000)
    assert set(moves(world).values()) == {1}
    assert len(world.writes) == 20
    assert one_owner(world) == {second}
    assert new.health.ready
    assert not old.health.ready


def replicas(sim: Sim, world: MemoryCloud, starts: tuple[float, float], gap: float) -> list[Agent]:
    return [
        Agent(sim, world, zone=zone, gap=gap).sidecar(at=start)
        for zone, start in zip("ab", starts, strict=True)
    ]


def lives(seed: int) -> Iterator[tuple[Sim, MemoryCloud, list[Agent]]]:
    """Start two replicas at once or apart, with or without a lag and a gap before the writes."""
    random.seed(seed)
    luck = random.Random(seed)  # noqa: S311 - a schedule, no secret
    apart = luck.choice((0.0, 0.0, luck.uniform(0, 2), luck.uniform(0, 30)))
    lag = luck.choice((0.0, 0.0, luck.uniform(0, 3)))
    gap = luck.choice((0.0, 0.01, luck.uniform(0, 1)))
    sim = Sim()
    world = LaggingCloud(cloud(TABLES), sim, lag)
    try:
        yield sim, world, replicas(sim, world, (0.0, apart), gap)
    finally:
        sim.end()


@pytest.mark.parametrize("block", range(0, SEEDS, 20))
def test_two_replicas_end_with_one_owner_of_everything_and_few_writes(block: int) -> None:
    for seed in range(block, block + 20):
        for sim, world, agents in lives(seed):
            sim.run(120)
            writes = len(world.writes)
            assert len(one_owner(world)) == 1, (seed, one_owner(world))
            assert one_owner(world) <= {"a", "b"}, seed
            assert max(moves(world).values()) <= 4, (seed, moves(world))
            sim.run(600)
            assert len(world.writes) == writes, (seed, "still fighting")
            (owner,) = one_owner(world)
            for agent, zone in zip(agents, "ab", strict=True):
                assert agent.health.ready is (zone == owner), (seed, zone, agent.health)


def test_a_restarted_container_in_a_displaced_pod_does_not_steal_back(sim: Sim) -> None:
    world = MemoryCloud(cloud(TABLES))
    old = Agent(sim, world, zone="a").sidecar()
    sim.run(50)
    Agent(sim, world, zone="b").sidecar(at=50)
    sim.run(100)
    old.kill()
    world.writes.clear()
    again = Agent(sim, world, zone="a", kernel=old.kernel).sidecar(at=100)
    sim.run(600)
    assert world.writes == []
    assert one_owner(world) == {"b"}
    assert again.last.displaced


def test_an_init_container_of_a_fresh_pod_takes_over(sim: Sim) -> None:
    state = pointed(pointed(cloud(TABLES), ONE, "eni-b1"), TWO, "eni-b2")
    agent = Agent(sim, MemoryCloud(state)).init()
    sim.run(60)
    assert agent.ending is Ending.CONVERGED
    assert one_owner(agent.cloud) == {"a"}


def test_a_takeover_by_another_agent_that_dies_halfway_is_undone(sim: Sim) -> None:
    world = MemoryCloud(cloud(TABLES))
    agent = Agent(sim, world, zone="a").sidecar()
    sim.run(60)
    world.state = pointed(world.state, ONE, "eni-b1", only=0)
    world.state = pointed(world.state, ONE, "eni-b1", only=1)
    sim.run(180)
    assert one_owner(world) == {"a"}
    assert agent.health.ready
