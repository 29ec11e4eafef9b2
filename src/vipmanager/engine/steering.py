"""The rule with a Lease: every pass keeps the routes ready that the holder would write.

    loop         passes: read, decide, kernel writes ---> keep the plan warm, report
    election     Steer ---> run: the warm plan as one wave, behind a fence ---> report

A takeover so costs one wave: nothing is read, and nothing decided, between the Lease and EC2.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from vipmanager.core import hold
from vipmanager.core.actions import CloudAction, RouteWrite
from vipmanager.core.claim import Judgement, Memory, Verdict
from vipmanager.core.desired import Desired
from vipmanager.core.election.actions import Role
from vipmanager.core.election.events import Outcome
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.plan import Plan
from vipmanager.core.report import Done, Report
from vipmanager.core.values import KernelState, Steer
from vipmanager.engine.claims import replaced_by, steer_of
from vipmanager.engine.rule import Decided, Destinations
from vipmanager.engine.wave import Fence, Wave
from vipmanager.ports import Clock, Reporter

DENIED = 30.0
"""Seconds for which a write that EC2 refused is not tried again, and does not count as wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A write that failed, until its route is right or it succeeds."""

    failure: Failure
    at: float


class Steering:
    """Remembers what passes decided, and writes it when the election says so."""

    def __init__(
        self,
        *,
        wave: Wave,
        clock: Clock,
        reporter: Reporter,
        gate: Callable[[], Finding | None] = lambda: None,
    ) -> None:
        """Hold nothing.

        Args:
            wave: writes to EC2.
            clock: monotonic time.
            reporter: hears of each wave, on the thread that runs it.
            gate: says what keeps this pod from taking anything over.
        """
        self._wave, self._clock, self._reporter, self._gate = wave, clock, reporter, gate
        self._lock = threading.Lock()
        self._shut: Finding | None = None
        self._role = Role.STANDBY
        self._memory = Memory()
        self._written: list[tuple[RouteWrite, float]] = []
        """What waves wrote since the last judgement, and when."""
        self._refused: Mapping[Steer, Refusal] = MappingProxyType({})
        self._kept: tuple[RouteWrite, ...] = ()
        self._unseen = False
        """Whether EC2 does not show some write of ours yet."""
        self._base: Report | None = None
        """The last pass, as its holder sees it: what a wave's report begins with."""
        self.epoch = 0
        self.plights: tuple[Finding, ...] = (find(Condition.LEASE_UNREAD, "lease"),)
        """What the election finds; set by its thread."""

    # what the election does with it

    def become(self, role: Role) -> None:
        """Have another role from now on; what was written in the last one is another's by now."""
        with self._lock:
            self._role = role
            self._memory = Memory()
            self._written.clear()
            self._refused = MappingProxyType({})
            self.epoch += 1

    @property
    def right(self) -> bool:
        """Whether the last pass left nothing to write that could be written."""
        with self._lock:
            return not self._open()

    @property
    def settled(self) -> bool:
        """Whether, besides, EC2 shows every write."""
        return self.right and not self._unseen

    def run(self, fence: Fence) -> Outcome:
        """Write what is kept, while the fence holds."""
        with self._lock:
            if self._base is None:
                return Outcome.FAILED
            todo = self._open()
        began = self._clock.now()
        done = self._wave.run(todo, fence) if todo else ()
        if done:
            self._take_in(done)
            self._report(done, self._clock.now() - began)
        if any(d.failure is not None and not isinstance(d.failure, Permanent) for d in done):
            return Outcome.FAILED
        return Outcome.DONE if len(done) == len(todo) else Outcome.OUT_OF_TIME

    # what passes do with it

    def begin(self, reasons: Sequence[str]) -> None:  # noqa: ARG002 - a rule
        """Ask the gate."""
        self._shut = self._gate()

    def findings(self) -> tuple[Finding, ...]:
        """Say what the election finds, what EC2 refused, and what keeps the gate shut."""
        with self._lock:
            refused = tuple(r.failure.finding(s.table) for s, r in self._refused.items())
        shut = () if self._shut is None else (self._shut,)
        return (*shut, *self.plights, *refused)

    def judge(self, want: Desired, kernel: KernelState) -> Judgement:  # noqa: ARG002 - a rule
        """Give each steer the holder's verdict."""
        with self._lock:
            memory = self._memory
            for action, at in self._written:
                memory = memory.wrote(steer_of(action), at=at, replaced=replaced_by(action))
            self._written.clear()
            judgement = hold.judge(
                want.steers,
                want.by_id,
                memory=memory,
                now=self._clock.now(),
                repair=self._role is Role.HOLDER,
            )
            self._memory = judgement.memory
            self._unseen = any(j.verdict is Verdict.WAIT for j in judgement.judged)
            wrong = {j.steer for j in judgement.judged if j.verdict is Verdict.WRITE}
            self._refused = MappingProxyType({s: r for s, r in self._refused.items() if s in wrong})
        return judgement

    def marks(self, want: Desired, kernel: KernelState, judgement: Judgement) -> Destinations:  # noqa: ARG002 - a rule
        """Give none: the Lease tells who holds, across restarts too."""
        return frozenset()

    def allow(self, plan: Plan) -> Plan:
        """Take nothing out: what may be written is asked for each wave."""
        return plan

    def harmless(self, plan: Plan) -> bool:  # noqa: ARG002 - a rule
        """Allow all: a pass writes no route."""
        return True

    def write(self, actions: Sequence[CloudAction]) -> tuple[Done, ...]:
        """Keep route writes; make the others, which concern this pod's own ENIs alone."""
        with self._lock:
            self._kept = tuple(a for a in actions if isinstance(a, RouteWrite))
        own = [a for a in actions if not isinstance(a, RouteWrite)]
        return self._wave.run(own) if own else ()

    def remember(self, decided: Decided, done: Sequence[Done]) -> None:
        """Remember nothing more."""

    def told(self, report: Report, decided: Decided | None) -> Report:
        """Give the report as this agent's role has it."""
        with self._lock:
            role = self._role
            if decided is None:
                return replace(report, role=role)
            self._base = report
        if role is Role.STANDBY:
            return replace(report, role=role, judged=hold.as_standby(report.judged))
        return replace(report, role=role)

    def _open(self) -> tuple[RouteWrite, ...]:
        now = self._clock.now()
        denied = {
            s
            for s, r in self._refused.items()
            if isinstance(r.failure, Permanent) and now - r.at < DENIED
        }
        return tuple(a for a in self._kept if steer_of(a) not in denied)

    def _take_in(self, done: Sequence[Done]) -> None:
        """Remember a wave; what it wrote need not be written again."""
        now = self._clock.now()
        routes = [(d.action, d.failure) for d in done if isinstance(d.action, RouteWrite)]
        good = [a for a, failure in routes if failure is None]
        bad = {steer_of(a): Refusal(failure=f, at=now) for a, f in routes if f is not None}
        fixed = {steer_of(a) for a in good}
        with self._lock:
            self._written += [(a, now) for a in good]
            self._kept = tuple(a for a in self._kept if a not in good)
            others = {s: r for s, r in self._refused.items() if s not in fixed}
            self._refused = MappingProxyType(others | bad)

    def _report(self, done: tuple[Done, ...], seconds: float) -> None:
        """Tell of a wave beside what the newest pass found."""
        base = self._base
        if base is None:
            return
        self._reporter.report(
            replace(
                base,
                reasons=("the Lease is held here",),
                seconds=seconds,
                done=done,
                findings=tuple(dict.fromkeys((*base.findings, *self.findings()))),
                role=Role.HOLDER,
                fresh=False,
            )
        )
