"""Coverage marks: which rows of the transition tables were seen while schedules were played.

The tables stand in the docstrings of the core, for people. Each of their rows stands here once
more, its cells joined by bars, with what has to be true of a step, or of a verdict, for the row to
have been seen in it. One with alternatives has a case for each. A step that does otherwise than
its row says is not counted: so a row that nobody sees is out of reach, or not true.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar

from vipmanager.core.actions import RouteWrite
from vipmanager.core.command import Command
from vipmanager.core.election import record as lease_record
from vipmanager.core.election.actions import (
    Purpose,
    ReadLease,
    ReadRoutes,
    SetRole,
    WriteLease,
    WriteRoutes,
)
from vipmanager.core.election.events import (
    Heard,
    LeaseChanged,
    LeaseConflict,
    LeaseFailed,
    LeaseRead,
    LeaseWritten,
    Outcome,
    RoutesRead,
    WaveEnded,
)
from vipmanager.core.election.group import Kin, kin
from vipmanager.core.election.machine import Transition
from vipmanager.core.election.record import DISTRUST, OFFER, TAKEN
from vipmanager.core.election.role import Role
from vipmanager.core.election.route_work import fence
from vipmanager.core.election.state import NEVER, Hold, State
from vipmanager.core.election.values import Order, Probe, Reply, Why, pod_of
from vipmanager.core.findings import Condition
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.report import Done, Report
from vipmanager.core.values import DesiredRoute, EniId, TargetKind
from vipmanager.core.verdict import RouteDecision, Verdict

T = TypeVar("T", "Step", "Look")


class Step:
    """A step of an election, in the words of its tables."""

    def __init__(self, transition: Transition, now: float) -> None:
        self.before, self.after = transition.before, transition.after
        self.event: Any = transition.event
        self.now = now
        self.actions: dict[type, Any] = {type(a): a for a in transition.actions}
        self.roles = self.before.role.name, self.after.role.name
        self.phases = _phase(self.before), _phase(self.after)
        self.settings = self.after.settings

    @property
    def done(self) -> set[str]:
        """What was done, in the words of the election's table."""
        names = {
            f"WriteLease({a.purpose.name})" if kind is WriteLease else kind.__name__
            for kind, a in self.actions.items()
        }
        # Where nothing is written, there is nothing to stop.
        return names if self.writes else names | {"StopWriting"}

    @property
    def writes(self) -> bool:
        """Whether it comes while routes are written."""
        return self.phases[0] == "WRITING"

    @property
    def hold(self) -> Hold:
        """The holding before it, or the one that it begins."""
        hold = self.before.hold or self.after.hold
        assert hold is not None
        return hold

    @property
    def wanted(self) -> LeaseRecord:
        """What it writes to the Lease."""
        record: LeaseRecord = self.actions[WriteLease].record
        return record

    @property
    def replaced(self) -> LeaseRecord | None:
        """The Lease that a standby takes."""
        return self.after.observed.replacing

    @property
    def unanswered(self) -> bool:
        """Whether a write of the Lease was left without an answer, and nothing has been read."""
        observed = self.before.observed
        return observed.stale and not observed.forbidden and observed.failed >= observed.contact

    def follows(self, row: str) -> bool:
        """Tell whether the other columns of the election's table are true, and a change is told."""
        state, named, becomes = _columns(row)
        told = (SetRole in self.actions) == (state != becomes)
        return self.roles == (state, becomes) and named <= self.done and told

    def goes_on(self, row: str) -> bool:
        """Tell whether the other columns of the wave's table are true."""
        phase, _, does, *then = row.split(" | ")
        if not then:
            return self.phases[0] == phase  # does as in another row
        return self.phases == (phase, *then) and self.actions.keys() & CALLS == WAVE_DEEDS[does]

    def takes(self, _row: str) -> bool:
        """Tell whether a standby that may, and was not asked to, takes the Lease."""
        after = self.after
        may = self.roles[1] == "STANDBY" and after.fitness.may_take and after.order is None
        return may and self.wanted.holder == after.me.identity

    def hurries(self, _row: str) -> bool:
        """Tell whether a holder renews before its time has come."""
        return self.roles[1] == "HOLDER" and self.now < self.hold.renew


