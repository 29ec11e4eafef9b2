"""The rules and routes that the pod needs to answer.

    priority  rule                                        why
    8600      from <primary pod address> lookup 8601      a peer network that covers the node must
                                                          not pull kubelet's probes out of net1
    8610      from <floating IP> lookup 86000+ifindex     source-based routing (UseSBR); and peers
                                                          that a later rule of another program
                                                          would answer elsewhere

    table            holds
    254 (main)       a route per peer, through the ENI subnet's gateway
    8600             one `throw` per floating IP held: the mark that survives a restart
    8601             a copy of the primary interface's routes
    8602             one `throw default`, whose metric tells when this pod's claim was opened
    86000+ifindex    a default route through that interface (UseSBR), or routes of such peers

Everything of ours carries protocol number 86; nothing else is ever changed. The numbers keep
clear of the CNI `sbr` plugin, which counts its tables from 100.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from zlib import crc32

from vipmanager.core.actions import Action, AddRoute
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.pod import Attachment, gateways, primary
from vipmanager.core.settings import Settings
from vipmanager.core.values import (
    MAIN_TABLE,
    Address,
    AddressState,
    EniId,
    FloatingIP,
    KernelRoute,
    KernelState,
    Network,
    PodInterface,
    PolicyRule,
    RouteKind,
    Subnet,
    covers,
    host,
    sort_key,
)

PROTOCOL = 86
PRIMARY_PRIORITY = 8600
SOURCE_PRIORITY = 8610
PRIORITIES = range(8600, 8700)
HELD_TABLE = 8600
PRIMARY_TABLE = 8601
OPENED_TABLE = 8602
SOURCE_TABLES = 86_000

IPV6_GATEWAY = IPv6Address("fe80:ec2::1")
"""Every subnet's IPv6 router answers here (AWS announcement, November 2022)."""

IPV6_METRIC = 1024
"""What the kernel gives an IPv6 route without one (`IP6_RT_PRIO_USER`)."""

METADATA = tuple(
    ip
    for ip in (
        IPv4Address("169.254.169.254"),
        IPv6Address("fd00:ec2::254"),
        # ECS-style and EKS Pod Identity credential endpoints (EKS user guide).
        IPv4Address("169.254.170.2"),
        IPv4Address("169.254.170.23"),
        IPv6Address("fd00:ec2::23"),
    )
)

_COMING = {AddressState.TENTATIVE, AddressState.LOST}
_DEFAULTS = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def held_mark(destination: Network, eni: EniId) -> KernelRoute:
    """Build the mark that says: in this pod, `destination` was seen steered to `eni`.

    A `throw` route has no device, so it survives its interface going down. The metric tells
    the ENI, so that another ENI is a new claim.
    """
    return KernelRoute(
        destination=destination,
        table=HELD_TABLE,
        metric=crc32(eni.encode()) or 1,
        protocol=PROTOCOL,
        kind=RouteKind.THROW,
    )


def held_marks(kernel: KernelState) -> tuple[KernelRoute, ...]:
    """Give the marks that are in the pod."""
    return tuple(r for r in kernel.routes if r.table == HELD_TABLE and r.protocol == PROTOCOL)


def opened_mark(now: float) -> KernelRoute:
    """Build the mark that says when this pod's claim was opened.

    Args:
        now: seconds of CLOCK_MONOTONIC, which every process of a node counts from the same start
            (clock_gettime(2)), in a container too.
    """
    return KernelRoute(
        destination=_DEFAULTS[4],
        table=OPENED_TABLE,
        metric=max(1, int(now)),
        protocol=PROTOCOL,
        kind=RouteKind.THROW,
    )


def opened_at(kernel: KernelState) -> float | None:
    """Give the seconds of CLOCK_MONOTONIC at which this pod's claim was opened, if it is told."""
    told = [r.metric for r in kernel.routes if r.table == OPENED_TABLE and r.protocol == PROTOCOL]
    return float(min(told)) if told else None


