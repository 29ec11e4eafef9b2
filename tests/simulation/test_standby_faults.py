"""What a fault does: who steers afterwards, how often it moved, and what a person reads."""

from collections import Counter
from ipaddress import ip_address

import pytest

from simulation.pair import EC2, KUBE, End, Group, group
from simulation.world import ADDRESSES, THIEF
from vipmanager.core.election.record import MOST
from vipmanager.core.election.values import Order, pod_of
from vipmanager.core.values import host

STRANGERS = (ADDRESSES, (ip_address("192.168.0.3"), ip_address("192.168.0.4")))
"""Two groups with one Lease name."""
Paths = tuple[tuple[End, End], ...]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("paths", [((0, 1),), ((1, 0),), ((0, 1), (1, 0))])
def test_pods_that_lose_sight_of_each_other_move_nothing(seed: int, paths: Paths) -> None:
    pair = group(seed)
    for one, other in paths:
        pair.cut(one, other, 30)
    pair.run(60)
    assert pair.moves == []
    assert pair.holder == "a1"


@pytest.mark.parametrize("paths", [((0, KUBE),), ((KUBE, 0),), ((0, KUBE), (KUBE, 0))])
def test_a_holder_cut_off_from_the_api_for_half_a_minute_loses_once(paths: Paths) -> None:
    pair = group()
    for one, other in paths:
        pair.cut(one, other, 30)
    pair.run(90)
    assert pair.moves in ([], ["b1: expired"])
    assert pair.holder == ("b1" if pair.moves else "a1")


@pytest.mark.parametrize("place", [0, 1])
def test_a_pod_cut_off_from_ec2_moves_nothing(place: int) -> None:
    pair = group(resync=10.0)
    pair.cut(place, EC2, 30)
    pair.run(29)
    assert "TRANSIENT" in pair.conditions(place)
    pair.run(31)
    assert pair.moves == []
    assert pair.holder == "a1"


def test_a_holder_that_stands_still_for_two_seconds_does_no_harm() -> None:
    pair = group()
    began = pair.world.now
    pair.agents[0].suspend(2.0)
    pair.run(60)
    assert pair.moves == ["b1: silent"]
    assert pair.holder == "b1"
    assert pair.world.problems == []
    assert [w for w in pair.world.ec2.writes if w.by == "a1" and w.at > began] == []


def test_a_standby_that_stands_still_for_two_seconds_takes_nothing() -> None:
    pair = group()
    pair.agents[1].suspend(2.0)
    pair.run(60)
    assert pair.moves == []


def test_without_the_api_for_ten_minutes_the_holder_serves_on_and_writes_nothing() -> None:
    pair = group()
    for place in (0, 1):
        pair.apart(place, KUBE, 600)
    pair.run(300)
    assert "LEASE_UNPROVEN" in pair.conditions(0)
    pair.world.point([0], host(ADDRESSES[0]), THIEF)
    pair.run(200)
    assert pair.world.owners(ADDRESSES[0]) == [THIEF, "eni-a1"]
    pair.run(200)
    assert pair.holder == "a1"
    assert pair.moves == []


def test_a_lease_deleted_by_hand_is_put_back_by_its_holder() -> None:
    pair = group()
    pair.lease.delete()
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
    pair.edit(**edit)
    pair.run(60)
    assert pair.moves == []
    assert pair.holder == "a1"


def test_a_lease_given_to_nobody_by_hand_moves_once() -> None:
    pair = group()
    before = len(pair.world.acquired)
    pair.edit(holder="nobody/n1")
    pair.run(60)
    assert len(pair.world.acquired) == before + 1
    assert pair.holder == pod_of(pair.world.acquired[-1].by)
    assert pair.holder in {"a1", "b1"}


def test_two_groups_with_one_lease_name_are_told_and_do_not_fight() -> None:
    pair = group(addresses=STRANGERS)
    pair.agents[1].ask(Order.CLAIM)
    pair.run(60)
    assert pair.moves == []
    assert "LEASE_FOREIGN" in pair.conditions(1)


def test_heartbeats_that_never_arrive_are_told_and_move_nothing() -> None:
    pair = Group()
    pair.apart(0, 1, 1000)
    pair.begin()
    pair.run(30)
    assert pair.moves == []
    assert "HEARTBEAT_NEVER_UP" in pair.conditions(1)


def test_replicas_in_one_zone_are_told() -> None:
    assert "ONE_ZONE" in group(nodes="ac").conditions(1)


def test_clocks_minutes_apart_and_stepping_mean_nothing() -> None:
    pair = Group()
    one, other = (agent.node.host for agent in pair.agents)
    one.skew, other.skew = -600.0, 600.0
    pair.begin()
    one.skew = 900.0
    pair.run(30)
    assert pair.moves == []