DEEDS = {f"WriteLease({p.name})" for p in Purpose} | {"ReadLease", "WriteRoutes", "StopWriting"}
"""What the table of the election names."""
WAVE_DEEDS: Mapping[str, set[type]] = {
    "read the routes": {ReadRoutes},
    "read the Lease": {ReadLease},
    "read the Lease, to write all of it once more": {ReadLease},
    "steer, for `fence` seconds": {WriteRoutes},
    "rest": set(),
}
CALLS = {ReadRoutes, ReadLease, WriteRoutes}


@cache
def _columns(row: str) -> tuple[str, set[str], str]:
    state, _, does, becomes = row.split(" | ")
    return state, {d for d in does.replace(";", ",").split(", ") if d in DEEDS}, becomes


def _phase(state: State) -> str:
    return state.hold.work.phase.name if state.hold is not None else ""


Case = tuple[object, str, Callable[[T], bool]]
"""Where it is looked for, its name, and what is true. It is looked for at a kind of event or of
action, or at what the Lease is written for; or at a verdict, with or without a Lease."""


@dataclass(frozen=True, kw_only=True)
class Table(Generic[T]):
    """A table of a docstring."""

    module: str
    """Of the core."""
    head: str
    """The first cell of its first line."""
    headed: bool = True
    """Whether that line names the columns."""
    also: Callable[[T, str], bool] = lambda _it, _row: True
    """What has to be true of every row."""
    rows: Mapping[str, Iterable[Case[T]]]

    def marks(self) -> Iterator["Mark"]:
        """Give its rows, each case on its own."""
        for row, cases in self.rows.items():
            for on, case, true in cases:
                name = f"{self.module}: {row}{f' ({case})' if case else ''}"
                yield Mark(name=name, row=row, on=on, also=self.also, true=true)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A row, or one case of it."""

    name: str
    row: str
    on: object
    also: Callable[[Any, str], bool]
    true: Callable[[Any], bool]

    def shows(self, it: "Step | Look") -> bool:
        """Tell whether it is seen here."""
        return self.also(it, self.row) and self.true(it)


# The election: who holds the Lease

NEARLY_TWO = 1.75
"""Intervals of heartbeats."""


def _of_another(record: LeaseRecord | None, me: str) -> bool:
    return record is not None and record.holder not in {None, me}


def _by_watch(s: Step) -> bool:
    return _of_another(s.event.record, s.before.me.identity)


def _by_heartbeat(s: Step) -> bool:
    told = s.event.message if isinstance(s.event, Heard) else None
    return isinstance(told, Reply) and told.generation.transitions > s.hold.generation.transitions


def _third_over(s: Step) -> bool:
    third = s.hold.renewed + s.settings.lease / 3
    return s.now >= s.hold.renew == third


def _turned_quiet(s: Step) -> bool:
    """Tell whether a standby's silence, or its deafness, is answered for the first time."""
    loud = {p.identity for p in s.hold.peers if not p.quiet}
    after = s.after.hold
    return after is not None and any(p.quiet and p.identity in loud for p in after.peers)


def _missed(s: Step) -> bool:
    late = {p.identity for p in s.hold.peers if s.now >= p.at + NEARLY_TWO * p.interval}
    quiet = {p.identity for p in s.after.hold.peers if p.quiet} if s.after.hold else set()
    return _turned_quiet(s) and bool(late & quiet)


def _deaf(s: Step) -> bool:
    probe = s.event.message if isinstance(s.event, Heard) else None
    if not isinstance(probe, Probe):
        return False
    peer = next((p for p in s.hold.peers if p.identity == probe.sender), None)
    return peer is not None and probe.last_reply < probe.number - 1 and _turned_quiet(s)


