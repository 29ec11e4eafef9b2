"""The describe filters, as tables: a name and the values a resource has for it.

The names are those of the API reference. A documented filter for what the lab does not have
(public addresses, ...) has no values, so it matches nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network
from typing import Final

from vipmanager_lab.ec2.answers import route_target
from vipmanager_lab.ec2.view import Attachment, Eni, Origin, PrefixList, Subnet, Table, View

TableValues = Callable[[View, Table], Iterable[str]]
SubnetValues = Callable[[View, Subnet], Iterable[str]]
EniValues = Callable[[View, Eni], Iterable[str]]


def _text(*, value: bool) -> str:
    return str(value).lower()


def _nothing(_view: View, _resource: object) -> Iterable[str]:
    return ()


def _destinations(*, ipv4: bool) -> TableValues:
    return lambda _, it: (
        str(route.destination)
        for route in it.routes()
        if isinstance(route.destination, IPv4Network) is ipv4
    )


def _targets(it: Table) -> Iterable[str]:
    """Of routes to networks and to prefix lists."""
    return (*(route.target for route in it.routes()), *it.listed.values())


def _target(field: str) -> TableValues:
    def values(view: View, it: Table) -> Iterable[str]:
        targets = (route_target(view, target) for target in _targets(it))
        return (target[field] for target in targets if field in target)

    return values


def _main(_: View, it: Table) -> Iterable[str]:
    # Tables without any association match neither value (API reference).
    return [_text(value=it.main)] if it.associations else []


TABLE_FILTERS: Final[Mapping[str, TableValues]] = {
    "vpc-id": lambda _, it: [it.vpc],
    "route-table-id": lambda _, it: [it.id],
    "owner-id": lambda view, _: [view.account],
    "association.main": _main,
    "association.route-table-id": lambda _, it: [it.id] if it.associations else [],
    "association.route-table-association-id": lambda _, it: [a.id for a in it.associations],
    "association.subnet-id": lambda _, it: [a.subnet for a in it.associations if a.subnet],
    "association.gateway-id": lambda _, it: [a.gateway for a in it.associations if a.gateway],
    "route.destination-cidr-block": _destinations(ipv4=True),
    "route.destination-ipv6-cidr-block": _destinations(ipv4=False),
    "route.destination-prefix-list-id": lambda _, it: it.listed,
    "route.state": lambda view, it: (
        "active" if view.forwards(target) else "blackhole" for target in _targets(it)
    ),
    "route.origin": lambda _, it: (
        *(route.origin.value for route in it.routes()),
        *(Origin.STATIC.value for _ in it.listed),
    ),
    "route.gateway-id": _target("gatewayId"),
    "route.instance-id": _target("instanceId"),
    "route.nat-gateway-id": _target("natGatewayId"),
    "route.transit-gateway-id": _target("transitGatewayId"),
    "route.egress-only-internet-gateway-id": _target("egressOnlyInternetGatewayId"),
    "route.vpc-peering-connection-id": _target("vpcPeeringConnectionId"),
}
"""There is no route.network-interface-id: EC2 does not have that filter (API reference)."""


LIST_FILTERS: Final[Mapping[str, Callable[[View, PrefixList], Iterable[str]]]] = {
    "owner-id": lambda view, _: [view.account],
    "prefix-list-id": lambda _, it: [it.id],
    "prefix-list-name": lambda _, it: [it.name],
}


def _zone(_: View, it: Subnet | Eni) -> Iterable[str]:
    return [it.zone]


def _zone_id(_: View, it: Subnet | Eni) -> Iterable[str]:
    return [it.zone_id]


def _ipv4_block(_: View, it: Subnet) -> Iterable[str]:
    return [str(it.ipv4)] if it.ipv4 else []


SUBNET_FILTERS: Final[Mapping[str, SubnetValues]] = {
    "vpc-id": lambda _, it: [it.vpc],
    "subnet-id": lambda _, it: [it.id],
    "subnet-arn": lambda view, it: [f"arn:aws:ec2:{view.region}:{view.account}:subnet/{it.id}"],
    "owner-id": lambda view, _: [view.account],
    "state": lambda _view, _: ["available"],
    "availability-zone": _zone,
    "availabilityZone": _zone,
    "availability-zone-id": _zone_id,
    "availabilityZoneId": _zone_id,
    "available-ip-address-count": lambda _, it: [str(it.free_addresses)],
    "cidr-block": _ipv4_block,
    "cidr": _ipv4_block,
    "cidrBlock": _ipv4_block,
    "ipv6-cidr-block-association.ipv6-cidr-block": lambda _, it: [str(cidr) for _, cidr in it.ipv6],
    "ipv6-cidr-block-association.association-id": lambda _, it: [tie for tie, _ in it.ipv6],
    "ipv6-cidr-block-association.state": lambda _, it: ["associated"] if it.ipv6 else [],
    "ipv6-native": lambda _, it: [_text(value=it.ipv4 is None)],
    "default-for-az": lambda _view, _: ["false"],
    "defaultForAz": lambda _view, _: ["false"],
    "map-public-ip-on-launch": lambda _view, _: ["false"],
    "customer-owned-ipv4-pool": _nothing,
    "outpost-arn": _nothing,
}


def _ipv4_addresses(_: View, it: Eni) -> Iterable[str]:
    return [str(address) for address in it.ipv4]


def _attached(value: Callable[[Attachment], str]) -> EniValues:
    return lambda _, it: [value(it.attachment)] if it.attachment else []


ENI_FILTERS: Final[Mapping[str, EniValues]] = {
    "network-interface-id": lambda _, it: [it.id],
    "vpc-id": lambda _, it: [it.vpc],
    "subnet-id": lambda _, it: [it.subnet],
    "mac-address": lambda _, it: [it.mac],
    "status": lambda _, it: [it.status],
    "description": lambda _, it: [it.description],
    "owner-id": lambda view, _: [view.account],
    "availability-zone": _zone,
    "availability-zone-id": _zone_id,
    "source-dest-check": lambda _, it: [_text(value=it.source_dest_check)],
    "interface-type": lambda _view, _: ["interface"],
    "requester-managed": lambda _view, _: ["false"],
    "private-ip-address": _ipv4_addresses,
    "addresses.private-ip-address": _ipv4_addresses,
    "addresses.primary": lambda _, it: [_text(value=not i) for i in range(len(it.ipv4))],
    "ipv6-addresses.ipv6-address": lambda _, it: [str(address) for address in it.ipv6],
    "group-id": lambda _, it: [group for group, _ in it.groups],
    "attachment.attachment-id": _attached(lambda it: it.id),
    "attachment.instance-id": _attached(lambda it: it.instance),
    "attachment.instance-owner-id": lambda view, it: [view.account] if it.attachment else [],
    "attachment.device-index": _attached(lambda it: str(it.device_index)),
    "attachment.status": _attached(lambda _: "attached"),
    "attachment.delete-on-termination": _attached(lambda it: _text(value=it.delete_on_termination)),
    "association.public-ip": _nothing,
    "association.allocation-id": _nothing,
    "association.association-id": _nothing,
    "association.ip-owner-id": _nothing,
    "association.public-dns-name": _nothing,
    "addresses.association.public-ip": _nothing,
    "addresses.association.owner-id": _nothing,
    "private-dns-name": _nothing,
    "requester-id": _nothing,
}
