"""A standby: it watches the Lease, probes its holder, and takes it where a rule allows that.

    the Lease                                          is taken
    isn't there                                        at once by who never saw one or held it,
                                                       by others after its duration
    has no holder                                      at once
    names this process, which does not hold it,        at once
    or an earlier one of this pod
    has a holder whose pod is gone                     at once
    is offered to any, to who may stay,                at once; to a zone after `prefer` seconds
    or to this pod's zone
    has a trusted holder that missed probes in a row   at once, by compare-and-swap alone
    was not renewed for its duration (twice that       once read again and found unchanged
    while its holder is heard)
    belongs to another group, or perhaps (`group`)     once released, or three durations old

Only a standby that is fit takes, and none that was asked to stop or to yield.

One that should leave its node or zone lets others go first: what a holder in the same plight offers
it leaves alone, to its preferred zone it does not return, and anything else that is not its own
already it takes `LeaseSeconds` later, unless the Lease names it as the only standby.
One that gave the Lease up, being unfit, takes none that is offered before it has been fit for a
while, each time a longer one: a health that comes and goes moves nothing for long. The same holds
for one that could not write. What nobody serves it takes all the same, `head` seconds later, so
that any other comes first.

How many in a row is `detect_multiplier` (RFC 5880, 6.8.4). Silence is an interval in which no
answer came at all, to whichever probe. It counts after answers in a row that each came before the
next probe was sent: one that comes later, or not at all, shows that silence means little here.
"""

from collections.abc import Callable
from dataclasses import replace

from vipmanager.core.election import record as lease_record
from vipmanager.core.election.actions import Action, LookUpHolder, Purpose, Send, WriteLease
from vipmanager.core.election.events import PodSeen, PodUnseen
from vipmanager.core.election.group import Kin, kin
from vipmanager.core.election.lease_observation import ask, pause
from vipmanager.core.election.record import duration_of, pod_name
from vipmanager.core.election.state import (
    FOREVER,
    NEVER,
    State,
    expiry,
    lapse,
    rested,
    talking,
)
from vipmanager.core.election.values import Order, Probe, Reply, Why, pod_of
from vipmanager.core.lease import LeaseRecord

PATIENCE_WHERE_REFUSED = 30.0
"""Seconds before the API is asked again after a pod of which it may not tell."""
PATIENCE_WITH_STRANGERS = 2
"""Further durations for which another group's Lease is left to that group."""


def settle(state: State, now: float, out: list[Action]) -> State:
    """Do whatever is due."""
    state = _look_up(_probe(state, now, out), now, out)
    if now >= _read_due(state, now):
        state = ask(state, now, out)
    return _take(state, now, out)


def wake(state: State, now: float) -> float:
    """Give when something is due next, if nothing is heard before."""
    times = [state.session.due if address(state) else FOREVER]
    if not state.observed.reading:
        times.append(_read_due(state, now))
    times.append(_look_up_due(state))
    if state.fitness.may_take and not state.retired:
        times += [t for t in (rested(state), _prefer_at(state), _after_others(state)) if now < t]
        times += [t for t in _unserved_at(state, now) if now < rested(state) and now < t]
    return min(times)


def replied(state: State, reply: Reply, now: float) -> State:
    """Take in an answer of the holder."""
    record, session = state.observed.record, state.session
    if record is None or reply.sender != record.holder:
        return state
    number = reply.number
    if not session.since < number <= session.number or number == session.answered:
        return state  # of another time, or sent twice
    streak, trusted = session.streak, session.trusted
    if number == session.number:
        streak += 1
        trusted = streak >= state.settings.detect_multiplier
    elif number > session.void:
        streak, trusted = 0, False
    session = replace(
        session,
        answered=max(number, session.answered),
        asked=FOREVER,
        heard=now,
        clock=reply.clock,
        streak=streak,
        misses=0,
        trusted=trusted,
    )
    return replace(state, session=session)


def told_of_pod(state: State, event: PodSeen | PodUnseen) -> State:
    """Take in what the API tells of a holder's pod; that it does not tell means nothing."""
    lookup = replace(state.lookup, asking=False)
    if isinstance(event, PodUnseen):
        return replace(state, lookup=replace(lookup, forbidden=event.forbidden))
    gone = lookup.gone if event.uid == event.pod else event.pod
    return replace(state, lookup=replace(lookup, forbidden=False, gone=gone))


def address(state: State) -> str:
    """Give where the present holder is probed; empty for nowhere."""
    record = state.observed.record
    if record is None or record.holder in {None, state.me.identity}:
        return ""
    if not state.me.address or state.retired:
        return ""
    return record.annotations.get(lease_record.ADDRESS, "")


