"""Killed between any two writes and started again with nothing remembered, it converges."""

import pytest

from engine.scene import ONE, PEERS, PLAIN, TWO, alone, owners, point
from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.failures import Failure, Transient
from vipmanager.core.podnet import OPENED_TABLE
from vipmanager.core.settings import Settings
from vipmanager.core.values import KernelRoute
from vipmanager.engine.loop import Ending

PLENTY = 1000


def fresh(settings: Settings) -> tuple[World, Pod]:
    """Give a pod without an agent, and a VPC where node b has the first address."""
    world, pod = alone(settings, tables=3, init=True)
    pod.kill()
    point(world, ONE, "eni-b1")
    return world, pod


def life(world: World, pod: Pod, writes: int = PLENTY) -> int:
    """Live as an initContainer that is killed after so many writes to either world; count them."""
    left = writes

    def fuse(_: object) -> Failure | None:
        nonlocal left
        if not left:
            return Transient("what was on its way when it was killed")
        left -= 1
        return None

    pod.ending, pod.kernel.refuse, world.ec2.truth.refuse = None, fuse, fuse
    pod.start()
    world.run(world.now + 60, lambda: not left)
    pod.kill()
    world.run(world.now + 1)
    return writes - left


def _timeless(pod: Pod) -> set[KernelRoute]:
    """Give the pod's routes but the one that tells a time; there is one."""
    routes = set(pod.kernel.state.routes)
    (opened,) = (r for r in routes if r.table == OPENED_TABLE)
    return routes - {opened}


@pytest.mark.parametrize("settings", [PEERS, Settings(source_routing=True), PLAIN])
def test_killed_after_any_write_and_started_again_it_converges(settings: Settings) -> None:
    expected = fresh(settings)[1]
    total = life(expected.world, expected)
    assert expected.ending is Ending.CONVERGED
    for k in range(total + 1):
        world, pod = fresh(settings)
        assert life(world, pod, k) == k
        life(world, pod)
        assert pod.ending is Ending.CONVERGED, k
        assert len(world.ec2.writes) == 6, k
        assert owners(world, ONE) == {"eni-a1"}, k
        assert owners(world, TWO) == {"eni-a2"}, k
        assert _timeless(pod) == _timeless(expected), k
        assert set(pod.kernel.state.rules) == set(expected.kernel.state.rules), k


def test_killed_after_every_single_write_in_turn_it_still_gets_there() -> None:
    world, pod = fresh(PEERS)
    lives = 0
    while pod.ending is not Ending.CONVERGED:
        assert lives <= 40
        life(world, pod, 1)
        lives += 1
    assert lives > 6
    assert len(world.ec2.writes) == 6
    assert owners(world, ONE) == {"eni-a1"}