ELECTION = Table[Step](
    module="election",
    head="state",
    also=Step.follows,
    rows={
        "STANDBY | a rule of `standby` allows it | WriteLease(ACQUIRE) | STANDBY": [
            (Purpose.ACQUIRE, "", lambda s: s.after.order is None),
        ],
        "STANDBY | accepted | WriteRoutes | HOLDER": [
            (LeaseWritten, "", lambda s: s.event.purpose is Purpose.ACQUIRE),
        ],
        "STANDBY | conflict | ReadLease | STANDBY": [
            (LeaseConflict, "", lambda s: s.before.observed.writing is Purpose.ACQUIRE),
        ],
        "STANDBY | no answer: perhaps done | ReadLease | STANDBY": [
            (ReadLease, "", lambda s: s.unanswered),
        ],
        "STANDBY | a reading that shows what it wrote unheard | WriteRoutes | HOLDER": [
            (LeaseRead, "", lambda _: True),
        ],
        "HOLDER | a third of LeaseSeconds, a missing probe, ... | WriteLease(RENEW) | HOLDER": [
            (Purpose.RENEW, "a third", _third_over),
            (Purpose.RENEW, "a missing probe", _missed),
        ],
        "HOLDER | conflict, no answer | ReadLease | HOLDER": [
            (LeaseConflict, "conflict", lambda _: True),
            (ReadLease, "no answer", lambda s: s.unanswered),
        ],
        "HOLDER | a watch, or a heartbeat, tells of another | StopWriting, ReadLease | HOLDER": [
            (LeaseChanged, "a watch", _by_watch),
            (LeaseChanged, "a watch, while it writes", lambda s: _by_watch(s) and s.writes),
            (ReadLease, "a heartbeat", _by_heartbeat),
        ],
        "HOLDER | a reading that shows another, or none | StopWriting | STANDBY": [
            (LeaseRead, "another", lambda s: _of_another(s.event.record, s.before.me.identity)),
            (LeaseRead, "none", lambda s: s.event.record is None or not s.event.record.holder),
            (LeaseRead, "any, while it writes", lambda s: s.writes),
        ],
        "HOLDER | asked to stop or to yield | WriteLease(RELEASE) | HOLDER": [
            (Purpose.RELEASE, "to stop", lambda s: s.after.order is Order.STOP),
            (Purpose.RELEASE, "to yield", lambda s: s.after.order is Order.YIELD),
        ],
        "HOLDER | released | StopWriting | STANDBY": [
            (LeaseWritten, "at rest", lambda s: not s.writes),
            (LeaseWritten, "while it writes", lambda s: s.writes),
        ],
        "HOLDER | its routes lead to another (the Lease unproven for LeaseSeconds, or that one"
        " heard) | nothing | RELIEVED": [
            (RoutesRead, "", lambda s: s.event.elsewhere),
        ],
        "RELIEVED | a reading that shows another, or none | StopWriting | STANDBY": [
            (LeaseRead, "", lambda s: _of_another(s.event.record, s.before.me.identity)),
        ],
        "RELIEVED | the Lease is its own still | nothing | HOLDER": [
            (LeaseRead, "", lambda _: True),
        ],
        "RELIEVED | a reading that shows its routes at no other | nothing | HOLDER": [
            (RoutesRead, "", lambda s: not s.event.elsewhere),
        ],
    },
)


# A holder's wave


def _as_right(s: Step) -> bool:
    hold = s.after.hold
    rests = s.phases[1] == "IDLE" and not s.actions.keys() & CALLS
    return s.event.right is True and rests and hold is not None and hold.work.due > s.now


def _as_wrong(s: Step) -> bool:
    return s.event.right is False and s.phases[1] == "PROVING" and ReadLease in s.actions


