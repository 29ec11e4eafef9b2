"""The holder: it renews, answers probes, keeps its routes right, and knows when to hand over.

It renews after a third of its duration, and at once when

    a standby's probes stay away for nearly two intervals,       to show life to a standby that
    or come without having heard the last reply                  counts misses: once each time
    what it offers has changed                                   unfit, unfinished, another zone
    heartbeats turn out to have misled, or may be believed again

An offer is no release: the holder serves until somebody fit takes over, and takes the offer back
when its reason is gone.
"""

from dataclasses import replace

from vipmanager.core.election import record as lease_record
from vipmanager.core.election import wave
from vipmanager.core.election.actions import (
    Action,
    Purpose,
    Role,
    Send,
    SetRole,
    StopSteering,
    WriteLease,
)
from vipmanager.core.election.record import generation_of
from vipmanager.core.election.sighting import ask
from vipmanager.core.election.state import FOREVER, Hold, Peer, Phase, State, patience, unfinished
from vipmanager.core.election.values import Probe, Reply, Why
from vipmanager.core.lease import LeaseRecord

OVERDUE = 1.75
"""Intervals after which a probe is missed: late enough for the renewal to meet a standby that
waits for an answer, early enough to meet it before it takes over."""
CROWD = 16
"""Standbys that are remembered at most."""
LAME = 4.0
"""Durations for which an agent takes nothing after a wave it could not finish; doubles."""


def begin(
    state: State, record: LeaseRecord, *, sent: float, now: float, out: list[Action]
) -> State:
    """Become the holder by an acquisition that was sent then."""
    taken = record.annotations.get(lease_record.TAKEN, Why.FREE.value)
    before = state.sight.replacing
    distrust = lease_record.DISTRUST in record.annotations
    if distrust:
        state = replace(state, distrusted=max(state.distrusted, now + state.settings.distrust))
    hold = Hold(
        generation=generation_of(record),
        proven=sent,
        renew=sent + state.settings.lease / 3,
        distrust=distrust,
        silenced=before.holder if before is not None and taken == Why.SILENT.value else None,
    )
    out.append(SetRole(role=Role.HOLDER, why=taken, generation=hold.generation))
    to = before.annotations.get(lease_record.ADDRESS) if before is not None else None
    if to and before is not None and before.holder not in {None, state.me.identity}:
        # A holder that can't reach the API learns of it this way, if at all.
        told = Reply(sender=state.me.identity, number=0, generation=hold.generation)
        out.append(Send(to=to, message=told))
    return wave.begun(replace(state, hold=hold), hold, sent=sent, now=now, out=out)


def end(state: State, *, why: str, now: float, out: list[Action]) -> State:
    """Be a standby again."""
    hold = state.hold
    if hold is None:
        return state
    if hold.wave.phase is Phase.WRITING:
        out.append(StopSteering(hold.generation))
    out.append(SetRole(role=Role.STANDBY, why=why, generation=None))
    state = replace(state, hold=None)
    if not state.retired and unfinished(hold, state.settings, now):
        pause = LAME * state.settings.lease * 2.0 ** min(state.lapses, 6)
        state = replace(state, lame=now + pause, lapses=state.lapses + 1)
    return state


def lost(state: State, record: LeaseRecord | None, now: float, out: list[Action]) -> State:
    """Learn that another holds it, or nobody."""
    taken = record.annotations.get(lease_record.TAKEN) if record is not None else None
    later = state.hold is not None and _later(state.hold, record)
    if later and taken == Why.SILENT.value:
        # Taken for dead, and alive: whatever stood between the two, heartbeats misled.
        state = replace(state, distrusted=now + state.settings.distrust)
    if record is None:
        why = "the Lease was deleted"
    elif record.holder is None:
        why = "the Lease was released by another hand"
    elif record.holder == state.me.identity:
        why = "the Lease was edited"
    else:
        why = f"the Lease is held by {record.holder} ({taken if later else 'edited'})"
    return end(state, why=why, now=now, out=out)


def confirmed(state: State, hold: Hold, record: LeaseRecord | None) -> bool:
    """Tell whether a record shows this very holding."""
    return (
        record is not None
        and record.holder == state.me.identity
        and generation_of(record) == hold.generation
    )


