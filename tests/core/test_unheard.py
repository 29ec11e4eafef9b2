"""An acquisition that was done, and nobody told us of: a reading that shows it is its answer."""

from dataclasses import replace

import pytest

from vipmanager.core.election.actions import Purpose, ReadLease, SetRole, WriteLease, WriteRoutes
from vipmanager.core.election.events import (
    Event,
    FitnessChanged,
    LeaseChanged,
    LeaseConflict,
    LeaseFailed,
    LeaseRead,
    LeaseWritten,
    Tick,
)
from vipmanager.core.election.machine import step
from vipmanager.core.election.role import Role
from vipmanager.core.election.state import State
from vipmanager.core.election.values import ElectionSettings, Fitness, Member
from vipmanager.core.lease import LeaseRecord

FREE = LeaseRecord(uid="lease", resource_version="7", transitions=4)
ME = Member(pod="pod-1", name="app-0", nonce="n", address="10.0.0.1:1", zone="a", fingerprint="f")
AT = 100.0
"""When the acquisition is sent."""


class Standby:
    """An agent that has just written itself into the Lease, and has no answer yet."""

    def __init__(self) -> None:
        self.state = State(me=ME, settings=ElectionSettings())
        self.done: list[object] = []
        self.hears(FitnessChanged(Fitness()), AT - 1)
        self.hears(LeaseRead(record=FREE, sent=AT - 1), AT)
        (self.wrote,) = [a.record for a in self.done if isinstance(a, WriteLease)]

    def hears(self, event: Event, now: float) -> list[object]:
        self.state, actions = step(self.state, event, now)
        self.done = list(actions)
        return self.done

    @property
    def landed(self) -> LeaseRecord:
        """The Lease with what it wrote."""
        return replace(self.wrote, resource_version="8")

    def writes(self) -> bool:
        return any(isinstance(a, WriteLease) for a in self.done)


@pytest.fixture
def standby() -> Standby:
    return Standby()


UNHEARD = [LeaseConflict(), LeaseFailed(purpose=Purpose.ACQUIRE)]


@pytest.mark.parametrize("answer", UNHEARD, ids=["conflict", "no answer"])
def test_a_reading_that_shows_it_is_the_answer(standby: Standby, answer: Event) -> None:
    standby.hears(answer, AT + 0.3)
    standby.hears(Tick(), AT + 0.6)
    standby.hears(LeaseRead(record=standby.landed, sent=AT + 0.6), AT + 0.7)
    hold = standby.state.hold
    assert hold is not None
    assert hold.generation.transitions == FREE.transitions + 1
    assert hold.renewed == AT
    assert not standby.writes()
    assert [a.role for a in standby.done if isinstance(a, SetRole)] == [Role.HOLDER]
    assert any(isinstance(a, WriteRoutes) for a in standby.done)


@pytest.mark.parametrize("answer", UNHEARD, ids=["conflict", "no answer"])
def test_a_watch_that_shows_it_has_it_read_and_not_written_again(
    standby: Standby, answer: Event
) -> None:
    standby.hears(answer, AT + 0.3)
    standby.hears(Tick(), AT + 0.6)
    standby.hears(LeaseChanged(record=standby.landed), AT + 0.65)
    assert not standby.writes()
    assert standby.state.hold is None
    standby.hears(LeaseRead(record=standby.landed, sent=AT + 0.6), AT + 0.7)
    assert standby.state.hold is not None
    assert not standby.writes()


def test_one_that_lands_after_the_reading_is_found_by_the_watch(standby: Standby) -> None:
    standby.hears(LeaseFailed(purpose=Purpose.ACQUIRE, forbidden=True), AT + 0.3)
    standby.hears(Tick(), AT + 20)
    standby.hears(LeaseRead(record=replace(FREE, resource_version="7b"), sent=AT + 20), AT + 20.1)
    again = standby.state.observed.writing is not None
    assert again
    standby.hears(LeaseFailed(purpose=Purpose.ACQUIRE), AT + 23)
    assert ReadLease() in standby.hears(LeaseChanged(record=standby.landed), AT + 23.1)
    standby.hears(LeaseRead(record=standby.landed, sent=AT + 23.1), AT + 23.2)
    assert standby.state.hold is not None


@pytest.mark.parametrize(
    "other",
    [
        {"holder": "pod-2/n"},
        {"holder": "pod-1/earlier"},
        {"transitions": FREE.transitions + 2},
        {"uid": "another"},
        {"holder": None},
    ],
)
def test_what_is_not_what_was_written_is_no_answer(
    standby: Standby, other: dict[str, object]
) -> None:
    standby.hears(LeaseConflict(), AT + 0.3)
    shown = replace(standby.landed, **other)  # type: ignore[arg-type]
    standby.hears(LeaseRead(record=shown, sent=AT + 0.3), AT + 0.4)
    assert standby.state.hold is None


def test_a_reading_that_was_sent_before_is_no_answer(standby: Standby) -> None:
    standby.hears(LeaseFailed(purpose=Purpose.ACQUIRE), AT + 0.3)
    standby.hears(LeaseRead(record=standby.landed, sent=AT - 0.1), AT + 0.4)
    assert standby.state.hold is None
    assert standby.done == [ReadLease()]


def test_what_was_held_and_lost_is_not_taken_for_an_acquisition(standby: Standby) -> None:
    done = LeaseWritten(purpose=Purpose.ACQUIRE, record=standby.landed, sent=AT)
    standby.hears(done, AT + 0.1)
    stolen = replace(standby.landed, holder="pod-2/n", resource_version="9")
    standby.hears(LeaseRead(record=stolen, sent=AT + 1), AT + 1.1)
    assert standby.state.hold is None
    back = replace(standby.landed, resource_version="10")
    standby.hears(LeaseRead(record=back, sent=AT + 2), AT + 2.1)
    assert standby.state.hold is None
    assert standby.writes(), "in a generation of its own"
