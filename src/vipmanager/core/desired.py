"""What shall be: from settings and facts to routes, rules and steers."""

from collections.abc import Mapping
from dataclasses import dataclass

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.floating import floating, floats
from vipmanager.core.pod import attach, managed, numbered
from vipmanager.core.podnet import wanted
from vipmanager.core.settings import Settings
from vipmanager.core.tables import peers_first, select
from vipmanager.core.values import (
    CloudState,
    Eni,
    EniId,
    FloatingIP,
    KernelRoute,
    KernelState,
    Network,
    NodeMetadata,
    PolicyRule,
    RouteTable,
    RouteTableId,
    Steer,
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
    steers: tuple[Steer, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def destinations(self) -> tuple[tuple[Network, EniId], ...]:
        """Each destination with its ENI, once."""
        return tuple(dict.fromkeys((f.destination, f.eni) for f in self.floating))

    @property
    def by_id(self) -> Mapping[RouteTableId, RouteTable]:
        """The selected tables by id."""
        return {t.id: t for t in self.tables}


def desired(settings: Settings, facts: Facts) -> Desired:
    """Decide what shall be."""
    interfaces = managed(facts.kernel, settings.interfaces)
    attachments, findings = attach(
        numbered(interfaces), facts.node, facts.cloud.enis, settings=settings
    )
    ips, problems = floating(
        attachments,
        settings=settings,
        vpc_networks=_vpc_networks(facts.cloud),
        subnets=facts.cloud.subnets,
    )
    findings += problems
    routes, rules, problems = wanted(
        facts.kernel, attachments, ips, settings=settings, subnets=facts.cloud.subnets
    )
    findings += problems
    tables: list[RouteTable] = []
    for vpc in dict.fromkeys(ip.vpc for ip in ips):
        chosen, problems = select(facts.cloud.tables, vpc, settings)
        tables += peers_first(chosen, facts.cloud.subnets, settings)
        findings += problems
    if not any(floats(a.address, settings) for i in interfaces for a in i.addresses):
        names = ", ".join(i.name for i in interfaces) or "only its primary"
        findings += (find(Condition.NO_FLOATING_IP, "pod", interfaces=names),)
    return Desired(
        floating=ips,
        enis=tuple({a.eni.id: a.eni for a in attachments}.values()),
        routes=routes,
        rules=rules,
        tables=tuple(tables),
        steers=_steers(tables, ips),
        findings=findings,
    )


def _vpc_networks(cloud: CloudState) -> dict[VpcId, tuple[Network, ...]]:
    """Read each VPC's CIDR blocks off the local routes that every table has."""
    networks: dict[VpcId, tuple[Network, ...]] = {}
    for table in cloud.tables:
        networks[table.vpc] = tuple(dict.fromkeys((*networks.get(table.vpc, ()), *table.local)))
    return networks


def _steers(tables: list[RouteTable], ips: tuple[FloatingIP, ...]) -> tuple[Steer, ...]:
    # Table by table: the first table is whole before the second begins.
    return tuple(
        dict.fromkeys(
            Steer(table=t.id, destination=ip.destination, eni=ip.eni)
            for t in tables
            for ip in ips
            if ip.vpc == t.vpc and ip.ready
        )
    )
