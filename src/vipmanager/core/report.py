"""What one pass did and found: the one value that logs, metrics, health and status read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vipmanager.core.actions import Action
from vipmanager.core.election.role import Role
from vipmanager.core.failures import Failure
from vipmanager.core.findings import READING, Condition, Finding, Kind
from vipmanager.core.podnet import is_mark
from vipmanager.core.values import FloatingIP, RouteTableId
from vipmanager.core.verdict import RouteDecision, Verdict


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
    """False where the pod, IMDS or EC2 could not be read: then nothing else here tells anything."""
    floating: tuple[FloatingIP, ...] = ()
    """With those that are lost."""
    absent: tuple[FloatingIP, ...] = ()
    """What the pod had, and does not answer now: lost, or another's meanwhile."""
    judged: tuple[RouteDecision, ...] = ()
    """As read at the beginning of the pass."""
    names: Mapping[RouteTableId, str] = field(default_factory=lambda: MappingProxyType({}))
    """The tag Name of each route table that has one."""
    done: tuple[Done, ...] = ()
    findings: tuple[Finding, ...] = ()
    recheck: float | None = None
    """Seconds until looking again can change something; None for no hurry."""
    role: Role | None = None
    """Where a Lease decides: what this agent was."""
    whole: bool = True
    """Whether it is of a whole pass; False for a wave, and for a change in the pod alone."""
    fresh: bool = True
    """Whether the cloud was read for it; False where what was last read stands in for it."""
    upkeep: bool = False
    """Whether it put the pod's own rules and routes right, and nothing else has changed: then the
    kernel tells whether it succeeded, and the cloud is not asked for it."""
    aside: tuple[str, ...] = ()
    """The pod's interfaces that are left alone."""

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
            and self.fresh
            and all(is_mark(d.action) for d in self.done)
            and all(j.verdict is not Verdict.WRITE for j in self.judged)
            and not self.of_kind(Kind.ASKED, Kind.WAITING, Kind.FAILED, Kind.REFUSED)
        )

    @property
    def unverified(self) -> bool:
        """Whether nothing is left to do, as far as is known: the cloud could not be read for it."""
        return (
            self.observed
            and not self.fresh
            and bool(self.judged)
            and not any(d.failure is not None or not is_mark(d.action) for d in self.done)
            and all(j.verdict in {Verdict.RIGHT, Verdict.YIELD} for j in self.judged)
            and all(
                f.subject == READING
                for f in self.of_kind(Kind.ASKED, Kind.WAITING, Kind.FAILED, Kind.REFUSED)
            )
        )

    @property
    def throttled(self) -> bool:
        """Whether EC2 refused to be read, since its bucket was empty."""
        return any(
            f.condition is Condition.THROTTLED and f.subject == READING for f in self.findings
        )

    @property
    def settled(self) -> bool:
        """Whether only a person can change the outcome: a read with nothing left to try."""
        return self.observed and not self.waiting and not self.changed

    @property
    def dry_run(self) -> bool:
        """Whether it only says what would be done."""
        return any(f.condition is Condition.DRY_RUN for f in self.findings)

    @property
    def yields(self) -> bool:
        """Whether a floating IP is left to another agent, which took it or is to take it."""
        return any(f.condition.value.yields for f in self.findings)

    def routes(self, passed: float = 0.0) -> list[dict[str, object]]:
        """Give every route as JSON values, so many seconds after the pass."""
        return [
            j.document()
            | {
                "tableName": self.names.get(j.steer.table),
                "due": None if j.due is None else round(max(0.0, j.due - passed), 1),
            }
            for j in self.judged
        ]

    @property
    def wrong(self) -> tuple[RouteDecision, ...]:
        """The steers that were not right when read."""
        return tuple(j for j in self.judged if j.verdict is not Verdict.RIGHT)
