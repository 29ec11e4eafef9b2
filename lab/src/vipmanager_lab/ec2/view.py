"""The account at one moment, as frozen values: every describe and every rule reads these."""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Network = IPv4Network | IPv6Network
Tags = tuple[tuple[str, str], ...]

LOCAL: Final = "local"
"""The target of a VPC's own routes, in the field DescribeRouteTables calls GatewayId."""

_FORWARDING: Final = frozenset({"pending", "running", "stopping", "shutting-down"})
"""Instance states whose ENIs still count as targets: a route turns into a blackhole when the
instance is stopped or terminated, not while it is on its way there."""


class Origin(enum.Enum):
    """Where a route came from, in EC2's words."""

    TABLE = "CreateRouteTable"
    STATIC = "CreateRoute"
    PROPAGATED = "EnableVgwRoutePropagation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpc:
    """A VPC and the CIDR blocks associated with it."""

    id: str
    ipv4: tuple[IPv4Network, ...]
    ipv6: tuple[IPv6Network, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A subnet, with the association id of each IPv6 block."""

    id: str
    vpc: str
    zone: str
    zone_id: str
    ipv4: IPv4Network | None
    ipv6: tuple[tuple[str, IPv6Network], ...]
    free_addresses: int
    tags: Tags


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """An ENI's tie to an instance."""

    id: str
    instance: str
    instance_state: str
    device_index: int
    card_index: int
    delete_on_termination: bool
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Eni:
    """A network interface; its primary IPv4 address comes first."""

    id: str
    mac: str
    vpc: str
    subnet: str
    zone: str
    zone_id: str
    description: str
    ipv4: tuple[IPv4Address, ...]
    ipv6: tuple[IPv6Address, ...]
    prefixes: tuple[Network, ...]
    source_dest_check: bool
    status: str
    attachment: Attachment | None
    groups: tuple[tuple[str, str], ...]
    tags: Tags

    @property
    def forwards(self) -> bool:
        """Whether a route to this ENI is active rather than a blackhole."""
        return self.attachment is not None and self.attachment.instance_state in _FORWARDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route; whether it is a blackhole depends on the rest of the view."""

    destination: Network
    target: str
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """A table's tie to a subnet, to a gateway (an edge table), or to the whole VPC (main)."""

    id: str
    main: bool
    subnet: str | None
    gateway: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A route table. A VPC's own CIDR blocks are local unless `static` says otherwise."""

    id: str
    vpc: str
    associations: tuple[Association, ...]
    tags: Tags
    local: tuple[Network, ...]
    static: Mapping[Network, Route]
    propagated: Mapping[Network, Route]
    listed: Mapping[str, str] = field(default_factory=dict)
    """The target of each prefix list that is a destination here."""

    @property
    def main(self) -> bool:
        """Whether subnets without an association of their own use this table."""
        return any(association.main for association in self.associations)

    @property
    def edge(self) -> bool:
        """Whether a gateway uses this table for traffic that enters the VPC."""
        return any(association.gateway for association in self.associations)

    def route(self, destination: Network) -> Route | None:
        """The static or local route with exactly this destination."""
        if destination in self.local:
            return self.static.get(destination) or Route(
                destination=destination, target=LOCAL, origin=Origin.TABLE
            )
        return self.static.get(destination)

    def routes(self) -> Iterator[Route]:
        """All routes: the VPC's own, then the static ones, then the propagated ones."""
        for cidr in self.local:
            if cidr not in self.static:
                yield Route(destination=cidr, target=LOCAL, origin=Origin.TABLE)
        yield from self.static.values()
        yield from self.propagated.values()

    def with_route(self, route: Route) -> "Table":
        """This table with `route` in place of any of its kind to the same destination."""
        if route.origin is Origin.PROPAGATED:
            return replace(self, propagated={**self.propagated, route.destination: route})
        return replace(self, static={**self.static, route.destination: route})

    def without_route(self, destination: Network) -> "Table":
        """This table without its static route to `destination`."""
        kept = {key: value for key, value in self.static.items() if key != destination}
        return replace(self, static=kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixList:
    """A managed prefix list."""

    id: str
    name: str
    family: str
    most: int
    """MaxEntries: what counts against the quota of a route table."""
    state: str
    versions: tuple[Mapping[Network, str], ...]
    """The entries of each version, with their descriptions; the newest is the last."""
    tags: Tags
    token: str
    """Of the client that made it."""

    @property
    def version(self) -> int:
        """EC2 counts from 1."""
        return len(self.versions)

    @property
    def entries(self) -> Mapping[Network, str]:
        """The entries of now."""
        return self.versions[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything in the account that the endpoint describes itself."""

    account: str
    region: str
    vpcs: Mapping[str, Vpc]
    subnets: Mapping[str, Subnet]
    enis: Mapping[str, Eni]
    instances: frozenset[str]
    gateways: frozenset[str]
    """Every target that is not an ENI: internet and NAT gateways, peerings, and so on."""
    tables: Mapping[str, Table]
    lists: Mapping[str, PrefixList] = field(default_factory=dict)

    def active(self, route: Route) -> bool:
        """Whether the route's target forwards; EC2 calls the others blackholes."""
        return self.forwards(route.target)

    def forwards(self, target: str) -> bool:
        """Whether a target forwards."""
        eni = self.enis.get(target)
        if eni is not None:
            return eni.forwards
        return target == LOCAL or target in self.gateways

    def with_list(self, list_id: str, it: PrefixList | None) -> "View":
        """This view with another state of one prefix list; None: without it."""
        kept = {key: value for key, value in self.lists.items() if key != list_id}
        return replace(self, lists=kept if it is None else {**kept, list_id: it})

    def with_table(self, table: Table) -> "View":
        """This view with another version of one table."""
        return replace(self, tables={**self.tables, table.id: table})