def _all_again(s: Step) -> bool:
    hold = s.after.hold
    return hold is not None and hold.work.unless_written > NEVER


def _too_old(s: Step) -> bool:
    hold = s.after.hold
    return hold is not None and hold.work.stale > s.hold.work.stale


def _proven(s: Step) -> bool:
    """Tell whether the fence is counted from when a proof was sent, newer than the reading."""
    until: float = s.actions[WriteRoutes].until
    sent: float = s.event.sent
    lasts = fence(s.settings, s.hold.work.stale)
    return until == sent + lasts > s.now and sent >= s.hold.work.observed


WAVE = Table[Step](
    module="election.route_work",
    head="phase",
    also=Step.goes_on,
    rows={
        "IDLE | its time has come | read the routes | READING": [
            (ReadRoutes, "", lambda s: s.now >= s.hold.work.due),
        ],
        "IDLE | a reading nobody asked for | as in READING": [
            (RoutesRead, "right", _as_right),
            (RoutesRead, "wrong", _as_wrong),
        ],
        "READING | nothing is left to write | rest | IDLE": [(RoutesRead, "", _as_right)],
        "READING | another one has taken over | rest | IDLE": [
            (RoutesRead, "", lambda s: s.roles[1] == "RELIEVED"),
        ],
        "READING | something is | read the Lease | PROVING": [(RoutesRead, "", _as_wrong)],
        "READING | late writes may have landed, and EC2 can't be read"
        " | read the Lease, to write all of it once more | PROVING": [
            (RoutesRead, "", _all_again),
        ],
        "PROVING | the Lease is ours still | steer, for `fence` seconds | WRITING": [
            (LeaseRead, "by a reading", _proven),
            (LeaseWritten, "by a renewal", _proven),
        ],
        "PROVING | the proof was too old already | read the Lease | PROVING": [
            (LeaseRead, "", _too_old),
        ],
        "PROVING | no answer | rest | IDLE": [
            (LeaseFailed, "", lambda s: s.event.purpose is None),
        ],
        "WRITING | done | read the routes | READING": [
            (WaveEnded, "", lambda s: s.event.outcome is Outcome.DONE),
        ],
        "WRITING | failed | rest | IDLE": [
            (WaveEnded, "", lambda s: s.event.outcome is Outcome.FAILED),
        ],
        "WRITING | out of time | read the Lease | PROVING": [
            (WaveEnded, "", lambda s: s.event.outcome is Outcome.OUT_OF_TIME),
        ],
    },
)


# What a standby takes


def _says(why: Why) -> Callable[[Step], bool]:
    return lambda s: s.wanted.annotations[TAKEN] == why.value


def _absent(*, held_by_other: bool) -> Callable[[Step], bool]:
    def shows(s: Step) -> bool:
        observed = s.after.observed
        over = not held_by_other or s.now >= observed.observed_time + s.settings.lease
        return s.replaced is None and observed.held_by_other is held_by_other and over

    return shows


def _free(s: Step) -> bool:
    return s.replaced is not None and not _named(s) and not _foreign(s)


def _named(s: Step) -> str:
    return (s.replaced.holder or "") if s.replaced is not None else ""


def _earlier(s: Step) -> bool:
    me = s.after.me
    return _named(s) != me.identity and pod_of(_named(s)) == me.pod


def _pod_gone(s: Step) -> bool:
    return bool(_named(s)) and pod_of(_named(s)) == s.after.lookup.gone


def _offered(s: Step) -> bool:
    return s.replaced is not None and s.replaced.annotations.get(OFFER) == lease_record.ANY


def _preferred(s: Step) -> bool:
    zone = lease_record.to_zone(s.after.me.zone)
    since = max(s.after.fit_since, s.after.observed.taken)
    there = s.replaced is not None and s.replaced.annotations.get(OFFER) == zone
    return there and s.now >= since + s.settings.prefer


