"""Killed between any two writes and started again with nothing remembered, it converges."""

import pytest

from sim import Agent, Killed, Sim, owners
from vipmanager.core.failures import Failure, Transient
from vipmanager.core.settings import Settings
from vipmanager.core.values import KernelState
from vipmanager.edges.memory import MemoryCloud, MemoryKernel
from vipmanager.engine.loop import Ending
from worlds import cloud, peers, pod, pointed

PEERS = peers(n1="10.0.100.0/24", n2="10.0.1.0/24")
TAKEN = pointed(cloud(3), "192.168.0.1/32", "eni-b1")


class Fuse:
    """Lets so many writes through, to either world, and then no more."""

    def __init__(self, writes: int) -> None:
        self.left = writes
        self.agent: Agent | None = None

    @property
    def blown(self) -> bool:
        if self.left > 0:
            self.left -= 1
            return False
        return True

    def kernel(self, _: object) -> Failure | None:
        if self.blown:
            raise Killed
        return None

    def cloud(self, _: object) -> Failure | None:
        if not self.blown:
            return None
        # In a thread of the wave: end the process as far as the worlds can tell.
        assert self.agent is not None
        self.agent.inbox.stopped = True
        return Transient("killed")


def life(sim: Sim, kernel: MemoryKernel, world: MemoryCloud, settings: Settings, k: int) -> Agent:
    fuse = Fuse(k)
    agent = Agent(sim, world, kernel=kernel, settings=settings)
    fuse.agent = agent
    kernel.refuse, world.refuse = fuse.kernel, fuse.cloud
    agent.init(at=sim.now)
    sim.run(sim.now + 60)
    return agent


def whole(sim: Sim, settings: Settings) -> tuple[KernelState, int]:
    """What one uninterrupted life leaves, and how many writes it makes."""
    kernel, world = MemoryKernel(pod()), MemoryCloud(TAKEN)
    writes = Fuse(1000)
    kernel.refuse = writes.kernel
    world.refuse = writes.cloud
    agent = Agent(sim, world, kernel=kernel, settings=settings).init()
    sim.run(60)
    assert agent.ending is Ending.CONVERGED
    return kernel.state, 1000 - writes.left


@pytest.mark.parametrize("settings", [PEERS, Settings(source_routing=True), Settings()])
def test_killed_after_any_write_and_started_again_it_converges(
    sim: Sim, settings: Settings
) -> None:
    expected, total = whole(sim, settings)
    for k in range(total + 1):
        kernel, world = MemoryKernel(pod()), MemoryCloud(TAKEN)
        life(sim, kernel, world, settings, k)
        again = life(sim, kernel, world, settings, 1000)
        assert again.ending is Ending.CONVERGED, k
        assert len(world.writes) == 6, k
        for number in (1, 2):
            assert owners(world, f"192.168.0.{number}/32") == {f"eni-a{number}"}, k
        assert set(kernel.state.routes) == set(expected.routes), k
        assert set(kernel.state.rules) == set(expected.rules), k


def test_killed_after_every_single_write_in_turn_it_still_gets_there(sim: Sim) -> None:
    kernel, world = MemoryKernel(pod()), MemoryCloud(TAKEN)
    for _ in range(40):
        if life(sim, kernel, world, PEERS, 1).ending is Ending.CONVERGED:
            break
    assert len(world.writes) == 6
    assert owners(world, "192.168.0.1/32") == {"eni-a1"}
