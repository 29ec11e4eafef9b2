"""A holder and a standby at a control plane that breaks: who holds goes on, or hands over once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby

import pytest

from agent_fixtures import wait_until
from clusters import NAMESPACE
from kubernetes.relay import PORT, Relay
from kubernetes.webhook import NAME, Webhook
from standby_fixtures import said, standing
from steady import (
    SHORT,
    await_one_holder,
    await_renewals,
    await_words,
    holders,
    unmoved,
)
from vipmanager_lab.control_plane import MakeCluster
from vipmanager_lab.kube.faults import TOO_MANY
from vipmanager_lab.kubernetes.plane import Plane
from vipmanager_lab.kubernetes.processes import Component
from vipmanager_lab.replicas import Replica, Replicas

PATIENT = {"LeaseSeconds": "3", "HeartbeatMs": "500"}
"""A control plane that starts takes all CPU: who stands still for 0.3 s would be taken for dead."""
UNPROVEN = "the Lease could not be renewed for LeaseSeconds"


def writers(group: Replicas) -> list[str]:
    """Give who wrote routes, one after the other."""
    calls = group.world.endpoint.calls
    wrote = [c.source for c in calls if c.action in {"CreateRoute", "ReplaceRoute"}]
    return [source for source, _ in groupby(wrote)]


def await_peace(group: Replicas) -> None:
    """Wait until the Lease is renewed again, and both replicas are ready."""
    await_renewals(group, 3)
    for replica in group.running:
        replica.await_ready()


@contextmanager
def handed_over_once_at_most(group: Replicas) -> Iterator[None]:
    """Let the Lease go to the other one meanwhile, or to nobody; one of them steers then."""
    before, wrote = holders(group), writers(group)
    yield
    await_peace(group)
    holder = await_one_holder(group)
    moves = holders(group)[len(before) :]
    assert len(moves) <= 1
    assert writers(group)[len(wrote) :] == ([holder.address] if moves else [])


def takes_over(group: Replicas, standby: Replica) -> None:
    """Lose the holder's node."""
    group.world.network.cut("a")
    standby.await_takeover(since=len(standby.agent.records))
    wait_until(lambda: group.points_at("b"))


def killed(plane: Plane) -> Callable[[], None]:
    plane.apiserver.kill()
    return plane.start_apiserver


def stopped(plane: Plane) -> Callable[[], None]:
    plane.apiserver.stop()
    return plane.start_apiserver


def paused(component: Callable[[Plane], Component]) -> Callable[[Plane], Callable[[], None]]:
    def pause(plane: Plane) -> Callable[[], None]:
        component(plane).pause()
        return component(plane).resume

    return pause


def without_etcd(plane: Plane) -> Callable[[], None]:
    plane.etcd.kill()
    return plane.etcd.start


@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(killed, id="the API server killed"),
        pytest.param(stopped, id="the API server stopped"),
        pytest.param(paused(lambda plane: plane.apiserver), id="the API server paused"),
        pytest.param(without_etcd, id="etcd killed"),
        pytest.param(paused(lambda plane: plane.etcd), id="etcd paused"),
    ],
)
def test_a_control_plane_that_is_away_moves_nothing_and_is_told_once(
    plane: Plane, make: MakeCluster, lose: Callable[[Plane], Callable[[], None]]
) -> None:
    with standing(PATIENT, cluster=make) as group:
        holder, standby = group.pair()
        with unmoved(group):
            bring_back = lose(plane)
            try:
                await_words(holder, UNPROVEN)
            finally:
                bring_back()
            await_peace(group)
        assert sum(line.startswith(UNPROVEN) for line in holder.agent.text) == 1
        takes_over(group, standby)


def test_a_lease_that_goes_back_to_what_it_was_stays_with_its_holder(
    plane: Plane, make: MakeCluster
) -> None:
    with standing(SHORT, cluster=make) as group:
        _, standby = group.pair()
        with handed_over_once_at_most(group):
            copy = plane.backup()
            await_renewals(group, 3)
            plane.restore(copy)
        holder = group.holder()
        assert holder is not None
        if holder is not standby:
            takes_over(group, standby)


def test_an_api_server_that_has_too_much_to_do_moves_nothing(make: MakeCluster) -> None:
    with standing(PATIENT, cluster=make) as group:
        holder, standby = group.pair()
        with unmoved(group):
            # Not a number of calls: which of the two makes them is chance.
            group.kube.inject("* leases", TOO_MANY, times=10**6)
            await_words(holder, "429 Too many requests")
            group.kube.clear()
            await_peace(group)
        takes_over(group, standby)


def test_a_webhook_that_denies_lets_one_of_them_steer_and_is_told_in_its_words(
    plane: Plane, make: MakeCluster
) -> None:
    with standing(SHORT, cluster=make) as group, Webhook(plane, NAMESPACE) as webhook:
        holder, _ = group.pair()
        with handed_over_once_at_most(group):
            webhook.begin(denial="no writes on a Friday")
            await_words(holder, f'"{NAME}" denied the request: no writes on a Friday')
            await_words(holder, UNPROVEN)
            webhook.end()


def test_a_slow_webhook_keeps_no_standby_from_taking_over(plane: Plane, make: MakeCluster) -> None:
    slow = {"LeaseSeconds": "20"}
    with standing(slow, cluster=make) as group, Webhook(plane, NAMESPACE) as webhook:
        _, standby = group.pair()
        before = holders(group)
        webhook.begin(seconds=4)
        group.world.network.cut("a")
        taken = standby.await_takeover(seconds=45)
        assert taken
        assert [one.partition("/")[0] for one in holders(group)[len(before) :]] == [standby.uid]
        assert len(said(standby, "takeover")) == 1
        wait_until(lambda: group.points_at("b"))
        webhook.end()


def test_new_certificates_are_taken_up_by_both_and_the_node_lost_then_is_no_news(
    plane: Plane, make: MakeCluster
) -> None:
    config = PATIENT | {"KUBERNETES_SERVICE_PORT": str(PORT)}
    with standing(config, cluster=make) as group, Relay(group.world, plane.port):
        trusted = group.plane.account.folder / "ca.crt"
        trusted.write_text(plane.authority.read_text())
        _, standby = group.pair()
        with unmoved(group):
            plane.rotate()
            trusted.write_text(plane.authority.read_text())
            plane.apiserver.kill()
            plane.start_apiserver()
            await_peace(group)
        takes_over(group, standby)
