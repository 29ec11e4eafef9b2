"""One step: from a state and an event to the next state and what is to be done."""

from dataclasses import dataclass, replace
from typing import assert_never

from vipmanager.core.election import holder, route_work, standby
from vipmanager.core.election import record as lease_record
from vipmanager.core.election.actions import Action, Purpose, Send
from vipmanager.core.election.events import (
    AddressesChanged,
    Asked,
    Event,
    FitnessChanged,
    Heard,
    LeaseChanged,
    LeaseConflict,
    LeaseFailed,
    LeaseRead,
    LeaseWritten,
    PodSeen,
    PodUnseen,
    RoutesRead,
    Tick,
    WaveEnded,
)
from vipmanager.core.election.lease_observation import answered, ask, refused, seen
from vipmanager.core.election.state import FOREVER, State, forgotten
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
    return state.role.value if hold is None else f"{state.role.value} {hold.work.phase.name}"


def step(state: State, event: Event, now: float) -> tuple[State, tuple[Action, ...]]:
    """Take in one event, and do whatever has come due.

    Args:
        state: from the step before; `State(me=..., settings=...)` to begin.
        event: what happened.
        now: monotonic seconds; any origin, the same one for `sent` in events.
    """
    out: list[Action] = []
    state = _handle(state, event, now, out)
    settle = standby.settle if state.hold is None else holder.settle
    return settle(state, now, out), tuple(out)


def wake(state: State, now: float) -> float:
    """Give when a `Tick` is due, if nothing else happens before."""
    if state.hold is None:
        return standby.wake(state, now)
    return holder.wake(state, state.hold, now)


def _handle(state: State, event: Event, now: float, out: list[Action]) -> State:
    match event:
        case Heard():
            return _heard(state, event, now, out)
        case LeaseRead() | LeaseChanged() | LeaseWritten() | LeaseConflict() | LeaseFailed():
            return _handle_lease(state, event, now, out)
        case PodSeen() | PodUnseen():
            return standby.told_of_pod(state, event)
        case RoutesRead() | WaveEnded():
            return _handle_routes(state, event, now, out)
        case FitnessChanged() | AddressesChanged() | Asked():
            return _told(state, event, now)
        case Tick():
            return state
        case _:
            assert_never(event)


def _heard(state: State, event: Heard, now: float, out: list[Action]) -> State:
    match event.message:
        case Probe() as probe:
            return holder.on_probe(state, probe, event.source, now, out)
        case Reply() as reply if state.hold is None:
            return standby.replied(state, reply, now)
        case Reply() as reply:
            return holder.on_newer_generation(state, reply, now, out)
        case _:
            assert_never(event.message)