def is_mark(action: Action) -> bool:
    """Tell whether an action only sets a mark."""
    return isinstance(action, AddRoute) and action.route.table == HELD_TABLE


def held(kernel: KernelState, destination: Network, eni: EniId) -> bool:
    """Tell whether the pod carries the mark."""
    mark = held_mark(destination, eni)
    return any(r.key == mark.key and r.protocol == PROTOCOL for r in kernel.routes)


def wanted(
    kernel: KernelState,
    attachments: Sequence[Attachment],
    floating: Sequence[FloatingIP],
    *,
    settings: Settings,
    subnets: Iterable[Subnet],
) -> tuple[tuple[KernelRoute, ...], tuple[PolicyRule, ...], tuple[Finding, ...]]:
    """Decide the pod's routes and rules, without marks."""
    by_id = {s.id: s for s in subnets}
    routes: list[KernelRoute] = []
    rules: list[PolicyRule] = []
    findings: list[Finding] = []
    for attachment in attachments:
        subnet = by_id.get(attachment.eni.subnet)
        if settings.source_routing:
            mine = [ip for ip in floating if ip.interface == attachment.interface.name]
            more, more_rules, problems = _source_routing(attachment, mine, subnet)
            rules += more_rules
        else:
            more, problems = _peer_routes(kernel, attachment, subnet, settings)
        routes += more
        findings += problems
    findings += _named_twice(routes)
    if not settings.source_routing and any(r.table == MAIN_TABLE for r in routes):
        more, more_rules = _keep_primary(kernel)
        routes += more
        rules += more_rules
    return _dedup(routes), tuple(dict.fromkeys(rules)), tuple(findings)


def _gateway(version: int, subnet: Subnet | None) -> Address | None:
    if version == 6:  # noqa: PLR2004 - the family's name
        return IPV6_GATEWAY
    network = subnet.ipv4 if subnet is not None else None
    # "the VPC router: the network address plus one" (VPC user guide, subnet CIDR blocks)
    return network.network_address + 1 if network is not None else None


def _metric(version: int) -> int:
    return IPV6_METRIC if version == 6 else 0  # noqa: PLR2004 - the family's name


def _source_routing(
    attachment: Attachment, floating: Sequence[FloatingIP], subnet: Subnet | None
) -> tuple[list[KernelRoute], list[PolicyRule], list[Finding]]:
    interface = attachment.interface
    table = SOURCE_TABLES + interface.index
    routes: list[KernelRoute] = []
    rules: list[PolicyRule] = []
    findings: list[Finding] = []
    for version in sorted({ip.address.version for ip in floating}):
        gateway = _gateway(version, subnet)
        if gateway is None:
            findings.append(_no_gateway(attachment, "UseSBR"))
            continue
        routes.append(
            KernelRoute(
                destination=_DEFAULTS[version],
                table=table,
                gateway=gateway,
                device=interface.name,
                metric=_metric(version),
                protocol=PROTOCOL,
                on_link=True,
            )
        )
        rules += [
            PolicyRule(
                priority=SOURCE_PRIORITY,
                source=host(ip.address),
                table=table,
                protocol=PROTOCOL,
                version=version,
            )
            for ip in floating
            if ip.address.version == version
        ]
    return routes, rules, findings


def _peer_routes(
    kernel: KernelState, attachment: Attachment, subnet: Subnet | None, settings: Settings
) -> tuple[list[KernelRoute], list[Finding]]:
    key = f"Intf{attachment.number}Peers"
    routes: list[KernelRoute] = []
    findings: list[Finding] = []
    for peer in settings.peers.get(attachment.number, ()):
        cut = _cut_off(kernel, peer, settings)
        source = _source(attachment.interface, peer)
        gateway = _gateway(peer.version, subnet)
        if cut is not None:
            protected, address = cut
            findings.append(
                find(
                    Condition.PEER_CUTS_OFF,
                    key,
                    key=key,
                    peer=peer,
                    protected=protected,
                    address=address,
                    primary=primary(kernel),
                )
            )
        elif source is None:
            findings += _without_source(attachment.interface, key, peer)
        elif gateway is None:
            findings.append(_no_gateway(attachment, peer))
        elif attachment.interface.up:
            routes.append(_peer_route(attachment.interface, peer, source, gateway))
    return routes, findings