def _offered_to_who_stays(s: Step) -> bool:
    offer = s.replaced.annotations.get(OFFER) if s.replaced is not None else None
    may_stay = s.after.fitness.leaving == ""
    return _says(Why.OFFERED)(s) and offer == lease_record.STAYING and may_stay


def _silent(s: Step) -> bool:
    session, unasked = s.after.session, ReadLease not in s.actions
    enough = session.misses >= s.settings.detect_multiplier and session.trusted
    return _says(Why.SILENT)(s) and enough and unasked and not s.after.distrusts(s.now)


def _old(s: Step, durations: int, *, heard: bool) -> bool:
    return not _foreign(s) and _heard(s) is heard and _quiet(s, durations)


def _quiet(s: Step, durations: int) -> bool:
    """Tell whether the Lease was read again, and is so many durations without life."""
    observed, record = s.after.observed, s.replaced
    duration = lease_record.duration_of(record, s.settings)
    since = max(observed.observed_time, observed.since)
    read = observed.read >= since + duration
    return _says(Why.EXPIRED)(s) and read and s.now >= since + durations * duration


def _heard(s: Step) -> bool:
    return s.now < s.after.session.heard + s.settings.detect_multiplier * s.settings.heartbeat


def _foreign(s: Step) -> bool:
    return kin(s.after.me, s.replaced) is not Kin.SAME


STANDBY = Table[Step](
    module="election.standby",
    head="the Lease",
    also=Step.takes,
    rows={
        "isn't there | at once by who never saw one or held it, by others after its duration": [
            (Purpose.ACQUIRE, "at once", _absent(held_by_other=False)),
            (Purpose.ACQUIRE, "after its duration", _absent(held_by_other=True)),
        ],
        "has no holder | at once": [(Purpose.ACQUIRE, "", _free)],
        "names this process, which does not hold it, or an earlier one of this pod | at once": [
            (Purpose.ACQUIRE, "this one", lambda s: _named(s) == s.after.me.identity),
            (Purpose.ACQUIRE, "an earlier one", _earlier),
        ],
        "has a holder whose pod is gone | at once": [(Purpose.ACQUIRE, "", _pod_gone)],
        "is offered to any, to who may stay, or to this pod's zone"
        " | at once; to a zone after `prefer` seconds": [
            (Purpose.ACQUIRE, "to who may stay", _offered_to_who_stays),
            (Purpose.ACQUIRE, "to any", _offered),
            (Purpose.ACQUIRE, "to a zone", _preferred),
        ],
        "has a trusted holder that missed probes in a row | at once, by compare-and-swap alone": [
            (Purpose.ACQUIRE, "", _silent),
        ],
        "was not renewed for its duration (twice that while its holder is heard)"
        " | once read again and found unchanged": [
            (Purpose.ACQUIRE, "unheard", lambda s: _old(s, 1, heard=False)),
            (Purpose.ACQUIRE, "heard", lambda s: _old(s, 2, heard=True)),
        ],
        "belongs to another group, or perhaps (`group`) | once released, or three durations old": [
            (Purpose.ACQUIRE, "released", lambda s: _foreign(s) and not _named(s)),
            (Purpose.ACQUIRE, "three durations", lambda s: _foreign(s) and _quiet(s, 3)),
        ],
    },
)


# When a holder renews at once


def _offers(s: Step) -> str:
    """Give what it offers, where the Lease does not say so yet."""
    offer, hold = s.wanted.annotations.get(OFFER, ""), s.after.hold
    return offer if hold is not None and hold.offer != offer else ""


def _offers_any(s: Step, *, may_keep: bool) -> bool:
    return _offers(s) == lease_record.ANY and s.after.fitness.may_keep is may_keep


def _believes(s: Step, *, again: bool) -> bool:
    """Tell whether it says for the first time that heartbeats mislead, or do so no more."""
    said = s.after.hold is not None and s.after.hold.distrust
    misled = s.now < s.after.distrusted
    return said is again and (DISTRUST in s.wanted.annotations) is misled is not again


