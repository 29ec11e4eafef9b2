"""What a fault does: who steers afterwards, how often it moved, and what a person reads."""

from dataclasses import replace

import pytest

from election.pair import SETTINGS, Group, group
from election.world import API, EC2
from vipmanager.core.election.record import MOST
from vipmanager.core.election.values import Order
from vipmanager.core.findings import Condition


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("paths", [((0, 1),), ((1, 0),), ((0, 1), (1, 0))])
def test_pods_that_lose_sight_of_each_other_move_nothing(
    seed: int, paths: tuple[tuple[int, int], ...]
) -> None:
    pair = group(seed)
    for one, other in paths:
        pair.world.cut(one, other, 30)
    pair.run(60)
    assert pair.moves == []
    assert pair.holder == "a1"


@pytest.mark.parametrize("paths", [((0, API),), ((API, 0),), ((0, API), (API, 0))])
def test_a_holder_cut_off_from_the_api_for_half_a_minute_loses_once(
    paths: tuple[tuple[int, int], ...],
) -> None:
    pair = group()
    for one, other in paths:
        pair.world.cut(one, other, 30)
    pair.run(90)
    assert pair.moves in ([], ["b1: expired"])
    assert pair.holder == ("b1" if pair.moves else "a1")


@pytest.mark.parametrize("place", [0, 1])
def test_a_pod_cut_off_from_ec2_moves_nothing(place: int) -> None:
    pair = group()
    pair.world.cut(place, EC2, 30)
    pair.agents[place].lack("ec2")
    pair.run(30)
    pair.agents[place].fit_again("ec2")
    pair.run(30)
    assert pair.moves == []
    assert pair.holder == "a1"


def test_a_holder_that_stands_still_for_two_seconds_does_no_harm() -> None:
    pair = group()
    pair.agents[0].pause(2.0)
    pair.run(60)
    assert pair.moves == ["b1: silent"]
    assert pair.holder == "b1"
    assert pair.world.problems == []


def test_a_standby_that_stands_still_for_two_seconds_takes_nothing() -> None:
    pair = group()
    pair.agents[1].pause(2.0)
    pair.run(60)
    assert pair.moves == []


def test_without_the_api_for_ten_minutes_the_holder_serves_on_and_writes_nothing() -> None:
    pair = group()
    for place in (0, 1):
        pair.no_api(place, 600)
    pair.run(300)
    assert Condition.LEASE_UNPROVEN in pair.plights(0)
    pair.world.point(0, "thief")
    pair.run(200)
    assert pair.world.routes == ["thief", "a1"]
    pair.run(200)
    assert pair.holder == "a1"
    assert pair.moves == []


def test_a_lease_deleted_by_hand_is_put_back_by_its_holder() -> None:
    pair = group()
    pair.world.store(None)
    pair.run(30)
    assert pair.moves == []
    assert pair.holder == "a1"


@pytest.mark.parametrize(
    "edit",
    [
        {"transitions": 0},
        {"transitions": 100},
        {"duration": 100_000},
        {"renew_time": "1970-01-01T00:00:00.000000Z"},
        {"annotations": {}},
    ],
)
def test_an_edit_that_leaves_the_holder_in_place_moves_nothing(edit: dict[str, object]) -> None:
    pair = group()
    assert pair.world.lease is not None
    pair.world.store(replace(pair.world.lease, **edit))  # type: ignore[arg-type]
    pair.run(60)
    assert pair.moves == []
    assert pair.holder == "a1"


def test_a_lease_given_to_nobody_by_hand_moves_once() -> None:
    pair = group()
    assert pair.world.lease is not None
    pair.world.store(replace(pair.world.lease, holder="nobody/n1"))
    pair.run(60)
    assert len(pair.moves) == 1
    assert pair.holder in {"a1", "b1"}


def test_two_groups_with_one_lease_name_are_told_and_do_not_fight() -> None:
    pair = Group()
    pair.agents[1].fingerprint = "another"
    pair.begin()
    pair.agents[1].ask(Order.CLAIM)
    pair.run(60)
    assert pair.moves == []
    assert Condition.LEASE_FOREIGN in pair.plights(1)


def test_heartbeats_that_never_arrive_are_told_and_move_nothing() -> None:
    pair = Group()
    pair.apart(0, 1, 1000)
    pair.begin()
    pair.run(30)
    assert pair.moves == []
    assert Condition.HEARTBEAT_SILENT in pair.plights(1)


def test_replicas_in_one_zone_are_told() -> None:
    pair = Group()
    pair.agents[1].zone = pair.agents[0].zone
    pair.begin()
    assert Condition.ONE_ZONE in pair.plights(1)


def test_clocks_minutes_apart_and_stepping_mean_nothing() -> None:
    pair = Group()
    pair.agents[0].skew, pair.agents[1].skew = -600.0, 600.0
    pair.begin()
    pair.agents[0].skew = 900.0
    pair.run(30)
    assert pair.moves == []


