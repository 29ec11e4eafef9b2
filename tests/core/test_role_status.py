"""The role as people and tools read it."""

import pytest

from vipmanager.core.election.role import Role
from vipmanager.core.election.values import Generation, Why
from vipmanager.core.role_status import RoleStatus

SEVENTH = Generation("6f9c", 7)


def holding(why: Why = Why.SILENT) -> RoleStatus:
    return RoleStatus().became(Role.HOLDER, why=why.value, generation=SEVENTH, since=10.0)


def test_a_takeover_lasts_until_the_first_reading_that_shows_every_route_right() -> None:
    settled = holding().read_right(10.4).read_right(40.0)
    assert settled.settled == pytest.approx(0.4)
    assert settled.durations.total == pytest.approx(0.4)


def test_takeovers_are_counted_by_their_cause_and_losses_are_none() -> None:
    role_status = holding().became(
        Role.STANDBY, why="released, as asked", generation=None, since=20.0
    )
    role_status = role_status.became(Role.HOLDER, why="silent", generation=SEVENTH, since=30.0)
    assert role_status.takeovers == {"silent": 2}


def test_a_standby_that_reads_right_routes_has_taken_nothing_over() -> None:
    assert RoleStatus().read_right(5.0).settled is None


@pytest.mark.parametrize("why", list(Why))
def test_every_cause_is_a_sentence_for_people(why: Why) -> None:
    said = str(holding(why))
    assert said.startswith("holder, generation 7: ")
    assert len(said.rpartition(": ")[2].split()) > 2


def test_the_document_of_a_holder_names_its_generation() -> None:
    document = holding().document(12.0)
    assert document["role"] == "holder"
    assert document["generation"] == 7
    assert document["since"] == 2.0
    assert document["takeovers"] == {"silent": 1}
