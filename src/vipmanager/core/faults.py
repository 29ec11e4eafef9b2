"""What was wrong in the last minutes and is right again: who looks late has to see it too."""

from dataclasses import dataclass, replace

from vipmanager.core.findings import Condition, Finding, Kind
from vipmanager.core.report import Report

KEPT = 600.0
"""Seconds for which a fault is told once it is over."""

MOST = 20
"""Faults that are told at the most, the newest ones."""

_FAULTS = {Kind.DEGRADED, Kind.WAITING, Kind.REFUSED, Kind.FAILED}

Key = tuple[Condition, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One that is over, or not yet."""

    finding: Finding
    """As it was found last."""
    since: float
    """Monotonic seconds."""
    until: float = float("inf")
    times: int = 1
    """How often it has come, as far as is remembered."""

    def document(self, now: float) -> dict[str, object]:
        """Give one that is over as JSON values."""
        return self.finding.document() | {
            "lasted": round(self.until - self.since, 1),
            "ago": round(now - self.until, 1),
            "times": self.times,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The memory, which is bounded."""

    standing: tuple[Fault, ...] = ()
    over: tuple[Fault, ...] = ()
    """The newest first."""

    def after(self, report: Report, now: float) -> "Faults":
        """Give the memory after one more pass.

        What a pass that could not look does not tell is still standing, and so is what a wave
        beside the passes does not look for.
        """
        found = {_key(f): f for f in report.findings if _is_fault(f)}
        looked = report.observed and report.whole
        known = {_key(f.finding): f for f in self.standing}
        gone = [f for k, f in known.items() if k not in found] if looked else []
        kept = [
            replace(f, finding=found.get(k, f.finding))
            for k, f in known.items()
            if k in found or not looked
        ]
        past = {_key(f.finding): f for f in self.over if now - f.until < KEPT}
        new = [
            Fault(finding=f, since=now, times=past[k].times + 1 if k in past else 1)
            for k, f in found.items()
            if k not in known
        ]
        returned = {_key(f.finding) for f in new}
        over = [f for k, f in past.items() if k not in returned]
        return Faults(
            standing=(*kept, *new),
            over=(*(replace(f, until=now) for f in gone), *over)[:MOST],
        )

    def document(self, now: float) -> list[dict[str, object]]:
        """Give what is over as JSON values, the newest first."""
        return [f.document(now) for f in self.over if now - f.until < KEPT]


def _key(finding: Finding) -> Key:
    return finding.condition, finding.subject


def _is_fault(finding: Finding) -> bool:
    return finding.kind in _FAULTS and not finding.condition.value.usual
