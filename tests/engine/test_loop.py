"""A sidecar's life: what wakes it, what it repairs, what it leaves alone."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from engine.scene import ONE, alone, give, holding, last, moves, net1, owners, point, rest
from simulation.aws import moved
from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.actions import RemoveRoute
from vipmanager.core.contest import DRIFT
from vipmanager.core.failures import TooLate, Transient
from vipmanager.core.podnet import HELD_TABLE
from vipmanager.core.values import MAIN_TABLE, EniId, PodAddress
from vipmanager.engine.loop import Ending
from vipmanager.engine.reconciler import NETLINK
from vipmanager.engine.route_writer import LIFETIME
from worlds import cloud, eni, peers

THREE = "192.168.0.3/32"
PEERS = peers(n1="10.0.100.0/24")


def test_a_sidecar_at_rest_reads_every_resync_and_writes_nothing() -> None:
    world, pod = holding()
    rest(world, 3000)
    assert 75 <= len(pod.reports) <= 135
    assert world.ec2.writes == []
    assert all(r.clean for r in pod.reports)


def test_the_echo_of_our_own_kernel_writes_costs_no_pass() -> None:
    world, pod = holding(PEERS)
    pod.netlink()
    rest(world)
    assert pod.reports == []


@pytest.mark.parametrize("init", [False, True])
def test_writes_that_are_held_up_until_their_reading_is_old_are_decided_again(
    *, init: bool
) -> None:
    world, pod = alone(init=init)
    world.ec2.service.stall = (LIFETIME + 2.0, LIFETIME + 2.0)
    assert world.run(60, lambda: pod.last is not None)
    assert isinstance(last(pod).failures[0].failure, TooLate)
    world.ec2.service.stall = (0.0, 0.0)
    assert world.run(world.now + 2.0, lambda: owners(world, ONE) == {"eni-a1"})


def test_an_echo_during_the_first_passes_does_not_keep_the_loop_busy() -> None:
    world, pod = alone(PEERS)
    for tenth in range(20):
        world.at(tenth / 10, pod.netlink)
    world.run(5)
    assert len(pod.reports) == 2  # write, read back, and nothing for the echoes


def test_another_reason_beside_the_echo_is_obeyed() -> None:
    world, pod = holding()
    pod.netlink()
    pod.wake("asked to look")
    rest(world)
    assert [r.reasons for r in pod.reports] == [(NETLINK, "asked to look")]


def one_more(pod: Pod) -> None:
    extra = PodAddress(address=ip_address("192.168.0.3"), prefix_length=32)
    give(pod, replace(net1(pod), addresses=(*net1(pod).addresses, extra)))


def test_a_new_address_is_steered_at_once() -> None:
    world, pod = holding()
    one_more(pod)
    rest(world, 0.15)
    assert owners(world, THREE) == {"eni-a1"}
    assert len(world.ec2.writes) == 10


def test_a_new_address_is_written_before_ec2_is_read_and_read_back_after() -> None:
    world, pod = holding()
    one_more(pod)
    world.ec2.reads = 0
    read_before_writing: list[int] = []
    world.ec2.truth.refuse = lambda _: read_before_writing.append(world.ec2.reads)
    rest(world)
    assert read_before_writing == [0] * 10
    assert world.ec2.reads > 0
    assert [r.clean for r in pod.reports] == [False, True]


def test_an_old_reading_never_replaces_a_route() -> None:
    world, pod = holding()
    point(world, THREE, "igw-1")
    one_more(pod)
    rest(world, 10)
    assert owners(world, THREE) == {"igw-1"}
    assert world.ec2.writes == []


def test_an_address_that_goes_away_leaves_the_cloud_routes_alone() -> None:
    world, pod = holding()
    give(pod, replace(net1(pod), addresses=()))
    rest(world, 240)
    assert world.ec2.writes == []
    assert owners(world, ONE) == {"eni-a1"}
    left = [r.table for r in pod.kernel.state.routes if str(r.destination) == ONE]
    assert left == [HELD_TABLE]  # what tells that it is lost


def test_peers_taken_out_of_the_settings_lose_their_routes() -> None:
    world, pod = holding(PEERS)
    assert any(r.device == "net1" for r in pod.kernel.state.routes)
    pod.kill()
    pod.settings = replace(pod.settings, peers={})
    pod.start()
    rest(world, 30)
    assert not any(r.device == "net1" for r in pod.kernel.state.routes)
    assert not pod.kernel.state.rules
    assert any(isinstance(d.action, RemoveRoute) for d in pod.reports[0].done)
    assert world.ec2.writes == []


def test_a_link_that_went_down_and_up_gets_its_routes_back_at_once() -> None:
    world, pod = holding(PEERS)
    whole = pod.kernel.state
    up = net1(pod)
    kept = tuple(r for r in whole.routes if r.device != "net1")
    pod.kernel.state = replace(whole, routes=kept)
    give(pod, replace(up, up=False))
    rest(world)
    give(pod, up)
    rest(world)
    assert {r for r in pod.kernel.state.routes if r.table == MAIN_TABLE} == {
        r for r in whole.routes if r.table == MAIN_TABLE
    }
    assert world.ec2.writes == []


@pytest.mark.parametrize(
    ("broken", "what"),
    [
        (lambda w: w.drop([3], ip_network(ONE)), "a route that someone deleted"),
        (lambda w: point(w, ONE, "eni-gone", only=3), "an ENI that is no more"),
    ],
)
def test_a_route_that_leads_nowhere_is_repaired_by_the_next_reading(
    broken: Callable[[World], None], what: str
) -> None:
    world, pod = holding()
    broken(world)
    pod.wake(what)
    rest(world)
    assert owners(world, ONE) == {"eni-a1"}
    assert len(world.ec2.writes) == 1


def test_a_route_stolen_in_one_of_ten_tables_is_repaired_after_a_second_reading() -> None:
    world, pod = holding()
    point(world, ONE, "eni-b1", only=3)
    pod.wake("look")
    rest(world, DRIFT[0] - 0.1)
    assert world.ec2.writes == []
    assert pod.ready
    rest(world, DRIFT[1] - DRIFT[0] + 0.7)  # two readings and a write
    assert owners(world, ONE) == {"eni-a1"}
    assert len(world.ec2.writes) == 1


def test_a_repair_that_fails_is_tried_again_and_is_no_reason_to_yield() -> None:
    world, pod = holding()
    # Where agents fight the greater id yields, so let the agent be the one that has it.
    other = replace(eni("b", 1), id=EniId("eni-00"))
    world.ec2.change(replace(world.ec2.state, enis=(*world.ec2.state.enis, other)))
    point(world, ONE, "eni-00", only=3)
    failures = iter([Transient("server error")] * 40)
    world.ec2.truth.refuse = lambda _: next(failures, None)
    pod.wake("look")
    rest(world, 240)
    assert owners(world, ONE) == {"eni-a1"}
    assert pod.ready


def test_a_takeover_in_all_tables_is_yielded_to_and_taken_back_when_the_rival_dies() -> None:
    world, pod = holding()
    point(world, ONE, "eni-b1")
    pod.wake("look")
    rest(world, 540)
    assert world.ec2.writes == []
    assert last(pod).yields
    assert not pod.ready
    assert "eni-b1" in pod.readiness.why
    world.ec2.change(moved(world.ec2.state, EniId("eni-b1"), None))
    rest(world, 60)
    assert owners(world, ONE) == {"eni-a1"}
    assert pod.ready


def spreading(pod: Pod, world: World, tables: Iterable[int]) -> None:
    """Point one table after the other at node b, faster than a drift is repaired."""
    for index in tables:
        point(world, ONE, "eni-b1", only=index)
        pod.wake("look")
        rest(world, 3)


def test_a_takeover_that_spreads_to_all_tables_is_left_alone_and_yielded_to() -> None:
    world, pod = holding(tables=8)
    spreading(pod, world, range(8))
    rest(world, 240)
    assert world.ec2.writes == []
    assert last(pod).yields


def test_writes_to_some_tables_one_after_the_other_are_no_takeover() -> None:
    world, pod = holding(tables=8)
    spreading(pod, world, (2, 5, 7))
    assert world.ec2.writes == []
    rest(world, 60)
    assert owners(world, ONE) == {"eni-a1"}
    assert len(world.ec2.writes) == 3
    assert pod.ready


def test_a_table_added_later_is_pointed_here_at_the_next_reading() -> None:
    world, pod = holding(tables=2)
    world.ec2.change(replace(world.ec2.state, tables=(*world.ec2.state.tables, cloud(3).tables[2])))
    rest(world, 60)
    assert owners(world, ONE) == {"eni-a1"}
    assert moves(world).keys() == {("rtb-02", d.destination) for d in last(pod).floating}


def test_a_stop_ends_the_life_without_a_write() -> None:
    world, pod = holding()
    pod.leave()
    rest(world, 0.1)
    assert pod.ending is Ending.STOPPED
    assert world.ec2.writes == []


def test_an_eni_that_ec2_does_not_show_for_a_moment_costs_the_pod_nothing() -> None:
    world, pod = holding(PEERS)
    state, before = world.ec2.state, pod.kernel.state
    world.ec2.change(replace(state, enis=()))
    pod.wake("look")
    rest(world)
    assert pod.reports
    assert pod.kernel.state == before
    world.ec2.change(state)
    rest(world, 140)
    assert pod.ready
    assert world.ec2.writes == []
