"""How news of the Lease is taken in, whoever holds it."""

from dataclasses import replace
from typing import Any

from vipmanager.core.election.actions import Action, ReadLease
from vipmanager.core.election.record import generation_of, same_life
from vipmanager.core.election.state import Channel, Sight, State
from vipmanager.core.lease import LeaseRecord


def answered(state: State, now: float, **changes: Any) -> Sight:  # noqa: ANN401 - its fields
    """Note that the API answered; a gap before it begins a new contact."""
    sight = state.sight
    gap = now - sight.contact > 0.75 * state.settings.lease
    return replace(
        sight, contact=now, since=now if gap else sight.since, forbidden=False, **changes
    )


def seen(state: State, sight: Sight, record: LeaseRecord | None, now: float) -> State:
    """Take a record for the present one, and the rest of what is known of the Lease with it."""
    before = sight.record
    if sight.known and same_life(before, record):
        if record is not before:
            sight = replace(sight, record=record)
        return state if sight is state.sight else replace(state, sight=sight)
    same_hold = (
        before is not None
        and record is not None
        and record.holder == before.holder
        and generation_of(record) == generation_of(before)
    )
    if not same_hold:
        other = record.holder not in {None, state.me.identity} if record else sight.held_by_other
        sight = replace(
            sight, known=True, record=record, held_by_other=other, changed=now, taken=now
        )
        # Another holder has yet to be heard; its silence means nothing before.
        channel = Channel(number=state.channel.number, answered=state.channel.number)
        return replace(state, sight=sight, channel=channel)
    channel = state.channel
    unanswered = channel.answered < channel.number
    if channel.misses or (unanswered and now > channel.due - state.settings.heartbeat / 2):
        # It renews and is not heard: the channel misleads until it is heard again.
        channel = replace(channel, misses=0, streak=0, trusted=False)
    return replace(state, sight=replace(sight, record=record, changed=now), channel=channel)


def ask(state: State, now: float, out: list[Action]) -> State:
    """Read the Lease, unless a reading is under way."""
    if state.sight.reading:
        return state
    out.append(ReadLease())
    return replace(state, sight=replace(state.sight, reading=True, asked=now))