def landed(state: State, record: LeaseRecord | None) -> bool:
    """Tell whether a record is an acquisition of ours that nobody told us of.

    Its answer was lost, or was a conflict with its own twin. Only this process writes its
    identity, so what it wrote is what was done.
    """
    wanted = state.observed.trying
    return (
        record is not None
        and wanted is not None
        and record.holder == state.me.identity
        and record.transitions == wanted.transitions
        and record.uid == (wanted.uid or record.uid)
    )


def _probe(state: State, now: float, out: list[Action]) -> State:
    session, every = state.session, state.settings.heartbeat
    to = address(state)
    if not to or now < session.due:
        return state
    number, void = session.number, session.void
    misses, streak, asked = session.misses, session.streak, min(session.asked, now)
    if now > session.due + every / 2:
        # The first one, or this agent slept: what it did not hear meanwhile means nothing.
        misses, void, asked = 0, number, now
    elif asked < now:
        misses, streak = misses + 1, 0
    session = replace(
        session,
        number=number + 1,
        due=max(session.due, now - every / 2) + every,
        void=void,
        asked=asked,
        misses=misses,
        streak=streak,
    )
    probe = Probe(
        sender=state.me.identity, number=session.number, last_reply=session.answered, interval=every
    )
    out.append(Send(to=to, message=probe))
    return replace(state, session=session)


def _look_up(state: State, now: float, out: list[Action]) -> State:
    record = state.observed.record
    if record is None or now < _look_up_due(state):
        return state
    pod = pod_of(record.holder or "")
    out.append(LookUpHolder(name=pod_name(record, state.me), pod=pod))
    return replace(state, lookup=replace(state.lookup, about=pod, asked=now, asking=True))


def _look_up_due(state: State) -> float:
    """Give when the API is asked whether the holder's pod is there.

    Once for each holder that is not heard or has expired; again while its renewal is overdue.
    """
    record, lookup, settings = state.observed.record, state.lookup, state.settings
    if record is None or record.holder is None or not pod_name(record, state.me):
        return FOREVER
    pod = pod_of(record.holder)
    if (
        lookup.asking
        or state.retired
        or kin(state.me, record) is not Kin.SAME
        or pod in {state.me.pod, lookup.gone}
    ):
        return FOREVER
    lapsed = lapse(state)
    if lookup.about != pod:
        # One interval more than silence takes to be enough, so that a takeover asks nothing.
        patience = (settings.detect_multiplier + 1) * settings.heartbeat if address(state) else 0.0
        return min(lapsed, max(state.session.heard, state.observed.taken) + patience)
    apart = PATIENCE_WHERE_REFUSED if lookup.forbidden else settings.look_up
    overdue = lapsed - duration_of(record, settings) / 2  # it comes every third
    return max(overdue, lookup.asked + apart)


def _read_due(state: State, now: float) -> float:
    """Give when the Lease is read next, whatever the watch tells."""
    observed, settings = state.observed, state.settings
    wait = pause(state)
    if observed.asked == NEVER:
        return now
    if observed.failed >= observed.contact:
        return observed.failed + wait
    due, lapsed = observed.asked + settings.lease / 2, lapse(state)
    if observed.read < lapsed < due:
        soonest = max(observed.failed, observed.written) + wait
        due = min(due, max(expiry(state, now), soonest))
    return due


def _take(state: State, now: float, out: list[Action]) -> State:
    observed = state.observed
    if (
        observed.writing is not None
        or observed.stale
        or now < observed.failed + state.settings.retry
    ):
        return state
    record = observed.record
    if state.retired:
        if record is not None and record.holder == state.me.identity:
            # An acquisition that was given up for lost has landed after all.
            return _write_lease(state, Purpose.RELEASE, lease_record.released(record), now, out)
        return state
    why = _allowed(state, now)
    state = replace(state, tempted=FOREVER if why is None else min(state.tempted, now))
    if why is None:
        # A claim is for now: one that can't be met is not kept for another day.
        return replace(state, order=None) if state.order is Order.CLAIM else state
    if why not in _OWN_OR_CLAIMED and now < _after_others(state):
        return state
    wanted = lease_record.acquired(
        record, state.me, state.settings, why=why, distrust=state.distrusts(now), clock=now
    )
    return _write_lease(state, Purpose.ACQUIRE, wanted, now, out)


def _write_lease(
    state: State, purpose: Purpose, record: LeaseRecord, now: float, out: list[Action]
) -> State:
    out.append(WriteLease(purpose=purpose, record=record))
    observed = replace(state.observed, writing=purpose, replacing=state.observed.record)
    if purpose is Purpose.ACQUIRE:
        observed = replace(observed, trying=record, tried=now)
    return replace(state, observed=observed)


