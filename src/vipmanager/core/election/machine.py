"""One step: from a state and an event to the next state and what is to be done."""

from dataclasses import dataclass, replace
from typing import assert_never

from vipmanager.core.election import holder, standby, wave
from vipmanager.core.election import record as lease_record
from vipmanager.core.election.actions import Action, Purpose, Send
from vipmanager.core.election.events import (
    Asked,
    Event,
    FitnessChanged,
    Heard,
    LeaseChanged,
    LeaseConflict,
    LeaseFailed,
    LeaseRead,
    LeaseWritten,
    RoutesRead,
    Tick,
    WaveEnded,
)
from vipmanager.core.election.sighting import answered, ask, seen
from vipmanager.core.election.state import FOREVER, State
from vipmanager.core.election.values import Order, Probe, Reply
from vipmanager.core.lease import LeaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step that was taken: a row of the tables of this package."""

    before: State
    event: Event
    after: State
    actions: tuple[Action, ...]

    @property
    def notable(self) -> bool:
        """Whether more than a heartbeat was sent, or something begins or ends."""
        calls = any(not isinstance(a, Send) for a in self.actions)
        return calls or _phase(self.before) != _phase(self.after)

    def __str__(self) -> str:
        """Show it as a line of a debug log."""
        done = ", ".join(type(a).__name__ for a in self.actions) or "nothing"
        return f"{_phase(self.before)}, {type(self.event).__name__} -> {_phase(self.after)}: {done}"


def _phase(state: State) -> str:
    hold = state.hold
    return state.role.value if hold is None else f"{state.role.value} {hold.wave.phase.name}"


def step(state: State, event: Event, now: float) -> tuple[State, tuple[Action, ...]]:
    """Take in one event, and do whatever has come due.

    Args:
        state: from the step before; `State(me=..., settings=...)` to begin.
        event: what happened.
        now: monotonic seconds; any origin, the same one for `sent` in events.
    """
    out: list[Action] = []
    state = _heed(state, event, now, out)
    settle = standby.settle if state.hold is None else holder.settle
    return settle(state, now, out), tuple(out)


def wake(state: State, now: float) -> float:
    """Give when a `Tick` is due, if nothing else happens before."""
    if state.hold is None:
        return standby.wake(state, now)
    return holder.wake(state, state.hold, now)


def _heed(state: State, event: Event, now: float, out: list[Action]) -> State:
    match event:
        case Heard():
            return _heard(state, event, now, out)
        case LeaseRead() | LeaseChanged() | LeaseWritten() | LeaseConflict() | LeaseFailed():
            return _heed_lease(state, event, now, out)
        case RoutesRead() | WaveEnded():
            return _heed_routes(state, event, now, out)
        case FitnessChanged() | Asked():
            return _told(state, event, now)
        case Tick():
            return state
        case _:
            assert_never(event)


def _heard(state: State, event: Heard, now: float, out: list[Action]) -> State:
    match event.message:
        case Probe() as probe:
            return holder.probed(state, probe, event.source, now, out)
        case Reply() as reply if state.hold is None:
            return standby.replied(state, reply, now)
        case Reply() as reply:
            return holder.outdone(state, reply, now, out)
        case _:
            assert_never(event.message)


def _heed_lease(
    state: State,
    event: LeaseRead | LeaseChanged | LeaseWritten | LeaseConflict | LeaseFailed,
    now: float,
    out: list[Action],
) -> State:
    match event:
        case LeaseRead():
            return _read(state, event, now, out)
        case LeaseChanged():
            return _changed(state, event, now, out)
        case LeaseWritten():
            return _written(state, event, now, out)
        case LeaseConflict():
            sight = answered(state, now, writing=None, written=now, stale=True)
            return ask(replace(state, sight=sight), now, out)
        case LeaseFailed():
            return _failed(state, event, now)
        case _:
            assert_never(event)


def _heed_routes(
    state: State, event: RoutesRead | WaveEnded, now: float, out: list[Action]
) -> State:
    hold = state.hold
    if hold is None or event.generation != hold.generation:
        return state  # of a holding that is over
    if isinstance(event, RoutesRead):
        return wave.read(state, hold, event, now, out)
    return wave.ended(state, hold, event, now, out)


def _read(state: State, event: LeaseRead, now: float, out: list[Action]) -> State:
    if event.sent < state.sight.written:  # older than what our own write was answered with
        return ask(replace(state, sight=answered(state, now, reading=False)), now, out)
    sight = answered(state, now, reading=False, read=event.sent, stale=False)
    state = seen(state, sight, event.record, now)
    if state.hold is None:
        return state
    if not holder.confirmed(state, state.hold, event.record):
        return holder.lost(state, event.record, now, out)
    return wave.fenced(state, sent=event.sent, now=now, out=out)


def _changed(state: State, event: LeaseChanged, now: float, out: list[Action]) -> State:
    """Believe news; what contradicts later knowledge may be late, so it is read again."""
    record, known = event.record, state.sight.record
    if state.hold is not None:
        if holder.confirmed(state, state.hold, record):
            return state
        if _older(record, state.sight.record):
            return ask(state, now, out)
        return wave.doubted(state, state.hold, now, out)
    if record is None or _older(record, known):
        return ask(state, now, out)
    return seen(state, state.sight, record, now)


def _older(record: LeaseRecord | None, known: LeaseRecord | None) -> bool:
    if record is None or known is None:
        return False
    return record.uid == known.uid and record.transitions < known.transitions


def _written(state: State, event: LeaseWritten, now: float, out: list[Action]) -> State:
    before, hold = state, state.hold
    sight = answered(state, now, writing=None, written=now, stale=False)
    state = seen(state, sight, event.record, now)
    match event.purpose:
        case Purpose.ACQUIRE if hold is None and not state.retired:
            begun = holder.begin(before, event.record, sent=event.sent, now=now, out=out)
            order = None if begun.order is Order.CLAIM else begun.order
            return replace(begun, sight=state.sight, channel=state.channel, order=order)
        case Purpose.RENEW if hold is not None:
            notes = event.record.annotations
            hold = replace(
                hold,
                proven=event.sent,
                renew=event.sent + state.settings.lease / 3,
                offer=notes.get(lease_record.OFFER, ""),
                distrust=lease_record.DISTRUST in notes,
            )
            state = replace(state, hold=hold)
            return wave.fenced(state, sent=event.sent, now=now, out=out)
        case Purpose.RELEASE:
            return holder.end(state, why="released, as asked", now=now, out=out)
        case _:
            return state


def _failed(state: State, event: LeaseFailed, now: float) -> State:
    sight = replace(state.sight, failed=now, forbidden=event.forbidden)
    if event.purpose is None:
        return wave.unfenced(replace(state, sight=replace(sight, reading=False)), now)
    order = None if state.order is Order.CLAIM else state.order  # it may have been met
    return replace(state, sight=replace(sight, writing=None, stale=True), order=order)


def _told(state: State, event: FitnessChanged | Asked, now: float) -> State:
    if isinstance(event, FitnessChanged):
        since = state.fit_since if state.fitness.may_take else now
        since = since if event.fitness.may_take else FOREVER
        return replace(state, fitness=event.fitness, fit_since=since)
    if state.order is Order.LEAVE:
        return state
    if event.order is Order.CLAIM and state.hold is not None:
        return replace(state, order=None)
    return replace(state, order=event.order)
