"""One pass: observe, decide, apply, report."""

from collections.abc import Sequence
from dataclasses import replace

from vipmanager.core.actions import CloudAction, KernelAction, RouteWrite
from vipmanager.core.blocked import blocked
from vipmanager.core.desired import Desired, Facts, desired
from vipmanager.core.evolve import evolve
from vipmanager.core.failures import Failure
from vipmanager.core.findings import Finding
from vipmanager.core.guard import captures, guard
from vipmanager.core.plan import Plan, plan
from vipmanager.core.pod import with_lost
from vipmanager.core.podnet import is_mark
from vipmanager.core.report import Done, Report
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.values import Eni, KernelState, Mac, World
from vipmanager.engine.observe import Observed, Observer
from vipmanager.engine.rule import Decided, Rule
from vipmanager.ports import Clock, Kernel

NETLINK = "netlink"
"""The reason a netlink watcher leaves; it may be our own doing."""

REREADS = 3
"""Readings of one pass at the most, where the rule says that one is void."""


class Passes:
    """Runs passes, and remembers between them what can't be read."""

    def __init__(
        self, settings: Settings, *, observer: Observer, kernel: Kernel, rule: Rule, clock: Clock
    ) -> None:
        """Remember nothing yet.

        Args:
            settings: what the operator asked for.
            observer: reads the worlds.
            kernel: is written.
            rule: says which routes may be written, and writes them.
            clock: monotonic time.
        """
        self._settings = settings
        self._observer = observer
        self._kernel = kernel
        self._rule = rule
        self._clock = clock
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
        self._rule.begin(reasons)
        began = self._clock.now()
        try:
            at_once = self._at_once(reasons)
            observed, decided = at_once or self._after_reading()
        except Failure as failure:
            return self._rule.told(
                Report(
                    number=self._number,
                    reasons=tuple(reasons),
                    seconds=self._clock.now() - began,
                    observed=False,
                    findings=(failure.finding("observe"), *self._rule.findings()),
                ),
                None,
            )
        done = self._apply(observed.facts, decided)
        self._remember(observed, decided, done)
        report = Report(
            number=self._number,
            reasons=tuple(reasons),
            seconds=self._clock.now() - began,
            observed=True,
            floating=decided.want.floating,
            judged=decided.judgement.judged,
            done=done,
            findings=_all_findings(observed, decided, self._rule.findings(), done),
            recheck=decided.judgement.recheck,
            fresh=at_once is None,
        )
        return self._rule.told(report, decided)

    def _after_reading(self) -> tuple[Observed, Decided]:
        for _ in range(REREADS):
            epoch = self._rule.epoch
            observed = self._with_lost(self._observer.read())
            decided = self._decide(observed.facts)
            if self._rule.epoch == epoch:
                break
        return observed, decided

    def _at_once(self, reasons: Sequence[str]) -> tuple[Observed, Decided] | None:
        """Decide from the last reading of the cloud what a change in the pod asks for.

        It saves a new address a round trip, and a link that came back all of them. Only what
        can do no harm by an old reading, as the rule says. The next pass reads everything back.
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
        useful = decided.plan.actions and self._rule.harmless(decided.plan)
        return (observed, decided) if useful else None

    def _with_lost(self, observed: Observed) -> Observed:
        if self._known is None:
            return observed
        kernel = with_lost(self._known.kernel, observed.facts.kernel)
        return replace(observed, facts=replace(observed.facts, kernel=kernel))

    def _decide(self, facts: Facts) -> Decided:
        want = desired(self._settings, facts)
        judgement = self._rule.judge(want, facts.kernel)
        marks = self._rule.marks(want, facts.kernel, judgement)
        planned = plan(self._settings, want, facts.kernel, judgement.judged, marks)
        guarded = guard(
            planned,
            want,
            settings=self._settings,
            subnets=facts.cloud.subnets,
            enis=self._inhabitants(facts, want, planned),
        )
        return Decided(want=want, judgement=judgement, plan=self._rule.allow(guarded))

    def _inhabitants(self, facts: Facts, want: Desired, planned: Plan) -> tuple[Eni, ...]:
        if self._settings.pattern is not Pattern.SUBNET:
            return ()
        captured = captures(planned, want)
        subnets = [s.id for s in facts.cloud.subnets if set(captured).intersection(s.networks)]
        return self._observer.inhabitants(subnets) if subnets else ()

    def _apply(self, facts: Facts, decided: Decided) -> tuple[Done, ...]:
        prepared = self._kernel_writes(decided.plan.prepare)
        not_these = blocked(prepared, facts.kernel, decided.want)
        steer: list[CloudAction] = [
            a
            for a in decided.plan.steer
            if not isinstance(a, RouteWrite) or a.destination not in not_these
        ]
        steered = self._rule.write(steer)
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
        world = World(kernel=facts.kernel, cloud=facts.cloud)
        for each in done:
            if each.failure is None:
                world = evolve(world, each.action)
        self._rule.remember(decided, done)
        self._known = replace(facts, kernel=world.kernel)
        self._oddities = observed.findings
        # What was written is not in the facts: the next reading must be a real one.
        self._unread = any(d.failure is None and not is_mark(d.action) for d in done)


def _links(kernel: KernelState) -> set[tuple[int, Mac]]:
    return {(i.index, i.mac) for i in kernel.interfaces}


def _all_findings(
    observed: Observed,
    decided: Decided,
    told: tuple[Finding, ...],
    done: tuple[Done, ...],
) -> tuple[Finding, ...]:
    failures = (d.failure.finding(_subject(d)) for d in done if d.failure is not None)
    return tuple(
        dict.fromkeys(
            (
                *observed.findings,
                *decided.want.findings,
                *decided.judgement.findings,
                *told,
                *decided.plan.findings,
                *failures,
            )
        )
    )


def _subject(done: Done) -> str:
    action = done.action
    return action.table if isinstance(action, RouteWrite) else str(action)
