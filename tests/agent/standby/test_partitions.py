"""The network between pods, or between a pod and an API, is cut for a while and heals."""

from collections.abc import Callable

import pytest

from standby_fixtures import said, standing, watched, writes_of
from steady import (
    SHORT,
    await_readings,
    await_renewals,
    await_words,
    lines,
    moved_once,
    unmoved,
)
from vipmanager_lab.faults import Break, Unreachable
from vipmanager_lab.replicas import Replica, Replicas

CALM = {"LeaseSeconds": "10", "HeartbeatMs": "200"}
"""A holder that is missed renews out of turn, within 1.25 intervals, on a busy machine too."""
Cut = Callable[[Replicas, Replica, Replica], None]


def holder_to_standby(group: Replicas, holder: Replica, standby: Replica) -> None:
    group.sever(holder, standby)


def standby_to_holder(group: Replicas, holder: Replica, standby: Replica) -> None:
    group.sever(standby, holder)


def both_ways(group: Replicas, holder: Replica, standby: Replica) -> None:
    group.sever(holder, standby)
    group.sever(standby, holder)


@pytest.mark.parametrize("cut", [holder_to_standby, standby_to_holder, both_ways])
def test_pods_that_do_not_hear_each_other_move_nothing_then_nor_afterwards(cut: Cut) -> None:
    with standing(CALM) as group:
        holder, standby = group.pair()
        with unmoved(group):
            cut(group, holder, standby)
            await_renewals(group, 1)
            await_readings(group, 8)
            if cut is not standby_to_holder:
                group.mend(holder, standby)
            if cut is not holder_to_standby:
                group.mend(standby, holder)
            standby.await_standby()
            await_readings(group, 4)
        assert not said(standby, "takeover")


@pytest.mark.parametrize("how", Unreachable)
def test_a_standby_without_the_kubernetes_api_takes_nothing(how: Unreachable) -> None:
    with standing(SHORT) as group:
        _, standby = group.pair()
        with unmoved(group):
            group.kube.partition(standby.address, how)
            await_words(standby, "the Kubernetes API: get leases: no answer")
            await_renewals(group, 6)
            group.kube.clear()
            await_renewals(group, 3)
        causes = lines(standby, "the Kubernetes API: get leases")
        assert len(causes) == len(set(causes)) <= 2  # what it was, and how the connection ended


@pytest.mark.parametrize("how", Unreachable)
def test_a_holder_without_the_kubernetes_api_is_relieved_once_and_does_no_harm(
    how: Unreachable,
) -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        with moved_once(group, to=standby):
            group.kube.partition(holder.address, how)
            await_words(holder, "the Lease could not be renewed for LeaseSeconds")
            assert standby.await_takeover()["cause"] == "expired"
        written = writes_of(group, holder)
        with unmoved(group):
            await_readings(group, 4)
            mark = len(holder.agent.records)
            group.kube.clear()
            holder.await_role("standby", since=mark)
            await_readings(group, 4)
        assert writes_of(group, holder) == written


def test_without_the_kubernetes_api_the_holder_serves_on_and_is_given_time_to_renew() -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        with watched(group) as client, unmoved(group):
            for replica in (holder, standby):
                group.kube.partition(replica.address, Unreachable.CLOSES)
            await_words(holder, "the Lease could not be renewed for LeaseSeconds: routes are kept")
            await_readings(group, 8)  # three times LeaseSeconds by now
            assert holder.status()["ready"]
            assert standby.status()["ready"]
            # The one that finds an old Lease is back first.
            group.kube.partition(standby.address, None)
            await_readings(group, 2)
            group.kube.partition(holder.address, None)
            await_words(holder, "no longer so: the Lease could not be renewed")
            await_renewals(group, 6)
        assert client.finals()
        assert not [gap for final in client.finals().values() for gap in final["gaps"]]


@pytest.mark.parametrize("how", Unreachable)
def test_a_holder_without_ec2_keeps_its_floating_ips(how: Unreachable) -> None:
    with standing(SHORT) as group:
        holder, _ = group.pair()
        with unmoved(group):
            group.world.faults.partition(holder.address, how)
            await_words(holder, "check the way from the pod to the EC2 endpoint")
            await_renewals(group, 6)
            assert holder.status()["ready"]
            group.world.faults.clear()
            await_renewals(group, 3)


def test_a_holder_whose_writes_fail_is_relieved_once() -> None:
    with standing(SHORT) as group:
        _, standby = group.pair()
        table, address = group.world.tables[0], group.world.destination(group.floating[0])
        with moved_once(group, to=standby):
            group.world.faults.inject("CreateRoute", Break.RESET, times=1000)
            group.world.account.drop_route(table, address)
            assert standby.await_role("holder")["cause"] == "offered"
            group.world.faults.clear()
            standby.await_takeover()


def test_a_standby_without_ec2_takes_over_once_it_is_back() -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        group.world.faults.partition(standby.address, Unreachable.CLOSES)
        await_words(standby, "EC2 can't be read")
        with moved_once(group, to=standby):
            group.world.network.cut("a")
            await_words(holder, "the Lease could not be renewed for LeaseSeconds")
            group.world.faults.clear()
            standby.await_takeover()
