"""What a running agent knows of itself: the one value behind /status, `status` and readiness."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vipmanager.core.faults import Faults
from vipmanager.core.findings import Finding
from vipmanager.core.progress import Progress
from vipmanager.core.readiness import Readiness
from vipmanager.core.report import Report
from vipmanager.core.schema import Schema
from vipmanager.core.values import DesiredRoute
from vipmanager.core.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state after some passes."""

    readiness: Readiness = field(default_factory=Readiness)
    report: Report | None = None
    """The last pass."""
    observed: Report | None = None
    """The last pass that could read the worlds; one that writes has read them already."""
    read: float | None = None
    """Monotonic seconds when the last whole reading of EC2 began: what is told rests on that."""
    at: float = 0.0
    """Monotonic seconds when the last pass ended; the start of the agent before that."""
    faults: Faults = field(default_factory=Faults)
    """What was wrong lately."""
    since: Mapping[DesiredRoute, tuple[Verdict, float]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """Each route's verdict, and since when (monotonic seconds) it has been so."""
    progress: Progress | None = None
    """How far the routes under way are; None while none is written."""

    def begun(self, report: Report, now: float) -> "Status":
        """Give the status when a pass has read and decided, and writes now: that may last."""
        return replace(
            self,
            observed=report,
            read=now - report.seconds if report.fresh else self.read,
            since=self._turned(report, now),
        )

    def at_work(self, progress: Progress | None) -> "Status":
        """Give the status while routes are written; one that is not ready says how far they are."""
        if progress is None or self.readiness.ready:
            return replace(self, progress=progress)
        why = str(progress) if self.report is None else f"{self.readiness.why}; {progress}"
        return replace(self, progress=progress, readiness=replace(self.readiness, why=why))

    def after(self, report: Report, now: float) -> "Status":
        """Give the status after one more pass."""
        return Status(
            readiness=self.readiness if report.upkeep else self.readiness.after(report),
            report=report,
            observed=report if report.observed else self.observed,
            read=now - report.seconds if report.observed and report.fresh else self.read,
            at=now,
            since=self._turned(report, now) if report.observed else self.since,
            faults=self.faults.after(report, now),
        )

    def why(self, now: float) -> str:
        """Give what readiness rests on, and how old that is."""
        age = "EC2 never read" if self.read is None else f"checked {now - self.read:.0f} s ago"
        return f"{self.readiness.why} ({age})"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the last pass found; before it has ended, what the first one has found so far."""
        told = self.report or self.observed
        return told.findings if told is not None else ()

    def _turned(self, report: Report, now: float) -> Mapping[DesiredRoute, tuple[Verdict, float]]:
        return MappingProxyType(
            {j.steer: self._since(j.steer, j.verdict, now) for j in report.judged}
        )

    def _since(self, steer: DesiredRoute, verdict: Verdict, now: float) -> tuple[Verdict, float]:
        before = self.since.get(steer)
        return before if before is not None and before[0] is verdict else (verdict, now)

    def document(self, now: float) -> dict[str, object]:
        """Give it as /status shows it: JSON values, documented in docs/schema/agent.json."""
        shown = Schema.AGENT.document(
            {
                "ready": self.readiness.ready,
                "why": self.readiness.why,
                "evidence": None if self.read is None else round(now - self.read, 1),
            }
        )
        if self.progress is not None:
            shown["progress"] = self.progress.document()
        if self.report is not None and self.observed is not None:
            shown["pass"] = {
                "number": self.report.number,
                "reasons": list(self.report.reasons),
                "observed": self.report.observed,
                "seconds": round(self.report.seconds, 3),
                "ago": round(now - self.at, 1),
            }
        if self.observed is None:
            return shown
        return shown | {
            "floatingIPs": [ip.document() for ip in self.observed.floating],
            "routes": [
                route | {"since": round(now - self.since[judged.steer][1], 1)}
                for judged, route in zip(
                    self.observed.judged, self.observed.routes(now - self.at), strict=True
                )
            ],
            "findings": [f.document() for f in self.findings],
            "resolved": self.faults.document(now),
        }