def _hears_others(s: Step) -> bool:
    """Tell whether it names others than the Lease does."""
    heard = s.wanted.annotations.get(lease_record.STANDBYS, "")
    return s.after.hold is not None and s.after.hold.standbys != heard


HOLDER = Table[Step](
    module="election.holder",
    head="a standby's probes stay away for nearly two intervals,",
    headed=False,
    also=Step.hurries,
    rows={
        "a standby's probes stay away for nearly two intervals, or come without having heard the"
        " last reply | to show life to a standby that counts misses: once each time": [
            (Purpose.RENEW, "stay away", _missed),
            (Purpose.RENEW, "unheard", _deaf),
        ],
        "what it offers has changed | unfit, unfinished, to be left, another zone": [
            (Purpose.RENEW, "to be left", lambda s: _offers(s) == lease_record.STAYING),
            (Purpose.RENEW, "unfit", lambda s: _offers_any(s, may_keep=False)),
            (Purpose.RENEW, "unfinished", lambda s: _offers_any(s, may_keep=True)),
            (Purpose.RENEW, "another zone", lambda s: _offers(s).startswith("zone=")),
        ],
        "other standbys are heard, with `HandOverOn` | they have to know of each other": [
            (Purpose.RENEW, "", _hears_others),
        ],
        "heartbeats turn out to have misled, or may be believed again": [
            (Purpose.RENEW, "misled", lambda s: _believes(s, again=False)),
            (Purpose.RENEW, "believed again", lambda s: _believes(s, again=True)),
        ],
    },
)


# What becomes of a route


@dataclass(slots=True)
class Past:
    """What a process of an agent told before."""

    judged: Mapping[DesiredRoute, RouteDecision] = field(default_factory=dict)
    written: dict[DesiredRoute, EniId | None] = field(default_factory=dict)
    """What each accepted write replaced."""
    repaired: set[tuple[DesiredRoute, EniId | None]] = field(default_factory=set)

    def take_in(self, done: Iterable[Done]) -> None:
        """Remember what was written."""
        for action in (d.action for d in done if d.failure is None):
            if isinstance(action, RouteWrite):
                steer, replaced = action.steer, action.replaces
                self.written[steer] = replaced
                if action.repair and "drifted" in action.reason:
                    self.repaired.add((steer, replaced))


class Look:
    """What a table shows for one destination, in the words of the tables."""

    def __init__(self, judged: RouteDecision, report: Report, past: Past) -> None:
        self.judged, self.report, self.past = judged, report, past
        self.steer, self.route, self.repair = judged.steer, judged.route, judged.repair
        self.shows = _eni(judged)
        self.before = past.judged.get(judged.steer)

    @property
    def group(self) -> list[RouteDecision]:
        """The same destination, in all tables."""
        return [j for j in self.report.judged if j.steer.destination == self.steer.destination]

    @property
    def rivals(self) -> set[DesiredRoute]:
        """Where another live ENI has what is ours."""
        return {j.steer for j in self.group if _eni(j) not in {None, j.steer.eni}}

    @property
    def ours_elsewhere(self) -> bool:
        """Whether some table leads here."""
        return any(_eni(j) == j.steer.eni for j in self.group)

    @property
    def seen_before(self) -> set[DesiredRoute]:
        """Where a rival was seen before, and given time."""
        rival = self.rivals
        return {s for s, j in self.past.judged.items() if s in rival and "drift" in j.reason}

    @property
    def unchanged(self) -> bool:
        """Whether the last reading showed the same."""
        return self.before is not None and _eni(self.before) == self.shows is not None

    @property
    def yielded(self) -> bool:
        """Whether it was left to a rival by the last reading."""
        return self.before is not None and self.before.verdict is Verdict.YIELD

    @property
    def unwell(self) -> bool:
        """Whether the application is not known to be well."""
        return any(f.condition is Condition.UNHEALTHY for f in self.report.findings)

    @property
    def living(self) -> bool:
        """Whether the table shows another ENI, which is no blackhole."""
        other = self.shows not in {None, self.steer.eni}
        return other and not _blackhole(self.judged)

    @property
    def made(self) -> bool:
        """Whether it was written in this pass."""
        writes = (d.action for d in self.report.done)
        return any(isinstance(a, RouteWrite) and a.steer == self.steer for a in writes)

    @property
    def replaced(self) -> bool:
        """Whether the table still shows what a write of this process replaced."""
        written = self.past.written
        return self.steer in written and written[self.steer] == self.shows != self.steer.eni


