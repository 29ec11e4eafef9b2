"""Who may write which route, and when: what a pass asks of whoever decides, and of who writes.

                 Ownership decides            Writer carries out
without a Lease  Claims (claims.py)           ImmediateWriter (writer.py): at once
with a Lease     LeaseOwnership               ArmedWriter (armed_writer.py): kept ready until the
                 (lease_ownership.py)         election says that this pod holds
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vipmanager.core.actions import CloudAction, RouteWrite
from vipmanager.core.desired import Desired
from vipmanager.core.findings import Finding
from vipmanager.core.plan import Plan
from vipmanager.core.report import Done, Report
from vipmanager.core.values import KernelState
from vipmanager.core.verdict import Decision
from vipmanager.engine.observe import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Everything a pass has decided, before anything is written."""

    want: Desired
    evidence: Evidence
    decision: Decision
    plan: Plan


class Ownership(Protocol):
    """Who may write which route. It writes nothing itself."""

    @property
    def role_changes(self) -> int:
        """A number that changes when a reading that was begun before is void."""
        ...

    def begin(self, reasons: Sequence[str]) -> None:
        """Begin a pass: obey the orders among its reasons, and ask the gate."""
        ...

    def decide(self, want: Desired, kernel: KernelState, evidence: Evidence) -> Decision:
        """Give each route its verdict, and say what this pass may do about them."""
        ...

    def findings(self) -> tuple[Finding, ...]:
        """Say what is so whether or not the worlds could be read."""
        ...

    def remember(self, decided: Decided, done: Sequence[Done]) -> None:
        """Take in what a pass did."""
        ...

    def told(self, report: Report, decided: Decided | None) -> Report:
        """Give the report as this agent's role has it; a pass that read nothing decided None."""
        ...


class Writer(Protocol):
    """When the writes of a pass go out to the cloud."""

    def write(
        self, decided: Decided, actions: Sequence[CloudAction], spare: Sequence[RouteWrite]
    ) -> tuple[Done, ...]:
        """Write, or keep what may not be written now; give what was tried.

        Args:
            decided: by the pass that asks.
            actions: what is to be written.
            spare: writes of routes that the pass found right (`Plan.spare`).
        """
        ...
