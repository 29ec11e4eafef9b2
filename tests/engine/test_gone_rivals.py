"""A pod that displaced another one, and is gone; its ENI lives on."""

from ipaddress import ip_address

import pytest

from engine.scene import ONE, PLAIN, holding, last, moves, owners, rest
from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.pods import PodObject, Rival
from vipmanager.core.values import EniId, Mac
from vipmanager.edges.memory import MemoryPods
from vipmanager.engine.neighbours import AGAIN, LOOKS, Neighbours
from worlds import networks

FLOATING = frozenset({ip_address("192.168.0.1")})
OURS, THEIRS = Mac("02:00:00:00:00:0a"), Mac("02:00:00:00:00:0b")
DESTINATION = networks(ONE)[0]
RIVAL = Rival(destination=DESTINATION, eni=EniId("eni-b1"), mac=THEIRS, ours=OURS)
ME = PodObject(uid="me", addresses=FLOATING, macs=frozenset({OURS}))
OTHER = PodObject(uid="it", addresses=FLOATING, macs=frozenset({THEIRS}))


def displaced(*, asks: bool, stays: float = 60.0) -> tuple[World, Pod, Pod]:
    """Let a second pod come for a while, and go."""
    world = World(86, tables=3)
    first = world.pod("a1", "a", PLAIN, asks=asks).start()
    world.run(60)
    second = world.pod("b1", "b", PLAIN, asks=asks).start()
    rest(world, stays)
    assert owners(world, ONE) == {"eni-b1"}
    return world, first, second


@pytest.mark.parametrize("stays", [12.0, 30.0, 600.0])
def test_who_is_displaced_by_a_pod_takes_back_when_it_is_deleted(stays: float) -> None:
    world, first, second = displaced(asks=True, stays=stays)
    second.delete()
    rest(world, 80)
    assert owners(world, ONE) == {"eni-a1"}
    assert first.ready


def test_without_the_api_it_stays_displaced_and_says_the_one_command() -> None:
    world, first, second = displaced(asks=False)
    second.delete()
    rest(world, 600)
    assert owners(world, ONE) == {"eni-b1"}
    assert first.conditions() == {"DISPLACED", "CHANGED_BY_ANOTHER"}
    assert "vipmanager claim" in first.readiness.why
    assert not first.ready


def test_an_api_that_does_not_answer_is_named_and_tells_nothing() -> None:
    world, first, second = displaced(asks=True)
    for zone in "ab":
        world.network.close(f"kube@{zone}")
    second.delete()
    rest(world, 240)
    assert owners(world, ONE) == {"eni-b1"}
    assert first.conditions() == {"DISPLACED", "CHANGED_BY_ANOTHER", "PODS_UNREAD"}
    for zone in "ab":
        world.network.mend(f"kube@{zone}")
    rest(world, 80)
    assert owners(world, ONE) == {"eni-a1"}


def test_a_second_pod_that_stays_is_left_alone() -> None:
    world, first, second = displaced(asks=True)
    writes = len(world.ec2.writes)
    rest(world, 3600)
    assert len(world.ec2.writes) == writes
    assert last(first).yields
    assert second.ready


def test_of_two_displaced_pods_one_takes_back_when_the_third_is_deleted() -> None:
    world, first, second = displaced(asks=True)
    third = world.pod("d1", "d", PLAIN, asks=True).start()
    rest(world, 120)
    assert owners(world, ONE) == {"eni-d1"}
    third.delete()
    rest(world, 240)
    assert len(owners(world, ONE)) == 1
    assert owners(world, ONE) <= {"eni-a1", "eni-b1"}
    assert first.ready is not second.ready


def test_a_rival_that_can_not_be_read_counts_as_alive_and_hinders_nothing_else() -> None:
    world, pod = holding(tables=3)
    world.ec2.ills.impaired.add("b")
    world.point([0], DESTINATION, EniId("eni-b1"))
    world.drop([1], networks("192.168.0.2/32")[0])
    pod.wake("look")
    rest(world, 3)
    assert owners(world, "192.168.0.2/32") == {"eni-a2"}
    assert {"CONTESTED", "RIVAL_UNREAD"} <= pod.conditions()
    rest(world, 60)
    assert owners(world, ONE) == {"eni-a1"}
    assert max(moves(world).values()) == 1


class Watch:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


def test_a_pod_that_is_not_seen_is_taken_from_once_and_then_after_growing_pauses() -> None:
    """Another cluster's pod, say, takes its routes back each time."""
    watch = Watch()
    neighbours = Neighbours(MemoryPods("me", lambda: [ME]), watch)
    taken = []
    for second in range(8000):
        watch.at = 1000.0 + second
        if neighbours.orphaned([RIVAL]).enis:
            taken.append(second)
            neighbours.orphaned([])  # our route was read back
    assert taken == [LOOKS, LOOKS + AGAIN, LOOKS + 3 * AGAIN, LOOKS + 7 * AGAIN]


def test_a_pod_that_was_seen_and_is_gone_is_known_to_be_gone_each_time() -> None:
    watch, there = Watch(), [ME, OTHER]
    neighbours = Neighbours(MemoryPods("me", lambda: there), watch)
    for _ in range(3):
        there[1:] = [OTHER]
        assert not neighbours.orphaned([RIVAL]).enis
        watch.at += 30
        there[1:] = []
        assert neighbours.orphaned([RIVAL]).recheck == LOOKS
        watch.at += LOOKS
        assert neighbours.orphaned([RIVAL]).enis == {DESTINATION: {"eni-b1"}}
        assert neighbours.orphaned([RIVAL]).enis  # until its routes are here
        assert not neighbours.orphaned([]).enis


@pytest.mark.parametrize("failure", [Transient("no answer"), Permanent("403")])
def test_what_can_not_be_asked_is_not_concluded(failure: Failure) -> None:
    pods = MemoryPods("me", lambda: [ME])
    pods.away = failure
    neighbours = Neighbours(pods, Watch())
    orphans = neighbours.orphaned([RIVAL])
    assert orphans.hindrance is not None
    assert failure.what in orphans.hindrance.text
    assert not orphans.enis
    assert not neighbours.leaving()


def test_a_pod_that_is_gone_itself_takes_nothing_back() -> None:
    neighbours = Neighbours(MemoryPods("me", tuple), Watch())
    assert not neighbours.orphaned([RIVAL]).enis
    assert neighbours.leaving()
