"""The holder's routes: observe, fence, write, read back.

    phase     hears                          does                       then
    IDLE      its time has come              read the routes            READING
              a reading nobody asked for     as in READING
    READING   nothing is left to write       rest                       IDLE
              another one has taken over     rest                       IDLE
              something is                   read the Lease             PROVING
              late writes may have landed,   read the Lease, to write   PROVING
              and EC2 can't be read          all of it once more
    PROVING   the Lease is ours still        steer, for `fence` seconds WRITING
              the proof was too old already  read the Lease             PROVING
              no answer                      rest                       IDLE
    WRITING   done                           read the routes            READING
              failed                         rest                       IDLE
              out of time                    read the Lease             PROVING

An acquisition is a fence, so it begins in WRITING. It writes every route, unless a reading shows it
right that was sent when no write of the holder before the last could land any more.

Nothing here waits for a reading that succeeds: EC2's describes fail for hours in a zone loss.
"""

from dataclasses import replace

from vipmanager.core.election.actions import (
    Action,
    ReadRoutes,
    SetRole,
    StopWriting,
    WriteRoutes,
)
from vipmanager.core.election.events import Outcome, RoutesRead, WaveEnded
from vipmanager.core.election.lease_observation import ask
from vipmanager.core.election.record import duration_of
from vipmanager.core.election.role import Role
from vipmanager.core.election.state import FOREVER, NEVER, Hold, Phase, RouteWork, State
from vipmanager.core.election.values import ElectionSettings, pod_of
from vipmanager.core.lease import LeaseRecord

RELIEVED = "its routes lead to another pod, and the Lease can't be read"
GROWTH = 2.0
"""By how much the fence grows with each proof that came too late."""


def begun(state: State, hold: Hold, *, sent: float, now: float, out: list[Action]) -> State:
    """Write at once: the acquisition that was sent then is the proof."""
    replaced = state.observed.replacing
    over = now + tail(state, replaced)
    work = RouteWork(
        phase=Phase.IDLE,
        observed=now,
        recheck=over,
        rewrite=over,
        unless_read=_quiet(state, replaced),
    )
    return _ask_for_wave(state, replace(hold, work=work), sent=sent, now=now, out=out)


def tail(state: State, replaced: LeaseRecord | None) -> float:
    """Give the seconds after a transition in which the last holder's writes may land and be shown.

    Its fence is at most its own LeaseSeconds, by which it may differ from ours.
    """
    settings = state.settings
    lease = max(settings.lease, duration_of(replaced, settings))
    return lease + settings.write + settings.settle


def fence(settings: ElectionSettings, stale: int) -> float:
    """Give the seconds for which a proof lasts, after so many that were too old on arrival."""
    grown = settings.fence * GROWTH ** min(stale, 16)
    return max(settings.fence, min(settings.lease, grown))


def due(state: State, hold: Hold, now: float, out: list[Action]) -> State:
    """Read the routes when it is time."""
    if hold.work.phase is not Phase.IDLE or now < hold.work.due:
        return state
    out.append(ReadRoutes(hold.generation))
    return _with(state, hold, replace(hold.work, phase=Phase.READING))


def read(state: State, hold: Hold, event: RoutesRead, now: float, out: list[Action]) -> State:
    """Take in a reading of the routes."""
    work, settings = hold.work, state.settings
    if work.phase not in {Phase.READING, Phase.IDLE}:
        return state
    pause = settings.recheck if now < work.recheck else settings.resync
    if event.right is None:
        return _rest(state, hold, work, now + pause)
    work = replace(work, observed=now, denied=event.denied)
    relieved = event.elsewhere and (hold.relieved or hold.superseded or _unproven(state, hold, now))
    if relieved != hold.relieved:
        role, why = (Role.RELIEVED, RELIEVED) if relieved else (Role.HOLDER, hold.why)
        out.append(SetRole(role=role, why=why, generation=hold.generation))
        hold = replace(hold, relieved=relieved)
    if relieved:
        return _rest(state, hold, work, now + settings.resync)
    if event.sent >= work.rewrite:  # whatever was late was to be seen
        work = replace(work, rewrite=FOREVER)
    elif now >= work.rewrite:
        work = replace(work, rewrite=FOREVER, unless_read=now, unless_written=now)
    unfinished = max(work.unless_read, work.unless_written) > NEVER
    if event.right and not unfinished:
        calm = replace(state, failed_waves=0, takeover_backoff=NEVER)
        return _rest(calm, hold, replace(work, failing=None), now + pause)
    return ask(_with(state, hold, replace(work, phase=Phase.PROVING)), now, out)


