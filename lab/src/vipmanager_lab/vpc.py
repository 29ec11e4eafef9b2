"""What the lab's VPC looks like at one moment: its router and its IMDS are built from this."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Vpc:
    """A VPC and every CIDR block associated with it."""

    id: str
    ipv4: tuple[IPv4Network, ...]
    ipv6: tuple[IPv6Network, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A subnet; it lies in one zone."""

    id: str
    vpc: str
    zone: str
    ipv4: IPv4Network | None
    ipv6: IPv6Network | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Eni:
    """A network interface; `instance` is None while it is detached."""

    id: str
    mac: str
    vpc: str
    subnet: str
    ipv4: tuple[IPv4Address, ...]
    """Primary address first."""
    ipv6: tuple[IPv6Address, ...]
    prefixes: tuple[IPv4Network | IPv6Network, ...] = ()
    """Delegated to it: every address in one is its own."""
    source_dest_check: bool
    instance: str | None
    device_index: int
    card_index: int
    instance_running: bool
    """False for a stopped instance, or none: routes to this ENI are blackholes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route as DescribeRouteTables would show it."""

    destination: IPv4Network | IPv6Network
    target: str
    """`local`, or the id of an ENI, a gateway, ..."""
    state: Literal["active", "blackhole"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """A route table; a subnet without an association uses the VPC's main table."""

    id: str
    vpc: str
    main: bool
    subnets: tuple[str, ...]
    gateways: tuple[str, ...]
    tags: tuple[tuple[str, str], ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VpcState:
    """Everything at one moment, each tuple sorted by id."""

    vpcs: tuple[Vpc, ...]
    subnets: tuple[Subnet, ...]
    enis: tuple[Eni, ...]
    tables: tuple[RouteTable, ...]
