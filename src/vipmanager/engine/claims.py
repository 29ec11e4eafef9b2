"""The rule without a Lease: claim, hold, yield (`core/claim.py`), and what it remembers."""

from collections.abc import Callable, Sequence

from vipmanager.core import claim
from vipmanager.core.actions import CloudAction, CreateRoute, ReplaceRoute, RouteWrite
from vipmanager.core.claim import Judgement, Memory, Verdict
from vipmanager.core.desired import Desired
from vipmanager.core.failures import Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.gate import held_back
from vipmanager.core.order import Order
from vipmanager.core.plan import Plan
from vipmanager.core.podnet import held, is_mark
from vipmanager.core.report import Done, Report
from vipmanager.core.values import EniId, KernelState, Network, Steer, TargetKind
from vipmanager.engine.luck import LUCK
from vipmanager.engine.observe import Observer
from vipmanager.engine.rule import Decided, Destinations
from vipmanager.engine.wave import Wave
from vipmanager.ports import Clock


class Claims:
    """Decides each route by who held it before; writes at once."""

    def __init__(
        self,
        *,
        observer: Observer,
        wave: Wave,
        clock: Clock,
        gate: Callable[[], Finding | None] = lambda: None,
    ) -> None:
        """Remember nothing yet.

        Args:
            observer: looks up rivals.
            wave: writes to EC2.
            clock: monotonic time.
            gate: says what keeps this pod from taking anything over; asked once in each pass.
        """
        self._observer, self._wave, self._clock, self._gate = observer, wave, clock, gate
        self._shut: Finding | None = None
        """What keeps the gate shut in this pass."""
        self._memory = Memory()
        self._denied: frozenset[Steer] = frozenset()
        self._yielded = False
        self._claiming: frozenset[Network] | None = frozenset()
        """Destinations to be taken again though their mark is in the pod; None for all."""

    epoch = 0

    def begin(self, reasons: Sequence[str]) -> None:
        """Obey orders, and ask the gate."""
        if Order.YIELD.value in reasons:
            self._yielded = True
        if Order.CLAIM.value in reasons:
            self._yielded, self._claiming, self._memory = False, None, Memory()
        self._shut = self._gate()

    def findings(self) -> tuple[Finding, ...]:
        """Say what keeps the gate shut."""
        return () if self._shut is None else (self._shut,)

    def judge(self, want: Desired, kernel: KernelState) -> Judgement:
        """Give each steer its verdict."""
        marked = _marked(want, kernel)
        lost = self._lost(want, marked)
        judgement = claim.judge(
            want.steers,
            want.by_id,
            held=self._holding(marked),
            lost=lost,
            memory=self._memory,
            now=self._clock.now(),
            luck=LUCK.random(),
        )
        return judgement if self._shut is None else held_back(judgement, self._shut, lost=lost)

    def marks(self, want: Desired, kernel: KernelState, judgement: Judgement) -> Destinations:
        """Keep every mark, and add what was confirmed."""
        return _marked(want, kernel) | self._confirmed(want, judgement)

    def allow(self, plan: Plan) -> Plan:
        """Do nothing after a yield."""
        if not self._yielded:
            return plan
        return Plan(findings=(*plan.findings, find(Condition.YIELDED, "pod")))

    def harmless(self, plan: Plan) -> bool:
        """Allow CreateRoute, which EC2 refuses where a route has come to be, and no mark."""
        # A mark tells of a reading, so only a new one sets it.
        return all(isinstance(a, CreateRoute) for a in plan.steer) and not any(
            map(is_mark, plan.prepare)
        )

    def write(self, actions: Sequence[CloudAction]) -> tuple[Done, ...]:
        """Write at once."""
        return self._wave.run(actions) if actions else ()

    def remember(self, decided: Decided, done: Sequence[Done]) -> None:
        """Take in what was written, what was denied, and which claims are over."""
        memory = decided.judgement.memory
        now = self._clock.now()
        for each in done:
            action = each.action
            if each.failure is None and isinstance(action, RouteWrite):
                memory = memory.wrote(steer_of(action), at=now, replaced=replaced_by(action))
        self._memory = memory
        if self._claiming is None or self._claiming:
            all_ = frozenset(d for d, _ in decided.want.destinations)
            taken = {d for d, _ in self._confirmed(decided.want, decided.judgement)}
            self._claiming = (all_ if self._claiming is None else self._claiming) - taken
        self._denied = frozenset(
            steer_of(d.action)
            for d in done
            if isinstance(d.failure, Permanent) and isinstance(d.action, RouteWrite)
        ) | _refused(decided)

    def told(self, report: Report, decided: Decided | None) -> Report:  # noqa: ARG002 - a rule
        """Give the report as it is."""
        return report

    def _holding(self, marked: Destinations) -> Destinations:
        """Give what counts as held: a mark does not, while its destination is claimed anew."""
        if self._claiming is None:
            return frozenset()
        return frozenset((d, eni) for d, eni in marked if d not in self._claiming)

    def _lost(self, want: Desired, marked: Destinations) -> frozenset[EniId]:
        """Look up the ENIs that took something we hold: is there life in them?"""
        mine = [
            s for s in want.steers if (s.destination, s.eni) in marked or s in self._memory.written
        ]
        rivals = claim.rivals(mine, want.by_id)
        if not rivals:
            return frozenset()
        try:
            return claim.dead(rivals, self._observer.alive(rivals))
        except Permanent:
            return frozenset()  # without the right to look, a rival counts as alive

    def _confirmed(self, want: Desired, judgement: Judgement) -> Destinations:
        """Give the destinations whose claim is over.

        It ends when they were read back right in every table that lets us write, and when
        another pod takes them over: a restart must not claim them again either way.
        """
        confirmed = set()
        for destination, eni in want.destinations:
            if destination in judgement.memory.displaced:
                confirmed.add((destination, eni))
                continue
            group = [j for j in judgement.judged if j.steer.destination == destination]
            right = [j for j in group if j.verdict is Verdict.RIGHT]
            open_ = [j for j in group if j not in right and j.steer not in self._denied]
            if right and not open_:
                confirmed.add((destination, eni))
        return frozenset(confirmed)


def steer_of(action: RouteWrite) -> Steer:
    """Give what a write makes so."""
    return Steer(table=action.table, destination=action.destination, eni=action.eni)


def replaced_by(action: RouteWrite) -> EniId | None:
    """Give the ENI that a write takes a route from."""
    if isinstance(action, ReplaceRoute) and action.before.kind is TargetKind.ENI:
        return EniId(action.before.id)
    return None


def _marked(want: Desired, kernel: KernelState) -> Destinations:
    return frozenset(
        (destination, eni)
        for destination, eni in want.destinations
        if held(kernel, destination, eni)
    )


def _refused(decided: Decided) -> frozenset[Steer]:
    planned = {steer_of(a) for a in decided.plan.steer if isinstance(a, RouteWrite)}
    return frozenset(
        j.steer
        for j in decided.judgement.judged
        if j.verdict is Verdict.WRITE and j.steer not in planned
    )