def test_an_agent_without_rights_takes_nothing_asks_seldom_and_says_so() -> None:
    pair = Group()
    forbidden, calls = pair.world.kube.forbidden, Counter[tuple[str, str]]()
    forbidden.add("b1")
    pair.begin()
    pair.world.network.sent.append(lambda node, kind: calls.update([(node, kind)]))
    pair.lose(0)
    pair.run(60)
    assert pair.moves == []
    assert "PERMANENT" in pair.conditions(1)
    assert 0 < calls["node-b", "lease"] <= 60 / pair.settings.lease_seconds + 1
    forbidden.remove("b1")
    pair.run(20)
    assert pair.holder == "b1"
    assert "PERMANENT" not in pair.conditions(1)


def test_an_api_that_starts_and_refuses_all_for_a_second_moves_nothing() -> None:
    pair = Group(heartbeat_port=0)
    pair.begin()
    for pause in (4.1, 4.3, 4.7, 5.3, 6.1):
        pair.world.kube.forbidden |= {"a1", "b1"}
        pair.run(1)
        pair.world.kube.forbidden.clear()
        pair.run(pause)
    assert pair.moves == []


def test_a_group_that_is_gone_leaves_its_lease_to_another_after_a_while() -> None:
    pair = group(addresses=STRANGERS)
    pair.lose(0)
    pair.run(2 * pair.settings.lease_seconds)
    assert pair.moves == []
    pair.run(2 * pair.settings.lease_seconds)
    assert pair.moves == ["b1: expired"]


def test_an_agent_that_restarts_at_once_in_its_pod_keeps_everything() -> None:
    pair = group()
    pair.agents[0].kill()
    pair.agents[0].restart(0.1)
    pair.run(30)
    assert pair.moves == []
    assert pair.holder == "a1"


def test_an_unhealthy_holder_holds_on_until_somebody_is_fit() -> None:
    pair = group(checked=True)
    pair.sicken(1)
    pair.sicken(0)
    pair.run(30)
    assert pair.holder == "a1"
    assert "OFFERED" in pair.conditions(0)
    assert pair.outage(lambda: pair.heal(1)) <= 0.3


def test_two_pods_whose_health_comes_and_goes_move_with_it_and_not_more() -> None:
    pair = group(checked=True)
    for _ in range(5):
        pair.sicken(0)
        pair.run(5)
        pair.heal(0)
        pair.run(5)
    assert pair.moves == ["b1: offered"]


def test_where_nobody_can_write_the_routes_the_lease_does_not_go_round_and_round() -> None:
    pair = group()
    ills = pair.world.ec2.ills
    ills.writes = "hang"
    pair.world.point([0], host(ADDRESSES[0]), THIEF)
    pair.run(1800)
    assert 0 < len(pair.moves) <= 12
    ills.writes = ""
    pair.run(120)
    assert pair.holder in {"a1", "b1"}


def test_a_yield_lasts_until_the_claim() -> None:
    pair = group()
    pair.agents[0].ask(Order.YIELD)
    pair.run(5)
    assert pair.holder == "b1"
    pair.lose(1)
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
    pair.lose(0)
    pair.run(5)
    pair.world.pod("a2", "c", pair.settings).start()
    pair.run(300)
    assert pair.moves == ["b1: silent"]


def test_the_preferred_zone_gets_them_back_once_it_has_been_fit_for_a_while() -> None:
    pair = group(preferred_zone="a")
    pair.lose(0)
    pair.run(5)
    pair.world.pod("a2", "c", pair.settings).start()
    pair.run(50)
    assert pair.holder == "b1"
    pair.run(30)
    assert pair.holder == "a2"
    assert pair.moves == ["b1: silent", "a2: preferred"]


def test_heartbeats_that_misled_are_not_believed_again_for_a_minute() -> None:
    pair = group()
    pair.apart(0, KUBE, 3.0)
    pair.apart(0, 1, 1.0)
    pair.run(10)
    assert pair.moves == ["b1: silent"]
    assert "HEARTBEAT_DISTRUSTED" in pair.conditions(0) & pair.conditions(1)
    pair.apart(0, 1, 2.0)
    pair.apart(1, KUBE, 2.0)
    pair.run(10)
    assert len(pair.moves) == 1
    pair.run(60)
    assert "HEARTBEAT_DISTRUSTED" not in pair.conditions(0) | pair.conditions(1)
    assert pair.outage(lambda: pair.lose(1), to="a1") <= 1.0


def test_transitions_that_the_api_could_not_count_on_begin_again() -> None:
    pair = group()
    pair.edit(transitions=MOST)
    pair.run(20)
    assert pair.lease.record is not None
    assert 0 < pair.lease.record.transitions < 10
    assert pair.holder == "a1"


def test_a_process_that_starts_again_shares_no_zone_with_itself() -> None:
    pair = group()
    pair.agents[0].kill()
    pair.agents[0].start()
    pair.run(30)
    told = pair.agents[0].reports
    assert told
    assert "ONE_ZONE" not in {f.condition.name for r in told for f in r.findings}
