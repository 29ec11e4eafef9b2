"""What doctor says in the pods of a warm standby."""

from dataclasses import replace

import pytest

from standby_doctor_fixtures import StandbyPatient
from vipmanager.core.election.role import Role
from vipmanager.core.findings import Condition, find
from worlds import pointed


def taken(patient: StandbyPatient, target: str) -> None:
    """Let another ENI have a floating IP."""
    patient.change(lambda s: pointed(s, "192.168.0.1/32", target))


@pytest.mark.parametrize("role", list(Role))
def test_a_replica_that_is_well_passes_every_check(role: Role) -> None:
    patient = StandbyPatient(role)
    if role is Role.STANDBY:
        taken(patient, "eni-b1")
    fault = {c: r.seen.issues for c, r in patient.results().items() if r.state != "ok"}
    assert fault == {"application": ()}  # without a HealthCheck there is none to make


def test_routes_that_lead_elsewhere_are_wrong_for_the_holder() -> None:
    patient = StandbyPatient(Role.HOLDER)
    taken(patient, "eni-b1")
    assert patient.results()["routes"].state == "error"


def test_routes_that_lead_nowhere_are_wrong_for_a_standby_too() -> None:
    patient = StandbyPatient()
    taken(patient, "eni-gone")
    patient.tables(
        lambda t: replace(
            t, routes=tuple(replace(r, blackhole=r.target.id == "eni-gone") for r in t.routes)
        )
    )
    (found,) = patient.results()["routes"].seen.issues
    assert "a blackhole" in found.what


def test_who_holds_the_lease_is_told_where_all_is_well() -> None:
    notes = {r: StandbyPatient(r).results()["lease"].seen.note for r in Role}
    assert notes[Role.HOLDER] == "this pod renews telco/vipmanager"
    assert notes[Role.STANDBY] == "uid-2/1 renews telco/vipmanager"


def test_what_the_agent_found_too_is_told_once() -> None:
    patient = StandbyPatient()
    near = replace(patient.other, zone=patient.me.zone)
    patient.held_by(near)
    patient.finds(find(Condition.ONE_ZONE, "pod", holder=near.identity, zone=near.zone))
    assert len(patient.results()["replicas"].seen.issues) == 1
