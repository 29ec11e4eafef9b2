"""One pass: observe, decide, apply, report."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from vipmanager.core.actions import CloudAction, DisableSourceDestCheck, KernelAction, RouteWrite
from vipmanager.core.blocked import blocked
from vipmanager.core.concern import Concern, concern
from vipmanager.core.desired import Desired, Facts, desired
from vipmanager.core.dry_run import withheld
from vipmanager.core.evolve import evolve
from vipmanager.core.failures import Failure, Transient
from vipmanager.core.findings import READING, Finding
from vipmanager.core.guard import captures, guard
from vipmanager.core.lost import (
    Absent,
    Had,
    absent,
    judged_with,
    remembered,
    shown,
    told_by_marks,
)
from vipmanager.core.plan import Plan, plan, within
from vipmanager.core.pod import with_lost
from vipmanager.core.report import Done, Report
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.trail import Trail
from vipmanager.core.values import Eni, KernelState, Mac, World
from vipmanager.core.verdict import SETTLE
from vipmanager.engine.observe import Evidence, Observed, Observer
from vipmanager.engine.ownership import Decided, Ownership, Writer
from vipmanager.ports import Clock, Kernel

NETLINK = "netlink"
"""The reason a netlink watcher leaves; it may be our own doing."""

REREADS = 3
"""Readings of one pass at the most, where `Ownership` says that one is void."""


class Reconciler:
    """Runs passes, and remembers between them what can't be read."""

    def __init__(
        self,
        settings: Settings,
        *,
        observer: Observer,
        kernel: Kernel,
        ownership: Ownership,
        writer: Writer,
        clock: Clock,
        begun: Callable[[Report], None] = lambda _: None,
    ) -> None:
        """Remember nothing yet.

        Args:
            settings: what the operator asked for.
            observer: reads the worlds.
            kernel: is written.
            ownership: says which routes may be written.
            writer: writes them.
            clock: monotonic time.
            begun: hears what a pass has read and decided, before it writes routes.
        """
        self._begun = begun
        self._settings = settings
        self._observer = observer
        self._kernel = kernel
        self._ownership, self._writer = ownership, writer
        self._clock = clock
        self._known: Facts | None = None
        self._concern: Concern | None = None
        """Of what is known; None until it is asked for."""
        self._evidence = Evidence()
        self._read_findings: tuple[Finding, ...] = ()
        self._had: Had = {}
        """The floating IPs that were seen ready in the pod."""
        self._decided: Decided | None = None
        """By the last pass."""
        self._trail = Trail()
        self._absent: tuple[Absent, ...] = ()
        """Those that the last pass missed."""
        self._unread = False
        self._number = 0

    def kernel_changed(self) -> bool:
        """Tell whether the pod differs from what the last pass left, in what concerns us.

        Netlink reports our own writes too, and other programs'; a pass, which costs EC2 calls, must
        not follow from them.
        """
        if self._known is None:
            return True
        try:
            kernel = with_lost(self._known.kernel, self._observer.kernel())
        except Failure:
            return True
        if self._concern is None:
            self._concern = concern(self._settings, self._known)
        return concern(self._settings, replace(self._known, kernel=kernel)) != self._concern

    def run(self, reasons: Sequence[str]) -> Report:
        """Run one pass; failures of the outside worlds become part of the report."""
        self._number += 1
        self._ownership.begin(reasons)
        began = self._clock.now()
        try:
            at_once = self._fast_path(reasons)
            observed, decided = at_once or self._after_reading()
            self._trail = self._followed(observed, decided)
        except Failure as failure:
            return self._ownership.told(
                Report(
                    number=self._number,
                    reasons=tuple(reasons),
                    seconds=self._clock.now() - began,
                    observed=False,
                    findings=(failure.finding(READING), *self._ownership.findings()),
                ),
                None,
            )
        report = Report(
            number=self._number,
            reasons=tuple(reasons),
            seconds=self._clock.now() - began,
            observed=True,
            names=decided.want.names,
            # What was told by an old reading is read at once.
            recheck=decided.decision.recheck if at_once is None else 0.0,
            whole=at_once is None,
            fresh=observed.evidence.fresh,
            aside=decided.want.aside,
        )
        if decided.plan.steer:
            self._absent = self._missing(observed.facts, decided)
            self._begun(self._told(report, observed, decided, ()))
        done = self._apply(observed, decided)
        upkeep = at_once is not None and self._is_upkeep(decided, done)
        self._remember(observed, decided, done)
        report = replace(report, seconds=self._clock.now() - began, upkeep=upkeep)
        return self._ownership.told(self._told(report, observed, decided, done), decided)

    def _told(
        self, report: Report, observed: Observed, decided: Decided, done: tuple[Done, ...]
    ) -> Report:
        """Complete a report; what is lost is there, though nothing else tells of it."""
        floating = shown(decided.want.floating, self._absent)
        return replace(
            report,
            floating=floating,
            absent=tuple(a.ip for a in self._absent),
            judged=judged_with(decided.decision.judged, floating, self._absent),
            done=done,
            findings=(
                *(a.finding() for a in self._absent if a.routes),
                *_all_findings(observed, decided, self._ownership.findings(), done),
                *self._trail.findings(self._region(observed.facts)),
            ),
        )

    def _followed(self, observed: Observed, decided: Decided) -> Trail:
        """Follow what others do to our routes: they are, while this pod is to have them."""
        decision, evidence = decided.decision, observed.evidence
        if not decision.holds:
            return Trail()
        if not evidence.fresh:
            return self._trail
        now, written = self._clock.now(), decision.memory.written
        ours = frozenset(s for s, w in written.items() if now - w.at < SETTLE)
        wall = self._clock.wall()
        sent = wall - (now - evidence.asked)
        return self._trail.after(decision.judged, ours=ours, sent=sent, wall=wall)

    def _region(self, facts: Facts) -> str:
        return self._settings.region or (facts.node.region if facts.node is not None else "")

    def _after_reading(self) -> tuple[Observed, Decided]:
        for _ in range(REREADS):
            role_changes = self._ownership.role_changes
            had = {ip.vpc for ip in self._had.values()}
            observed = self._with_lost(self._observer.read(had))
            decided = self._decide(observed)
            if self._ownership.role_changes == role_changes:
                break
        return observed, decided

    def _fast_path(self, reasons: Sequence[str]) -> tuple[Observed, Decided] | None:
        """Decide from the last reading of the cloud what a change in the pod asks for.

        It saves a new address a round trip, and a link that came back all of them. What an old
        reading allows is the decision's scope. The next pass reads everything back.
        """
        if tuple(reasons) != (NETLINK,) or self._known is None or self._unread:
            return None
        kernel = self._observer.kernel()
        if not _links(kernel) <= _links(self._known.kernel):
            return None  # EC2 has to tell the ENI under a new one
        observed = self._with_lost(
            Observed(
                facts=replace(self._known, kernel=kernel),
                evidence=replace(self._evidence, fresh=False),
                findings=self._read_findings,
            )
        )
        decided = self._decide(observed)
        if decided.plan.actions:
            return observed, decided
        known = {a.ip.address for a in self._absent if a.routes}
        missing = self._missing(observed.facts, decided)
        if {a.ip.address for a in missing if a.routes} <= known:
            return None
        return observed, decided  # it is told at once, whether or not EC2 answers now

    def _is_upkeep(self, decided: Decided, done: tuple[Done, ...]) -> bool:
        """Tell whether nothing was done but to the pod's rules and routes, and nothing is new."""
        then = self._decided
        return (
            then is not None
            and not decided.plan.steer
            and all(isinstance(d.action, KernelAction) and d.failure is None for d in done)
            and then.want.floating == decided.want.floating
            and then.want.steers == decided.want.steers
            and then.want.findings == decided.want.findings
            and then.plan.findings == decided.plan.findings
        )

    def _missing(self, facts: Facts, decided: Decided) -> tuple[Absent, ...]:
        """Give what is missing before anything is written; a check that is to go off is off."""
        world = World(kernel=facts.kernel, cloud=facts.cloud)
        for action in decided.plan.steer:
            if isinstance(action, DisableSourceDestCheck):
                world = evolve(world, action)
        then = replace(facts, cloud=world.cloud)
        return absent(self._settings, then, decided.want, self._had)

    def _with_lost(self, observed: Observed) -> Observed:
        if self._known is None:
            return observed
        kernel = with_lost(self._known.kernel, observed.facts.kernel)
        return replace(observed, facts=replace(observed.facts, kernel=kernel))

    def _decide(self, observed: Observed) -> Decided:
        facts, evidence = observed.facts, observed.evidence
        want = desired(self._settings, facts)
        decision = self._ownership.decide(want, facts.kernel, evidence)
        kept = told_by_marks(self._settings, facts, fresh=evidence.fresh)
        planned = plan(
            self._settings, want, facts.kernel, decision.judged, decision.marks, kept=kept
        )
        guarded = guard(
            planned,
            want,
            settings=self._settings,
            subnets=facts.cloud.subnets,
            enis=self._inhabitants(facts, want, planned),
        )
        allowed = within(guarded, decision.scope)
        return Decided(
            want=want,
            evidence=evidence,
            decision=decision,
            plan=withheld(allowed, decision.judged) if decision.dry_run else allowed,
        )

    def _inhabitants(self, facts: Facts, want: Desired, planned: Plan) -> tuple[Eni, ...] | None:
        if self._settings.pattern is not Pattern.SUBNET:
            return ()
        captured = captures(planned, want)
        subnets = [s.id for s in facts.cloud.subnets if set(captured).intersection(s.networks)]
        try:
            return self._observer.inhabitants(subnets) if subnets else ()
        except Transient:
            return None

    def _apply(self, observed: Observed, decided: Decided) -> tuple[Done, ...]:
        prepared = self._kernel_writes(decided.plan.prepare)
        not_these = blocked(prepared, observed.facts.kernel, decided.want)
        steer: list[CloudAction] = [
            a
            for a in decided.plan.steer
            if not isinstance(a, RouteWrite) or a.destination not in not_these
        ]
        spare = [a for a in decided.plan.spare if a.destination not in not_these]
        steered = self._writer.write(decided, steer, spare)
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
        self._ownership.remember(decided, done)
        now = replace(facts, kernel=world.kernel, cloud=world.cloud)
        self._absent = absent(self._settings, now, decided.want, self._had)
        fresh = observed.evidence.fresh
        self._had = remembered(self._had, self._settings, now, decided.want, fresh=fresh)
        self._known, self._concern = replace(facts, kernel=world.kernel), None
        self._evidence, self._read_findings = observed.evidence, observed.findings
        self._decided = decided
        # What EC2 took is not in the facts: the next reading must be a real one.
        self._unread = any(
            d.failure is None and not isinstance(d.action, KernelAction) for d in done
        )


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
                *decided.decision.findings,
                *told,
                *decided.plan.findings,
                *failures,
            )
        )
    )


def _subject(done: Done) -> str:
    action = done.action
    return action.table if isinstance(action, RouteWrite) else str(action)