def _handle_lease(
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
            observed = answered(state, now, writing=None, written=now, stale=True)
            return ask(replace(state, observed=observed), now, out)
        case LeaseFailed():
            return _failed(state, event, now)
        case _:
            assert_never(event)


def _handle_routes(
    state: State, event: RoutesRead | WaveEnded, now: float, out: list[Action]
) -> State:
    hold = state.hold
    if hold is None or event.generation != hold.generation:
        return state  # of a holding that is over
    if isinstance(event, RoutesRead):
        return route_work.read(state, hold, event, now, out)
    return route_work.ended(state, hold, event, now, out)


def _read(state: State, event: LeaseRead, now: float, out: list[Action]) -> State:
    if event.sent < state.observed.written:  # older than what our own write was answered with
        return ask(replace(state, observed=answered(state, now, reading=False)), now, out)
    observed = answered(state, now, reading=False, read=event.sent, stale=False)
    before = state
    state = seen(state, observed, event.record, now)
    if state.hold is None:
        return _done_unheard(before, state, event, now, out)
    if not holder.confirmed(state, state.hold, event.record):
        return holder.lost(state, event.record, now, out)
    state = holder.proven(state, now, out)
    return route_work.fenced(state, sent=event.sent, now=now, out=out)


def _done_unheard(
    before: State, state: State, event: LeaseRead, now: float, out: list[Action]
) -> State:
    """Take a reading that shows what was written for the answer: it counts from the writing."""
    observed, record = state.observed, event.record
    if record is None or not standby.landed(state, record):
        return state
    if observed.writing is not None or state.retired:
        return state
    if event.sent < observed.tried:
        return ask(replace(state, observed=replace(observed, stale=True)), now, out)
    return _acquired(before, state, record, sent=observed.tried, proof=event.sent, now=now, out=out)


def _acquired(
    before: State,
    state: State,
    record: LeaseRecord,
    *,
    sent: float,
    proof: float,
    now: float,
    out: list[Action],
) -> State:
    begun = holder.begin(before, record, sent=sent, proof=proof, now=now, out=out)
    order = None if begun.order is Order.CLAIM else begun.order
    observed = replace(state.observed, trying=None)
    return replace(begun, observed=observed, session=state.session, order=order)


def _changed(state: State, event: LeaseChanged, now: float, out: list[Action]) -> State:
    """Believe news; what contradicts later knowledge may be late, so it is read again."""
    record, hold = event.record, state.hold
    if hold is None:
        return _news(state, record, now, out)
    if holder.confirmed(state, hold, record):
        return state
    if _older(record, state.observed.record):
        return ask(state, now, out)
    return route_work.on_suspected_loss(state, hold, now, out)


def _news(state: State, record: LeaseRecord | None, now: float, out: list[Action]) -> State:
    """Take in what a standby's watch tells."""
    known = state.observed.record
    if record is None or _older(record, known):
        return ask(state, now, out)
    if lease_record.old_news(record, known):
        return state
    state = seen(state, state.observed, record, now)
    if state.observed.writing is None and standby.landed(state, record):
        # To be read, not written once more.
        return ask(replace(state, observed=replace(state.observed, stale=True)), now, out)
    return state


def _older(record: LeaseRecord | None, known: LeaseRecord | None) -> bool:
    if record is None or known is None:
        return False
    return record.uid == known.uid and record.transitions < known.transitions


def _written(state: State, event: LeaseWritten, now: float, out: list[Action]) -> State:
    before, hold = state, state.hold
    observed = answered(state, now, writing=None, written=now, stale=False)
    state = seen(state, observed, event.record, now)
    match event.purpose:
        case Purpose.ACQUIRE if hold is None and not state.retired:
            sent, record = event.sent, event.record
            return _acquired(before, state, record, sent=sent, proof=sent, now=now, out=out)
        case Purpose.RENEW if hold is not None:
            notes = event.record.annotations
            # What has become urgent since it was sent is not met by it.
            urgent = event.sent < hold.renew <= now
            hold = replace(
                hold,
                renewed=event.sent,
                renew=hold.renew if urgent else event.sent + state.settings.lease / 3,
                offer=notes.get(lease_record.OFFER, ""),
                distrust=lease_record.DISTRUST in notes,
                standbys=notes.get(lease_record.STANDBYS, ""),
            )
            state = holder.proven(replace(state, hold=hold), now, out)
            return route_work.fenced(state, sent=event.sent, now=now, out=out)
        case Purpose.RELEASE:
            return holder.end(state, why="released, as asked", now=now, out=out)
        case _:
            return state


def _failed(state: State, event: LeaseFailed, now: float) -> State:
    observed = replace(state.observed, failed=now, forbidden=False)
    state = route_work.overtaken(state, now)
    if event.forbidden:
        observed = refused(observed, state.settings.lease, now, write=event.purpose is not None)
    if event.purpose is None:
        return route_work.on_fence_unavailable(
            replace(state, observed=replace(observed, reading=False)), now
        )
    order = None if state.order is Order.CLAIM else state.order  # it may have been met
    return replace(state, observed=replace(observed, writing=None, stale=True), order=order)


def _told(state: State, event: FitnessChanged | AddressesChanged | Asked, now: float) -> State:
    if isinstance(event, AddressesChanged):
        return replace(state, me=replace(state.me, addresses=event.addresses))
    if isinstance(event, FitnessChanged):
        since = state.fit_since if state.fitness.may_take else now
        since = since if event.fitness.may_take else FOREVER
        stays = state.stays_since if state.fitness.leaving == "" else now
        if since == FOREVER and now >= state.fit_since + forgotten(state.settings):
            state = replace(state, relapses=0)
        hold = state.hold
        if hold is not None and hold.insisted != event.fitness.leaving:
            hold = replace(hold, insisted="")
        return replace(state, fitness=event.fitness, fit_since=since, stays_since=stays, hold=hold)
    if state.order is Order.STOP:
        return state
    if event.order is Order.CLAIM and state.hold is not None:
        return replace(state, order=None, hold=replace(state.hold, insisted=state.fitness.leaving))
    return replace(state, order=event.order)
