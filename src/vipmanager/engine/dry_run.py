"""Ownership that decides as claims do, and lets nothing be written (`DryRun`)."""

from collections.abc import Sequence
from dataclasses import replace

from vipmanager.core.command import Command
from vipmanager.core.desired import Desired
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.report import Done, Report
from vipmanager.core.values import KernelState
from vipmanager.core.verdict import Decision
from vipmanager.engine.claims import Claims
from vipmanager.engine.observe import Evidence
from vipmanager.engine.ownership import Decided

ORDERS = {command.value for command in Command}


class DryRun:
    """The `Ownership` of an agent that only says what it would do.

    The marks of claims are kept: whoever wires this hands in a kernel that only remembers them.
    """

    def __init__(self, claims: Claims) -> None:
        self._claims = claims

    role_changes = 0

    def begin(self, reasons: Sequence[str]) -> None:
        """Begin a pass; nobody can order what does not happen."""
        self._claims.begin([r for r in reasons if r not in ORDERS])

    def decide(self, want: Desired, kernel: KernelState, evidence: Evidence) -> Decision:
        """Give each route its verdict; what follows from it is told, and not done."""
        return replace(self._claims.decide(want, kernel, evidence), dry_run=True)

    def findings(self) -> tuple[Finding, ...]:
        """Say that this agent writes nothing."""
        return (find(Condition.DRY_RUN, "pod"), *self._claims.findings())

    def remember(self, decided: Decided, done: Sequence[Done]) -> None:
        """Take in which claims would be over."""
        self._claims.remember(decided, done)

    def told(self, report: Report, decided: Decided | None) -> Report:
        """Give the report as it is."""
        return self._claims.told(report, decided)
