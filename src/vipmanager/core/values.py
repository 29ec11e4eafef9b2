"""The nouns of the whole program: what a pod, a kernel and a VPC hold, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_network,
)
from types import MappingProxyType
from typing import NewType

EniId = NewType("EniId", str)
InstanceId = NewType("InstanceId", str)
Mac = NewType("Mac", str)
RouteTableId = NewType("RouteTableId", str)
SubnetId = NewType("SubnetId", str)
VpcId = NewType("VpcId", str)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAIN_TABLE = 254
"""The kernel's main routing table (`RT_TABLE_MAIN`, rtnetlink.h)."""


@lru_cache(maxsize=4096)
def host(address: Address) -> Network:
    """Give the /32 or /128 that holds one address."""
    return ip_network(address)


def covers(network: Network, other: Network | Address) -> bool:
    """Tell whether `network` holds all of `other`; never across families."""
    if isinstance(other, IPv4Address | IPv6Address):
        return other in network  # False across families
    if isinstance(network, IPv4Network) and isinstance(other, IPv4Network):
        return other.subnet_of(network)
    if isinstance(network, IPv6Network) and isinstance(other, IPv6Network):
        return other.subnet_of(network)
    return False


def sort_key(network: Network) -> tuple[int, int, int]:
    """Sort key that puts IPv4 before IPv6, then by address, then by length."""
    return network.version, int(network.network_address), network.prefixlen


# --- the pod -----------------------------------------------------------------------------------


