"""What one pass did and found: the one value that logs, metrics, health and status read."""

from dataclasses import dataclass

from vipmanager.core.actions import Action
from vipmanager.core.claim import Judged, Verdict
from vipmanager.core.election.actions import Role
from vipmanager.core.failures import Failure
from vipmanager.core.findings import Condition, Finding, Kind
from vipmanager.core.podnet import is_mark
from vipmanager.core.values import FloatingIP


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One action, and how it ended."""

    action: Action
    seconds: float
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One pass."""

    number: int
    reasons: tuple[str, ...]
    """Why it ran."""
    seconds: float
    observed: bool
    """False where the worlds could not be read: then nothing else here tells anything."""
    floating: tuple[FloatingIP, ...] = ()
    judged: tuple[Judged, ...] = ()
    """As read at the beginning of the pass."""
    done: tuple[Done, ...] = ()
    findings: tuple[Finding, ...] = ()
    recheck: float | None = None
    """Seconds until looking again can change something; None for no hurry."""
    role: Role | None = None
    """Where a Lease decides: what this agent was."""
    fresh: bool = True
    """Whether the cloud was read for it; False for a wave, and for a change in the pod alone."""

    @property
    def failures(self) -> tuple[Done, ...]:
        """The actions that failed."""
        return tuple(d for d in self.done if d.failure is not None)

    def of_kind(self, *kinds: Kind) -> tuple[Finding, ...]:
        """Select findings by whose turn it is."""
        return tuple(f for f in self.findings if f.kind in kinds)

    @property
    def waiting(self) -> bool:
        """Whether time alone may change the outcome."""
        return bool(self.of_kind(Kind.WAITING))

    @property
    def changed(self) -> bool:
        """Whether a write succeeded that has to be read back; the mark itself need not be."""
        return any(d.failure is None and not is_mark(d.action) for d in self.done)

    @property
    def clean(self) -> bool:
        """Whether the worlds were read and nothing was left to do or to wait for."""
        return (
            self.observed
            and all(is_mark(d.action) for d in self.done)
            and all(j.verdict is not Verdict.WRITE for j in self.judged)
            and not self.of_kind(Kind.ASKED, Kind.WAITING, Kind.FAILED, Kind.REFUSED)
        )

    @property
    def settled(self) -> bool:
        """Whether only a person can change the outcome: a read with nothing left to try."""
        return self.observed and not self.waiting and not self.changed

    @property
    def displaced(self) -> bool:
        """Whether another agent took a floating IP over."""
        return any(f.condition is Condition.DISPLACED for f in self.findings)

    @property
    def yielded(self) -> bool:
        """Whether the agent was asked to leave its routes to the next owner."""
        return any(f.condition is Condition.YIELDED for f in self.findings)

    @property
    def wrong(self) -> tuple[Judged, ...]:
        """The steers that were not right when read."""
        return tuple(j for j in self.judged if j.verdict is not Verdict.RIGHT)
