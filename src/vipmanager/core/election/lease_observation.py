"""How news of the Lease is taken in, whoever holds it."""

from dataclasses import replace
from typing import Any

from vipmanager.core.election import record as lease_record
from vipmanager.core.election.actions import Action, ReadLease
from vipmanager.core.election.record import generation_of, same_life
from vipmanager.core.election.state import NEVER, LeaseObservation, Session, State
from vipmanager.core.lease import LeaseRecord


def answered(state: State, now: float, **changes: Any) -> LeaseObservation:  # noqa: ANN401 - its fields
    """Note that the API answered; a gap before it begins a new contact."""
    observed = state.observed
    gap = now - observed.contact > 0.75 * state.settings.lease
    if "written" in changes or not observed.unwritten:
        observed = replace(observed, again=NEVER, unwritten=False)
    return replace(
        observed, contact=now, since=now if gap else observed.since, forbidden=False, **changes
    )


def refused(
    observed: LeaseObservation, lease: float, now: float, *, write: bool
) -> LeaseObservation:
    """Note that a call was refused: the first of a row, or one more."""
    first = observed.refused if now < observed.again + 2 * lease else now
    return replace(observed, forbidden=True, refused=first, again=now, unwritten=write)


def pause(state: State) -> float:
    """Give how long after a failure no call is made: longer once it is refused for good.

    A refusal at first is none for good: an API server that starts has read no Roles for a second.
    """
    observed, settings = state.observed, state.settings
    lasting = observed.forbidden and observed.again >= observed.refused + settings.unread
    return settings.lease if lasting else settings.retry


def seen(state: State, observed: LeaseObservation, record: LeaseRecord | None, now: float) -> State:
    """Take a record for the present one, and the rest of what is known of the Lease with it."""
    before = observed.record
    if observed.known and same_life(before, record):
        if record is not before:
            observed = replace(observed, record=record)
        return state if observed is state.observed else replace(state, observed=observed)
    same_hold = (
        before is not None
        and record is not None
        and record.holder == before.holder
        and generation_of(record) == generation_of(before)
    )
    if not same_hold:
        other = record.holder not in {None, state.me.identity} if record else observed.held_by_other
        observed = replace(
            observed, known=True, record=record, held_by_other=other, observed_time=now, taken=now
        )
        # Another holder has yet to be heard; its silence means nothing before.
        number = state.session.number
        session = Session(number=number, since=number, answered=number)
        return replace(state, observed=observed, session=session)
    session = state.session
    every = state.settings.heartbeat
    if _lived(session, record, now) > min(session.asked, session.heard + every) + every / 2:
        # It renews and is not heard: heartbeats mislead until it is heard again.
        session = replace(session, misses=0, streak=0, trusted=False)
    return replace(
        state, observed=replace(observed, record=record, observed_time=now), session=session
    )


def _lived(session: Session, record: LeaseRecord | None, now: float) -> float:
    """Give until when a renewal shows life, at the most: news of it may be late.

    The holder's own clock tells how long after its last answer it was written.
    """
    written = lease_record.clock_of(record)
    if written is None or session.clock is None:
        return now
    return min(now, session.heard + written - session.clock)


def ask(state: State, now: float, out: list[Action]) -> State:
    """Read the Lease, unless a reading is under way."""
    if state.observed.reading:
        return state
    out.append(ReadLease())
    return replace(state, observed=replace(state.observed, reading=True, asked=now))
