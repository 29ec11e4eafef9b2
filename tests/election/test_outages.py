"""What a fault costs, in virtual time: 20 ms for a Kubernetes call, 200 ms for a wave."""

from collections.abc import Callable
from statistics import median, quantiles

import pytest

from election.pair import Group, group
from vipmanager.core.election.values import Order


def dies(group: Group) -> None:
    group.agents[0].die()


def is_asked_to_leave(group: Group) -> None:
    group.agents[0].ask(Order.LEAVE)


def yields(group: Group) -> None:
    group.agents[0].ask(Order.YIELD)


def is_unhealthy(group: Group) -> None:
    group.agents[0].lack("healthy")


def loses_its_link(group: Group) -> None:
    group.agents[0].lack("link")


def outages(deed: Callable[[Group], None], count: int) -> list[float]:
    found = []
    for seed in range(count):
        pair = group(seed)
        found.append(pair.outage(lambda pair=pair: deed(pair)))  # type: ignore[misc]
    return found


def test_a_node_lost_without_warning_costs_half_a_second() -> None:
    found = outages(dies, 100)
    assert median(found) <= 0.6
    assert quantiles(found, n=100)[98] <= 1.0


@pytest.mark.parametrize("deed", [is_asked_to_leave, yields, is_unhealthy, loses_its_link])
def test_a_hand_over_costs_less_than_a_third_of_a_second(deed: Callable[[Group], None]) -> None:
    found = outages(deed, 20)
    assert max(found) <= 0.3


def test_a_dead_node_costs_the_lease_where_heartbeats_are_closed() -> None:
    pair = Group()
    for agent in pair.agents:
        agent.heartbeats = False
    pair.begin()
    assert 3.0 < pair.outage(pair.agents[0].die) < 6.0


def test_a_holder_that_dies_while_its_renewals_fail_is_missed_all_the_same() -> None:
    pair = group()
    pair.no_api(0, 60)
    pair.run(2.0)
    assert pair.outage(pair.agents[0].die) <= 1.0


def test_of_three_replicas_one_takes_over_from_a_dead_node() -> None:
    three = group(agents=3)
    three.agents[0].die()
    three.run(2.0)
    assert three.holder in {"b1", "c1"}
    assert len(three.moves) == 1
