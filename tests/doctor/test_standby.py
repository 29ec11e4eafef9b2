"""What doctor says in the pods of a warm standby."""

from dataclasses import replace

import pytest

from standby_ward import StandbyWard
from vipmanager.core.election.actions import Role
from vipmanager.core.findings import Condition, find
from worlds import pointed


def taken(ward: StandbyWard, target: str) -> None:
    """Let another ENI have a floating IP."""
    ward.change(lambda s: pointed(s, "192.168.0.1/32", target))


@pytest.mark.parametrize("role", list(Role))
def test_a_replica_that_is_well_passes_every_check(role: Role) -> None:
    ward = StandbyWard(role)
    if role is Role.STANDBY:
        taken(ward, "eni-b1")
    assert {c: r.seen.troubles for c, r in ward.results().items() if r.state != "ok"} == {}


def test_routes_that_lead_elsewhere_are_wrong_for_the_holder() -> None:
    ward = StandbyWard(Role.HOLDER)
    taken(ward, "eni-b1")
    assert ward.results()["routes"].state == "error"


def test_routes_that_lead_nowhere_are_wrong_for_a_standby_too() -> None:
    ward = StandbyWard()
    taken(ward, "eni-gone")
    ward.tables(
        lambda t: replace(
            t, routes=tuple(replace(r, blackhole=r.target.id == "eni-gone") for r in t.routes)
        )
    )
    (found,) = ward.results()["routes"].seen.troubles
    assert "a blackhole" in found.what


def test_who_holds_the_lease_is_told_where_all_is_well() -> None:
    notes = {r: StandbyWard(r).results()["lease"].seen.note for r in Role}
    assert notes[Role.HOLDER] == "this pod renews telco/vipmanager"
    assert notes[Role.STANDBY] == "uid-2/1 renews telco/vipmanager"


def test_what_the_agent_found_too_is_told_once() -> None:
    ward = StandbyWard()
    near = replace(ward.other, zone=ward.me.zone)
    ward.held_by(near)
    ward.finds(find(Condition.ONE_ZONE, "pod", holder=near.identity, zone=near.zone))
    assert len(ward.results()["replicas"].seen.troubles) == 1
