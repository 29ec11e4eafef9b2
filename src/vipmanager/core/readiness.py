"""Live and ready, decided from reports: static stability.

Readiness is reached by the first clean pass, and lost only on evidence that traffic goes
wrong. An EC2 API or IMDS that can't be reached is no evidence: nothing that works is changed, and
what was lost stays lost.
A standby is ready when it could take over; a dry run always is: it must not hold a pod up.
Which condition counts is told by its row in `core/findings.py`: `blocks_ready`, `blocks_takeover`.
"""

from dataclasses import dataclass

from vipmanager.core.actions import AddAddress, AddRoute, AddRule
from vipmanager.core.election.role import Role
from vipmanager.core.failures import Permanent
from vipmanager.core.findings import Condition, Finding, Kind
from vipmanager.core.podnet import is_mark
from vipmanager.core.report import Done, Report
from vipmanager.core.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """What /readyz answers to kubelet."""

    ready: bool = False
    why: str = "the first look at the pod and EC2 has not ended yet"

    def after(self, report: Report) -> "Readiness":
        """Give the readiness after one more pass."""
        if report.dry_run:
            return Readiness(ready=True, why=Condition.DRY_RUN.value.text)
        return self._judged(report)

    def _judged(self, report: Report) -> "Readiness":
        standby = report.role is Role.STANDBY and report.observed
        why = _hindrance(report) if standby else _against(report)
        if why is not None:
            return Readiness(ready=False, why=why)
        if standby:
            return Readiness(ready=True, why="standby: could take every floating IP over")
        if report.clean or (report.unverified and not report.wrong):
            return Readiness(ready=True, why=STEERED if report.fresh else UNVERIFIED)
        if not report.observed:
            said = "; ".join(f.text for f in report.findings)
            return Readiness(
                ready=self.ready, why=f"the pod, IMDS or EC2 could not be read: {said}"
            )
        if not self.ready:
            return Readiness(ready=False, why=_first(report, *_UNFINISHED))
        return Readiness(ready=True, why=f"ready, but {_but(report)}")


STEERED = "every floating IP is steered here"
UNVERIFIED = "every floating IP led here when it was last read or written; EC2 can't be read since"

_UNFINISHED = (Kind.FAILED, Kind.REFUSED, Kind.WAITING)


def _against(report: Report) -> str | None:
    """Give the evidence that traffic goes wrong, or None."""
    plain = next((f for f in report.findings if f.condition.value.blocks_ready), None)
    if plain is not None:
        return str(plain)
    # Without its rules and routes the pod hears its clients, and can't answer.
    mute = next((d.failure for d in report.failures if _lasting(d)), None)
    if mute is not None:
        return str(mute)
    unfixed = {f.subject for f in report.of_kind(Kind.FAILED, Kind.REFUSED)} & {
        str(j.steer.table) for j in report.judged if j.verdict is Verdict.WRITE
    }
    return _first(report, *_UNFINISHED) if unfixed else None


def _lasting(done: Done) -> bool:
    ours = isinstance(done.action, AddAddress | AddRoute | AddRule) and not is_mark(done.action)
    return ours and isinstance(done.failure, Permanent)


def _but(report: Report) -> str:
    """Say what is not right, where nothing tells that traffic is lost for good."""
    contest = next((f for f in report.findings if f.condition is Condition.CONTESTED), None)
    if contest is not None:
        return contest.text
    wrong = len(report.wrong)
    if wrong:
        return f"{wrong} of {len(report.judged)} routes were not right when read"
    found = report.of_kind(*_UNFINISHED)
    return found[0].text if found else "what was written has not been read back yet"


LEASE = "lease"
"""The subject of what stands between an agent and its Lease."""


def _hindrance(report: Report) -> str | None:
    """Say what keeps a standby from taking over."""
    return next((str(f) for f in report.findings if _hinders(f)), None)


def _hinders(finding: Finding) -> bool:
    barred = finding.subject == LEASE and finding.kind is Kind.FAILED  # it may not use the Lease
    return barred or finding.condition.value.blocks_takeover


def _first(report: Report, *kinds: Kind) -> str:
    return next((str(f) for f in report.of_kind(*kinds)), "not read back yet")


def alive(*, since_pass: float, resync: float) -> bool:
    """Tell whether the loop turns.

    Args:
        since_pass: seconds since a pass ended.
        resync: seconds between readings; a slow wave and back-off are given room.
    """
    return since_pass < 2 * resync + 60.0
