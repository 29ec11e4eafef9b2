"""The mark of a held floating IP tells of a reading, never of an assumption."""

from dataclasses import replace

from sim import Agent, Sim, owners
from vipmanager.core.values import PodInterface
from vipmanager.edges.memory import MemoryCloud
from vipmanager.engine.passes import NETLINK
from worlds import cloud, pointed

ONE = "192.168.0.1/32"


def with_interface(agent: Agent, new: PodInterface) -> None:
    state = agent.kernel.state
    interfaces = tuple(new if i.name == new.name else i for i in state.interfaces)
    agent.kernel.state = replace(state, interfaces=interfaces)
    agent.inbox.put(NETLINK)


def test_an_address_that_returns_is_claimed_and_not_held_by_an_old_reading(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud())).sidecar()
    sim.run(60)
    before = next(i for i in agent.kernel.state.interfaces if i.name == "net1")
    with_interface(agent, replace(before, addresses=()))
    sim.run(60.5)
    # Another pod takes the address over, unseen, before it is back here: a claim takes it back.
    agent.cloud.state = pointed(agent.cloud.state, ONE, "eni-b1")
    with_interface(agent, before)
    sim.run(60.6)
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    sim.run(120)
    assert not agent.last.displaced
    assert agent.last.clean
