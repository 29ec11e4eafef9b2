"""A holder that is cut off from the API and relieved says so: it neither holds nor is ready."""

import pytest

from simulation.pair import EC2, KUBE, Group, group
from simulation.pod import Pod
from simulation.world import ADDRESSES, THIEF
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.values import host

SEEN = 12.0
"""Seconds from a takeover until the one that was relieved has read the routes."""


def told(pod: Pod) -> RoleStatus:
    assert pod.agent is not None
    assert pod.agent.election is not None
    return pod.agent.election.role_status


def relieved(pair: Group) -> Pod:
    """Cut the holder off from the API until the standby has taken over, and it could see that."""
    old = pair.agents[0]
    pair.apart(0, KUBE, 600)
    assert pair.world.run(pair.world.now + 60, lambda: pair.agents[1].holds)
    pair.run(SEEN)
    return old


@pytest.mark.parametrize("resync", [5.0, 30.0])
def test_a_holder_that_is_relieved_unseen_is_neither_holder_nor_ready(resync: float) -> None:
    pair = group(resync=resync)
    old = relieved(pair)
    assert told(old).role.value == "relieved"
    assert not old.ready
    assert "another pod has this one's routes" in old.readiness.why
    assert "RELIEVED" in pair.conditions(0)
    assert old.agent is not None
    document = old.agent.store.document()
    assert document["election"]["role"] == "relieved"  # type: ignore[index]
    assert document["election"]["holder"] is None  # type: ignore[index]
    pair.run(120)
    assert told(old).role.value == "relieved"
    assert pair.world.problems == []


def test_once_it_hears_of_it_it_is_a_standby() -> None:
    pair = group()
    old = pair.agents[0]
    pair.apart(0, KUBE, 60)
    pair.run(90)
    assert told(old).role.value == "standby"
    assert old.ready
    assert pair.moves == ["b1: expired"]


def test_it_is_a_relief_too_while_pods_do_not_hear_each_other() -> None:
    pair = group()
    pair.apart(0, 1, 600)
    old = relieved(pair)
    assert told(old).role.value == "relieved"
    assert not old.ready


def test_one_that_was_robbed_while_the_api_is_away_holds_again_when_it_is_back() -> None:
    pair = group(resync=5.0)
    old, before = pair.agents[0], told(pair.agents[0]).takeovers
    for place in (0, 1):
        pair.apart(place, KUBE, 60)
    pair.run(10)
    for address in ADDRESSES:
        pair.world.point([0, 1], host(address), THIEF)
    pair.run(10)
    assert told(old).role.value == "relieved"
    assert not old.ready
    pair.run(60)
    assert told(old).role.value == "holder"
    assert old.ready
    assert pair.world.owned(old)
    assert told(old).takeovers == before
    assert pair.moves == []


def test_its_routes_come_back_to_it_without_the_api() -> None:
    pair = group(resync=5.0)
    old = pair.agents[0]
    for place in (0, 1):
        pair.apart(place, KUBE, 600)
    pair.run(10)
    for address in ADDRESSES:
        pair.world.point([0, 1], host(address), THIEF)
    pair.run(10)
    assert told(old).role.value == "relieved"
    for number, address in enumerate(ADDRESSES, start=1):
        pair.world.point([0, 1], host(address), old.node.eni(number))
    pair.run(10)
    assert told(old).role.value == "holder"
    assert old.ready


def test_one_that_can_not_read_ec2_either_does_not_tell_that_its_routes_are_right_now() -> None:
    pair = group(resync=5.0)
    pair.apart(0, EC2, 600)
    old = relieved(pair)
    pair.run(20)
    assert "every floating IP is steered here" not in old.readiness.why
    assert "EC2 can't be read" in old.readiness.why
