"""From a sidecar without a Lease to one with it, and back: what docs/migrate.md says."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from simulation.world import World
from vipmanager.core.election.values import Order
from vipmanager.core.settings import Settings

WITHOUT = Settings()
WITH = replace(WITHOUT, leader_election=True)


@pytest.fixture
def world() -> Iterator[World]:
    made = World(1)
    yield made
    made.end()


def test_a_new_pod_takes_the_free_lease_and_the_old_one_yields(world: World) -> None:
    old = world.pod("a1", "a", WITHOUT).start()
    assert world.run(30.0, lambda: old.ready and world.owned(old))
    new = world.pod("b2", "b", WITH).start()
    assert world.run(world.now + 5.0, lambda: world.owned(new) and new.holds)
    world.run(world.now + 120.0)
    assert world.owned(new)
    assert new.ready
    assert not old.ready
    assert "DISPLACED" in old.conditions()
    writes = len(world.ec2.writes)
    world.run(world.now + 120.0)
    assert len(world.ec2.writes) == writes


def test_one_that_ends_before_the_new_one_starts_leaves_nothing_to_wait_for(world: World) -> None:
    old = world.pod("a1", "a", WITHOUT).start()
    assert world.run(30.0, lambda: old.ready and world.owned(old))
    old.delete()
    world.run(world.now + 4.0)
    new = world.pod("b2", "b", WITH).start()
    assert world.run(world.now + 2.0, lambda: world.owned(new) and new.holds)


def test_a_second_pod_takes_nothing_and_is_ready_to_take_over(world: World) -> None:
    first = world.pod("a1", "a", WITH).start()
    assert world.run(30.0, lambda: first.ready and world.owned(first))
    second = world.pod("b2", "b", WITH).start()
    assert world.run(world.now + 10.0, lambda: second.ready)
    second.ask(Order.YIELD)
    world.run(world.now + 1.0)
    second.delete()
    world.run(world.now + 60.0)
    assert world.owned(first)
    assert first.ready
    assert [a.by for a in world.acquired] == [first.identity]
