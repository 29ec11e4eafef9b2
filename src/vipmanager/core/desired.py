"""What shall be: from settings and facts to routes, rules and steers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from vipmanager.core.diverted import ahead
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.floating import floating, floats
from vipmanager.core.places import unknown_zone
from vipmanager.core.pod import (
    attach,
    left_alone,
    macs,
    managed,
    misnumbered,
    numbered,
    with_peers,
)
from vipmanager.core.podnet import wanted
from vipmanager.core.settings import Settings
from vipmanager.core.tables import peers_first, select
from vipmanager.core.unanswered import unanswered
from vipmanager.core.values import (
    CloudState,
    DesiredRoute,
    Eni,
    EniId,
    FloatingIP,
    KernelRoute,
    KernelState,
    Network,
    NodeMetadata,
    PodInterface,
    PolicyRule,
    RouteTable,
    RouteTableId,
    VpcId,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that was read, of one moment."""

    kernel: KernelState
    node: NodeMetadata | None
    """None where IMDS can't be reached."""
    cloud: CloudState


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What shall be, in a fixed order: the same input gives the same value."""

    floating: tuple[FloatingIP, ...] = ()
    enis: tuple[Eni, ...] = ()
    """The ENIs under the floating IPs."""
    routes: tuple[KernelRoute, ...] = ()
    rules: tuple[PolicyRule, ...] = ()
    tables: tuple[RouteTable, ...] = ()
    """The selected tables, in the order in which they are written."""
    steers: tuple[DesiredRoute, ...] = ()
    findings: tuple[Finding, ...] = ()
    aside: tuple[str, ...] = ()
    """The pod's interfaces that are left alone."""

    @property
    def destinations(self) -> tuple[tuple[Network, EniId], ...]:
        """Each destination with its ENI, once."""
        return tuple(dict.fromkeys((f.destination, f.eni) for f in self.floating))

    @property
    def names(self) -> Mapping[RouteTableId, str]:
        """The selected tables' tags Name, of those that have one."""
        return MappingProxyType({t.id: t.name for t in self.tables if t.name})

    @property
    def by_id(self) -> Mapping[RouteTableId, RouteTable]:
        """The selected tables by id."""
        return {t.id: t for t in self.tables}


def desired(settings: Settings, facts: Facts) -> Desired:
    """Decide what shall be."""
    kernel = facts.kernel
    interfaces = managed(kernel, settings.interfaces, macs(facts.node, facts.cloud.enis))
    numbers = numbered(interfaces)
    attachments, findings = attach(numbers, facts.node, facts.cloud.enis, settings=settings)
    attachments, misplaced = with_peers(attachments, numbers, settings)
    ips, problems = floating(
        attachments,
        settings=settings,
        vpc_networks=_vpc_networks(facts.cloud),
        subnets=facts.cloud.subnets,
    )
    findings += problems
    routes, rules, problems = wanted(
        kernel, attachments, ips, settings=settings, subnets=facts.cloud.subnets
    )
    silent = tuple(unanswered(kernel, attachments, ips, settings))
    wrong = misnumbered(attachments, numbers, settings)
    if silent and wrong is not None:
        misplaced = (wrong,)
    first = ahead(kernel, ips, routes)
    findings += (*problems, *misplaced, *silent, *first.findings)
    tables: list[RouteTable] = []
    for vpc in dict.fromkeys(ip.vpc for ip in ips):
        chosen, problems = select(facts.cloud.tables, vpc, settings)
        tables += peers_first(chosen, facts.cloud.subnets, settings)
        findings += problems
    aside = left_alone(kernel, interfaces)
    if not any(floats(a.address, settings) for i in interfaces for a in i.addresses):
        findings += (_nothing(kernel, interfaces, aside),)
    findings += unknown_zone(settings.preferred_zone, facts.cloud.subnets)
    if kernel.networks.problem:
        findings += (find(Condition.NETWORKS_UNREAD, "pod", what=kernel.networks.problem),)
    return Desired(
        floating=ips,
        enis=tuple({a.eni.id: a.eni for a in attachments}.values()),
        routes=(*routes, *first.routes),
        rules=(*rules, *first.rules),
        tables=tuple(tables),
        steers=_steers(tables, ips),
        findings=findings,
        aside=tuple(i.name for i in aside),
    )


def _nothing(
    kernel: KernelState, interfaces: Sequence[PodInterface], aside: Sequence[PodInterface]
) -> Finding:
    """Say why there is nothing to steer."""
    asked = kernel.networks.wanted
    if (
        asked
        and not kernel.networks.attached
        and not {i.name for i in kernel.interfaces} & {*asked}
    ):
        return find(Condition.NOT_ATTACHED, "pod", interfaces=", ".join(asked))
    names = ", ".join(i.name for i in interfaces) or "only its primary"
    strangers = ", ".join(i.name for i in aside if i.addresses)
    if strangers:
        names += f"; left alone, as no network interface of the node: {strangers}"
    return find(Condition.NO_FLOATING_IP, "pod", interfaces=names)


def _vpc_networks(cloud: CloudState) -> dict[VpcId, tuple[Network, ...]]:
    """Read each VPC's CIDR blocks off the local routes that every table has."""
    networks: dict[VpcId, tuple[Network, ...]] = {}
    for table in cloud.tables:
        networks[table.vpc] = tuple(dict.fromkeys((*networks.get(table.vpc, ()), *table.local)))
    return networks


def _steers(tables: list[RouteTable], ips: tuple[FloatingIP, ...]) -> tuple[DesiredRoute, ...]:
    # Table by table: the first table is whole before the second begins.
    return tuple(
        dict.fromkeys(
            DesiredRoute(table=t.id, destination=ip.destination, eni=ip.eni)
            for t in tables
            for ip in ips
            if ip.vpc == t.vpc and ip.ready
        )
    )
