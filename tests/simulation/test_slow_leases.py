"""Lease calls that last: the holder writes, or says within 10 s why not and hands over."""

import pytest

from simulation.pair import Group, group
from simulation.world import ADDRESSES
from vipmanager.core.values import host

TOLD = 10.0
"""Seconds within which a person reads why a route is not repaired."""


def slow(seconds: float) -> Group:
    """Give a group whose Lease calls have lasted so long for a while."""
    pair = group()
    pair.world.kube.service.latency = (seconds, seconds)
    pair.run(20.0)
    return pair


def whole(pair: Group) -> bool:
    return any(pair.world.owned(pod) for pod in pair.world.pods)


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5])
def test_a_route_that_is_dropped_meanwhile_is_written_by_the_holder_or_it_says_why_not(
    seconds: float,
) -> None:
    pair = slow(seconds)
    pair.world.drop([0], host(ADDRESSES[0]))
    pair.agents[0].look()
    pair.world.run(pair.world.now + TOLD, lambda: whole(pair))
    told = {c for place in (0, 1) for c in pair.conditions(place)}
    assert whole(pair) or {"LEASE_SLOW", "LEASE_UNPROVEN"} & told
    assert pair.world.run(pair.world.now + 30.0, lambda: whole(pair))


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5])
def test_a_dead_holder_is_replaced_all_the_same(seconds: float) -> None:
    pair = slow(seconds)
    took = pair.outage(lambda: pair.lose(0))
    assert took <= pair.settings.lease_seconds + 2 * seconds