def _allowed(state: State, now: float) -> Why | None:
    """Give the rule by which the Lease may be taken now."""
    record = state.observed.record
    if not state.observed.known or not state.fitness.may_take:
        return None
    whose = kin(state.me, record)
    if state.order is Order.CLAIM:
        return None if whose is Kin.OTHER else Why.CLAIMED
    rules = RULES if whose is Kin.SAME else STRANGERS_RULES
    if now < rested(state):
        rules = tuple(rule for rule in rules if rule[0] in UNSERVED)
        now -= state.settings.head
    if record is None:
        return Why.ABSENT if now >= _absent_until(state) else None
    return next((why for why, rule in rules if rule(state, record, now)), None)


_OWN_OR_CLAIMED = {Why.OWN, Why.CLAIMED}
"""What nobody else is asked about: what leads here already, and what a person wants."""


def _after_others(state: State) -> float:
    """Give when a standby takes what it may take: at once, or after those who may stay.

    A generation's end, and an API that begins to answer again, are news to the others too.
    """
    if state.fitness.leaving == "" or _only_one(state):
        return NEVER
    observed = state.observed
    return max(state.tempted, observed.taken, observed.since) + state.settings.lease


def _only_one(state: State) -> bool:
    """Tell whether the last holder heard this standby, and no other."""
    record = state.observed.record
    named = record.annotations.get(lease_record.STANDBYS) if record is not None else None
    return named == state.me.pod


def _absent_until(state: State) -> float:
    """Give until when the last holder may put a deleted Lease back."""
    observed = state.observed
    return observed.observed_time + (state.settings.lease if observed.held_by_other else 0.0)


def _unserved_at(state: State, now: float) -> tuple[float, ...]:
    """Give when one that has to heal first may take what nobody serves."""
    head = state.settings.head
    return state.observed.taken + head, _absent_until(state) + head, expiry(state, now) + head


def _free(state: State, record: LeaseRecord, now: float) -> bool:
    return record.holder is None and now >= state.observed.taken


def _left_behind(state: State, record: LeaseRecord, now: float) -> bool:
    long = PATIENCE_WITH_STRANGERS * duration_of(record, state.settings)
    return _expired(state, now - long)


def _own(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    return pod_of(record.holder or "") == state.me.pod


def _gone(state: State, record: LeaseRecord, now: float) -> bool:
    gone = bool(state.lookup.gone) and pod_of(record.holder or "") == state.lookup.gone
    return gone and now >= state.lookup.asked


def _offered(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    offer = record.annotations.get(lease_record.OFFER)
    staying = offer == lease_record.STAYING and state.fitness.leaving == ""
    return staying or offer == lease_record.ANY


def _preferred(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    return now >= _prefer_at(state)


def _silent(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    session, settings = state.session, state.settings
    enough = session.misses >= settings.detect_multiplier and not talking(state, now)
    return enough and session.trusted and not state.distrusts(now)


def _lapsed(state: State, record: LeaseRecord, now: float) -> bool:  # noqa: ARG001 - a rule
    return _expired(state, now)


Rules = tuple[tuple[Why, Callable[[State, LeaseRecord, float], bool]], ...]

RULES: Rules = (
    (Why.FREE, _free),
    (Why.OWN, _own),
    (Why.GONE, _gone),
    (Why.OFFERED, _offered),
    (Why.PREFERRED, _preferred),
    (Why.SILENT, _silent),
    (Why.EXPIRED, _lapsed),
)
"""What allows a standby to take a Lease, in the order in which it is asked."""

STRANGERS_RULES: Rules = ((Why.FREE, _free), (Why.EXPIRED, _left_behind))
"""The same for the Lease of another group."""

UNSERVED = {Why.FREE, Why.OWN, Why.GONE, Why.SILENT, Why.EXPIRED}
"""What is taken also by one that has to heal first."""


def _expired(state: State, now: float) -> bool:
    lapsed = lapse(state)
    return now >= lapsed and state.observed.read >= lapsed and now >= expiry(state, now)


def _prefer_at(state: State) -> float:
    """Give when a standby in the preferred zone takes what is offered to that zone."""
    record, zone = state.observed.record, state.settings.preferred_zone
    offer = record.annotations.get(lease_record.OFFER) if record is not None else None
    if zone is None or zone != state.me.zone or offer != lease_record.to_zone(zone):
        return FOREVER
    if state.fitness.leaving != "":
        return FOREVER
    since = max(state.fit_since, state.stays_since, state.observed.taken)
    return since + state.settings.prefer
