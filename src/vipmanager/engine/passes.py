"""One pass: observe, decide, apply, report."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vipmanager.core import claim
from vipmanager.core.actions import (
    AddAddress,
    AddRoute,
    AddRule,
    CreateRoute,
    KernelAction,
    RemoveRoute,
    RemoveRule,
    ReplaceRoute,
    RouteWrite,
)
from vipmanager.core.claim import Judgement, Memory, Verdict, judge
from vipmanager.core.desired import Desired, Facts, desired
from vipmanager.core.evolve import evolve
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.gate import held_back
from vipmanager.core.guard import captures, guard
from vipmanager.core.order import Order
from vipmanager.core.plan import Plan, plan
from vipmanager.core.pod import primary, with_lost
from vipmanager.core.podnet import PRIMARY_PRIORITY, held, is_mark
from vipmanager.core.report import Done, Report
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.values import (
    Eni,
    EniId,
    KernelState,
    Mac,
    Network,
    Steer,
    TargetKind,
    World,
)
from vipmanager.engine.observe import Observed, Observer
from vipmanager.engine.wave import Wave
from vipmanager.ports import Clock, Kernel

NETLINK = "netlink"
"""The reason a netlink watcher leaves; it may be our own doing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Everything a pass has decided, before anything is written."""

    want: Desired
    judgement: Judgement
    plan: Plan


class Passes:
    """Runs passes, and remembers between them what can't be read."""

    def __init__(
        self,
        settings: Settings,
        *,
        observer: Observer,
        kernel: Kernel,
        wave: Wave,
        clock: Clock,
        gate: Callable[[], Finding | None] = lambda: None,
    ) -> None:
        """Remember nothing yet.

        Args:
            settings: what the operator asked for.
            observer: reads the worlds.
            kernel: is written.
            wave: writes to EC2.
            clock: monotonic time.
            gate: says what keeps this pod from taking anything over; asked once in each pass.
        """
        self._settings = settings
        self._observer = observer
        self._kernel = kernel
        self._wave = wave
        self._clock = clock
        self._gate = gate
        self._shut: Finding | None = None
        """What keeps the gate shut in this pass."""
        self._memory = Memory()
        self._denied: frozenset[Steer] = frozenset()
        self._yielded = False
        self._claiming: frozenset[Network] | None = frozenset()
        """Destinations to be taken again though their mark is in the pod; None for all."""
        self._known: Facts | None = None
        self._oddities: tuple[Finding, ...] = ()
        self._unread = False
        self._number = 0

    def stirred(self) -> bool:
        """Tell whether the pod differs from what the last pass left.

        Netlink reports our own writes too; a pass, which costs EC2 calls, must not follow from
        them.
        """
        if self._known is None:
            return True
        try:
            return self._observer.kernel_changed_from(self._known)
        except Failure:
            return True

    def run(self, reasons: Sequence[str]) -> Report:
        """Run one pass; failures of the outside worlds become part of the report."""
        self._number += 1
        self._obey(reasons)
        self._shut = self._gate()
        began = self._clock.now()
        try:
            observed, decided = self._at_once(reasons) or self._after_reading()
        except Failure as failure:
            return Report(
                number=self._number,
                reasons=tuple(reasons),
                seconds=self._clock.now() - began,
                observed=False,
                findings=(failure.finding("observe"), *([self._shut] if self._shut else [])),
            )
        done = self._apply(observed.facts, decided)
        self._remember(observed, decided, done)
        return Report(
            number=self._number,
            reasons=tuple(reasons),
            seconds=self._clock.now() - began,
            observed=True,
            floating=decided.want.floating,
            judged=decided.judgement.judged,
            done=done,
            findings=_all_findings(observed, decided, done),
            recheck=decided.judgement.recheck,
        )

    def _obey(self, reasons: Sequence[str]) -> None:
        if Order.YIELD.value in reasons:
            self._yielded = True
        if Order.CLAIM.value in reasons:
            self._yielded, self._claiming, self._memory = False, None, Memory()

    def _after_reading(self) -> tuple[Observed, Decided]:
        observed = self._with_lost(self._observer.read())
        return observed, self._decide(observed.facts)

    def _at_once(self, reasons: Sequence[str]) -> tuple[Observed, Decided] | None:
        """Decide from the last reading of the cloud what a change in the pod asks for.

        It saves a new address a round trip, and a link that came back all of them. Only what
        can do no harm by an old reading: kernel actions, and CreateRoute, which EC2 refuses
        where a route has come to be. The next pass reads everything back.
        """
        if tuple(reasons) != (NETLINK,) or self._known is None or self._unread:
            return None
        kernel = self._observer.kernel()
        if _links(kernel) != _links(self._known.kernel):
            return None  # EC2 has to tell the ENI under a new one
        observed = self._with_lost(
            Observed(facts=replace(self._known, kernel=kernel), findings=self._oddities)
        )
        decided = self._decide(observed.facts)
        # A mark tells of a reading, so only a new one sets it.
        harmless = all(isinstance(a, CreateRoute) for a in decided.plan.steer) and not any(
            map(is_mark, decided.plan.prepare)
        )
        return (observed, decided) if harmless and decided.plan.actions else None

    def _with_lost(self, observed: Observed) -> Observed:
        if self._known is None:
            return observed
        kernel = with_lost(self._known.kernel, observed.facts.kernel)
        return replace(observed, facts=replace(observed.facts, kernel=kernel))

    def _decide(self, facts: Facts) -> Decided:
        want = desired(self._settings, facts)
        marked = frozenset(
            (destination, eni)
            for destination, eni in want.destinations
            if held(facts.kernel, destination, eni)
        )
        lost = self._lost(want, marked)
        judgement = judge(
            want.steers,
            want.by_id,
            held=self._holding(marked),
            lost=lost,
            memory=self._memory,
            now=self._clock.now(),
            luck=random.random(),  # noqa: S311 - jitter
        )
        if self._shut is not None:
            judgement = held_back(judgement, self._shut, lost=lost)
        planned = plan(
            self._settings,
            want,
            facts.kernel,
            judgement.judged,
            marked | self._confirmed(want, judgement),
        )
        guarded = guard(
            planned,
            want,
            settings=self._settings,
            subnets=facts.cloud.subnets,
            enis=self._inhabitants(facts, want, planned),
        )
        if self._yielded:
            asked = find(Condition.YIELDED, "pod")
            guarded = Plan(findings=(*guarded.findings, asked))
        return Decided(want=want, judgement=judgement, plan=guarded)

    def _holding(
        self, marked: frozenset[tuple[Network, EniId]]
    ) -> frozenset[tuple[Network, EniId]]:
        """Give what counts as held: a mark does not, while its destination is claimed anew."""
        if self._claiming is None:
            return frozenset()
        return frozenset((d, eni) for d, eni in marked if d not in self._claiming)

    def _lost(self, want: Desired, marked: frozenset[tuple[Network, EniId]]) -> frozenset[EniId]:
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

    def _inhabitants(self, facts: Facts, want: Desired, planned: Plan) -> tuple[Eni, ...]:
        if self._settings.pattern is not Pattern.SUBNET:
            return ()
        captured = captures(planned, want)
        subnets = [s.id for s in facts.cloud.subnets if set(captured).intersection(s.networks)]
        return self._observer.inhabitants(subnets) if subnets else ()

    def _confirmed(self, want: Desired, judgement: Judgement) -> frozenset[tuple[Network, EniId]]:
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

    def _apply(self, facts: Facts, decided: Decided) -> tuple[Done, ...]:
        prepared = self._kernel_writes(decided.plan.prepare)
        blocked = _blocked(prepared, facts, decided.want)
        steer = [
            a
            for a in decided.plan.steer
            if not isinstance(a, RouteWrite) or a.destination not in blocked
        ]
        steered = self._wave.run(steer) if steer else ()
        tidied = self._kernel_writes(decided.plan.tidy)
        return (*prepared, *steered, *tidied)

    def _kernel_writes(self, actions: Sequence[KernelAction]) -> tuple[Done, ...]:
        if not actions:
            return ()
        began = self._clock.now()
        failed = dict(self._kernel.write(actions))
        seconds = self._clock.now() - began
        return tuple(Done(action=a, seconds=seconds, failure=failed.get(a)) for a in actions)

    def _remember(self, observed: Observed, decided: Decided, done: tuple[Done, ...]) -> None:
        facts = observed.facts
        memory = decided.judgement.memory
        now = self._clock.now()
        world = World(kernel=facts.kernel, cloud=facts.cloud)
        for each in done:
            action = each.action
            if each.failure is not None:
                continue
            world = evolve(world, action)
            if isinstance(action, RouteWrite):
                memory = memory.wrote(_steer(action), at=now, replaced=_replaced(action))
        self._memory = memory
        if self._claiming is None or self._claiming:
            all_ = frozenset(d for d, _ in decided.want.destinations)
            taken = {d for d, _ in self._confirmed(decided.want, decided.judgement)}
            self._claiming = (all_ if self._claiming is None else self._claiming) - taken
        self._denied = frozenset(
            _steer(d.action)
            for d in done
            if isinstance(d.failure, Permanent) and isinstance(d.action, RouteWrite)
        ) | _refused(decided)
        self._known = replace(facts, kernel=world.kernel)
        self._oddities = observed.findings
        # What was written is not in the facts: the next reading must be a real one.
        self._unread = any(d.failure is None and not is_mark(d.action) for d in done)