def test_an_agent_without_rights_takes_nothing_asks_seldom_and_says_so() -> None:
    pair = Group()
    pair.agents[1].forbidden = True
    pair.begin()
    calls = pair.agents[1].calls
    pair.agents[0].die()
    pair.run(60)
    assert pair.moves == []
    assert pair.agents[1].state.sight.forbidden
    assert pair.agents[1].calls - calls <= 60 / SETTINGS.lease + 1
    pair.agents[1].forbidden = False
    pair.run(20)
    assert pair.holder == "b1"
    assert not pair.agents[1].state.sight.forbidden


def test_a_group_that_is_gone_leaves_its_lease_to_another_after_a_while() -> None:
    pair = Group()
    pair.agents[1].fingerprint = "another"
    pair.begin()
    pair.agents[0].die()
    pair.run(2 * SETTINGS.lease)
    assert pair.moves == []
    pair.run(2 * SETTINGS.lease)
    assert pair.moves == ["b1: expired"]


def test_an_agent_that_restarts_at_once_in_its_pod_keeps_everything() -> None:
    pair = group()
    pair.agents[0].die()
    pair.run(0.2)
    pair.agents[0].start()
    pair.run(30)
    assert pair.moves == []
    assert pair.holder == "a1"


def test_an_unhealthy_holder_holds_on_until_somebody_is_fit() -> None:
    pair = group()
    pair.agents[1].lack("healthy")
    pair.agents[0].lack("healthy")
    pair.run(30)
    assert pair.holder == "a1"
    assert Condition.OFFERED in pair.plights(0)
    assert pair.outage(lambda: pair.agents[1].fit_again("healthy")) <= 0.3


def test_two_pods_whose_health_comes_and_goes_move_with_it_and_not_more() -> None:
    pair = group()
    for _ in range(5):
        pair.agents[0].lack("healthy")
        pair.run(5)
        pair.agents[0].fit_again("healthy")
        pair.run(5)
    assert pair.moves == ["b1: offered"]


def test_where_nobody_can_write_the_routes_the_lease_does_not_go_round_and_round() -> None:
    pair = group()
    pair.world.weather.ec2_lost = 0.97
    pair.world.point(0, "thief")
    pair.run(1800)
    assert len(pair.moves) <= 12
    pair.world.weather.ec2_lost = 0.0
    pair.run(120)
    assert pair.holder in {"a1", "b1"}


def test_a_yield_lasts_until_the_claim() -> None:
    pair = group()
    pair.agents[0].ask(Order.YIELD)
    pair.run(5)
    assert pair.holder == "b1"
    pair.agents[1].die()
    pair.run(60)
    assert pair.holder == "b1"
    pair.agents[0].ask(Order.CLAIM)
    pair.run(1)
    assert pair.holder == "a1"


def test_a_claim_takes_the_floating_ips_from_a_living_holder() -> None:
    pair = group()
    assert pair.outage(lambda: pair.agents[1].ask(Order.CLAIM)) <= 0.3
    pair.run(60)
    assert pair.moves == ["b1: claimed"]


def test_nothing_goes_back_after_a_failover() -> None:
    pair = group()
    pair.agents[0].die()
    pair.run(5)
    pair.agents[0].born()
    pair.run(300)
    assert pair.moves == ["b1: silent"]


def test_the_preferred_zone_gets_them_back_once_it_has_been_fit_for_a_while() -> None:
    pair = group(preferred_zone="z0")
    pair.agents[0].die()
    pair.run(5)
    pair.agents[0].born()
    pair.run(50)
    assert pair.holder == "b1"
    pair.run(30)
    assert pair.holder == "a2"
    assert pair.moves == ["b1: silent", "a2: preferred"]


def test_heartbeats_that_misled_are_not_believed_again_for_a_minute() -> None:
    pair = group()
    pair.no_api(0, 3.0)
    pair.apart(0, 1, 1.0)
    pair.run(10)
    assert pair.moves == ["b1: silent"]
    assert Condition.HEARTBEAT_DISTRUSTED in pair.plights(0) & pair.plights(1)
    pair.apart(0, 1, 2.0)
    pair.no_api(1, 2.0)
    pair.run(10)
    assert len(pair.moves) == 1
    pair.run(60)
    assert Condition.HEARTBEAT_DISTRUSTED not in pair.plights(0) | pair.plights(1)
    assert pair.outage(pair.agents[1].die, to="a1") <= 1.0


def test_transitions_that_the_api_could_not_count_on_begin_again() -> None:
    pair = group()
    lease = pair.world.lease
    assert lease is not None
    pair.world.store(replace(lease, transitions=MOST))
    pair.run(20)
    assert pair.world.lease is not None
    assert 0 < pair.world.lease.transitions < 10
    assert pair.holder == "a1"


def test_a_process_that_starts_again_shares_no_zone_with_itself() -> None:
    pair = group()
    pair.agents[0].die()
    pair.agents[0].start()
    pair.run(0.01)
    assert Condition.ONE_ZONE not in pair.plights(0)
