"""A small VPC and a pod in it, for tests of the core and the engine."""

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from types import MappingProxyType

from vipmanager.core.settings import Settings
from vipmanager.core.values import (
    AddressState,
    CloudRoute,
    CloudState,
    Eni,
    EniId,
    InstanceId,
    KernelRoute,
    KernelState,
    Mac,
    MetadataEni,
    Network,
    NodeMetadata,
    PodAddress,
    PodInterface,
    RouteTable,
    RouteTableId,
    Subnet,
    SubnetId,
    Target,
    TargetKind,
    VpcId,
    eni_target,
)

VPC = VpcId("vpc-1")
V4, V6 = ip_network("10.0.0.0/16"), ip_network("2001:db8::/56")

SUBNETS = tuple(
    Subnet(
        id=SubnetId(i),
        vpc=VPC,
        networks=tuple(map(ip_network, networks)),
        zone="eu-central-1b" if i.startswith("subnet-b") else "eu-central-1a",
    )
    for i, networks in {
        "subnet-a0": ("10.0.1.0/24",),
        "subnet-a1": ("10.0.11.0/24", "2001:db8:0:11::/64"),
        "subnet-a2": ("10.0.12.0/24", "2001:db8:0:12::/64"),
        "subnet-b1": ("10.0.21.0/24", "2001:db8:0:21::/64"),
        "subnet-b2": ("10.0.22.0/24", "2001:db8:0:22::/64"),
        "subnet-client": ("10.0.100.0/24",),
        "subnet-dummy1": ("10.0.254.0/28", "2001:db8:0:fe::/64"),
        "subnet-dummy2": ("10.0.254.16/28", "2001:db8:0:ff::/64"),
    }.items()
)


def mac(zone: str, number: int) -> Mac:
    return Mac(f"02:00:00:00:0{zone}:0{number}")


def eni(zone: str, number: int, *, check: bool = False, attached: bool = True) -> Eni:
    subnet = next(s for s in SUBNETS if s.id == f"subnet-{zone}{number}")
    assert subnet.ipv4 is not None
    return Eni(
        id=EniId(f"eni-{zone}{number}"),
        mac=mac(zone, number),
        vpc=VPC,
        subnet=subnet.id,
        addresses=frozenset({subnet.ipv4.network_address + 10}),
        source_dest_check=check,
        instance=InstanceId(f"i-{zone}") if attached else None,
        attached=attached,
        device_index=number,
    )


def enis() -> tuple[Eni, ...]:
    return tuple(eni(zone, number) for zone in "ab" for number in (1, 2))


def table(
    number: int, routes: Iterable[CloudRoute] = (), *, tags: dict[str, str] | None = None
) -> RouteTable:
    local = [
        CloudRoute(destination=n, target=Target(kind=TargetKind.LOCAL, id="local"))
        for n in (V4, V6)
    ]
    return RouteTable(
        id=RouteTableId(f"rtb-{number:02}"),
        vpc=VPC,
        main=number == 0,
        tags=MappingProxyType(tags or {}),
        routes=(*local, *routes),
    )


def route(destination: str, target: str, *, blackhole: bool = False) -> CloudRoute:
    if target.startswith("eni-"):
        owner = None if blackhole else InstanceId(f"i-{target[4]}")
        to = eni_target(EniId(target), owner)
    else:
        to = Target(kind=TargetKind.OTHER, id=target)
    return CloudRoute(destination=ip_network(destination), target=to, blackhole=blackhole)


def cloud(tables: int = 2) -> CloudState:
    return CloudState(tables=tuple(map(table, range(tables))), enis=enis(), subnets=SUBNETS)


def pointed(
    state: CloudState, destination: str, target: str, *, only: int | None = None
) -> CloudState:
    """Point a destination at a target in all tables, or in one."""
    new = route(destination, target)

    def change(index: int, each: RouteTable) -> RouteTable:
        if only is not None and index != only:
            return each
        rest = tuple(r for r in each.routes if r.destination != new.destination)
        return replace(each, routes=(*rest, new))

    return replace(state, tables=tuple(change(i, t) for i, t in enumerate(state.tables)))


def interface(
    zone: str,
    number: int,
    *addresses: str,
    up: bool = True,
    state: AddressState = AddressState.READY,
) -> PodInterface:
    return PodInterface(
        name=f"net{number}",
        index=number + 2,
        mac=mac(zone, number),
        up=up,
        addresses=tuple(
            PodAddress(address=ip_address(a), prefix_length=24, state=state) for a in addresses
        ),
    )


def kernel(*interfaces: PodInterface) -> KernelState:
    primary = PodInterface(
        name="eth0",
        index=2,
        mac=Mac("0a:00:00:00:00:01"),
        addresses=(PodAddress(address=ip_address("10.0.1.11"), prefix_length=32),),
    )
    gateway = ip_address("169.254.1.1")
    return KernelState(
        interfaces=(primary, *interfaces),
        routes=(
            KernelRoute(
                destination=ip_network("0.0.0.0/0"), gateway=gateway, device="eth0", protocol=3
            ),
            KernelRoute(destination=ip_network("169.254.1.1/32"), device="eth0", protocol=3),
        ),
    )


def pod(zone: str = "a") -> KernelState:
    """A pod with a floating IP on each of two interfaces."""
    return kernel(interface(zone, 1, "192.168.0.1"), interface(zone, 2, "192.168.0.2"))


def node(zone: str = "a", *, listed: bool = True) -> NodeMetadata:
    return imds(f"i-{zone}", [eni(zone, n) for n in (1, 2)] if listed else [])


def imds(instance: str, enis: Iterable[Eni]) -> NodeMetadata:
    """What IMDS tells of an instance with these ENIs."""
    subnets, listed = {s.id: s for s in SUBNETS}, tuple(enis)
    return NodeMetadata(
        instance=InstanceId(instance),
        region="eu-central-1",
        enis=tuple(
            MetadataEni(
                mac=e.mac,
                id=e.id,
                vpc=e.vpc,
                subnet=e.subnet,
                subnet_ipv4=subnets[e.subnet].ipv4,
                device_index=e.device_index,
            )
            for e in listed
        ),
        macs=frozenset(e.mac for e in listed),
    )


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(map(ip_network, texts))


def peers(**by_number: str) -> Settings:
    """Settings with peers: peers(n1="10.0.100.0/24")."""
    return Settings(
        peers=MappingProxyType({int(k[1:]): networks(*v.split(",")) for k, v in by_number.items()})
    )
