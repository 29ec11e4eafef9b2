"""Looks at the pod: its privileges, its kernel, its links."""

from concurrent.futures import ThreadPoolExecutor

from vipmanager.core.actions import AddAddress, AddRoute, AddRule, show_route, show_rule
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.findings import Finding, FitnessPart
from vipmanager.core.pod import managed, primary, primary_addresses
from vipmanager.core.podnet import (
    HELD_TABLE,
    OPENED_TABLE,
    PRIMARY_TABLE,
    PRIORITIES,
    PROTOCOL,
    SOURCE_TABLES,
    is_mark,
)
from vipmanager.core.readiness import alive
from vipmanager.core.values import (
    MAIN_TABLE,
    Address,
    Eni,
    EniId,
    KernelState,
    PodInterface,
    RouteKind,
)
from vipmanager.doctor.check import Issue, Seen, Severity, issue, told
from vipmanager.doctor.readings import Readings

_STRICT = 1
"""rp_filter: drop what would not be answered by the same interface (ip-sysctl)."""

_TABLES = {HELD_TABLE, PRIMARY_TABLE, OPENED_TABLE, *range(SOURCE_TABLES, SOURCE_TABLES + 1000)}


def net_admin(readings: Readings) -> Seen:
    """Ask the kernel for this process's capabilities."""
    if readings.host.may_administer():
        return Seen()
    return Seen(issues=(issue(Severity.ERROR, "this process lacks NET_ADMIN"),))


def kernel(readings: Readings) -> Seen:
    """Read the pod's namespace."""
    names = ", ".join(i.name for i in readings.kernel().interfaces)
    return Seen(note=f"interfaces: {names}")


def primary_route(readings: Readings) -> Seen:
    """Find the default route that wins in each family in which the primary has an address."""
    state = readings.kernel()
    first = primary(state)
    versions = {a.version for a in primary_addresses(state)}
    issues = []
    for version in sorted(versions):
        device = _default_device(state, version)
        if device is None:
            issues.append(
                Issue(
                    severity=Severity.ERROR,
                    what=f"the pod has no IPv{version} default route",
                    fix="restart the pod: the VPC CNI sets it when the pod starts",
                )
            )
        elif device != first:
            what = f"the IPv{version} default route leaves by {device}, not by {first}"
            issues.append(issue(Severity.ERROR, what, device=device, version=version))
    return Seen(note=f"by {first}" if versions else f"{first} has no address", issues=tuple(issues))


def _default_device(state: KernelState, version: int) -> str | None:
    defaults = [
        r
        for r in state.routes
        if r.table == MAIN_TABLE
        and r.destination.prefixlen == 0
        and r.destination.version == version
        and r.kind is RouteKind.UNICAST
    ]
    best = min(defaults, key=lambda r: r.metric, default=None)
    return best.device if best else None


def policy_rules(readings: Readings) -> Seen:
    """Find rules and routes of other programs where ours are."""
    state = readings.kernel()
    foreign = [
        # `ip` doesn't show the protocol of a rule that was added without one.
        (text, f"ip -{r.version} rule del {text}")
        for r in state.rules
        for text in [show_rule(r).partition(" protocol ")[0]]
        if r.protocol != PROTOCOL and (r.priority in PRIORITIES or r.table in _TABLES)
    ]
    foreign += [
        (show_route(r), f"ip -{r.destination.version} route del {show_route(r)}")
        for r in state.routes
        if r.protocol != PROTOCOL and r.table in _TABLES
    ]
    return Seen(
        issues=tuple(
            issue(Severity.WARNING, f"another program set `{text}`", command=command)
            for text, command in foreign
        )
    )


def rp_filter(readings: Readings) -> Seen:
    """Read the reverse path filter of every interface under a floating IP."""
    return Seen(
        issues=tuple(
            issue(Severity.WARNING, f"{i.name} has rp_filter=1 (strict)", interface=i.name)
            for i in _ours(readings)
            if readings.host.rp_filter(i.name) == _STRICT
        )
    )


