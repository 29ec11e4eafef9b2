"""What a fault costs, in virtual time: 20 ms for a Kubernetes call, 200 ms for a wave."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median, quantiles

import pytest

from simulation.pair import KUBE, Group, group
from vipmanager.core.election.values import Order


def is_asked_to_leave(pair: Group) -> None:
    pair.agents[0].leave()


def yields(pair: Group) -> None:
    pair.agents[0].ask(Order.YIELD)


def is_unhealthy(pair: Group) -> None:
    """By its health check: what it takes to fail that is not counted."""
    pair.sicken(0)


def loses_its_link(pair: Group) -> None:
    """And the routes over it, as a kernel has it."""
    pod = pair.agents[0]
    state = pod.kernel.state
    pod.kernel.state = replace(
        state,
        interfaces=tuple(replace(i, up=i.name != "net1") for i in state.interfaces),
        routes=tuple(r for r in state.routes if r.device != "net1"),
    )
    pod.netlink()


def outages(deed: Callable[[Group], None], count: int, **asked: object) -> list[float]:
    groups = (group(seed, **asked) for seed in range(count))
    return [pair.outage(partial(deed, pair)) for pair in groups]


def test_a_node_lost_without_warning_costs_half_a_second() -> None:
    found = outages(lambda pair: pair.lose(0), 100)
    assert median(found) <= 0.6
    assert quantiles(found, n=100)[98] <= 1.0


@pytest.mark.parametrize("deed", [is_asked_to_leave, yields, is_unhealthy])
def test_a_hand_over_costs_less_than_a_third_of_a_second(deed: Callable[[Group], None]) -> None:
    assert max(outages(deed, 20, checked=deed is is_unhealthy)) <= 0.3


def test_a_lost_link_costs_as_much_and_a_reading_of_ec2() -> None:
    assert max(outages(loses_its_link, 20)) <= 0.3 + 0.1


def test_a_dead_node_costs_the_lease_where_heartbeats_are_closed() -> None:
    pair = group(heartbeat_port=0)
    assert 3.0 < pair.outage(lambda: pair.lose(0)) < 6.0


def test_a_holder_that_dies_while_its_renewals_fail_is_missed_all_the_same() -> None:
    pair = group()
    pair.apart(0, KUBE, 60)
    pair.run(2.0)
    assert pair.outage(lambda: pair.lose(0)) <= 1.0


def test_of_three_replicas_one_takes_over_from_a_dead_node() -> None:
    three = group(nodes="abc")
    three.lose(0)
    three.run(2.0)
    assert three.holder in {"b1", "c1"}
    assert len(three.moves) == 1
