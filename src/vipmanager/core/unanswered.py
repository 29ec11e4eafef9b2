"""Floating IPs whose clients the pod hears and can't answer, for want of any route to them."""

from collections.abc import Iterable, Iterator

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.pod import Attachment
from vipmanager.core.settings import Settings
from vipmanager.core.values import (
    MAIN_TABLE,
    FloatingIP,
    KernelRoute,
    KernelState,
    RouteKind,
    covers,
)

_KERNEL = 2
"""The protocol of what the kernel adds with an address (`RTPROT_KERNEL`, rtnetlink.h): it leads to
neighbours on the link alone, and the clients of a floating IP are none."""


def unanswered(
    kernel: KernelState,
    attachments: Iterable[Attachment],
    floating: Iterable[FloatingIP],
    settings: Settings,
) -> Iterator[Finding]:
    """Tell of each interface, and family, through which no floating IP's client is answered.

    Whatever else leads out there is taken for an answer: another program's route, or a rule by
    source with such a route in its table.
    """
    if settings.source_routing:
        return
    numbers = {a.interface.name: a.number for a in attachments}
    found: dict[tuple[str, int], list[FloatingIP]] = {}
    for ip in floating:
        found.setdefault((ip.interface, ip.address.version), []).append(ip)
    for (name, version), ips in found.items():
        peers = settings.peers.get(numbers[name], ())
        if any(p.version == version for p in peers) or _leads_out(kernel, name, version):
            continue
        alone = [ip for ip in ips if not _sent_out(kernel, ip)]
        if alone:
            yield find(
                Condition.UNANSWERED,
                name,
                interface=name,
                addresses=", ".join(str(ip.address) for ip in alone),
                version=version,
                key=f"Intf{numbers[name]}Peers",
            )


def _leads_out(kernel: KernelState, interface: str, version: int, table: int = MAIN_TABLE) -> bool:
    return any(
        route.table == table
        and route.device == interface
        and route.destination.version == version
        and _is_way(route)
        for route in kernel.routes
    )


def _is_way(route: KernelRoute) -> bool:
    local = route.protocol == _KERNEL or route.destination.is_link_local
    return route.kind is RouteKind.UNICAST and not local and not route.destination.is_multicast


def _sent_out(kernel: KernelState, ip: FloatingIP) -> bool:
    """Tell whether a rule sends what comes from a floating IP out by its own interface."""
    return any(
        rule.table != MAIN_TABLE
        and rule.source is not None
        and covers(rule.source, ip.address)
        and _leads_out(kernel, ip.interface, ip.address.version, rule.table)
        for rule in kernel.rules
    )
