"""Live and ready, decided from reports: static stability.

Readiness is reached by the first clean pass, and lost only on evidence that traffic goes
wrong. An EC2 API or IMDS that can't be reached is no evidence: nothing that works is changed.
"""

from dataclasses import dataclass

from vipmanager.core.claim import Verdict
from vipmanager.core.findings import Condition, Kind
from vipmanager.core.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the probes answer."""

    ready: bool = False
    why: str = "no pass has finished yet"

    def after(self, report: Report) -> "Health":
        """Give the health after one more pass."""
        if report.clean:
            return Health(ready=True, why="every floating IP is steered here")
        sick = next((f for f in report.findings if f.condition is Condition.UNHEALTHY), None)
        if sick is not None:
            return Health(ready=False, why=str(sick))
        if not report.observed:
            why = "; ".join(f.text for f in report.findings)
            return Health(ready=self.ready, why=f"the worlds could not be read: {why}")
        if report.yielded or report.displaced:
            why = _first(report, Kind.ASKED if report.yielded else Kind.FAILED)
            return Health(ready=False, why=why)
        unfixed = {f.subject for f in report.of_kind(Kind.FAILED, Kind.REFUSED)} & {
            str(j.steer.table) for j in report.judged if j.verdict is Verdict.WRITE
        }
        if unfixed or not self.ready:
            return Health(ready=False, why=_first(report, Kind.FAILED, Kind.REFUSED, Kind.WAITING))
        return self


def _first(report: Report, *kinds: Kind) -> str:
    return next((str(f) for f in report.of_kind(*kinds)), "not read back yet")


def alive(*, since_pass: float, resync: float) -> bool:
    """Tell whether the loop turns.

    Args:
        since_pass: seconds since a pass ended.
        resync: seconds between readings; a slow wave and back-off are given room.
    """
    return since_pass < 2 * resync + 60.0
