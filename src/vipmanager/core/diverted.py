"""Answers that another program's rule sends elsewhere than ours would.

The CNI plugin `sbr`, a VPN or a script may have a rule for a floating IP, or for all addresses,
that comes before the main table: the pod hears its clients, and what it answers leaves by another
way. Where ours may come before it, they do: for a floating IP and its peers, and nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from vipmanager.core.actions import show_route, show_rule
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.podnet import PROTOCOL, SOURCE_PRIORITY, SOURCE_TABLES
from vipmanager.core.values import (
    MAIN_TABLE,
    FloatingIP,
    KernelRoute,
    KernelState,
    PolicyRule,
    RouteKind,
    host,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What comes before the main table, or before what others put there."""

    routes: tuple[KernelRoute, ...] = ()
    rules: tuple[PolicyRule, ...] = ()
    findings: tuple[Finding, ...] = ()


def ahead(
    kernel: KernelState, floating: Iterable[FloatingIP], wanted: Iterable[KernelRoute]
) -> Ahead:
    """Look which answers others divert, and come before them where that is possible.

    Args:
        kernel: the pod.
        floating: the floating IPs.
        wanted: the routes by which they are to be answered, of the main table or of a table by
            source.
    """
    found = Ahead()
    foreign = sorted(
        (r for r in kernel.rules if r.protocol != PROTOCOL and r.plain), key=lambda r: r.priority
    )
    indexes = {i.name: i.index for i in kernel.interfaces}
    ways = tuple(wanted)
    for ip in floating:
        own = SOURCE_TABLES + indexes.get(ip.interface, 0)
        for way in ways:
            mine = way.device == ip.interface and way.table in {MAIN_TABLE, own}
            if not mine or way.destination.version != ip.address.version:
                continue
            taken = _taken(kernel, foreign, ip, way)
            if taken is not None:
                found = _with(found, ip, way, own, taken)
    return found


_Taken = tuple[PolicyRule, KernelRoute | None]
"""The rule that comes first, and where it leads; None for nowhere."""


def _taken(
    kernel: KernelState, foreign: Iterable[PolicyRule], ip: FloatingIP, way: KernelRoute
) -> _Taken | None:
    """Follow the rules as the kernel does (ip-rule(8)), until one leads anywhere."""
    for rule in foreign:
        if way.table != MAIN_TABLE and rule.priority > SOURCE_PRIORITY:
            return None
        if rule.version != ip.address.version or not _matches(rule, ip, way):
            continue
        if rule.refuses:
            return rule, None
        if rule.table == MAIN_TABLE:
            return None
        other = _longest(kernel, rule.table, way)
        if other is None or other.kind is RouteKind.THROW:
            continue
        same = other.kind is RouteKind.UNICAST and (other.device, other.gateway) == (
            way.device,
            way.gateway,
        )
        return None if same else (rule, other)
    return None


def _matches(rule: PolicyRule, ip: FloatingIP, way: KernelRoute) -> bool:
    mine = rule.source is None or ip.address in rule.source
    there = rule.destination is None or rule.destination.overlaps(way.destination)
    return mine and there


def _longest(kernel: KernelState, table: int, way: KernelRoute) -> KernelRoute | None:
    """Give the route that a table has for the peers of a way, or for the nearest part of them."""
    everywhere = way.destination.prefixlen == 0
    found = [
        r
        for r in kernel.routes
        if r.table == table
        and r.destination.version == way.destination.version
        and r.destination.overlaps(way.destination)
        and not (everywhere and r.destination.prefixlen)  # a part of all is others' own business
    ]
    return max(found, key=lambda r: (r.destination.prefixlen, -r.metric), default=None)


def _shown(other: KernelRoute | None) -> str:
    if other is None or other.kind is not RouteKind.UNICAST:
        return "nowhere"
    return f"by `{show_route(other)}`"


def _with(found: Ahead, ip: FloatingIP, way: KernelRoute, own: int, taken: _Taken) -> Ahead:
    rule, other = taken
    before = way.table == MAIN_TABLE and rule.priority > SOURCE_PRIORITY
    written = show_rule(rule).partition(" protocol ")[0]
    finding = find(
        Condition.OVERTAKEN if before else Condition.DIVERTED,
        ip.address,
        address=ip.address,
        peer=way.destination,
        version=rule.version,
        rule=written,
        way=_shown(other),
        gateway=way.gateway,
        interface=ip.interface,
        priority=SOURCE_PRIORITY,
    )
    if not before:
        return replace(found, findings=(*found.findings, finding))
    ours = PolicyRule(
        priority=SOURCE_PRIORITY,
        source=host(ip.address),
        table=own,
        protocol=PROTOCOL,
        version=ip.address.version,
    )
    return Ahead(
        routes=tuple(dict.fromkeys((*found.routes, replace(way, table=own)))),
        rules=tuple(dict.fromkeys((*found.rules, ours))),
        findings=(*found.findings, finding),
    )