def settle(state: State, now: float, out: list[Action]) -> State:
    """Do whatever is due."""
    hold = state.hold
    if hold is None:
        return state
    late = tuple(
        replace(p, quiet=True) if not p.quiet and now >= _overdue(state, p) else p
        for p in hold.peers
        if now < p.at + state.settings.forget
    )
    if late != hold.peers:
        urgent = any(p.quiet and not q.quiet for p, q in _pairs(late, hold.peers))
        hold = replace(hold, peers=late, renew=now if urgent else hold.renew)
        state = replace(state, hold=hold)
    state = _write(state, hold, now, out)
    hold = state.hold or hold
    return wave.due(state, hold, now, out)


def wake(state: State, hold: Hold, now: float) -> float:
    """Give when something is due next, if nothing is heard before."""
    times = [_overdue(state, p) for p in hold.peers if not p.quiet]
    times += [p.at + state.settings.forget for p in hold.peers if p.quiet]
    if hold.wave.phase is Phase.IDLE:
        times.append(hold.wave.due)
    if state.sight.writing is None:
        if not state.sight.stale:
            times.append(max(hold.renew, _blocked(state)))
        elif not state.sight.reading:
            times.append(_blocked(state))
    if hold.distrust:
        times += [t for t in (state.distrusted,) if now < t]
    if hold.wave.failing is not None:
        times += [t for t in (hold.wave.failing + patience(state.settings),) if now < t]
    return min(times, default=FOREVER)


def probed(state: State, probe: Probe, source: str, now: float, out: list[Action]) -> State:
    """Answer a standby; one that did not hear the last answer gets a renewal too."""
    hold = state.hold
    if hold is None:
        return state
    number = probe.number
    told = Reply(sender=state.me.identity, number=number, generation=hold.generation)
    out.append(Send(to=source, message=told))
    peer = next((p for p in hold.peers if p.identity == probe.sender), None)
    if probe.sender == hold.silenced:
        # It was taken for dead, and lives.
        state = replace(state, distrusted=now + state.settings.distrust)
        hold = replace(hold, silenced=None)
    late = peer is not None and number <= peer.number
    if late or (peer is None and len(hold.peers) >= CROWD):
        return replace(state, hold=hold)
    deaf = peer is not None and peer.number > probe.heard
    urgent = deaf and peer is not None and not peer.quiet
    peers = tuple(p for p in hold.peers if p.identity != probe.sender)
    heard = Peer(identity=probe.sender, at=now, number=number, quiet=deaf)
    hold = replace(hold, peers=(*peers, heard), renew=now if urgent else hold.renew)
    return replace(state, hold=hold)


def outdone(state: State, reply: Reply, now: float, out: list[Action]) -> State:
    """Hear of a later generation: stop writing, and read the Lease to be sure."""
    hold = state.hold
    if hold is None or reply.generation.uid != hold.generation.uid:
        return state
    if reply.generation.transitions <= hold.generation.transitions:
        return state
    return wave.doubted(state, hold, now, out)


def offer(state: State, now: float) -> str:
    """Give what the Lease should offer now."""
    if not state.fitness.may_keep or state.unfinished(now):
        return lease_record.ANY
    zone = state.settings.preferred_zone
    return lease_record.to_zone(zone) if zone is not None and zone != state.me.zone else ""


def _pairs(new: tuple[Peer, ...], old: tuple[Peer, ...]) -> list[tuple[Peer, Peer]]:
    before = {p.identity: p for p in old}
    return [(p, before[p.identity]) for p in new]


def _later(hold: Hold, record: LeaseRecord | None) -> bool:
    """Tell whether a record is an acquisition after ours, and no edit."""
    return record is not None and record.transitions > hold.generation.transitions


def _overdue(state: State, peer: Peer) -> float:
    return peer.at + OVERDUE * state.settings.heartbeat


def _blocked(state: State) -> float:
    """Give until when no call is made after one that failed."""
    pause = state.settings.lease if state.sight.forbidden else state.settings.retry
    return state.sight.failed + pause


def _write(state: State, hold: Hold, now: float, out: list[Action]) -> State:
    """Renew or release, if there is a reason and nothing is under way."""
    sight = state.sight
    if sight.writing is not None or sight.record is None or now < _blocked(state):
        return state
    if sight.stale:
        return ask(state, now, out)
    if state.retired:
        purpose, record = Purpose.RELEASE, lease_record.released(sight.record)
    else:
        wanted, distrust = offer(state, now), now < state.distrusted
        if now < hold.renew and wanted == hold.offer and distrust == hold.distrust:
            return state
        purpose = Purpose.RENEW
        record = lease_record.renewed(
            sight.record, state.me, state.settings, offer=wanted, distrust=distrust
        )
    out.append(WriteLease(purpose=purpose, record=record))
    return replace(state, sight=replace(sight, writing=purpose))
