"""What EC2 describes, as values."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from types import MappingProxyType
from typing import Any

from vipmanager.core.values import (
    Address,
    CloudRoute,
    Eni,
    EniId,
    InstanceId,
    Mac,
    Network,
    RouteTable,
    RouteTableId,
    Subnet,
    SubnetId,
    Target,
    TargetKind,
    VpcId,
)


def route_table(table: Mapping[str, Any]) -> RouteTable:
    """Read one of DescribeRouteTables."""
    associations = table.get("Associations", ())
    return RouteTable(
        id=RouteTableId(table["RouteTableId"]),
        vpc=VpcId(table["VpcId"]),
        main=any(a.get("Main") for a in associations),
        subnets=tuple(SubnetId(a["SubnetId"]) for a in associations if a.get("SubnetId")),
        edges=tuple(a["GatewayId"] for a in associations if a.get("GatewayId")),
        tags=MappingProxyType({t["Key"]: t["Value"] for t in table.get("Tags", ())}),
        routes=tuple(_routes(table.get("Routes", ()))),
    )


def _routes(routes: Sequence[Mapping[str, Any]]) -> Iterator[CloudRoute]:
    for route in routes:
        destination = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")
        if destination is None:
            continue  # a prefix list: many destinations, none of them ours
        yield CloudRoute(
            destination=ip_network(destination),
            target=_target(route),
            blackhole=route.get("State") == "blackhole",
            propagated=route.get("Origin") in {"EnableVgwRoutePropagation", "Advertisement"},
        )


_OTHERS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
    "OdbNetworkArn",
    "InstanceId",
    "IpAddress",
)


def _target(route: Mapping[str, Any]) -> Target:
    eni = route.get("NetworkInterfaceId")
    if eni:
        instance = route.get("InstanceId")
        return Target(
            kind=TargetKind.ENI, id=eni, instance=InstanceId(instance) if instance else None
        )
    other = next((str(route[key]) for key in _OTHERS if route.get(key)), "an unknown target")
    return Target(kind=TargetKind.LOCAL if other == "local" else TargetKind.OTHER, id=other)


def eni(eni: Mapping[str, Any]) -> Eni:
    """Read one of DescribeNetworkInterfaces."""
    attachment = eni.get("Attachment", {})
    instance = attachment.get("InstanceId")
    return Eni(
        id=EniId(eni["NetworkInterfaceId"]),
        mac=Mac(eni.get("MacAddress", "").lower()),
        vpc=VpcId(eni["VpcId"]),
        subnet=SubnetId(eni["SubnetId"]),
        addresses=frozenset(_addresses(eni)),
        prefixes=tuple(_prefixes(eni)),
        source_dest_check=eni.get("SourceDestCheck", True),
        instance=InstanceId(instance) if instance else None,
        attached=attachment.get("Status") == "attached",
        device_index=attachment.get("DeviceIndex", 0),
        card_index=attachment.get("NetworkCardIndex", 0),
        zone=eni.get("AvailabilityZone"),
        tags=MappingProxyType({t["Key"]: t["Value"] for t in eni.get("TagSet", ())}),
    )


def _addresses(eni: Mapping[str, Any]) -> Iterator[Address]:
    for private in eni.get("PrivateIpAddresses", ()):
        yield ip_address(private["PrivateIpAddress"])
    for six in eni.get("Ipv6Addresses", ()):
        yield ip_address(six["Ipv6Address"])


def _prefixes(eni: Mapping[str, Any]) -> Iterator[Network]:
    for four in eni.get("Ipv4Prefixes", ()):
        yield ip_network(four["Ipv4Prefix"])
    for six in eni.get("Ipv6Prefixes", ()):
        yield ip_network(six["Ipv6Prefix"])


def subnet(subnet: Mapping[str, Any]) -> Subnet:
    """Read one of DescribeSubnets."""
    networks: list[Network] = []
    if subnet.get("CidrBlock"):
        networks.append(ip_network(subnet["CidrBlock"]))
    networks += [
        ip_network(a["Ipv6CidrBlock"])
        for a in subnet.get("Ipv6CidrBlockAssociationSet", ())
        if a.get("Ipv6CidrBlockState", {}).get("State") == "associated"
    ]
    return Subnet(
        id=SubnetId(subnet["SubnetId"]),
        vpc=VpcId(subnet["VpcId"]),
        networks=tuple(networks),
        zone=subnet.get("AvailabilityZone"),
    )
