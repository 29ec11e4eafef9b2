"""What a running agent knows of itself: the one value behind /status, `status` and readiness."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vipmanager.core.claim import Verdict
from vipmanager.core.health import Health
from vipmanager.core.report import Report
from vipmanager.core.values import Steer


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state after some passes."""

    health: Health = field(default_factory=Health)
    report: Report | None = None
    """The last pass."""
    observed: Report | None = None
    """The last pass that could read the worlds."""
    at: float = 0.0
    """Monotonic seconds when the last pass ended; the start of the agent before that."""
    since: Mapping[Steer, tuple[Verdict, float]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    """Each route's verdict, and since when (monotonic seconds) it has been so."""

    def after(self, report: Report, now: float) -> "Status":
        """Give the status after one more pass."""
        since = dict(self.since)
        if report.observed:
            since = {j.steer: self._since(j.steer, j.verdict, now) for j in report.judged}
        return Status(
            health=self.health.after(report),
            report=report,
            observed=report if report.observed else self.observed,
            at=now,
            since=MappingProxyType(since),
        )

    def _since(self, steer: Steer, verdict: Verdict, now: float) -> tuple[Verdict, float]:
        before = self.since.get(steer)
        return before if before is not None and before[0] is verdict else (verdict, now)

    def document(self, now: float) -> dict[str, object]:
        """Give it as /status shows it: JSON values, documented in docs/schema/agent.json."""
        shown: dict[str, object] = {"ready": self.health.ready, "why": self.health.why}
        if self.report is None or self.observed is None:
            return shown
        return shown | {
            "pass": {
                "number": self.report.number,
                "reasons": list(self.report.reasons),
                "observed": self.report.observed,
                "seconds": round(self.report.seconds, 3),
                "ago": round(now - self.at, 1),
            },
            "floatingIPs": [ip.document() for ip in self.observed.floating],
            "routes": [
                j.document() | {"since": round(now - self.since[j.steer][1], 1)}
                for j in self.observed.judged
            ],
            "findings": [f.document() for f in self.report.findings],
        }
