"""Who may write which route: what a pass asks of whichever rule decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vipmanager.core.actions import CloudAction
from vipmanager.core.claim import Judgement
from vipmanager.core.desired import Desired
from vipmanager.core.findings import Finding
from vipmanager.core.plan import Plan
from vipmanager.core.report import Done, Report
from vipmanager.core.values import EniId, KernelState, Network

Destinations = frozenset[tuple[Network, EniId]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Everything a pass has decided, before anything is written."""

    want: Desired
    judgement: Judgement
    plan: Plan


class Rule(Protocol):
    """Claims (`engine/claims.py`), or a Lease (`engine/steering.py`)."""

    @property
    def epoch(self) -> int:
        """A number that changes when a reading that was begun before is void."""
        ...

    def begin(self, reasons: Sequence[str]) -> None:
        """Begin a pass."""
        ...

    def findings(self) -> tuple[Finding, ...]:
        """Say what is so whether or not the worlds could be read."""
        ...

    def judge(self, want: Desired, kernel: KernelState) -> Judgement:
        """Give each steer its verdict."""
        ...

    def marks(self, want: Desired, kernel: KernelState, judgement: Judgement) -> Destinations:
        """Give the destinations whose mark shall be in the pod."""
        ...

    def allow(self, plan: Plan) -> Plan:
        """Take out what this agent does not do now."""
        ...

    def harmless(self, plan: Plan) -> bool:
        """Tell whether a plan made from an old reading can be carried out."""
        ...

    def write(self, actions: Sequence[CloudAction]) -> tuple[Done, ...]:
        """Write to the cloud; what may not be written now is kept for later."""
        ...

    def remember(self, decided: Decided, done: Sequence[Done]) -> None:
        """Take in what a pass did."""
        ...

    def told(self, report: Report, decided: Decided | None) -> Report:
        """Give the report as this agent's role has it; a pass that read nothing decided None."""
        ...
