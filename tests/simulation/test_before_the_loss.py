"""A holder that knows of its loss before it comes hands over, and nobody goes back meanwhile."""

import pytest

from simulation.faults import FOREVER, Fault
from simulation.pair import Group, group
from simulation.play import play
from simulation.rows import pair, when
from simulation.schedule import drawn
from vipmanager.core.election.values import Order
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.settings import HandOver
from vipmanager.edges.aws.zonal import ZonePlace
from vipmanager.edges.kubernetes.nodes import NodePlace
from vipmanager.engine.leaving import KEPT

BOTH = tuple(HandOver)
WITHIN = {"node": NodePlace.every + 1.0, "zone": ZonePlace.every + 1.0}
"""One poll and a second."""


def condemn(pair: Group, what: str, place: int) -> None:
    node, places = pair.agents[place].node, pair.world.places
    if what == "node":
        places.cordoned.add(node.name)
    else:
        places.shifted.add(node.zone)


def spare(pair: Group) -> None:
    pair.world.places.cordoned.clear()
    pair.world.places.shifted.clear()


@pytest.mark.parametrize("what", WITHIN)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_to_be_left_is_left_once_and_not_gone_back_to(what: str, seed: int) -> None:
    pair = group(seed, hand_over_on=BOTH)
    assert pair.outage(lambda: condemn(pair, what, 0)) < WITHIN[what]
    pair.run(120)
    assert pair.moves == ["b1: offered"]
    assert "LEAVING" in pair.conditions(0)
    assert all(p.ready for p in pair.agents)
    spare(pair)
    pair.run(120)
    assert pair.moves == ["b1: offered"], "free to hold again, and no reason to"
    assert "LEAVING" not in pair.conditions(0)
    pair.lose(1)
    pair.run(5)
    assert pair.holder == "a1"


@pytest.mark.parametrize("what", WITHIN)
def test_both_pods_should_leave_and_nothing_goes_back_and_forth(what: str) -> None:
    pair = group(hand_over_on=BOTH)
    for place in (0, 1):
        condemn(pair, what, place)
    pair.run(300)
    assert pair.moves in ([], ["b1: offered"]), "once, where the other one hears of it later"


@pytest.mark.parametrize("end", ["lost", "deleted"])
def test_the_only_other_pod_takes_over_at_once_though_it_should_leave(end: str) -> None:
    pair = group(hand_over_on=BOTH)
    condemn(pair, "node", 1)
    pair.run(20)
    seconds = pair.outage(lambda: pair.lose(0) if end == "lost" else pair.agents[0].delete())
    assert seconds < 1.0


@pytest.mark.parametrize("end", ["lost", "deleted"])
@pytest.mark.parametrize("heartbeat_port", [7946, 0])
@pytest.mark.parametrize("seed", range(5))
def test_nobody_takes_into_a_shifted_zone_while_another_can(
    seed: int, end: str, heartbeat_port: int
) -> None:
    three = Group(seed, nodes="bac", hand_over_on=BOTH, heartbeat_port=heartbeat_port)
    three.world.at(30.0, condemn, three, "node", 2)
    for place, agent in enumerate(three.agents):
        three.world.at(0.5 * place, agent.start)
    three.run(60)
    assert three.holder == "b1"
    condemn(three, "node", 2)
    three.run(60)
    if end == "lost":
        three.lose(0)
    else:
        three.agents[0].delete()
    three.run(30)
    assert [m.partition(":")[0] for m in three.moves] == ["a1"]


def test_a_holder_that_is_sick_gives_to_the_one_that_should_leave_and_takes_it_back() -> None:
    pair = group(hand_over_on=BOTH, checked=True)
    condemn(pair, "node", 1)
    pair.run(20)
    pair.sicken(0)
    pair.run(30)
    assert pair.holder == "b1"
    pair.heal(0)
    pair.run(30)
    assert pair.moves == ["b1: offered", "a1: offered"]


def test_a_person_who_claims_it_has_it_until_there_is_another_reason() -> None:
    pair = group(hand_over_on=BOTH)
    condemn(pair, "node", 0)
    pair.run(60)
    pair.agents[0].ask(Order.CLAIM)
    pair.run(120)
    assert pair.moves == ["b1: offered", "a1: claimed"]
    condemn(pair, "zone", 0)
    pair.run(60)
    assert pair.moves[2:] == ["b1: offered"]


def test_a_preferred_zone_is_not_gone_back_to_while_it_is_shifted_away() -> None:
    pair = group(hand_over_on=BOTH, preferred_zone="a")
    condemn(pair, "zone", 0)
    pair.run(300)
    assert pair.moves == ["b1: offered"]
    spare(pair)
    pair.run(100)
    assert pair.moves[1:] == ["a1: preferred"]


@pytest.mark.parametrize("place", [0, 1])
def test_an_api_that_tells_nothing_moves_nothing_makes_nothing_unready_and_is_told(
    place: int,
) -> None:
    pair = group(hand_over_on=BOTH)
    pair.world.places.refusal = Transient("no answer")
    pair.run(200)
    assert pair.moves == []
    assert "PLACE_UNKNOWN" in pair.conditions(place)
    assert all(p.ready for p in pair.agents)


def test_the_last_word_stands_while_the_api_does_not_answer() -> None:
    pair = group(hand_over_on=BOTH)
    condemn(pair, "zone", 1)
    pair.run(60)
    pair.world.places.refusal = Transient("no answer")
    pair.run(KEPT - 60)
    assert {"LEAVING", "PLACE_UNKNOWN"} <= pair.conditions(1)
    pair.run(120)
    assert "LEAVING" not in pair.conditions(1)


def test_a_right_that_is_missing_is_told_once_and_asked_for_seldom() -> None:
    pair = group(hand_over_on=BOTH)
    pair.world.places.refusal = Permanent("nodes: 403", "allow get on nodes")
    before = pair.world.places.asked["node"]
    pair.run(600)
    assert "PLACE_UNKNOWN" in pair.conditions(0)
    assert pair.world.places.asked["node"] - before < 2 * 20, "of 2 x 120 otherwise"
    assert pair.moves == []


def test_without_the_setting_nothing_is_asked_and_nothing_handed_over() -> None:
    pair = group()
    condemn(pair, "node", 0)
    condemn(pair, "zone", 0)
    pair.run(60)
    assert pair.moves == []
    assert not pair.world.places.asked


def test_it_is_drawn() -> None:
    plans = [drawn(seed) for seed in range(500)]
    kinds = {f.kind for plan in plans for f in plan.faults if plan.hand_over}
    assert {"cordoned", "zone shifted"} <= kinds


@pytest.mark.parametrize("kind", ["cordoned", "zone shifted"])
def test_a_cordon_that_is_a_fault_of_a_schedule_is_handed_over_on(kind: str) -> None:
    plan = pair(
        when(20, kind, seconds=60.0),
        Fault(kind="crash", at=70.0, seconds=FOREVER, place=1),
        hand_over=True,
    )
    assert play(plan).problems == ()