class AddressState(Enum):
    """Whether the kernel lets an address be used (ip-address(8), flags)."""

    READY = auto()
    TENTATIVE = auto()
    """Duplicate address detection still runs."""
    DUPLICATE = auto()
    """`dadfailed`: another host answered for it."""
    LOST = auto()
    """The kernel dropped it because the link went down, as it does with IPv6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAddress:
    """A lasting address of global scope on a pod interface."""

    address: Address
    prefix_length: int
    state: AddressState = AddressState.READY
    dynamic: bool = False
    """It came from a router or a server, which will bring it again."""
    deprecated: bool = False
    """It is no source address of new connections (`preferred_lft 0`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodInterface:
    """A link in the pod's network namespace."""

    name: str
    index: int
    mac: Mac
    up: bool = True
    carrier: bool = True
    """False while a link that is up carries nothing: the node's interface under it is down."""
    addresses: tuple[PodAddress, ...] = ()
    falls: int = 0
    """How often it was seen to go down; a link can be up again before it is read."""


class RouteKind(Enum):
    """The route types that this program reads or writes (ip-route(8))."""

    UNICAST = auto()
    THROW = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRoute:
    """A route of the pod's kernel."""

    destination: Network
    table: int = MAIN_TABLE
    gateway: Address | None = None
    device: str | None = None
    source: Address | None = None
    metric: int = 0
    protocol: int = 0
    kind: RouteKind = RouteKind.UNICAST
    on_link: bool = False
    plain: bool = True
    """False where it is for some packets only, which this value can't tell (`from`, `tos`)."""

    @property
    def key(self) -> tuple[Network, int, int]:
        """What the kernel allows only one route of."""
        return self.destination, self.table, self.metric

    @property
    def way(self) -> tuple[object, ...]:
        """Everything that decides where a packet goes, and nothing else."""
        return self.key, self.gateway, self.device, self.source, self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """A routing policy rule `from SOURCE to DESTINATION lookup TABLE`."""

    priority: int
    source: Network | None
    """None for all."""
    destination: Network | None = None
    """None for all."""
    table: int = 0
    refuses: bool = False
    """Whether it is `blackhole`, `unreachable` or `prohibit`, and has no table."""
    protocol: int = 0
    version: int = 4
    plain: bool = True
    """False where the rule has selectors or actions that this value can't hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodNetworks:
    """What Kubernetes tells a pod of its networks, by the downward API; None is "not told"."""

    addresses: tuple[Address, ...] = ()
    """The pod's own: `status.podIPs`."""
    wanted: tuple[str, ...] | None = None
    """The interfaces that Multus is asked for: annotation `k8s.v1.cni.cncf.io/networks`."""
    attached: tuple[str, ...] | None = None
    """Those that it attached: annotation `k8s.v1.cni.cncf.io/network-status`."""
    problem: str = ""
    """Why an annotation can't be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelState:
    """One reading of the pod's network namespace, both families."""

    interfaces: tuple[PodInterface, ...] = ()
    routes: tuple[KernelRoute, ...] = ()
    rules: tuple[PolicyRule, ...] = ()
    networks: PodNetworks = PodNetworks()
    """What Kubernetes told of it meanwhile."""


# --- the node ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataEni:
    """What IMDS tells of one MAC; None where it answers 404, which means "not yet"."""

    mac: Mac
    id: EniId | None = None
    vpc: VpcId | None = None
    subnet: SubnetId | None = None
    subnet_ipv4: IPv4Network | None = None
    device_index: int | None = None
    card_index: int = 0
    addresses: frozenset[Address] = frozenset()
    prefixes: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeMetadata:
    """What IMDS tells of the instance that carries the pod."""

    instance: InstanceId
    region: str
    enis: tuple[MetadataEni, ...] = ()
    macs: frozenset[Mac] = frozenset()
    """Every MAC in the listing, also those whose keys were not read."""


# --- the VPC -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Eni:
    """A network interface as EC2 describes it."""

    id: EniId
    mac: Mac
    vpc: VpcId
    subnet: SubnetId
    addresses: frozenset[Address] = frozenset()
    """The addresses that EC2 assigned to it; never a floating IP of pattern 1."""
    prefixes: tuple[Network, ...] = ()
    """Delegated to it, /28 or /80 (EC2 user guide, "Prefix delegation"): every address in one is
    its own."""
    source_dest_check: bool = True
    instance: InstanceId | None = None
    attached: bool = False
    device_index: int = 0
    card_index: int = 0
    zone: str | None = None
    """Its Availability Zone; None where IMDS alone told of it."""
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    def owns(self, address: Address) -> bool:
        """Tell whether the VPC brings an address to it without any route."""
        return address in self.addresses or any(covers(p, address) for p in self.prefixes)

    def lives_in(self, network: Network) -> bool:
        """Tell whether an address of its own lies, or can lie, in a network."""
        return any(covers(network, a) for a in self.addresses) or any(
            covers(network, p) or covers(p, network) for p in self.prefixes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A subnet of the VPC."""

    id: SubnetId
    vpc: VpcId
    networks: tuple[Network, ...]
    zone: str | None = None
    """Its Availability Zone; None where IMDS alone told of it."""

    @property
    def ipv4(self) -> IPv4Network | None:
        """Its one IPv4 block; None in an IPv6-only subnet."""
        return next((n for n in self.networks if isinstance(n, IPv4Network)), None)


class TargetKind(Enum):
    """What a VPC route points at, as far as it matters here."""

    ENI = auto()
    LOCAL = auto()
    OTHER = auto()
    """A gateway, NAT, peering, ...: never replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The next hop of a VPC route."""

    kind: TargetKind
    id: str
    instance: InstanceId | None = None

    def __str__(self) -> str:
        """Show the id, with the instance behind an ENI."""
        return f"{self.id} ({self.instance})" if self.instance else self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRoute:
    """A route in a VPC route table."""

    destination: Network
    target: Target
    blackhole: bool = False
    propagated: bool = False


def eni_target(eni: EniId, instance: InstanceId | None = None) -> Target:
    """Build the target that this program writes."""
    return Target(kind=TargetKind.ENI, id=eni, instance=instance)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """A VPC route table."""

    id: RouteTableId
    vpc: VpcId
    main: bool = False
    subnets: tuple[SubnetId, ...] = ()
    edges: tuple[str, ...] = ()
    """Gateways it is associated with: such a table refuses routes to outside the VPC."""
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    routes: tuple[CloudRoute, ...] = ()

    @property
    def name(self) -> str:
        """Its tag Name, for people; empty where it has none."""
        return self.tags.get("Name", "")

    @property
    def local(self) -> tuple[Network, ...]:
        """The VPC's own CIDR blocks, which every table routes as local."""
        return tuple(r.destination for r in self.routes if r.target.kind is TargetKind.LOCAL)

    def route_to(self, destination: Network) -> CloudRoute | None:
        """Find the route for exactly this destination; a static one beats a propagated one."""
        found = [r for r in self.routes if r.destination == destination]
        return min(found, key=lambda r: r.propagated, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudState:
    """One reading of the VPC."""

    tables: tuple[RouteTable, ...] = ()
    enis: tuple[Eni, ...] = ()
    """The ENIs of our own instance, and those that were looked up."""
    subnets: tuple[Subnet, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Both worlds that an action can change."""

    kernel: KernelState
    cloud: CloudState


# --- what is wanted ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingIP:
    """A pod address that the VPC shall route to the ENI under its interface."""

    address: Address
    interface: str
    eni: EniId
    vpc: VpcId
    destination: Network
    """What is routed: the address alone (pattern 1), or its whole subnet (pattern 2)."""
    ready: bool = True
    """False while the interface is down or the address tentative: what is held stays held, and
    nothing new is steered."""
    zone: str | None = None
    """The ENI's Availability Zone; None where EC2 did not tell."""
    lost: str | None = None
    """Why packets for it, which routes still lead here, are not answered; None where they are."""

    @property
    def unnamed(self) -> bool:
        """Whether only its subnet is known: nothing else is left in the pod (`core/lost.py`)."""
        whole = self.destination.num_addresses > 1
        return whole and self.address == self.destination.network_address

    @property
    def name(self) -> str:
        """The address, for people."""
        return str(self.destination if self.unnamed else self.address)

    def document(self) -> dict[str, object]:
        """Give it as JSON values."""
        return {
            "address": self.name,
            "interface": self.interface,
            "eni": self.eni,
            "destination": str(self.destination),
            "ready": self.ready,
            "lost": self.lost,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredRoute:
    """One cloud route that shall be: this destination, in this table, to this ENI."""

    table: RouteTableId
    destination: Network
    eni: EniId

    def __str__(self) -> str:
        """Show it as an operator writes it."""
        return f"{self.destination} in {self.table}"
