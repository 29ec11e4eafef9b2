"""A node is lost, stands still, or comes back: the floating IPs are where somebody answers."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from agent_fixtures import wait_until
from standby_fixtures import said, standing, watched, writes_of
from steady import (
    ALONE,
    SHORT,
    await_one_holder,
    await_readings,
    await_renewals,
    await_words,
    moved_once,
    unmoved,
)
from vipmanager_lab.ec2.faults import Hang
from vipmanager_lab.faults import Unreachable


@pytest.mark.parametrize(("pattern", "version"), [(1, 4), (2, 6)])
def test_the_client_is_answered_by_the_standby_and_nothing_goes_back_with_the_node(
    pattern: int, version: int
) -> None:
    with standing(SHORT, pattern=pattern, version=version) as group:
        holder, standby = group.pair()
        with watched(group) as client, moved_once(group, to=standby):
            mark = client.seen
            group.world.network.cut("a")
            assert standby.await_takeover()["cause"] == "silent"
            client.await_answers(since=mark)
            written = writes_of(group, holder)
        mark = len(holder.agent.records)
        with unmoved(group):
            group.world.network.restore("a")
            holder.await_role("standby", since=mark)
            holder.await_standby()
            await_readings(group, 4)
        assert writes_of(group, holder) == written


def test_a_node_that_dies_with_its_pods_is_replaced_and_the_new_pod_is_the_next_standby() -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        group.world.fail_zone("a")
        assert standby.await_takeover()["cause"] == "silent"
        group.end(holder)
        group.world.network.restore("a")
        with unmoved(group):
            third = group.start("a")
            third.await_standby()
        with moved_once(group, to=third):
            group.world.fail_zone("b")
            assert third.await_takeover()["cause"] == "silent"


@pytest.mark.parametrize(("zone", "number"), [("b", 0), ("a", 1)], ids=["unwritten", "written"])
def test_a_write_that_lands_late_is_put_right(zone: str, number: int) -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        world, address = group.world, group.world.destination(group.floating[0])
        # Where it points at the standby already, that one has nothing to write.
        table, elsewhere = world.tables[0], world.nodes[zone].secondary[number]
        written = writes_of(group, holder)
        world.faults.inject("ReplaceRoute", Hang())
        world.account.put_route(table, address, elsewhere)  # which the holder corrects
        world.faults.await_hang()
        with moved_once(group, to=standby):
            world.network.cut("a")
            standby.await_takeover()
            world.faults.release_hangs()
            wait_until(lambda: writes_of(group, holder) > written)
            wait_until(lambda: group.points_at("b"))


def test_a_holder_that_stands_still_loses_once_and_does_no_harm_when_it_goes_on() -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        written = writes_of(group, holder)
        with moved_once(group, to=standby):
            holder.freeze()
            standby.await_takeover()
            await_renewals(group, 3)  # two seconds
            mark = len(holder.agent.records)
            holder.thaw()
            holder.await_role("standby", since=mark)
            await_readings(group, 6)
        assert writes_of(group, holder) == written


def test_a_holder_that_stands_still_amid_its_writes_sends_none_of_the_rest() -> None:
    with standing(SHORT) as group, ThreadPoolExecutor() as pool:
        other = group.start("b")
        other.await_takeover()
        slow = group.start("a", ApiRate="2/1")
        slow.await_standby()
        pool.submit(slow.order, "claim")
        wait_until(lambda: writes_of(group, slow) >= 3)
        with moved_once(group, to=other):
            slow.freeze()
            # Nothing tells it that it lost; EC2 it can reach.
            group.sever(other, slow)
            group.kube.partition(slow.address)
            wait_until(lambda: group.holder() is other)
            wait_until(lambda: group.points_at("b"))
            await_renewals(group, 3)  # longer than what it read last allows it to write
        written = writes_of(group, slow)
        with unmoved(group):
            slow.thaw()
            await_readings(group, 6)
            group.mend(other, slow)
            group.kube.clear()
            slow.await_standby()
        assert writes_of(group, slow) == written


def test_a_standby_that_stands_still_takes_nothing_when_it_goes_on() -> None:
    with standing(SHORT) as group:
        _, standby = group.pair()
        with unmoved(group):
            standby.freeze()
            await_renewals(group, 3)  # two seconds
            standby.thaw()
            await_readings(group, 6)
        assert standby.status()["ready"]
        assert not said(standby, "takeover")


def test_a_node_lost_while_its_standby_stands_still_is_taken_over_when_it_goes_on() -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        standby.freeze()
        group.world.fail_zone("a")
        with moved_once(group, to=standby):
            standby.thaw()
            standby.await_takeover()
        assert not holder.agent.running


def test_a_node_lost_while_the_pods_do_not_hear_each_other_is_taken_over_by_expiry() -> None:
    with standing(SHORT | {"HeartbeatMs": "250"}) as group:
        holder, standby = group.pair()
        with unmoved(group):
            group.sever(holder, standby)
            await_renewals(group, 6)
        with moved_once(group, to=standby):
            group.world.fail_zone("a")
            assert standby.await_takeover()["cause"] == "expired"


def test_a_node_lost_while_the_kubernetes_api_is_away_is_taken_over_once_it_is_back() -> None:
    with standing(ALONE) as group:
        _, standby = group.pair()
        group.kube.unreachable = Unreachable.CLOSES
        await_words(standby, "the Kubernetes API: ")
        with unmoved(group):
            group.world.fail_zone("a")
            await_readings(group, 4)
        group.kube.clear()
        assert standby.await_takeover()["cause"] == "expired"
        assert await_one_holder(group) is standby
