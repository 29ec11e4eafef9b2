"""Ownership without a Lease: claim, hold, yield (`core/claim.py`), and what it remembers."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial

from vipmanager.core import claim
from vipmanager.core.actions import RouteWrite
from vipmanager.core.command import Command
from vipmanager.core.contest import OPEN
from vipmanager.core.desired import Desired
from vipmanager.core.failures import Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.gate import held_back
from vipmanager.core.podnet import held, held_marks
from vipmanager.core.pods import Rival
from vipmanager.core.report import Done, Report
from vipmanager.core.values import DesiredRoute, EniId, KernelState, Network
from vipmanager.core.verdict import (
    Decision,
    Destinations,
    RouteHistory,
    RouteState,
    Scope,
    Verdict,
    standing,
    target_of,
)
from vipmanager.engine.jitter import JITTER
from vipmanager.engine.neighbours import Neighbours, Orphans
from vipmanager.engine.observe import Evidence, Observer
from vipmanager.engine.openings import Openings
from vipmanager.engine.ownership import Decided
from vipmanager.engine.rivals import UNREAD, RivalEnis, look_up
from vipmanager.ports import Clock

PATIENT = 2
"""Passes without a reading before a pod takes what it can't see: most failures are over by then."""


class Claims:
    """Decides each route by who held it before."""

    def __init__(
        self,
        *,
        observer: Observer,
        clock: Clock,
        gate: Callable[[], Finding | None] = lambda: None,
        openings: Openings,
        neighbours: Neighbours,
        resync: float,
    ) -> None:
        """Remember nothing yet.

        Args:
            observer: looks up rivals.
            clock: monotonic time.
            gate: says what keeps this pod from taking anything over; asked once in each pass.
            openings: know when each claim was opened.
            neighbours: know this pod's object and others', where the API is at hand.
            resync: seconds between two readings of a holder.
        """
        self._observer, self._clock, self._gate = observer, clock, gate
        self._openings, self._neighbours, self._resync = openings, neighbours, resync
        self._shut: Finding | None = None
        """What keeps the gate shut in this pass."""
        self._memory = RouteHistory()
        self._denied: frozenset[DesiredRoute] = frozenset()
        self._yielded = False
        self._claiming: frozenset[Network] | None = frozenset()
        """Destinations to be taken again though their mark is in the pod; None for all."""

        self._unread = 0
        """Passes that had no table to look at."""

    role_changes = 0

    def begin(self, reasons: Sequence[str]) -> None:
        """Obey orders, and ask the gate."""
        if Command.YIELD.value in reasons:
            self._yielded = True
        if Command.CLAIM.value in reasons:
            self._yielded, self._claiming, self._memory = False, None, RouteHistory()
            self._openings.anew()
        self._shut = self._gate()
        if self._shut is None:
            self._openings.begin()

    def findings(self) -> tuple[Finding, ...]:
        """Say what keeps the gate shut."""
        return () if self._shut is None else (self._shut,)

    def decide(self, want: Desired, kernel: KernelState, evidence: Evidence) -> Decision:
        """Give each route its verdict; without a reading, only what is absent is created.

        A mark tells of a reading, so only a new one adds to them.
        """
        marked = _marked(want, kernel)
        judged = self._judge(want, kernel, marked, evidence)
        decision = replace(judged, holds=not self._yielded)
        if evidence.fresh:
            marks = marked | self._confirmed(want, decision)
            return replace(decision, marks=marks, scope=self._scope(Scope.ALL))
        if not evidence.blind:
            return replace(decision, marks=marked, scope=self._scope(Scope.CREATES))
        return replace(
            decision, marks=marked, scope=self._scope(Scope.BLIND), unseen=self._unseen(decision)
        )

    def _scope(self, otherwise: Scope) -> Scope:
        return Scope.NOTHING if self._yielded else otherwise

    def _unseen(self, decision: Decision) -> bool:
        """Tell whether a young pod that was told its tables takes what it finds there, unread."""
        creates = any(j.verdict is Verdict.WRITE and j.route is None for j in decision.judged)
        if self._yielded or not creates:
            return False
        self._unread += 1
        patient = self._unread > PATIENT
        return patient and self._openings.young and not self._neighbours.leaving()

    def _judge(
        self, want: Desired, kernel: KernelState, marked: Destinations, evidence: Evidence
    ) -> Decision:
        now = self._clock.now()
        if self._claiming is not None:
            # What is gone keeps its mark while it is lost; once it is back it is claimed.
            wanted = {d for d, _ in want.destinations}
            self._claiming |= {m.destination for m in held_marks(kernel)} - wanted
        opened = self._openings.of(want, kernel) if self._shut is None else {}
        late = {d for d, at in opened.items() if now > at + OPEN}
        # An old reading names rivals, and nothing is taken from them by it.
        rivals = self._look_up(want, marked, late) if evidence.fresh else RivalEnis()
        decide = partial(
            claim.judge,
            want.steers,
            want.by_id,
            held=self._holding(marked),
            gone=rivals.gone,
            memory=self._memory,
            now=now,
            jitter=JITTER.random(),
            opened=opened,
            resync=self._resync,
        )
        decision = decide()
        left = _left(decision, want, rivals) if evidence.fresh else None
        orphans = Orphans() if left is None else self._neighbours.orphaned(left)
        if orphans.enis:
            decision = decide(orphaned=orphans.enis)
        if evidence.fresh:
            decision = self._unless_leaving(decision, rivals.gone, orphans)
        decision = _with(decision, rivals.finding, UNREAD if rivals.finding else None)
        decision = _with(decision, orphans.hindrance, orphans.recheck)
        if self._shut is not None:
            return held_back(decision, self._shut, gone=rivals.gone)
        return decision

    def _unless_leaving(
        self, decision: Decision, gone: frozenset[EniId], orphans: Orphans
    ) -> Decision:
        """Take nothing from a living ENI in a pod that is being deleted."""
        takes = [
            j
            for j in decision.judged
            if j.verdict is Verdict.WRITE
            and standing(
                j.route,
                j.steer.eni,
                gone | orphans.enis.get(j.steer.destination, frozenset()),
            )
            is RouteState.RIVAL
        ]
        if not takes or not self._neighbours.leaving():
            return decision
        targets = ", ".join(sorted({str(j.route.target) for j in takes if j.route is not None}))
        left = {j.steer for j in takes}
        return replace(
            decision,
            judged=tuple(
                replace(j, verdict=Verdict.YIELD, reason="this pod is being deleted")
                if j.steer in left
                else j
                for j in decision.judged
            ),
            findings=(*decision.findings, find(Condition.TERMINATING, "pod", targets=targets)),
        )

    def remember(self, decided: Decided, done: Sequence[Done]) -> None:
        """Take in what was written, what was denied, and which claims are over."""
        # What was not read again tells nothing about rivals.
        memory = decided.decision.memory if decided.evidence.fresh else self._memory
        now = self._clock.now()
        for each in done:
            action = each.action
            if each.failure is None and isinstance(action, RouteWrite):
                memory = memory.wrote(action.steer, at=now, replaced=action.replaces)
        self._memory = memory
        if decided.evidence.fresh and (self._claiming is None or self._claiming):
            all_ = frozenset(d for d, _ in decided.want.destinations)
            taken = {d for d, _ in self._confirmed(decided.want, decided.decision)}
            self._claiming = (all_ if self._claiming is None else self._claiming) - taken
        self._denied = frozenset(
            d.action.steer
            for d in done
            if isinstance(d.failure, Permanent) and isinstance(d.action, RouteWrite)
        ) | _refused(decided)

    def told(self, report: Report, decided: Decided | None) -> Report:  # noqa: ARG002 - `Ownership`
        """Give the report as it is."""
        return report

    def _holding(self, marked: Destinations) -> Destinations:
        """Give what counts as held: a mark does not, while its destination is claimed anew."""
        if self._claiming is None:
            return frozenset()
        return frozenset((d, eni) for d, eni in marked if d not in self._claiming)

    def _look_up(
        self, want: Desired, marked: Destinations, late: AbstractSet[Network]
    ) -> RivalEnis:
        """Look up the ENIs that have what is ours, or what we are too late for."""
        mine = [
            s
            for s in want.steers
            if (s.destination, s.eni) in marked
            or s in self._memory.written
            or s.destination in late
        ]
        return look_up(self._observer, claim.rivals(mine, want.by_id))

    def _confirmed(self, want: Desired, decision: Decision) -> Destinations:
        """Give the destinations whose claim is over.

        It ends when they were read back right in every table that lets us write, and when
        another pod takes them over: a restart must not claim them again either way.
        """
        confirmed = set()
        for destination, eni in want.destinations:
            if destination in decision.memory.displaced:
                confirmed.add((destination, eni))
                continue
            group = [j for j in decision.judged if j.steer.destination == destination]
            right = [j for j in group if j.verdict is Verdict.RIGHT]
            open_ = [j for j in group if j not in right and j.steer not in self._denied]
            if right and not open_:
                confirmed.add((destination, eni))
        return frozenset(confirmed)


