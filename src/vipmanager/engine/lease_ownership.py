"""Ownership with a Lease: the election tells who holds it, and this what the holder finds wrong."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from vipmanager.core import lease_verdict
from vipmanager.core.actions import RouteWrite
from vipmanager.core.command import Command
from vipmanager.core.desired import Desired
from vipmanager.core.election.role import Role
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.lease_verdict import Back
from vipmanager.core.podnet import held
from vipmanager.core.report import Done, Report
from vipmanager.core.values import DesiredRoute, KernelState
from vipmanager.core.verdict import Decision, Destinations, RouteHistory, Scope, Verdict
from vipmanager.engine.observe import Evidence
from vipmanager.engine.ownership import Decided
from vipmanager.ports import Clock

DENIED = 30.0
"""Seconds for which a write that EC2 refused is not tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedWrite:
    """A write that failed, until its route is right or it succeeds."""

    failure: Failure
    at: float


class LeaseOwnership:
    """Decides each route as the holder would, whoever holds. Safe to ask from several threads.

    It stops nobody: `ArmedWriter` writes only when the election says so, and the `Fence` ends that.
    """

    def __init__(self, *, clock: Clock, gate: Callable[[], Finding | None] = lambda: None) -> None:
        """Hold nothing.

        Args:
            clock: monotonic time.
            gate: says what keeps this pod from taking anything over.
        """
        self._clock, self._gate = clock, gate
        self._lock = threading.Lock()
        self._shut: Finding | None = None
        self._role = Role.STANDBY
        self._memory = RouteHistory()
        self._unjudged: list[tuple[RouteWrite, float]] = []
        """What waves wrote since the last decision, and when."""
        self._back: dict[DesiredRoute, Back] = {}
        """Rivals whose routes were written over in this holding."""
        self._refused: Mapping[DesiredRoute, FailedWrite] = MappingProxyType({})
        self.base: Report | None = None
        """The last pass, as its holder sees it: what a wave's report begins with."""
        self.role_changes = 0
        """So often did this agent begin, or end, to hold the Lease."""
        self.settled = False
        """Whether EC2 shows that every route leads here."""
        self.elsewhere = False
        """Whether most routes lead to another living ENI, as the last reading shows it."""
        self.election_findings: tuple[Finding, ...] = (find(Condition.LEASE_UNREAD, "lease"),)
        """What the election finds; set by its thread."""

    # what passes ask

    def begin(self, reasons: Sequence[str]) -> None:
        """Ask the gate; who is asked to claim takes back what was left to others."""
        self._shut = self._gate()
        if Command.CLAIM.value in reasons:
            with self._lock:
                self._back.clear()

    def decide(self, want: Desired, kernel: KernelState, evidence: Evidence) -> Decision:
        """Give each route the holder's verdict; what may be written is asked for each wave."""
        decision = self._judge(want, evidence)
        # `cleanup` is not undone after a yield.
        yielded = any(f.condition is Condition.YIELDED for f in self.election_findings)
        return replace(
            decision,
            marks=_marks(want, kernel, decision, evidence),
            scope=Scope.ROUTES if yielded else Scope.ALL,
            holds=self._role is Role.HOLDER,
        )

    def findings(self) -> tuple[Finding, ...]:
        """Say what the election finds, what EC2 refused, and what keeps the gate shut."""
        with self._lock:
            refused = tuple(r.failure.finding(s.table) for s, r in self._refused.items())
        shut = () if self._shut is None else (self._shut,)
        return (*shut, *self.election_findings, *refused)

    def remember(self, decided: Decided, done: Sequence[Done]) -> None:
        """Remember nothing more: a pass writes no route."""

    def told(self, report: Report, decided: Decided | None) -> Report:
        """Give the report as this agent's role has it."""
        with self._lock:
            role = self._role
            if decided is None:
                return replace(report, role=role)
            self.base = report
        if role is Role.HOLDER:
            return replace(report, role=role)
        return replace(report, role=role, judged=lease_verdict.as_another(report.judged, role))

    def _judge(self, want: Desired, evidence: Evidence) -> Decision:
        with self._lock:
            memory = self._memory
            for action, at in self._unjudged:
                memory = memory.wrote(action.steer, at=at, replaced=action.replaces)
            self._unjudged.clear()
            decision = lease_verdict.judge(
                want.steers,
                want.by_id,
                memory=memory,
                back=self._back,
                now=self._clock.now(),
                repair=self._role is Role.HOLDER,
            )
            self._memory = decision.memory
            right = all(j.verdict is Verdict.RIGHT for j in decision.judged)
            self.settled = evidence.fresh and bool(decision.judged) and right
            if evidence.fresh:
                self.elsewhere = lease_verdict.mostly_elsewhere(decision.judged)
                wrong = {j.steer for j in decision.judged if j.verdict is Verdict.WRITE}
                still = {s: r for s, r in self._refused.items() if s in wrong}
                self._refused = MappingProxyType(still)
        return decision

    # what the election and its waves tell and ask

    def become(self, role: Role) -> None:
        """Have another role from now on; what was written in the last one is another's by now."""
        with self._lock:
            self._role = role
            self._memory = RouteHistory()
            self._unjudged.clear()
            self._back.clear()
            self._refused = MappingProxyType({})
            self.settled = False
            self.role_changes += 1

    def wrote(self, done: Sequence[Done]) -> None:
        """Take in a wave: what EC2 took, and what it refused."""
        now = self._clock.now()
        routes = [(d.action, d.failure) for d in done if isinstance(d.action, RouteWrite)]
        good = [a for a, failure in routes if failure is None]
        bad = {a.steer: FailedWrite(failure=f, at=now) for a, f in routes if f is not None}
        fixed = {a.steer for a in good}
        with self._lock:
            self._unjudged += [(a, now) for a in good]
            for action in good:
                rival = action.replaces
                if rival is not None:
                    known = self._back.get(
                        action.steer, Back(rival=rival, at=-lease_verdict.FORGET)
                    )
                    self._back[action.steer] = known.again(rival, now)
            others = {s: r for s, r in self._refused.items() if s not in fixed}
            self._refused = MappingProxyType(others | bad)

    @property
    def denied(self) -> int:
        """How many routes EC2 does not let this pod write."""
        with self._lock:
            return sum(isinstance(r.failure, Permanent) for r in self._refused.values())

    def refused_lately(self) -> frozenset[DesiredRoute]:
        """Give the routes that EC2 did not let this pod write, a short while ago."""
        now = self._clock.now()
        with self._lock:
            return frozenset(
                s
                for s, r in self._refused.items()
                if isinstance(r.failure, Permanent) and now - r.at < DENIED
            )


def _marks(
    want: Desired, kernel: KernelState, decision: Decision, evidence: Evidence
) -> Destinations:
    """Mark what is seen to lead here: after a restart it tells what is lost.

    Who holds is told by the Lease alone.
    """
    marked = frozenset(d for d in want.destinations if held(kernel, *d))
    if not evidence.fresh:
        return marked
    right = (j.steer for j in decision.judged if j.verdict is Verdict.RIGHT)
    return marked | {(s.destination, s.eni) for s in right}
