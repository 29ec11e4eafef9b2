"""Looks at what AWS lets the pod do: IMDS, credentials, time, permissions."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from vipmanager.core.actions import (
    CloudAction,
    CreateRoute,
    DeleteRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
)
from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, Transient
from vipmanager.core.settings import Pattern
from vipmanager.core.values import DesiredRoute, EniId, VpcId, eni_target
from vipmanager.doctor.check import Issue, Seen, Severity, issue
from vipmanager.doctor.readings import Readings
from vipmanager.edges.aws.environment import misled, mistakes
from vipmanager.edges.settings import kubelet

SKEW = 300
"""Seconds: AWS refuses signatures that are more than five minutes off (AWS General Reference,
"Signature Version 4")."""

ASKED = 10
"""Route tables for which every action is asked: a dry run takes a token of EC2's bucket too."""

_NOBODY_VPC, _NOBODY_ENI = VpcId("vpc-00000000"), EniId("eni-00000000")
"""Filters that match nothing: EC2 checks the permission before it looks."""


def environment(readings: Readings) -> Seen:
    """Look at the variables that others take from the environment."""
    wrong = (*mistakes(readings.environ), *kubelet(readings.environ))
    return Seen(issues=tuple(issue(Severity.ERROR, each) for each in wrong))


def proxy(readings: Readings) -> Seen:
    """Look whether NO_PROXY is understood as it was meant."""
    return Seen(
        issues=tuple(
            issue(Severity.WARNING, f"{host} is called through {proxy}", host=host)
            for host, proxy in misled(readings.environ)
        )
    )


def imds(readings: Readings) -> Seen:
    """Ask IMDS as version 2 wants it; then as the agent does."""
    try:
        node = readings.strict.read(())
    except Failure as refused:
        return _without_v2(readings, refused)
    return Seen(note=f"IMDSv2, {node.instance} in {node.region}")


def _without_v2(readings: Readings, refused: Failure) -> Seen:
    if readings.settings.imds_v1 and isinstance(refused, Permanent):
        try:
            readings.node()
        except Failure:
            pass
        else:
            what = f"IMDSv1 is used, since version 2 is refused ({refused.what})"
            return Seen(issues=(issue(Severity.WARNING, what, instance=readings.node().instance),))
    # With a Region from the environment the agent finds its ENIs in EC2 alone.
    severity = Severity.WARNING if readings.settings.region else Severity.ERROR
    return Seen(issues=(Issue(severity=severity, what=refused.what, fix=refused.hint),))


def endpoint(readings: Readings) -> Seen:
    """Ask EC2 anything, without a signature."""
    _ = readings.ahead()
    return Seen(note=f"EC2 of {readings.region} answers")


def clock(readings: Readings) -> Seen:
    """Compare this clock with the date of EC2's answer."""
    ahead = readings.ahead()
    if ahead is None:
        return Seen(note="EC2's answer has no date")
    if abs(ahead) < SKEW:
        return Seen(note=f"within {abs(ahead) + 1:.0f} s of EC2's")
    way = "ahead of" if ahead > 0 else "behind"
    what = f"the node's clock is {abs(ahead):.0f} s {way} EC2's"
    return Seen(issues=(issue(Severity.ERROR, what),))


def credentials(readings: Readings) -> Seen:
    """Fetch credentials, and tell where they came from."""
    region = readings.region if _answers(lambda: readings.region) else None
    found = readings.aws.credentials(region)
    if found.expires is None:
        return Seen(note=f"from {found.source}")
    if found.expires < datetime.now(UTC):
        what = f"the credentials from {found.source} expired at {found.expires:%H:%M:%S} UTC"
        return Seen(issues=(issue(Severity.ERROR, what),))
    return Seen(note=f"from {found.source}, good until {found.expires:%H:%M} UTC")


def read_access(readings: Readings) -> Seen:
    """Call every describe, and then read all that the agent reads."""
    cloud = readings.cloud()
    imds_stands_in = readings.pod and _answers(readings.node)
    subnets = Severity.ERROR if readings.settings.pattern is Pattern.SUBNET else Severity.WARNING
    asked: tuple[tuple[Callable[[], object], Severity], ...] = (
        (lambda: cloud.route_tables([_NOBODY_VPC]), Severity.ERROR),
        (
            lambda: cloud.enis_by_id([_NOBODY_ENI]),
            Severity.WARNING if imds_stands_in else Severity.ERROR,
        ),
        (lambda: cloud.subnets([_NOBODY_VPC]), subnets),
    )
    issues = []
    for ask, severity in asked:
        try:
            ask()
        except Failure as failure:
            issues.append(Issue(severity=severity, what=failure.what, fix=failure.hint))
    if not issues:
        facts = readings.observed().facts
        tables, enis = len(facts.cloud.tables), len(facts.cloud.enis)
        return Seen(note=f"{tables} route tables, {enis} network interfaces")
    return Seen(issues=tuple(issues))


def _answers(read: Callable[[], object]) -> bool:
    try:
        read()
    except Failure:
        return False
    return True


def write_access(readings: Readings) -> Seen:
    """Ask EC2 by DryRun for every write, on the selected tables."""
    want = readings.want()
    ip = want.floating[0]
    to, eni, before, reason = ip.destination, ip.eni, eni_target(ip.eni), "dry run"
    actions: list[tuple[CloudAction, Severity]] = []
    for table in [t.id for t in want.tables][:ASKED]:
        steer = DesiredRoute(table=table, destination=to, eni=eni)
        actions += [
            (CreateRoute(steer=steer, reason=reason), Severity.ERROR),
            (ReplaceRoute(steer=steer, before=before, reason=reason), Severity.ERROR),
            # Only cleanup deletes.
            (DeleteRoute(table=table, destination=to, before=before, reason=reason), Severity.INFO),
        ]
    if readings.settings.manage_source_dest_check:
        actions += [
            (DisableSourceDestCheck(eni=eni.id, reason=reason), Severity.ERROR) for eni in want.enis
        ]
    with ThreadPoolExecutor(max_workers=8) as threads:
        refusals = list(threads.map(lambda a: _refusal(readings, *a), actions))
    asked = min(ASKED, len(want.tables))
    return Seen(
        note=f"dry runs for {asked} of {len(want.tables)} route tables",
        issues=tuple(_first_of_each([r for r in refusals if r is not None])),
    )


def _refusal(
    readings: Readings, action: CloudAction, severity: Severity
) -> tuple[type[CloudAction], Issue] | None:
    try:
        readings.cloud().permits(action)
    except Conflict:
        return None  # looked at after the permission
    except Throttled as throttled:
        fix = (
            "wait for EC2's bucket to fill; if other callers empty it, set ApiRate to this pod's "
            "share, or ask AWS Support for a higher limit"
        )
        return type(action), Issue(severity=Severity.WARNING, what=throttled.what, fix=fix)
    except Transient as failure:
        return type(action), Issue(severity=Severity.WARNING, what=failure.what, fix=failure.hint)
    except Failure as failure:
        return type(action), Issue(severity=severity, what=failure.what, fix=failure.hint)
    return None


def _first_of_each(refusals: list[tuple[type[CloudAction], Issue]]) -> list[Issue]:
    """Say once for each action what is refused alike for many tables."""
    groups: dict[tuple[type[CloudAction], str], list[Issue]] = {}
    for kind, refusal in refusals:
        groups.setdefault((kind, refusal.fix), []).append(refusal)
    return [
        Issue(
            severity=group[0].severity,
            what=group[0].what + (f" (and {len(group) - 1} more alike)" if group[1:] else ""),
            fix=group[0].fix,
        )
        for group in groups.values()
    ]
