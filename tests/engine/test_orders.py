"""What a person asks of a running agent: to yield, and to claim."""

import pytest

from sim import Agent, Sim, moves, owners
from vipmanager.core.actions import CreateRoute, ReplaceRoute
from vipmanager.core.order import Order
from vipmanager.core.values import CloudState
from vipmanager.edges.memory import MemoryCloud
from worlds import cloud, pointed

ONE, TWO = "192.168.0.1/32", "192.168.0.2/32"


def taken_by_b(state: CloudState, *, only: int | None = None) -> CloudState:
    for destination, eni in ((ONE, "eni-b1"), (TWO, "eni-b2")):
        state = pointed(state, destination, eni, **({} if only is None else {"only": only}))
    return state


def test_an_agent_that_yielded_writes_nothing_whatever_becomes_of_its_routes(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud(10))).sidecar()
    sim.run(60)
    agent.cloud.writes.clear()
    agent.inbox.put(Order.YIELD.value)
    sim.run(61)
    assert not agent.health.ready
    assert "vipmanager claim" in agent.health.why
    agent.cloud.state = taken_by_b(agent.cloud.state, only=3)
    sim.run(600)
    agent.cloud.state = cloud(10)
    sim.run(1200)
    assert agent.cloud.writes == []


def test_claim_takes_a_displaced_floating_ip_back_and_the_other_agent_yields_it(sim: Sim) -> None:
    world = MemoryCloud(cloud(10))
    old = Agent(sim, world, zone="a").sidecar()
    sim.run(60)
    new = Agent(sim, world, zone="b").sidecar(at=60)
    sim.run(300)
    assert (old.health.ready, new.health.ready) == (False, True)
    world.writes.clear()
    old.inbox.put(Order.CLAIM.value)
    sim.run(900)
    assert owners(world, ONE) == {"eni-a1"}
    assert owners(world, TWO) == {"eni-a2"}
    assert set(moves(world).values()) == {1}
    assert (old.health.ready, new.health.ready) == (True, False)


def test_claim_ends_a_yield(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud(4))).sidecar()
    sim.run(60)
    agent.inbox.put(Order.YIELD.value)
    sim.run(120)
    agent.cloud.state = taken_by_b(agent.cloud.state)
    sim.run(180)
    agent.inbox.put(Order.CLAIM.value)
    sim.run(240)
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    assert agent.health.ready


def test_a_claim_that_is_over_holds_like_any_other(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud(4))).sidecar()
    sim.run(60)
    agent.inbox.put(Order.CLAIM.value)
    sim.run(120)
    agent.cloud.state = taken_by_b(agent.cloud.state)
    agent.cloud.writes.clear()
    sim.run(600)
    assert agent.cloud.writes == []
    assert agent.last.displaced


@pytest.mark.parametrize("order", list(Order))
def test_an_order_is_obeyed_where_nothing_is_to_be_done(sim: Sim, order: Order) -> None:
    agent = Agent(sim, MemoryCloud(cloud(4))).sidecar()
    sim.run(60)
    writes = len(agent.cloud.writes)
    agent.inbox.put(order.value)
    sim.run(120)
    assert agent.last.number > 2
    assert len(agent.cloud.writes) == writes
    assert all(isinstance(w, CreateRoute | ReplaceRoute) for w in agent.cloud.writes)
