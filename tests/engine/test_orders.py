"""What a person asks of a running agent: to yield, and to claim."""

from ipaddress import ip_network

import pytest

from engine.scene import ONE, PLAIN, TWO, both, holding, last, moves, owners, rest
from vipmanager.core.election.values import Order


def test_an_agent_that_yielded_writes_nothing_whatever_becomes_of_its_routes() -> None:
    world, pod = holding()
    pod.ask(Order.YIELD)
    rest(world)
    assert not pod.ready
    assert "vipmanager claim" in pod.readiness.why
    both(world, "b", only=3)
    rest(world, 540)
    for destination in (ONE, TWO):
        world.drop(range(10), ip_network(destination))
    rest(world, 600)
    assert world.ec2.writes == []


def test_claim_takes_a_displaced_floating_ip_back_and_the_other_agent_yields_it() -> None:
    world, old = holding()
    new = world.pod("b1", "b", PLAIN).start()
    rest(world, 240)
    assert (old.ready, new.ready) == (False, True)
    world.ec2.writes.clear()
    old.ask(Order.CLAIM)
    rest(world, 600)
    assert owners(world, ONE) == {"eni-a1"}
    assert owners(world, TWO) == {"eni-a2"}
    assert set(moves(world).values()) == {1}
    assert (old.ready, new.ready) == (True, False)


def test_claim_ends_a_yield() -> None:
    world, pod = holding(tables=4)
    pod.ask(Order.YIELD)
    rest(world, 60)
    both(world, "b")
    rest(world, 60)
    pod.ask(Order.CLAIM)
    rest(world, 60)
    assert owners(world, ONE) == {"eni-a1"}
    assert pod.ready


def test_a_claim_that_is_over_holds_like_any_other() -> None:
    world, pod = holding(tables=4)
    pod.ask(Order.CLAIM)
    rest(world, 60)
    assert world.ec2.writes == []
    both(world, "b")
    rest(world, 480)
    assert world.ec2.writes == []
    assert last(pod).yields


@pytest.mark.parametrize("order", [Order.YIELD, Order.CLAIM])
def test_an_order_is_obeyed_where_nothing_is_to_be_done(order: Order) -> None:
    world, pod = holding(tables=4)
    pod.ask(order)
    rest(world, 60)
    assert f"asked to {order.value}" in pod.reports[0].reasons
    assert world.ec2.writes == []