def _links(kernel: KernelState) -> set[tuple[int, Mac]]:
    return {(i.index, i.mac) for i in kernel.interfaces}


def _steer(action: RouteWrite) -> Steer:
    return Steer(table=action.table, destination=action.destination, eni=action.eni)


def _replaced(action: RouteWrite) -> EniId | None:
    if isinstance(action, ReplaceRoute) and action.before.kind is TargetKind.ENI:
        return EniId(action.before.id)
    return None


def _refused(decided: Decided) -> frozenset[Steer]:
    planned = {_steer(a) for a in decided.plan.steer if isinstance(a, RouteWrite)}
    return frozenset(
        j.steer
        for j in decided.judgement.judged
        if j.verdict is Verdict.WRITE and j.steer not in planned
    )


def _blocked(prepared: tuple[Done, ...], facts: Facts, want: Desired) -> frozenset[Network]:
    """Give the destinations whose interface could not be made ready to answer.

    Steering them would send traffic to a pod that can't answer it.
    """
    failed = [d.action for d in prepared if d.failure is not None and not is_mark(d.action)]
    first = primary(facts.kernel)
    interfaces: set[str] = set()
    for action in failed:
        match action:
            case AddAddress(interface=interface):
                device: str | None = interface
            case AddRoute(route=route) | RemoveRoute(route=route):
                device = route.device
            case AddRule(rule=rule) | RemoveRule(rule=rule):
                device = first if rule.priority == PRIMARY_PRIORITY else _owner(rule.source, want)
        if device is None or device == first:
            return frozenset(ip.destination for ip in want.floating)
        interfaces.add(device)
    return frozenset(ip.destination for ip in want.floating if ip.interface in interfaces)


def _owner(source: Network | None, want: Desired) -> str | None:
    return next((ip.interface for ip in want.floating if source and ip.address in source), None)


def _all_findings(
    observed: Observed, decided: Decided, done: tuple[Done, ...]
) -> tuple[Finding, ...]:
    failures = (d.failure.finding(_subject(d)) for d in done if d.failure is not None)
    return tuple(
        dict.fromkeys(
            (
                *observed.findings,
                *decided.want.findings,
                *decided.judgement.findings,
                *decided.plan.findings,
                *failures,
            )
        )
    )


def _subject(done: Done) -> str:
    action = done.action
    return action.table if isinstance(action, RouteWrite) else str(action)