def _left(decision: Decision, want: Desired, rivals: RivalEnis) -> set[Rival]:
    """Give what is left to living ENIs."""
    macs = {e.id: e.mac for e in want.enis}
    return {
        Rival(
            destination=j.steer.destination,
            eni=eni,
            mac=rivals.macs.get(eni),
            ours=macs.get(j.steer.eni),
        )
        for j in decision.judged
        if j.verdict is Verdict.YIELD and (eni := target_of(j.route)) is not None
    }


def _with(decision: Decision, finding: Finding | None, recheck: float | None) -> Decision:
    if finding is not None:
        decision = replace(decision, findings=(*decision.findings, finding))
    if recheck is not None:
        sooner = recheck if decision.recheck is None else min(recheck, decision.recheck)
        decision = replace(decision, recheck=sooner)
    return decision


def _marked(want: Desired, kernel: KernelState) -> Destinations:
    return frozenset(
        (destination, eni)
        for destination, eni in want.destinations
        if held(kernel, destination, eni)
    )


def _refused(decided: Decided) -> frozenset[DesiredRoute]:
    planned = {a.steer for a in decided.plan.steer if isinstance(a, RouteWrite)}
    return frozenset(
        j.steer
        for j in decided.decision.judged
        if j.verdict is Verdict.WRITE and j.steer not in planned
    )
