"""When a standby asks after the pod of the Lease's holder, and what it makes of the answer."""

from dataclasses import replace
from types import MappingProxyType

import pytest

from vipmanager.core.election import record as lease_record
from vipmanager.core.election.actions import LookUpHolder, WriteLease
from vipmanager.core.election.conditions import election_findings
from vipmanager.core.election.events import (
    Event,
    FitnessChanged,
    Heard,
    LeaseChanged,
    LeaseRead,
    PodSeen,
    PodUnseen,
    Tick,
)
from vipmanager.core.election.machine import step, wake
from vipmanager.core.election.state import State
from vipmanager.core.election.values import (
    ElectionSettings,
    Fitness,
    Member,
    Order,
    Reply,
    Why,
)
from vipmanager.core.findings import Condition
from vipmanager.core.lease import LeaseRecord

TIMES = ElectionSettings(lease=10.0)
MISSED = (TIMES.detect_multiplier + 1) * TIMES.heartbeat
ME = Member(
    pod="uid-2", name="telco/app-2", nonce="1", address="b:1", zone="b", fingerprint="group"
)
HOLDER = replace(ME, pod="uid-1", name="telco/app-1", address="a:1", zone="a")
SEEN = PodSeen(pod="uid-1", uid="uid-1")


def held(by: Member = HOLDER, /, **more: object) -> LeaseRecord:
    """Give the Lease as its holder has written it."""
    free = LeaseRecord(uid="lease", resource_version="1", renew_time="then")
    made = lease_record.acquired(free, by, TIMES, why=Why.FREE, distrust=False)
    return replace(made, **more)  # type: ignore[arg-type]


class Standby:
    """One that lives for as long as it is told to, with an API that answers what it is told to."""

    def __init__(self, record: LeaseRecord, answer: Event | None = SEEN) -> None:
        self.state, self.now, self.answer = State(me=ME, settings=TIMES), 0.0, answer
        self.asked: list[tuple[float, str]] = []
        self.took: tuple[float, str] | None = None
        self.hears(FitnessChanged(Fitness()))
        self.record = record
        self.hears(LeaseRead(record=record, sent=0.0))

    def hears(self, event: Event) -> None:
        self.state, actions = step(self.state, event, self.now)
        for action in actions:
            if isinstance(action, LookUpHolder):
                self.asked.append((round(self.now, 3), action.name))
                if self.answer is not None:
                    self.hears(self.answer)
            if isinstance(action, WriteLease) and self.took is None:
                self.took = self.now, action.record.annotations[lease_record.TAKEN]

    def lives(self, until: float) -> "Standby":
        """Let time pass, with an API that shows the same Lease whenever it is read."""
        while (due := max(self.now, wake(self.state, self.now))) <= until and not self.took:
            self.now = due
            self.hears(Tick())
            if self.state.observed.reading:
                self.hears(LeaseRead(record=self.record, sent=self.now))
        self.now = until
        return self


@pytest.mark.parametrize("uid", [None, "uid-9"])
def test_a_holder_whose_pod_is_gone_is_taken_from_at_once(uid: str | None) -> None:
    standby = Standby(held(), PodSeen(pod="uid-1", uid=uid)).lives(60)
    assert standby.asked == [(MISSED, "app-1")]
    assert standby.took == (MISSED, "gone")


def test_without_heartbeats_it_asks_as_soon_as_it_sees_the_lease() -> None:
    standby = Standby(held(replace(HOLDER, address="")), PodSeen(pod="uid-1", uid=None))
    assert standby.took == (0.0, "gone")


def test_a_pod_that_is_there_or_terminates_has_its_leaseseconds() -> None:
    standby = Standby(held(), SEEN).lives(60)
    assert standby.took == (TIMES.lease, "expired")
    # Once while it is not heard, and again and again from when a renewal is overdue.
    first, *more = standby.asked
    assert first == (MISSED, "app-1")
    assert [at for at, _ in more] == [5.0, 6.0, 7.0, 8.0, 9.0, 10.0]