def _ours(readings: Readings) -> tuple[PodInterface, ...]:
    try:
        macs = readings.node().macs
    except Failure:
        macs = frozenset()  # Multus' interfaces are known without
    return managed(readings.kernel(), readings.settings.interfaces, macs)


def interfaces(readings: Readings) -> Seen:
    """Tell an ENI that was detached from an interface that never had one."""
    found = readings.report().findings
    lost = [f for f in found if f.condition.value.unfit is FitnessPart.ATTACHED]
    if not lost:
        return Seen(
            note=", ".join(f"{ip.interface} on {ip.eni}" for ip in readings.want().floating)
        )
    enis = _detached(readings)
    return Seen(issues=tuple(_without_eni(f, enis, readings) for f in lost))


def _detached(readings: Readings) -> dict[str, Eni]:
    """Look up by MAC what the blackholes in the VPC's route tables point at."""
    vpcs = {e.vpc for e in readings.observed().facts.cloud.enis if e.attached}
    if not vpcs:
        return {}
    cloud = readings.cloud()
    targets = {
        EniId(route.target.id)
        for table in cloud.route_tables(vpcs)
        for route in table.routes
        if route.blackhole and route.target.id.startswith("eni-")
    }
    enis = cloud.enis_by_id(targets) if targets else ()
    return {e.mac: e for e in enis if not e.attached}


def _without_eni(finding: Finding, detached: dict[str, Eni], readings: Readings) -> Issue:
    eni = detached.get(str(dict(finding.fields)["mac"]))
    if eni is None:
        return told(finding)
    others = [e for e in readings.observed().facts.cloud.enis if e.attached]
    used = {e.device_index for e in others}
    return issue(
        Severity.ERROR,
        f"{eni.id} under {finding.subject} is attached to no instance",
        eni=eni.id,
        instance=others[0].instance,
        index=next(n for n in range(len(used) + 1) if n not in used),
    )


def pod_routes(readings: Readings) -> Seen:
    """List what the agent would add to the pod."""
    missing = [
        d.action
        for d in readings.report().done
        if isinstance(d.action, AddAddress | AddRoute | AddRule) and not is_mark(d.action)
    ]
    if not missing:
        want = readings.want()
        return Seen(note=f"routes: {len(want.routes)}, rules: {len(want.rules)}")
    commands = "; ".join(map(str, missing))
    return Seen(issues=(issue(Severity.ERROR, f"not yet done in the pod: {commands}"),))


def gateways(readings: Readings) -> Seen:
    """Ask for the link address of every gateway that the pod answers through."""
    wanted = {
        (r.device, r.gateway): None
        for r in readings.want().routes
        if r.device is not None and r.gateway is not None and r.table != PRIMARY_TABLE
    }

    def ask(pair: tuple[str, Address]) -> str | Permanent | None:
        interface, gateway = pair
        try:
            heard = readings.host.answers(interface, gateway)
        except Permanent as failure:
            return failure
        return None if heard else f"{gateway} does not answer on {interface}"

    with ThreadPoolExecutor(max_workers=8) as threads:
        answers = list(threads.map(ask, wanted))
    unasked = [a for a in answers if isinstance(a, Failure)]
    silent = [a for a in answers if isinstance(a, str)]
    return Seen(
        note=unasked[0].what if unasked else ", ".join(f"{g} on {i}" for i, g in wanted),
        issues=tuple(issue(Severity.ERROR, what) for what in silent),
    )


def sidecar(readings: Readings) -> Seen:
    """Ask the pod's sidecar how it is; one that hangs is a `Failure`."""
    status = readings.agent()
    if status is None:
        return Seen(note="none runs in this pod")
    silent = status.get("pass", {}).get("ago", 0.0)
    if not alive(since_pass=silent, resync=readings.settings.resync):
        return Seen(issues=(issue(Severity.ERROR, f"it has not looked for {silent:.0f} s"),))
    return Seen(note="ready" if status["ready"] else f"not ready: {status['why']}")
