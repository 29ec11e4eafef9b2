"""The holder's routes: observe, fence, write, read back.

    phase     hears                          does                       then
    IDLE      its time has come              read the routes            READING
              a reading nobody asked for     as in READING
    READING   they are right                 rest                       IDLE
              they are wrong                 read the Lease             FENCING
              they can't be read             rest                       IDLE
    FENCING   the Lease is ours still        steer, for `fence` seconds WRITING
              no answer                      rest                       IDLE
    WRITING   done                           read the routes            READING
              failed                         rest                       IDLE
              out of time                    read the Lease             FENCING

An acquisition is a fence, so it begins in WRITING.
"""

from dataclasses import replace

from vipmanager.core.election.actions import Action, ReadRoutes, Steer, StopSteering
from vipmanager.core.election.events import Outcome, RoutesRead, WaveEnded
from vipmanager.core.election.sighting import ask
from vipmanager.core.election.state import NEVER, Hold, Phase, State, Wave


def begun(state: State, hold: Hold, *, sent: float, now: float, out: list[Action]) -> State:
    """Write at once: the acquisition that was sent then is the proof."""
    settings = state.settings
    tail = settings.lease + settings.write + settings.settle
    wave = Wave(phase=Phase.IDLE, observed=now, recheck=now + tail)
    return _steer(state, replace(hold, wave=wave), sent=sent, now=now, out=out)


def due(state: State, hold: Hold, now: float, out: list[Action]) -> State:
    """Read the routes when it is time."""
    if hold.wave.phase is not Phase.IDLE or now < hold.wave.due:
        return state
    out.append(ReadRoutes(hold.generation))
    return _with(state, hold, replace(hold.wave, phase=Phase.READING))


def read(state: State, hold: Hold, event: RoutesRead, now: float, out: list[Action]) -> State:
    """Take in a reading of the routes."""
    wave, settings = hold.wave, state.settings
    if wave.phase not in {Phase.READING, Phase.IDLE}:
        return state
    if event.right is None:
        return _rest(state, hold, wave, now + settings.recheck)
    wave = replace(wave, observed=now)
    if event.right:
        pause = settings.recheck if now < wave.recheck else settings.resync
        calm = replace(state, lapses=0, lame=NEVER)
        return _rest(calm, hold, replace(wave, failing=None), now + pause)
    return ask(_with(state, hold, replace(wave, phase=Phase.FENCING)), now, out)


def fenced(state: State, *, sent: float, now: float, out: list[Action]) -> State:
    """Go on with a proof that the Lease was ours when a call was sent."""
    hold = state.hold
    if hold is None or hold.wave.phase is not Phase.FENCING:
        return state
    if sent < hold.wave.observed:
        return ask(state, now, out)
    return _steer(state, hold, sent=sent, now=now, out=out)


def unfenced(state: State, now: float) -> State:
    """Give up for now: the Lease can't be read."""
    hold = state.hold
    if hold is None or hold.wave.phase is not Phase.FENCING:
        return state
    untried = replace(hold.wave, failing=None)
    return _rest(state, hold, untried, now + state.settings.recheck)


def doubted(state: State, hold: Hold, now: float, out: list[Action]) -> State:
    """Stop writing until the Lease has been read: something says that it is another's."""
    if hold.wave.phase is Phase.WRITING:
        out.append(StopSteering(hold.generation))
    return ask(state, now, out)


def ended(state: State, hold: Hold, event: WaveEnded, now: float, out: list[Action]) -> State:
    """Take in the end of a wave."""
    wave = hold.wave
    if wave.phase is not Phase.WRITING:
        return state
    match event.outcome:
        case Outcome.DONE:
            return due(state, replace(hold, wave=replace(wave, phase=Phase.IDLE)), now, out)
        case Outcome.FAILED:
            wave = replace(wave, failing=now if wave.failing is None else wave.failing)
            return _rest(state, hold, wave, now + state.settings.retry)
        case Outcome.OUT_OF_TIME:
            # What was read before still stands; only the fence has to be newer than this.
            wave = replace(wave, phase=Phase.FENCING, observed=now)
            return ask(_with(state, hold, wave), now, out)


def _steer(state: State, hold: Hold, *, sent: float, now: float, out: list[Action]) -> State:
    until = sent + state.settings.fence
    if now >= until:  # this agent was held up: the proof has gone stale
        return ask(_with(state, hold, replace(hold.wave, phase=Phase.FENCING)), now, out)
    out.append(Steer(generation=hold.generation, until=until))
    return _with(state, hold, replace(hold.wave, phase=Phase.WRITING, due=now))


def _rest(state: State, hold: Hold, wave: Wave, until: float) -> State:
    return _with(state, hold, replace(wave, phase=Phase.IDLE, due=until))


def _with(state: State, hold: Hold, wave: Wave) -> State:
    return replace(state, hold=replace(hold, wave=wave))
