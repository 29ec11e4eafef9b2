"""A standby: it watches the Lease, probes its holder, and takes it where a rule allows that.

    the Lease                                          is taken
    isn't there                                        at once by who never saw one or held it,
                                                       by others after its duration
    has no holder                                      at once
    names this process, which does not hold it,        at once
    or an earlier one of this pod
    is offered to any, or to this pod's zone           at once; to a zone after `prefer` seconds
    has a trusted holder that missed `misses` probes   at once, by compare-and-swap alone
    was not renewed for its duration (twice that       once read again and found unchanged
    while its holder is heard)
    belongs to another group, by its fingerprint       once released, or three durations old

Only a standby that is fit takes, and none that was asked to leave or to yield.
"""

from collections.abc import Callable
from dataclasses import replace

from vipmanager.core.election import record as lease_record
from vipmanager.core.election.actions import Action, Purpose, Send, WriteLease
from vipmanager.core.election.record import duration_of
from vipmanager.core.election.sighting import ask
from vipmanager.core.election.state import (
    FOREVER,
    NEVER,
    Channel,
    State,
    expiry,
    lapse,
)
from vipmanager.core.election.values import Order, Probe, Reply, Why, pod_of
from vipmanager.core.lease import LeaseRecord

PATIENCE_WITH_STRANGERS = 2
"""Further durations for which another group's Lease is left to that group."""


def settle(state: State, now: float, out: list[Action]) -> State:
    """Do whatever is due."""
    state = _probe(state, now, out)
    if now >= _read_due(state, now):
        state = ask(state, now, out)
    return _take(state, now, out)


def wake(state: State, now: float) -> float:
    """Give when something is due next, if nothing is heard before."""
    times = [state.channel.due if address(state) else FOREVER]
    if not state.sight.reading:
        times.append(_read_due(state, now))
    if state.fitness.may_take and not state.retired:
        times += [t for t in (state.lame, _prefer_at(state)) if now < t]
    return min(times)


def replied(state: State, reply: Reply, now: float) -> State:
    """Take in an answer of the holder."""
    record, channel = state.sight.record, state.channel
    if record is None or reply.sender != record.holder:
        return state
    if not channel.answered < reply.number <= channel.number:
        return state  # late, or sent twice
    streak = channel.streak + 1
    channel = replace(
        channel,
        answered=reply.number,
        heard=now,
        streak=streak,
        misses=0,
        trusted=channel.trusted or streak >= state.settings.misses,
    )
    return replace(state, channel=channel)


def address(state: State) -> str:
    """Give where the present holder is probed; empty for nowhere."""
    record = state.sight.record
    if record is None or record.holder in {None, state.me.identity}:
        return ""
    if not state.me.address or state.retired:
        return ""
    return record.annotations.get(lease_record.ADDRESS, "")


def foreign(state: State) -> bool:
    """Tell whether the Lease belongs to a group with other floating IPs."""
    record = state.sight.record
    theirs = record.annotations.get(lease_record.FINGERPRINT, "") if record is not None else ""
    return bool(theirs) and theirs != state.me.fingerprint


def _probe(state: State, now: float, out: list[Action]) -> State:
    channel, every = state.channel, state.settings.heartbeat
    to = address(state)
    if not to or now < channel.due:
        return state
    number, answered = channel.number, channel.answered
    misses, streak = channel.misses, channel.streak
    if channel.due == NEVER:
        answered = number
    elif now > channel.due + every / 2:
        # This agent slept: what it did not hear meanwhile means nothing.
        misses, streak, answered = 0, 0, number
    elif answered < number:
        misses, streak = misses + 1, 0
    channel = replace(
        channel,
        number=number + 1,
        due=max(channel.due, now - every / 2) + every,
        answered=answered,
        misses=misses,
        streak=streak,
    )
    heard = _heard(channel)
    probe = Probe(sender=state.me.identity, number=channel.number, heard=heard)
    out.append(Send(to=to, message=probe))
    return replace(state, channel=channel)


def _heard(channel: Channel) -> int:
    """Give the last reply that was really heard."""
    return channel.answered if channel.streak else 0


