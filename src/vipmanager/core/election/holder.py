"""The holder: it renews, answers probes, keeps its routes right, and knows when to hand over.

It renews after a third of its duration, and at once when

    a standby's probes stay away for nearly two intervals,       to show life to a standby that
    or come without having heard the last reply                  counts misses: once each time
    what it offers has changed                                   unfit, unfinished, to be left,
                                                                 another zone
    other standbys are heard, with `HandOverOn`                  they have to know of each other
    heartbeats turn out to have misled, or may be believed again

An offer is no release: the holder serves until somebody fit takes over, and takes the offer back
when its reason is gone.
"""

from dataclasses import replace

from vipmanager.core.election import record as lease_record
from vipmanager.core.election import route_work
from vipmanager.core.election.actions import (
    Action,
    Purpose,
    Send,
    SetRole,
    StopWriting,
    WriteLease,
)
from vipmanager.core.election.lease_observation import ask, pause
from vipmanager.core.election.record import generation_of
from vipmanager.core.election.role import Role
from vipmanager.core.election.state import (
    FOREVER,
    Hold,
    Peer,
    Phase,
    State,
    forgotten,
    patience,
    unfinished,
)
from vipmanager.core.election.values import Probe, Reply, Why, pod_of
from vipmanager.core.lease import LeaseRecord

PEER_QUIET_AFTER = 1.75
"""Intervals after which a standby's next probe is missed: late enough for the renewal to meet a
standby that waits for an answer, early enough to meet it before it takes over."""
QUICKEST = 0.01
"""Seconds: whoever says that it probes more often is not believed; `HeartbeatMs` is at least 20."""
MAX_PEERS = 16
"""Standbys that are remembered at most."""
REREAD = 2.0
"""Seconds in which another that took over has written its routes."""
TAKEOVER_BACKOFF = 4.0
"""Durations for which an agent leaves it to others after a wave it could not finish; doubles."""


def begin(
    state: State,
    record: LeaseRecord,
    *,
    sent: float,
    proof: float,
    now: float,
    out: list[Action],
) -> State:
    """Become the holder by an acquisition.

    Args:
        state: a standby's.
        record: the Lease as it was written.
        sent: when the acquisition was sent.
        proof: when the call was sent whose answer shows it: the acquisition, or a later reading.
        now: the time.
        out: what is to be done.
    """
    taken = record.annotations.get(lease_record.TAKEN, Why.FREE.value)
    before = state.observed.replacing
    distrust = lease_record.DISTRUST in record.annotations
    if distrust:
        state = replace(state, distrusted=max(state.distrusted, now + state.settings.distrust))
    offered = before.annotations.get(lease_record.DENIED, "") if before is not None else ""
    hold = Hold(
        generation=generation_of(record),
        why=taken,
        before=int(offered) if taken == Why.OFFERED.value and offered.isdecimal() else None,
        renewed=sent,
        renew=sent + state.settings.lease / 3,
        distrust=distrust,
        insisted=state.fitness.leaving if taken == Why.CLAIMED.value else "",
        silenced=before.holder if before is not None and taken == Why.SILENT.value else None,
    )
    out.append(SetRole(role=Role.HOLDER, why=taken, generation=hold.generation))
    to = before.annotations.get(lease_record.ADDRESS) if before is not None else None
    if to and before is not None and before.holder not in {None, state.me.identity}:
        # A holder that can't reach the API learns of it this way, if at all.
        told = Reply(sender=state.me.identity, number=0, generation=hold.generation)
        out.append(Send(to=to, message=told))
    return route_work.begun(replace(state, hold=hold), hold, sent=proof, now=now, out=out)


def end(state: State, *, why: str, now: float, out: list[Action]) -> State:
    """Be a standby again."""
    hold = state.hold
    if hold is None:
        return state
    if hold.work.phase is Phase.WRITING:
        out.append(StopWriting(hold.generation))
    out.append(SetRole(role=Role.STANDBY, why=why, generation=None))
    state = replace(state, hold=None)
    if not state.retired and unfinished(hold, state.settings, now):
        pause = TAKEOVER_BACKOFF * state.settings.lease * 2.0 ** min(state.failed_waves, 6)
        state = replace(state, takeover_backoff=now + pause, failed_waves=state.failed_waves + 1)
    elif not state.retired and (hold.offer == lease_record.ANY or not state.fitness.may_keep):
        long_ago = now >= state.gave + forgotten(state.settings)
        state = replace(state, gave=now, relapses=1 if long_ago else state.relapses + 1)
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
        replace(p, quiet=True) if not p.quiet and now >= _overdue(p) else p
        for p in hold.peers
        if now < p.at + state.settings.forget
    )
    if late != hold.peers:
        urgent = any(p.quiet and not q.quiet for p, q in _pairs(late, hold.peers))
        hold = replace(hold, peers=late, renew=now if urgent else hold.renew)
        state = replace(state, hold=hold)
    state = _write_lease(state, hold, now, out)
    hold = state.hold or hold
    return route_work.due(state, hold, now, out)


def wake(state: State, hold: Hold, now: float) -> float:
    """Give when something is due next, if nothing is heard before."""
    times = [_overdue(p) for p in hold.peers if not p.quiet]
    times += [p.at + state.settings.forget for p in hold.peers if p.quiet]
    if hold.work.phase is Phase.IDLE:
        times.append(hold.work.due)
    if state.observed.writing is None:
        if not state.observed.stale:
            times.append(max(hold.renew, _blocked(state)))
        elif not state.observed.reading:
            times.append(_blocked(state))
    if hold.distrust:
        times += [t for t in (state.distrusted,) if now < t]
    if hold.work.failing is not None:
        times += [t for t in (hold.work.failing + patience(state.settings),) if now < t]
    return min(times, default=FOREVER)


