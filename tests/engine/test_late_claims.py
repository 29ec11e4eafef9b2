"""A claim is for a pod's start: how old it is, and what a late one leaves alone."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from engine.scene import ONE, PLAIN, TWO, both, give, last, net1, owners, point, rest
from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.contest import OPEN
from vipmanager.core.election.values import Order
from vipmanager.core.podnet import OPENED_TABLE
from vipmanager.core.values import PodAddress, host


def unread(*, seconds: float, init: bool = False, asks: bool = False) -> tuple[World, Pod]:
    """Start a pod that can't read or write EC2 for a while; node b has the addresses then."""
    world = World(86)
    world.ec2.ills.reads = world.ec2.ills.writes = "error"
    pod = world.pod("a1", "a", PLAIN, init=init, asks=asks).start()
    world.run(seconds)
    both(world, "b")
    world.ec2.ills.reads = world.ec2.ills.writes = ""
    return world, pod


@pytest.mark.parametrize("init", [False, True])
def test_a_claim_that_could_not_begin_in_a_minute_takes_nothing_that_lives(init: bool) -> None:  # noqa: FBT001
    world, pod = unread(seconds=OPEN + 30, init=init)
    rest(world, 120)
    assert world.ec2.writes == []
    assert pod.conditions() == {"LATE"}
    assert "vipmanager claim" in pod.readiness.why
    assert pod.readiness.ready is False
    assert (pod.ending is not None) is init


def test_a_claim_that_was_held_up_for_less_is_made() -> None:
    world, pod = unread(seconds=OPEN - 25)
    rest(world, 60)
    assert owners(world, ONE) == {"eni-a1"}
    assert pod.ready


def test_a_late_claim_is_made_where_the_rival_is_gone() -> None:
    world, pod = unread(seconds=OPEN + 30)
    rest(world, 60)
    gone = (
        replace(e, attached=False, instance=None) if e.id in {"eni-b1", "eni-b2"} else e
        for e in world.ec2.state.enis
    )
    world.ec2.change(replace(world.ec2.state, enis=tuple(gone)))
    rest(world, 60)
    assert (owners(world, ONE), owners(world, TWO)) == ({"eni-a1"}, {"eni-a2"})
    assert pod.ready


def test_a_late_claim_is_made_when_a_person_asks_for_it() -> None:
    world, pod = unread(seconds=OPEN + 30)
    rest(world, 60)
    pod.ask(Order.CLAIM)
    rest(world, 60)
    assert owners(world, ONE) == {"eni-a1"}
    assert pod.ready


def test_a_restart_does_not_make_an_old_pod_young() -> None:
    world, pod = unread(seconds=OPEN - 10)
    world.ec2.ills.reads = world.ec2.ills.writes = "error"
    pod.kill()
    pod.start()
    rest(world, 20)
    world.ec2.ills.reads = world.ec2.ills.writes = ""
    rest(world, 120)
    assert world.ec2.writes == []
    assert pod.conditions() == {"LATE"}
    assert sum(r.table == OPENED_TABLE for r in pod.kernel.state.routes) == 1


def test_an_address_that_comes_to_an_old_pod_is_a_new_claim() -> None:
    world = World(86)
    pod = world.pod("a1", "a", PLAIN).start()
    world.run(10 * OPEN)
    three = ip_address("192.168.0.3")
    point(world, str(host(three)), "eni-b1")
    before = net1(pod)
    give(
        pod,
        replace(before, addresses=(*before.addresses, PodAddress(address=three, prefix_length=24))),
    )
    rest(world, 60)
    assert owners(world, str(host(three))) == {"eni-a1"}
    assert last(pod).clean


def test_the_claim_of_a_slow_application_opens_when_it_is_well() -> None:
    world = World(86)
    both(world, "b")
    pod = world.pod("a1", "a", PLAIN, checked=True)
    pod.app.well = False
    pod.start()
    world.run(5 * OPEN)
    assert world.ec2.writes == []
    pod.app.well = True
    rest(world, 60)
    assert owners(world, ONE) == {"eni-a1"}


def test_a_pod_that_is_being_deleted_takes_nothing_that_lives() -> None:
    world = World(86)
    point(world, ONE, "eni-b1")
    pod = world.pod("a1", "a", PLAIN, asks=True)
    pod.deleted = True
    pod.start()
    rest(world, 60)
    assert owners(world, ONE) == {"eni-b1"}
    assert owners(world, TWO) == {"eni-a2"}
    assert "TERMINATING" in pod.conditions()
    assert not pod.ready


def test_the_api_is_not_needed_for_a_claim() -> None:
    world = World(86)
    both(world, "b")
    for zone in "ab":
        world.network.close(f"kube@{zone}")
    pod = world.pod("a1", "a", PLAIN, asks=True).start()
    rest(world, 60)
    assert owners(world, ONE) == {"eni-a1"}
    assert pod.ready


def test_a_late_claim_is_made_where_the_api_shows_no_pod_behind_the_rival() -> None:
    world, pod = unread(seconds=OPEN + 30, asks=True)
    rest(world, 120)
    assert owners(world, ONE) == {"eni-a1"}
    assert pod.ready


def test_a_late_claim_is_not_made_where_a_pod_is_behind_the_rival() -> None:
    world, pod = unread(seconds=1, asks=True)
    world.ec2.ills.reads = "error"
    pod.kill()
    other = world.pod("b1", "b", PLAIN, asks=True)
    rest(world, OPEN + 30)
    world.ec2.ills.reads = ""
    other.start()
    rest(world, 60)
    pod.start()
    rest(world, 240)
    assert owners(world, ONE) == {"eni-b1"}
    assert "LATE" in pod.conditions()
