"""Reports of passes, built from a few words."""

from vipmanager.core.actions import AddRoute, CreateRoute
from vipmanager.core.failures import Failure
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.podnet import held_mark
from vipmanager.core.report import Done, Report
from vipmanager.core.values import DesiredRoute, EniId, RouteTableId
from vipmanager.core.verdict import RouteDecision, Verdict
from worlds import networks

ADDRESS = networks("192.168.0.1/32")[0]
ENI = EniId("eni-a1")


def report(
    *findings: Finding,
    done: tuple[Done, ...] = (),
    judged: tuple[RouteDecision, ...] = (),
    observed: bool = True,
    recheck: float | None = None,
    number: int = 1,
) -> Report:
    return Report(
        number=number,
        reasons=("resync",),
        seconds=0.1,
        observed=observed,
        done=done,
        judged=judged,
        findings=findings,
        recheck=recheck,
    )


def wrote(table: int = 0, failure: Failure | None = None) -> Done:
    action = CreateRoute(
        steer=DesiredRoute(table=RouteTableId(f"rtb-{table:02}"), destination=ADDRESS, eni=ENI),
        reason="claim",
    )
    return Done(action=action, seconds=0.08, failure=failure)


def marked() -> Done:
    return Done(
        action=AddRoute(route=held_mark(ADDRESS, ENI), reason="steered and read back"), seconds=0.0
    )


def judged(verdict: Verdict, table: int = 0) -> RouteDecision:
    steer = DesiredRoute(table=RouteTableId(f"rtb-{table:02}"), destination=ADDRESS, eni=ENI)
    return RouteDecision(steer=steer, verdict=verdict, reason="", route=None)


def waiting(subject: str = "ec2") -> Finding:
    return find(Condition.TRANSIENT, subject, what="EC2 does not answer", hint="")


def failed(subject: str = "rtb-00") -> Finding:
    return find(Condition.PERMANENT, subject, what="access denied", hint="allow it")


def skipped() -> Finding:
    return find(Condition.UNREACHABLE, "imds", what="IMDS does not answer", hint="")


def refused(table: str = "rtb-00") -> Finding:
    return find(
        Condition.ROUTE_FOREIGN, table, destination=ADDRESS, table=table, target="igw-1", why="x"
    )


def contested() -> Finding:
    return find(
        Condition.CONTESTED,
        ADDRESS,
        destination=ADDRESS,
        rival="eni-b1",
        count=1,
        total=10,
        seconds=10.0,
    )


def displaced() -> Finding:
    return find(
        Condition.DISPLACED, ADDRESS, destination=ADDRESS, rival="eni-b1", count=10, total=10
    )