def on_probe(state: State, probe: Probe, source: str, now: float, out: list[Action]) -> State:
    """Answer a standby; one that did not hear the last answer gets a renewal too."""
    hold = state.hold
    if hold is None:
        return state
    number = probe.number
    told = Reply(sender=state.me.identity, number=number, generation=hold.generation, clock=now)
    out.append(Send(to=source, message=told))
    peer = next((p for p in hold.peers if p.identity == probe.sender), None)
    if probe.sender == hold.silenced:
        # It was taken for dead, and lives.
        state = replace(state, distrusted=now + state.settings.distrust)
        hold = replace(hold, silenced=None)
    late = peer is not None and number <= peer.number  # not the last one
    if late or (peer is None and len(hold.peers) >= MAX_PEERS):
        return replace(state, hold=hold)
    deaf = peer is not None and probe.last_reply < number - 1
    urgent = deaf and peer is not None and not peer.quiet
    peers = tuple(p for p in hold.peers if p.identity != probe.sender)
    interval = min(max(probe.interval or state.settings.heartbeat, QUICKEST), state.settings.lease)
    heard = Peer(identity=probe.sender, at=now, number=number, interval=interval, quiet=deaf)
    hold = replace(hold, peers=(*peers, heard), renew=now if urgent else hold.renew)
    return replace(state, hold=hold)


def on_newer_generation(state: State, reply: Reply, now: float, out: list[Action]) -> State:
    """Hear of a later generation: stop writing, and read the Lease to be sure."""
    hold = state.hold
    if hold is None or reply.generation.uid != hold.generation.uid:
        return state
    if reply.generation.transitions <= hold.generation.transitions:
        return state
    hold = replace(hold, superseded=True)
    state = route_work.sooner(replace(state, hold=hold), now + REREAD)
    return route_work.on_suspected_loss(state, state.hold or hold, now, out)


def proven(state: State, now: float, out: list[Action]) -> State:
    """Know again that the Lease is this agent's own."""
    hold = state.hold
    if hold is None or not (hold.relieved or hold.superseded):
        return state
    if hold.relieved:
        out.append(SetRole(role=Role.HOLDER, why=hold.why, generation=hold.generation))
    hold = replace(hold, relieved=False, superseded=False)
    return route_work.sooner(replace(state, hold=hold), now)


def offer(state: State, now: float) -> str:
    """Give what the Lease should offer now."""
    if not state.fitness.may_keep or state.unfinished(now) or _denied(state.hold):
        return lease_record.ANY
    leaving = state.fitness.leaving
    if leaving and (state.hold is None or leaving != state.hold.insisted):
        return lease_record.STAYING
    zone = state.settings.preferred_zone
    return lease_record.to_zone(zone) if zone is not None and zone != state.me.zone else ""


def _denied(hold: Hold | None) -> int:
    """Count the routes that EC2 denies, where another may do better than this agent.

    One that took over for this reason, and is denied no more than the last holder, keeps it: else
    two that are denied the same would hand it to and fro.
    """
    denied = hold.work.denied if hold is not None else 0
    return denied if hold is None or hold.before is None or denied > hold.before else 0


def standbys(state: State, hold: Hold) -> str:
    """Give the pods that the Lease should name as standbys now."""
    if not state.settings.hands_over:
        return ""
    return ",".join(sorted({pod_of(p.identity) for p in hold.peers}))


def _pairs(new: tuple[Peer, ...], old: tuple[Peer, ...]) -> list[tuple[Peer, Peer]]:
    before = {p.identity: p for p in old}
    return [(p, before[p.identity]) for p in new]


def _later(hold: Hold, record: LeaseRecord | None) -> bool:
    """Tell whether a record is an acquisition after ours, and no edit."""
    return record is not None and record.transitions > hold.generation.transitions


def _overdue(peer: Peer) -> float:
    return peer.at + PEER_QUIET_AFTER * peer.interval


def _blocked(state: State) -> float:
    """Give until when no call is made after one that failed."""
    return state.observed.failed + pause(state)


def _write_lease(state: State, hold: Hold, now: float, out: list[Action]) -> State:
    """Renew or release, if there is a reason and nothing is under way."""
    observed = state.observed
    if observed.writing is not None or observed.record is None or now < _blocked(state):
        return state
    if observed.stale:
        return ask(state, now, out)
    if state.retired:
        purpose, record = Purpose.RELEASE, lease_record.released(observed.record)
    else:
        wanted, distrust = offer(state, now), now < state.distrusted
        others = standbys(state, hold)
        said = (wanted, distrust, others) == (hold.offer, hold.distrust, hold.standbys)
        if now < hold.renew and said:
            return state
        purpose = Purpose.RENEW
        record = lease_record.renewed(
            observed.record,
            state.me,
            state.settings,
            offer=wanted,
            denied=hold.work.denied if wanted else 0,
            distrust=distrust,
            standbys=others,
            clock=now,
        )
    out.append(WriteLease(purpose=purpose, record=record))
    return replace(state, observed=replace(observed, writing=purpose))
