"""An application that is not well takes no floating IP, and keeps those that it has."""

from dataclasses import replace

import pytest

from sim import Agent, Sim, owners
from vipmanager.core.failures import Transient
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.order import Order
from vipmanager.core.podnet import HELD_TABLE
from vipmanager.core.values import CloudState
from vipmanager.edges.memory import MemoryCloud
from worlds import cloud, peers, pointed

ONE, TWO = "192.168.0.1/32", "192.168.0.2/32"
PEERS = peers(n1="10.0.100.0/24", n2="10.0.1.0/24")


class Check:
    """The health check's last word; a change of it wakes the agent."""

    def __init__(self, *, well: bool = False) -> None:
        self.well = well

    def __call__(self) -> Finding | None:
        why = "http://127.0.0.1:80/ answered 503"
        return None if self.well else find(Condition.UNHEALTHY, "HealthCheck", why=why)

    def turns(self, agent: Agent, *, well: bool) -> None:
        self.well = well
        agent.inbox.put("health check")


@pytest.fixture
def check() -> Check:
    return Check()


def held(tables: int, eni: str = "b") -> CloudState:
    return pointed(pointed(cloud(tables), ONE, f"eni-{eni}1"), TWO, f"eni-{eni}2")


def marks(agent: Agent) -> int:
    return sum(r.table == HELD_TABLE for r in agent.kernel.state.routes)


def test_a_pod_that_is_not_well_takes_nothing_from_a_healthy_one(sim: Sim, check: Check) -> None:
    agent = Agent(sim, MemoryCloud(held(10)), settings=PEERS, gate=check).sidecar()
    sim.run(300)
    assert agent.cloud.writes == []
    assert not agent.health.ready
    assert "answered 503" in agent.health.why
    assert any(str(r.destination) == "10.0.100.0/24" for r in agent.kernel.state.routes), (
        "the pod is made ready to answer"
    )


def test_it_claims_at_once_when_it_turns_well(sim: Sim, check: Check) -> None:
    agent = Agent(sim, MemoryCloud(held(10)), gate=check).sidecar()
    sim.run(60)
    check.turns(agent, well=True)
    sim.run(61)
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    assert owners(agent.cloud, TWO) == {"eni-a2"}
    assert agent.health.ready
    assert marks(agent) == 2


def test_a_claim_that_waits_is_no_hold_after_a_restart(sim: Sim, check: Check) -> None:
    """Else a pod that found one table right by chance would count the rest as stolen from it."""
    world = MemoryCloud(pointed(held(4), ONE, "eni-a1", only=0))
    first = Agent(sim, world, gate=check).sidecar()
    sim.run(120)
    assert marks(first) == 0
    first.kill()
    check.well = True
    again = Agent(sim, world, kernel=first.kernel, gate=check).sidecar(at=120)
    sim.run(121)
    assert owners(world, ONE) == {"eni-a1"}
    assert again.health.ready


def test_a_holder_that_falls_ill_keeps_its_routes_and_is_not_ready(sim: Sim, check: Check) -> None:
    check.well = True
    agent = Agent(sim, MemoryCloud(cloud(4)), gate=check).sidecar()
    sim.run(60)
    agent.cloud.writes.clear()
    check.turns(agent, well=False)
    sim.run(120)
    assert not agent.health.ready
    assert agent.cloud.writes == []
    state = agent.cloud.state
    lacking = replace(
        state.tables[0],
        routes=tuple(r for r in state.tables[0].routes if str(r.destination) != ONE),
    )
    agent.cloud.state = replace(state, tables=(lacking, *state.tables[1:]))
    sim.run(240)
    assert owners(agent.cloud, ONE) == {"eni-a1"}, "nobody else serves where no route is"
    check.turns(agent, well=True)
    sim.run(241)
    assert agent.health.ready


def test_a_holder_that_is_ill_leaves_a_drifted_route_to_the_living(sim: Sim, check: Check) -> None:
    check.well = True
    agent = Agent(sim, MemoryCloud(cloud(4)), gate=check).sidecar()
    sim.run(60)
    agent.cloud.state = pointed(agent.cloud.state, ONE, "eni-b1", only=1)
    check.turns(agent, well=False)
    sim.run(300)
    assert owners(agent.cloud, ONE) == {"eni-a1", "eni-b1"}
    check.turns(agent, well=True)
    sim.run(330)
    assert owners(agent.cloud, ONE) == {"eni-a1"}


def test_an_order_to_claim_waits_for_health_too(sim: Sim, check: Check) -> None:
    agent = Agent(sim, MemoryCloud(held(4)), gate=check).sidecar()
    sim.run(60)
    agent.inbox.put(Order.CLAIM.value)
    sim.run(120)
    assert owners(agent.cloud, ONE) == {"eni-b1"}
    check.turns(agent, well=True)
    sim.run(121)
    assert owners(agent.cloud, ONE) == {"eni-a1"}


def test_an_illness_is_told_while_ec2_is_away(sim: Sim, check: Check) -> None:
    check.well = True
    agent = Agent(sim, MemoryCloud(cloud(4)), gate=check).sidecar()
    sim.run(60)
    agent.cloud.unreachable = Transient("EC2 does not answer")
    check.turns(agent, well=False)
    sim.run(61)
    assert not agent.health.ready
    assert "answered 503" in agent.health.why


def test_an_illness_does_not_make_readings_more_frequent(sim: Sim, check: Check) -> None:
    agent = Agent(sim, MemoryCloud(held(4)), gate=check).sidecar()
    sim.run(3600)
    assert len(agent.reports) < 3600 / 20
