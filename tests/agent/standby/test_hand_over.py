"""A holder that knows that it leaves hands over before it does."""

import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent_fixtures import wait_until
from standby_fixtures import standing, watched
from steady import (
    ALONE,
    SHORT,
    await_one_holder,
    await_readings,
    await_renewals,
    await_words,
    holders,
    lease_versions,
    lines,
    moved_once,
    unmoved,
)
from vipmanager.core.failures import Failure
from vipmanager_lab.faults import Unreachable
from vipmanager_lab.replicas import HEALTH_PORT

CHECK = SHORT | {"HealthCheck": f"tcp://127.0.0.1:{HEALTH_PORT}", "HealthIntervalMs": "100"}
LONG = {"LeaseSeconds": "60", "HeartbeatPort": "0"}
"""Only a release makes another holder in time."""


def test_a_holder_that_ends_leaves_a_free_lease_and_its_routes_behind() -> None:
    with standing(LONG) as group:
        holder = group.start("a")
        holder.await_takeover()
        holder.agent.signal(signal.SIGTERM)
        assert holder.agent.wait() == 0
        # What a real API stores is seen by a watch, which may come a moment later.
        wait_until(lambda: lease_versions(group)[-1] is None)
        assert group.points_at("a")


def test_a_standby_that_ends_moves_nothing() -> None:
    with standing(SHORT) as group:
        _, standby = group.pair()
        with unmoved(group):
            standby.agent.signal(signal.SIGTERM)
            assert standby.agent.wait() == 0
            await_renewals(group, 3)


def test_a_holder_that_ends_without_the_kubernetes_api_ends_all_the_same() -> None:
    with standing(ALONE) as group:
        holder, standby = group.pair()
        group.kube.partition(holder.address, Unreachable.SILENT)
        with moved_once(group, to=standby):
            holder.agent.signal(signal.SIGTERM)
            assert holder.agent.wait() == 0
            assert standby.await_takeover()["cause"] == "expired"


NOTICES = {
    "a Spot interruption": (
        {"spot_action": ("terminate", datetime.now(UTC) + timedelta(minutes=2))},
        "EC2 will terminate this Spot Instance",
    ),
    "a scale-in": (
        {"target_lifecycle_state": "Terminated"},
        "its Auto Scaling group moves this instance to Terminated",
    ),
}


@pytest.mark.parametrize(("options", "words"), NOTICES.values(), ids=NOTICES)
def test_an_instance_with_a_termination_notice_hands_over_and_takes_nothing_back(
    options: dict[str, Any], words: str
) -> None:
    with standing(LONG) as group:
        holder, standby = group.pair()
        imds, instance = group.world.imds, group.world.nodes["a"].instance
        with moved_once(group, to=standby):
            imds.set_options(instance, replace(imds.options(instance), **options))
            await_words(holder, words)
            assert standby.await_takeover()["cause"] == "free"
        assert holder.agent.running
        with unmoved(group):
            standby.agent.signal(signal.SIGTERM)
            assert standby.agent.wait() == 0
            await_readings(group, 3)


def test_an_application_that_is_well_again_is_a_standby_and_takes_nothing_back() -> None:
    with standing(CHECK) as group:
        holder, standby = group.pair()
        with watched(group) as client, moved_once(group, to=standby):
            mark = client.seen
            holder.application.close()
            assert standby.await_takeover()["cause"] == "offered"
            client.await_answers(since=mark)
        with unmoved(group):
            holder.start_application()
            holder.await_standby()
            await_renewals(group, 3)


def test_an_application_that_is_well_again_before_anyone_took_over_keeps_its_floating_ips() -> None:
    with standing(CHECK) as group:
        holder = group.start("a")
        holder.await_takeover()
        with unmoved(group):
            holder.application.close()
            await_words(holder, "the floating IPs are offered to any fit standby")
            mark = len(holder.agent.records)
            holder.start_application()
            await_words(holder, "no longer so: the floating IPs are offered", since=mark)
            group.start("b").await_standby()
            await_renewals(group, 3)


def test_a_pod_that_yielded_takes_nothing_even_when_the_other_dies() -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        with moved_once(group, to=standby):
            holder.order("yield")
            standby.await_takeover()
        with unmoved(group):
            group.world.fail_zone("b")
            await_readings(group, 4)
        told = len(holder.agent.records)
        with moved_once(group, to=holder):
            holder.order("claim")
        assert holder.await_takeover(since=told)["cause"] == "claimed"


def test_replicas_that_end_together_leave_the_routes_and_one_of_the_next_steers() -> None:
    with standing(LONG) as group:
        replicas = group.pair()
        with unmoved(group):
            for replica in replicas:
                replica.agent.signal(signal.SIGTERM)
            assert [replica.agent.wait() for replica in replicas] == [0, 0]
        for replica in replicas:
            replica.start_agent()
        await_one_holder(group)
        await_readings(group, 4)
        assert len(holders(group)) == 2


def test_an_agent_that_starts_again_steers_on_and_finds_no_other_pod_in_its_zone() -> None:
    with standing(LONG) as group:
        holder, _ = group.pair()
        written = group.world.writes()
        holder.agent.close()
        holder.start_agent()
        assert holder.await_takeover()["cause"] == "own"
        await_readings(group, 4)
        assert group.world.writes() == written
        assert not lines(holder, "are both in")


def test_a_claim_without_the_kubernetes_api_says_what_is_missing() -> None:
    with standing(SHORT) as group:
        _, standby = group.pair()
        group.kube.unreachable = Unreachable.CLOSES
        with unmoved(group), pytest.raises(Failure, match="the Kubernetes API"):
            standby.order("claim")


def test_claims_on_both_pods_at_once_end_with_one_holder() -> None:
    with standing(SHORT) as group:
        replicas = group.pair()
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(replica.order, "claim") for replica in replicas]
        assert any(one.exception() is None for one in asked)
        await_one_holder(group)
        with unmoved(group):
            await_renewals(group, 6)