def _eni(judged: RouteDecision) -> EniId | None:
    route = judged.route
    return EniId(route.target.id) if route and route.target.kind is TargetKind.ENI else None


def _blackhole(judged: RouteDecision) -> bool:
    return judged.route is not None and judged.route.blackhole


_RULED = (Verdict.RIGHT, Verdict.WRITE, Verdict.WAIT, Verdict.YIELD)
"""What a rule can say; what is lost is beside all rules."""
RIGHT, WRITE, WAIT, YIELD = ((False, v) for v in _RULED)
"""Without a Lease."""
L_RIGHT, L_WRITE, L_WAIT, L_YIELD = ((True, v) for v in _RULED)
"""With one."""


def _gone(look: Look) -> bool:
    return look.repair and look.living and look.judged.reason == "repair: its target is gone"


def _drifted(look: Look) -> bool:
    waited = look.before is not None and look.before.reason.startswith("drift") and look.unchanged
    return look.repair and look.living and look.ours_elsewhere and waited


def _displaced(look: Look) -> bool:
    return look.report.yields and bool(look.rivals)


def _spreads(look: Look) -> bool:
    return bool(look.seen_before) and look.seen_before < look.rivals


def _again(look: Look) -> bool:
    return (look.steer, look.shows) in look.past.repaired


def _given_time(look: Look) -> bool:
    """Tell whether it is waited whether a rival stays as it is."""
    return look.living and look.ours_elsewhere and look.judged.reason.startswith("drift")


CLAIM = Table[Look](
    module="claim",
    head="what a held table shows",
    rows={
        "our ENI | right": [(RIGHT, "", lambda it: it.shows == it.steer.eni)],
        "nothing, a blackhole, a dead ENI | write at once": [
            (WRITE, "nothing", lambda it: it.repair and it.route is None),
            (WRITE, "a blackhole", lambda it: it.repair and _blackhole(it.judged)),
            (WRITE, "a dead ENI", _gone),
        ],
        "what our own write replaced | wait: EC2 is eventually consistent": [
            (WAIT, "", lambda it: it.replaced and it.judged.reason.startswith("written")),
        ],
        "another live ENI, in some tables | drift: write once it is unchanged over two readings": [
            (WRITE, "", _drifted)
        ],
        "another live ENI, in all tables"
        " | displaced: yield, until that ENI dies; tables without a route count as its own": [
            (YIELD, "all", lambda it: _displaced(it) and not it.ours_elsewhere),
            (YIELD, "no route", lambda it: _displaced(it) and it.route is None),
            (WRITE, "until it dies", lambda it: _gone(it) and it.yielded),
        ],
        "another live ENI, spreading | wait anew: it may be a takeover under way": [
            (WAIT, "", lambda it: _given_time(it) and _spreads(it)),
        ],
        "the same rival after a repair | drift, after a longer pause each time that it is back"
        " soon": [
            (WAIT, "", lambda it: _given_time(it) and _again(it) and not _spreads(it)),
        ],
    },
)


def _holds(look: Look) -> bool:
    return look.report.role is Role.HOLDER