def overtaken(state: State, now: float) -> State:
    """Look at the routes once another has had the time to take over from who can't renew."""
    hold, settings = state.hold, state.settings
    if hold is None:
        return state
    # A holder that is heard gets its time once more (`expiry`).
    then = hold.renewed + 2 * settings.lease + settings.fence
    return sooner(state, then) if now < then else state


def sooner(state: State, then: float) -> State:
    """Read the routes at a time, or before."""
    hold = state.hold
    if hold is None:
        return state
    return replace(state, hold=replace(hold, work=replace(hold.work, due=min(hold.work.due, then))))


def _unproven(state: State, hold: Hold, now: float) -> bool:
    """Tell whether another may hold the Lease, for all that is known here."""
    return now >= hold.renewed + state.settings.lease


def fenced(state: State, *, sent: float, now: float, out: list[Action]) -> State:
    """Go on with a proof that the Lease was ours when a call was sent."""
    hold = state.hold
    if hold is None or hold.work.phase is not Phase.PROVING:
        return state
    if sent < hold.work.observed:
        return ask(state, now, out)
    return _ask_for_wave(state, hold, sent=sent, now=now, out=out)


def on_fence_unavailable(state: State, now: float) -> State:
    """Give up for now: the Lease can't be read."""
    hold = state.hold
    if hold is None or hold.work.phase is not Phase.PROVING:
        return state
    untried = replace(hold.work, failing=None, stale=0)
    return _rest(state, hold, untried, now + state.settings.recheck)


def on_suspected_loss(state: State, hold: Hold, now: float, out: list[Action]) -> State:
    """Stop writing until the Lease has been read: something says that it is another's."""
    if hold.work.phase is Phase.WRITING:
        out.append(StopWriting(hold.generation))
    return ask(state, now, out)


def ended(state: State, hold: Hold, event: WaveEnded, now: float, out: list[Action]) -> State:
    """Take in the end of a wave."""
    work = hold.work
    if work.phase is not Phase.WRITING:
        return state
    match event.outcome:
        case Outcome.DONE:
            work = replace(work, phase=Phase.IDLE, unless_read=NEVER, unless_written=NEVER)
            return due(state, replace(hold, work=work), now, out)
        case Outcome.FAILED if work.unless_written > NEVER:
            # Nothing is known to be wrong: it is no reason to offer the Lease.
            return _rest(state, hold, work, now + state.settings.resync)
        case Outcome.FAILED:
            work = replace(work, failing=now if work.failing is None else work.failing)
            return _rest(state, hold, work, now + state.settings.retry)
        case Outcome.OUT_OF_TIME:
            # What was read before still stands; only the fence has to be newer than this.
            work = replace(work, phase=Phase.PROVING, observed=now, failing=None)
            return ask(_with(state, hold, work), now, out)


def _ask_for_wave(state: State, hold: Hold, *, sent: float, now: float, out: list[Action]) -> State:
    work, settings = hold.work, state.settings
    until = sent + fence(settings, work.stale)
    if now >= until:  # this agent was held up, or the API is slow
        failing = now if work.failing is None else work.failing
        work = replace(work, phase=Phase.PROVING, stale=work.stale + 1, failing=failing)
        return ask(_with(state, hold, work), now, out)
    if now < sent + settings.fence:
        work = replace(work, stale=0)
    out.append(
        WriteRoutes(
            generation=hold.generation,
            until=until,
            unless_read=work.unless_read,
            unless_written=work.unless_written,
        )
    )
    return _with(state, hold, replace(work, phase=Phase.WRITING, due=now))


def _quiet(state: State, replaced: LeaseRecord | None) -> float:
    """Give when no write of the holder before the one that is replaced can land any more."""
    if replaced is None or (replaced.holder is None and not replaced.transitions):
        return NEVER  # nobody ever held it
    if pod_of(replaced.holder or "") == state.me.pod:
        return NEVER  # an earlier process of this pod, whose routes are the same
    return state.observed.taken + tail(state, replaced)


def _rest(state: State, hold: Hold, work: RouteWork, until: float) -> State:
    return _with(state, hold, replace(work, phase=Phase.IDLE, due=until))


def _with(state: State, hold: Hold, work: RouteWork) -> State:
    return replace(state, hold=replace(hold, work=work))