def _source(interface: PodInterface, peer: Network) -> Address | None:
    """Give the address that answers a peer; one that is deprecated where there is no other."""
    preferred = sorted(interface.addresses, key=lambda a: a.deprecated)
    ready = (a.address for a in preferred if a.state is AddressState.READY)
    return next((a for a in ready if a.version == peer.version), None)


def _without_source(interface: PodInterface, key: str, peer: Network) -> list[Finding]:
    """Say that nothing answers a peer, unless an address of its family is still coming."""
    coming = (a.address for a in interface.addresses if a.state in _COMING)
    if not interface.up or any(a.version == peer.version for a in coming):
        return []
    return [
        find(
            Condition.PEER_FAMILY,
            key,
            key=key,
            peer=peer,
            version=peer.version,
            interface=interface.name,
        )
    ]


def _peer_route(
    interface: PodInterface, peer: Network, source: Address, gateway: Address
) -> KernelRoute:
    return KernelRoute(
        destination=peer,
        gateway=gateway,
        device=interface.name,
        source=source,
        metric=_metric(peer.version),
        protocol=PROTOCOL,
        on_link=True,
    )


def _cut_off(
    kernel: KernelState, peer: Network, settings: Settings
) -> tuple[str, Address | Network] | None:
    """Name what the pod would lose if `peer` left through another interface than the primary."""
    if peer.prefixlen == 0:
        return "every destination (it is the default route)", peer
    for name, addresses in (
        ("the pod's default gateway", gateways(kernel)),
        ("the metadata and credential endpoints", METADATA),
        ("the cluster's API or credential endpoint", settings.protected),
    ):
        for address in addresses:
            if covers(peer, address):
                return f"{name} ({address})", address
    return None


def _no_gateway(attachment: Attachment, peer: object) -> Finding:
    return find(
        Condition.NO_GATEWAY,
        attachment.interface.name,
        interface=attachment.interface.name,
        subnet=attachment.eni.subnet,
        eni=attachment.eni.id,
        peer=peer,
    )


def _keep_primary(kernel: KernelState) -> tuple[list[KernelRoute], list[PolicyRule]]:
    """Copy the primary interface's routes into a table that its own addresses use."""
    name = primary(kernel)
    copies = [
        replace(r, table=PRIMARY_TABLE, protocol=PROTOCOL, on_link=r.gateway is not None)
        for r in kernel.routes
        if r.device == name
        and r.table == MAIN_TABLE
        and r.kind is RouteKind.UNICAST
        and r.protocol != PROTOCOL
        and r.plain
    ]
    families = {r.destination.version for r in copies if r.destination.prefixlen == 0}
    rules = [
        PolicyRule(
            priority=PRIMARY_PRIORITY,
            source=host(a.address),
            table=PRIMARY_TABLE,
            protocol=PROTOCOL,
            version=a.address.version,
        )
        for i in kernel.interfaces
        if i.name == name
        for a in i.addresses
        if a.address.version in families
    ]
    return [c for c in copies if c.destination.version in families], rules


def _named_twice(routes: Iterable[KernelRoute]) -> list[Finding]:
    first: dict[object, KernelRoute] = {}
    return [
        find(
            Condition.PEER_TWICE,
            route.destination,
            peer=route.destination,
            first=first[route.key].device,
            second=route.device,
        )
        for route in routes
        if first.setdefault(route.key, route).device != route.device
    ]


def _dedup(routes: Iterable[KernelRoute]) -> tuple[KernelRoute, ...]:
    """Keep the first route of each key: the kernel holds one."""
    first: dict[object, KernelRoute] = {}
    for route in routes:
        first.setdefault(route.key, route)
    return tuple(sorted(first.values(), key=lambda r: (r.table, sort_key(r.destination), r.metric)))