def test_a_holder_that_is_heard_and_renews_is_never_asked_after() -> None:
    standby = Standby(held())
    for number in range(1, 100):
        standby.lives(number * 0.1)
        reply = Reply(
            sender=HOLDER.identity,
            number=standby.state.session.number,
            generation=lease_record.generation_of(standby.record),
        )
        standby.hears(Heard(message=reply, source="a:1"))
        if number % 30 == 0:
            standby.record = replace(standby.record, renew_time=f"at {number}")
            standby.hears(LeaseChanged(record=standby.record))
    assert standby.asked == []


def test_a_holder_that_renews_and_is_not_heard_is_asked_after_once() -> None:
    standby = Standby(held())
    for number in range(1, 10):
        standby.lives(number * 3.0)
        standby.record = replace(standby.record, renew_time=f"at {number}")
        standby.hears(LeaseChanged(record=standby.record))
    assert standby.asked == [(MISSED, "app-1")]


UNKNOWN: dict[str, LeaseRecord] = {
    "a holder of 0.1.0": held(replace(HOLDER, name="")),
    "a pod of another namespace": held(replace(HOLDER, name="elsewhere/app-1")),
    "no namespace": held(replace(HOLDER, name="app-1")),
    "only a namespace": held(replace(HOLDER, name="telco/")),
    "no annotations": held(annotations=MappingProxyType({})),
    "another group": held(replace(HOLDER, fingerprint="another")),
    "nobody": held(holder=None),
}


@pytest.mark.parametrize("record", UNKNOWN.values(), ids=UNKNOWN)
def test_whose_pod_can_t_be_known_is_not_asked_after(record: LeaseRecord) -> None:
    standby = Standby(record, PodSeen(pod="uid-1", uid=None)).lives(60)
    assert standby.asked == []
    assert standby.took is not None
    assert standby.took[1] != "gone"


def test_what_was_told_of_one_holder_is_not_believed_of_the_next() -> None:
    standby = Standby(held(), answer=None).lives(1.0)
    other = held(replace(HOLDER, pod="uid-3", name="telco/app-3"), transitions=2)
    standby.record = other
    standby.hears(LeaseChanged(record=other))
    standby.hears(PodSeen(pod="uid-1", uid=None))
    assert standby.took is None
    standby.answer = PodSeen(pod="uid-3", uid="uid-3")
    standby.lives(5.0)
    assert [name for _, name in standby.asked] == ["app-1", "app-3"]
    assert standby.took is None


@pytest.mark.parametrize("forbidden", [True, False])
def test_an_api_that_does_not_tell_means_nothing(*, forbidden: bool) -> None:
    standby = Standby(held(), PodUnseen(forbidden=forbidden)).lives(60)
    assert standby.took == (TIMES.lease, "expired")
    assert len(standby.asked) == (1 if forbidden else 7)
    found = {f.condition for f in election_findings(standby.state, standby.now)}
    assert (Condition.POD_UNTOLD in found) is forbidden


def test_an_answer_that_never_comes_stops_nothing() -> None:
    standby = Standby(held(), answer=None).lives(60)
    assert standby.took == (TIMES.lease, "expired")
    assert len(standby.asked) == 1


def test_who_was_asked_to_yield_asks_nothing() -> None:
    standby = Standby(held(), PodSeen(pod="uid-1", uid=None))
    standby.state = replace(standby.state, order=Order.YIELD)
    standby.lives(60)
    assert (standby.asked, standby.took) == ([], None)


def test_the_holder_s_pod_stands_in_the_lease_and_goes_with_it() -> None:
    record = held()
    assert record.annotations[lease_record.POD] == "telco/app-1"
    renewed = lease_record.renewed(
        record, HOLDER, TIMES, offer="", denied=0, distrust=False, clock=1.0
    )
    assert renewed.annotations[lease_record.POD] == "telco/app-1"
    assert lease_record.POD not in lease_record.released(renewed).annotations