def _read_due(state: State, now: float) -> float:
    """Give when the Lease is read next, whatever the watch tells."""
    sight, settings = state.sight, state.settings
    pause = settings.lease if sight.forbidden else settings.retry
    if sight.asked == NEVER:
        return now
    if sight.failed >= sight.contact:
        return sight.failed + pause
    due, lapsed = sight.asked + settings.lease / 2, lapse(state)
    if sight.read < lapsed < due:
        soonest = max(sight.failed, sight.written) + pause
        due = min(due, max(expiry(state, now), soonest))
    return due


def _take(state: State, now: float, out: list[Action]) -> State:
    sight = state.sight
    if sight.writing is not None or sight.stale or now < sight.failed + state.settings.retry:
        return state
    record = sight.record
    if state.retired:
        if record is not None and record.holder == state.me.identity:
            # An acquisition that was given up for lost has landed after all.
            return _write(state, Purpose.RELEASE, lease_record.released(record), out)
        return state
    why = _allowed(state, now)
    if why is None:
        # A claim is for now: one that can't be met is not kept for another day.
        return replace(state, order=None) if state.order is Order.CLAIM else state
    wanted = lease_record.acquired(
        record, state.me, state.settings, why=why, distrust=state.distrusts(now)
    )
    return _write(state, Purpose.ACQUIRE, wanted, out)


def _write(state: State, purpose: Purpose, record: LeaseRecord, out: list[Action]) -> State:
    out.append(WriteLease(purpose=purpose, record=record))
    sight = replace(state.sight, writing=purpose, replacing=state.sight.record)
    return replace(state, sight=sight)


def _allowed(state: State, now: float) -> Why | None:
    """Give the rule by which the Lease may be taken now."""
    record = state.sight.record
    if not state.sight.known or not state.fitness.may_take:
        return None
    if state.order is Order.CLAIM:
        return None if foreign(state) else Why.CLAIMED
    if now < state.lame:
        return None
    if record is None:
        return Why.ABSENT if now >= _absent_until(state) else None
    rules = STRANGERS_RULES if foreign(state) else RULES
    return next((why for why, rule in rules if rule(state, record, now)), None)


def _absent_until(state: State) -> float:
    """Give until when the last holder may put a deleted Lease back."""
    sight = state.sight
    return sight.changed + state.settings.lease if sight.held_by_other else NEVER


def _free(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    return record.holder is None


def _left_behind(state: State, record: LeaseRecord, now: float) -> bool:
    long = PATIENCE_WITH_STRANGERS * duration_of(record, state.settings)
    return _expired(state, now - long)


def _own(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    return pod_of(record.holder or "") == state.me.pod


def _offered(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    return record.annotations.get(lease_record.OFFER) == lease_record.ANY


def _preferred(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    return now >= _prefer_at(state)


def _silent(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    channel = state.channel
    enough = channel.misses >= state.settings.misses
    return enough and channel.trusted and not state.distrusts(now)


def _lapsed(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    return _expired(state, now)


Rules = tuple[tuple[Why, Callable[[State, LeaseRecord, float], bool]], ...]

RULES: Rules = (
    (Why.FREE, _free),
    (Why.OWN, _own),
    (Why.OFFERED, _offered),
    (Why.PREFERRED, _preferred),
    (Why.SILENT, _silent),
    (Why.EXPIRED, _lapsed),
)
"""What allows a standby to take a Lease, in the order in which it is asked."""

STRANGERS_RULES: Rules = ((Why.FREE, _free), (Why.EXPIRED, _left_behind))
"""The same for the Lease of another group."""


def _expired(state: State, now: float) -> bool:
    lapsed = lapse(state)
    return now >= lapsed and state.sight.read >= lapsed and now >= expiry(state, now)


def _prefer_at(state: State) -> float:
    """Give when a standby in the preferred zone takes what is offered to that zone."""
    record, zone = state.sight.record, state.settings.preferred_zone
    offer = record.annotations.get(lease_record.OFFER) if record is not None else None
    if zone is None or zone != state.me.zone or offer != lease_record.to_zone(zone):
        return FOREVER
    return max(state.fit_since, state.sight.taken) + state.settings.prefer
