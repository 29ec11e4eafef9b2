"""What a person does to the Lease, its Role, or leaves out: one clear line, and traffic goes on."""

import pytest

from standby_fixtures import standing
from steady import (
    ALONE,
    SHORT,
    await_one_holder,
    await_readings,
    await_renewals,
    await_words,
    holders,
    lines,
    moved_once,
    unmoved,
)
from vipmanager_lab.control_plane import LEASE, NAMESPACE
from vipmanager_lab.kube.faults import STARTING
from vipmanager_lab.kube.kinds import LEASES
from vipmanager_lab.kube.store import Key
from vipmanager_lab.replicas import Replicas

IN_A_ROLE = "on leases in a Role bound to the pod's service account"


def allow(group: Replicas, *verbs: str) -> None:
    """Let the replicas do this with their Lease, and nothing else."""
    account = group.plane.account
    account.access.deny(account.user)
    account.allow(LEASES, verbs, names=(LEASE,))


def edit(group: Replicas, **spec: object) -> None:
    """Change the Lease as `kubectl edit` does."""
    group.plane.cluster.store.patch(Key(LEASES, NAMESPACE, LEASE), {"spec": spec})


@pytest.mark.parametrize(
    ("verbs", "lacking"), [((), "get"), (("get", "watch"), "update")], ids=["none", "no update"]
)
def test_without_the_right_nothing_is_written_and_with_it_the_election_begins(
    verbs: tuple[str, ...], lacking: str
) -> None:
    with standing(SHORT) as group:
        allow(group, *verbs)
        replica = group.start("a")
        await_words(replica, f"allow {lacking} {IN_A_ROLE}")
        await_readings(group, 3)
        assert group.world.writes() == 0
        assert not replica.status()["ready"]
        assert len(lines(replica, IN_A_ROLE)) == 1
        allow(group, "get", "watch", "update")
        replica.await_takeover()
        assert group.points_at("a")


def test_without_the_right_to_watch_it_is_said_and_a_dead_holder_is_relieved() -> None:
    with standing(SHORT) as group:
        allow(group, "get", "update")
        holder, standby = group.pair()
        for replica in (holder, standby):
            await_words(replica, f"allow watch {IN_A_ROLE}")
        with moved_once(group, to=standby):
            group.world.network.cut("a")
            standby.await_takeover()


def test_a_role_that_is_deleted_and_put_back_moves_nothing() -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        with unmoved(group):
            allow(group)
            await_words(holder, "the Lease could not be renewed for LeaseSeconds")
            for replica in (holder, standby):
                await_words(replica, IN_A_ROLE)
            await_readings(group, 4)
            allow(group, "get", "watch", "update")
            await_words(holder, "no longer so: the Lease could not be renewed")
            await_renewals(group, 6)


def test_a_lease_that_was_never_applied_is_named_and_once_it_is_one_pod_steers() -> None:
    with standing(SHORT) as group:
        group.plane.delete_lease()
        replicas = [group.start(zone) for zone in ("a", "b")]
        for replica in replicas:
            await_words(replica, f"there is no Lease {NAMESPACE}/{LEASE}")
            await_words(replica, f"allow create {IN_A_ROLE}")
        await_readings(group, 4)
        assert group.world.writes() == 0
        group.plane.ship_lease()
        await_one_holder(group)
        await_renewals(group, 3)
        assert len(holders(group)) == 1


def test_a_lease_that_is_deleted_is_named_and_traffic_goes_on() -> None:
    with standing(SHORT) as group:
        holder, standby = group.pair()
        with unmoved(group):
            group.plane.delete_lease()
            await_words(holder, "standby: the Lease was deleted")
            for replica in (holder, standby):
                await_words(replica, f"there is no Lease {NAMESPACE}/{LEASE}")
            await_readings(group, 6)
        before = len(holders(group))
        group.plane.ship_lease()
        await_one_holder(group)
        await_renewals(group, 3)
        assert len(holders(group)) <= before + 1


def test_a_lease_that_may_be_created_is_put_back_by_who_held_it() -> None:
    with standing(SHORT) as group:
        holder, _ = group.pair()
        group.plane.account.allow(LEASES, ["create"])
        written = group.world.writes()
        mark = len(holder.agent.records)
        group.plane.delete_lease()
        assert holder.await_takeover(since=mark)["cause"] == "absent"
        await_renewals(group, 3)
        assert group.holder() is holder
        assert group.world.writes() == written


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ("somebody", "the Lease is held by somebody (edited)"),
        (None, "standby: the Lease "),  # which the other may have taken by then
    ],
)
def test_a_holder_that_is_edited_away_is_said_and_one_pod_steers_again(
    identity: str | None, words: str
) -> None:
    with standing(SHORT) as group:
        holder, _ = group.pair()
        before = len([h for h in holders(group) if h != identity])
        edit(group, holderIdentity=identity)
        await_words(holder, words)
        await_one_holder(group)
        await_renewals(group, 6)
        assert len([h for h in holders(group) if h != identity]) <= before + 1


def test_a_duration_that_is_edited_is_written_anew_by_the_holder() -> None:
    with standing(SHORT) as group:
        group.pair()
        with unmoved(group):
            edit(group, leaseDurationSeconds=1000)
            await_renewals(group, 3)
        assert group.plane.lease()["spec"]["leaseDurationSeconds"] == 2


def test_an_absurd_duration_is_said_and_does_not_keep_a_dead_holder_in_office() -> None:
    with standing(ALONE) as group:
        _, standby = group.pair()
        group.world.fail_zone("a")
        edit(group, leaseDurationSeconds=1000)
        with moved_once(group, to=standby):
            await_words(standby, "the Lease says 1000 s, LeaseSeconds 2 s")
            assert standby.await_takeover()["cause"] == "expired"


def test_transitions_at_the_end_of_their_range_begin_again_and_move_nothing() -> None:
    with standing(SHORT) as group:
        holder, _ = group.pair()
        written = group.world.writes()
        mark = len(holder.agent.records)
        edit(group, leaseTransitions=2**31 - 1)
        holder.await_takeover(since=mark)
        await_renewals(group, 3)
        assert group.plane.lease()["spec"]["leaseTransitions"] < 2**31 - 1
        assert group.holder() is holder
        assert group.world.writes() == written


def test_nonsense_in_the_leases_annotations_moves_nothing_and_is_written_over() -> None:
    nonsense = {"address": "nowhere", "fingerprint": "none", "distrust": "perhaps"}
    notes = {f"vipmanager/{name}": value for name, value in nonsense.items()}
    with standing(SHORT) as group:
        _, standby = group.pair()
        group.plane.cluster.store.patch(
            Key(LEASES, NAMESPACE, LEASE), {"metadata": {"annotations": notes}}
        )
        with unmoved(group):
            await_renewals(group, 3)
            written = group.plane.lease()["metadata"]["annotations"]
            assert not set(notes.values()) & set(written.values())
        standby.await_standby()
        with moved_once(group, to=standby):
            group.world.network.cut("a")
            assert standby.await_takeover()["cause"] == "silent"


def test_an_api_that_starts_refuses_for_a_moment_and_nothing_moves() -> None:
    with standing(ALONE) as group:
        group.pair()
        with unmoved(group):
            group.kube.inject("update leases", STARTING, times=2)
            await_renewals(group, 4)