HOLD = Table[Look](
    module="lease_verdict",
    head="what a table shows",
    rows={
        "our ENI | right | right, until the holder points it away": [
            (L_RIGHT, "the holder", lambda it: _holds(it) and it.shows == it.steer.eni),
            (L_RIGHT, "a standby", lambda it: not _holds(it) and it.shows == it.steer.eni),
        ],
        "what our own write replaced | wait: EC2 is eventually consistent | as below": [
            (L_WAIT, "", lambda it: _holds(it) and it.replaced),
        ],
        "a rival that is back | write, after pauses that grow; at last leave it | another's": [
            (L_WAIT, "in a while", lambda it: _holds(it) and it.judged.reason.endswith("is back")),
            (L_YIELD, "never", lambda it: _holds(it) and it.judged.reason.startswith("displaced")),
        ],
        "anything else | write | another's": [
            (L_WRITE, "the holder", lambda it: _holds(it) and it.shows != it.steer.eni),
            (L_YIELD, "a standby", lambda it: not _holds(it) and it.shows != it.steer.eni),
        ],
    },
)


def _held_back(look: Look, what: str) -> bool:
    return look.unwell and not look.made and look.judged.reason.startswith(f"held back: {what}")


GATE = Table[Look](
    module="gate",
    head="write",
    rows={
        "a claim held back | another pod may be serving": [
            (WAIT, "", lambda it: not it.repair and _held_back(it, "claim")),
        ],
        "a repair over a living ENI held back | the same: that ENI may be a healthy pod's": [
            (WAIT, "", lambda it: it.repair and it.living and _held_back(it, "repair")),
        ],
        "any other repair made | nobody else answers there, and a sick pod may": [
            (WRITE, "", lambda it: it.unwell and it.repair and it.made),
        ],
    },
)

TABLES: tuple[Table[Any], ...] = (ELECTION, WAVE, STANDBY, HOLDER, CLAIM, HOLD, GATE)
MARKS = tuple(m for t in TABLES for m in t.marks())
_BY_PLACE = {on: tuple(m for m in MARKS if m.on == on) for on in {m.on for m in MARKS}}


class Marks:
    """Counts rows: each once in a world, so that sums tell in how many."""

    def __init__(self, seen: Mapping[str, int] | None = None) -> None:
        self.seen: Counter[str] = Counter(seen)
        self._open = {on: list(marks) for on, marks in _BY_PLACE.items()}
        """What this world has not shown yet."""
        self._past: dict[str, Past] = {}

    def __add__(self, other: "Marks") -> "Marks":
        return Marks(self.seen + other.seen)

    def __reduce__(self) -> tuple[type["Marks"], tuple[Counter[str]]]:
        return Marks, (self.seen,)

    def transition(self, transition: Transition, now: float) -> None:
        """Take in one step of an election, at its agent's time."""
        step = None
        for it in (transition.event, *transition.actions):
            place = it.purpose if type(it) is WriteLease else type(it)
            if self._open.get(place):
                step = step or Step(transition, now)
                self._look(place, step)

    def report(self, by: str, report: Report) -> None:
        """Take in one report of a pod's agent."""
        past = self._past.get(by)
        if past is None or report.number == 1 or Command.CLAIM.value in report.reasons:
            past = self._past[by] = Past()
        leased = report.role is not None
        for judged in report.judged:
            place = leased, judged.verdict
            if self._open.get(place):
                self._look(place, Look(judged, report, past))
        if report.observed and not leased:
            past.judged = {j.steer: j for j in report.judged}
        past.take_in(report.done)

    def _look(self, place: object, it: "Step | Look") -> None:
        marks = self._open[place]
        for mark in [m for m in marks if m.shows(it)]:
            self.seen[mark.name] += 1
            marks.remove(mark)

    def missing(self) -> list[str]:
        """Name the rows that were never seen."""
        return [m.name for m in MARKS if m.name not in self.seen]
