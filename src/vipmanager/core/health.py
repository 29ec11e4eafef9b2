"""Live and ready, decided from reports: static stability.

Readiness is reached by the first clean pass, and lost only on evidence that traffic goes
wrong. An EC2 API or IMDS that can't be reached is no evidence: nothing that works is changed.
A standby is ready when it could take over.
"""

from dataclasses import dataclass

from vipmanager.core.claim import Verdict
from vipmanager.core.election.actions import Role
from vipmanager.core.findings import Condition, Finding, Kind
from vipmanager.core.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the probes answer."""

    ready: bool = False
    why: str = "no pass has finished yet"

    def after(self, report: Report) -> "Health":
        """Give the health after one more pass."""
        if report.role is Role.STANDBY and report.observed:
            return _of_standby(report)
        if report.clean:
            return Health(ready=True, why="every floating IP is steered here")
        why = _against(report)
        if why is not None:
            return Health(ready=False, why=why)
        if not report.observed:
            said = "; ".join(f.text for f in report.findings)
            return Health(ready=self.ready, why=f"the worlds could not be read: {said}")
        if not self.ready:
            return Health(ready=False, why=_first(report, *_UNFINISHED))
        return self


_UNFINISHED = (Kind.FAILED, Kind.REFUSED, Kind.WAITING)


def _against(report: Report) -> str | None:
    """Give the evidence that traffic goes wrong, or None."""
    sick = next((f for f in report.findings if f.condition is Condition.UNHEALTHY), None)
    if sick is not None:
        return str(sick)
    if report.yielded or report.displaced:
        return _first(report, Kind.ASKED if report.yielded else Kind.FAILED)
    unfixed = {f.subject for f in report.of_kind(Kind.FAILED, Kind.REFUSED)} & {
        str(j.steer.table) for j in report.judged if j.verdict is Verdict.WRITE
    }
    return _first(report, *_UNFINISHED) if unfixed else None


LEASE = "lease"
"""The subject of what stands between an agent and its Lease."""

_HINDRANCES = (
    Condition.YIELDED,
    Condition.UNFIT,
    Condition.LAME,
    Condition.LEASE_UNREAD,
    Condition.LEASE_FOREIGN,
)
"""What keeps a standby from taking over, beside a Lease that it may not use."""


def _of_standby(report: Report) -> Health:
    hindrance = next((f for f in report.findings if _hinders(f)), None)
    if hindrance is not None:
        return Health(ready=False, why=str(hindrance))
    return Health(ready=True, why="standby: could take every floating IP over")


def _hinders(finding: Finding) -> bool:
    barred = finding.subject == LEASE and finding.kind is Kind.FAILED
    return barred or finding.condition in _HINDRANCES


def _first(report: Report, *kinds: Kind) -> str:
    return next((str(f) for f in report.of_kind(*kinds)), "not read back yet")


def alive(*, since_pass: float, resync: float) -> bool:
    """Tell whether the loop turns.

    Args:
        since_pass: seconds since a pass ended.
        resync: seconds between readings; a slow wave and back-off are given room.
    """
    return since_pass < 2 * resync + 60.0
