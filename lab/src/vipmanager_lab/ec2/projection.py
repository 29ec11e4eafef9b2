"""From moto's mutable objects to the frozen view."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import cast

from moto.ec2.models import subnets as moto_subnets
from moto.ec2.models import vpcs as moto_vpcs
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.route_tables import RouteTable

from vipmanager_lab.ec2.backend import Backend
from vipmanager_lab.ec2.view import (
    Association,
    Attachment,
    Eni,
    Network,
    Subnet,
    Table,
    Tags,
    View,
    Vpc,
)


def empty(backend: Backend) -> View:
    """The view of an account before anything is in it."""
    return View(
        account=backend.account_id,
        region=backend.region_name,
        vpcs={},
        subnets={},
        enis={},
        instances=frozenset(),
        gateways=frozenset(),
        tables={},
    )


def project(backend: Backend, old: View, seeded: frozenset[str]) -> View:
    """What moto holds now; the routes, which moto gets wrong, come from the `old` view.

    `seeded` are gateways that the lab made up.
    """
    vpcs = {it.id: _vpc(it) for it in backend.vpcs.values()}
    return View(
        account=old.account,
        region=old.region,
        vpcs=vpcs,
        subnets={it.id: _subnet(backend, it) for it in backend.describe_subnets()},
        enis={it.id: _eni(backend, it) for it in backend.enis.values()},
        instances=frozenset(it.id for it in backend.all_instances() if it.state != "terminated"),
        gateways=seeded | _gateways(backend),
        tables={
            it.id: _table(backend, it, vpcs[it.vpc_id], old.tables.get(it.id))
            for it in backend.route_tables.values()
        },
        lists={i: replace(it, tags=_tags(backend, i)) for i, it in old.lists.items()},
    )


def _gateways(backend: Backend) -> frozenset[str]:
    kinds: tuple[Mapping[str, object], ...] = (
        backend.internet_gateways,
        backend.egress_only_internet_gateways,
        backend.nat_gateways,
        backend.vpn_gateways,
        backend.vpc_pcxs,
        backend.transit_gateways,
        backend.carrier_gateways,
        backend.vpc_end_points,
    )
    return frozenset(gateway for kind in kinds for gateway in kind)


def _tags(backend: Backend, resource: str) -> Tags:
    # Not describe_tags, which compiles a pattern for every tag of the account.
    return tuple(sorted(backend.tags[resource].items())) if resource in backend.tags else ()


def _vpc(it: moto_vpcs.VPC) -> Vpc:
    blocks = [
        block["cidr_block"]
        for ipv6 in (False, True)
        for block in it.get_cidr_block_association_set(ipv6)
        if block["cidr_block_state"]["state"] == "associated"
    ]
    return Vpc(
        id=it.id,
        ipv4=tuple(IPv4Network(block) for block in blocks if ":" not in block),
        ipv6=tuple(IPv6Network(block) for block in blocks if ":" in block),
    )


def _subnet(backend: Backend, it: moto_subnets.Subnet) -> Subnet:
    return Subnet(
        id=it.id,
        vpc=it.vpc_id,
        zone=it.availability_zone,
        zone_id=it.availability_zone_id,
        ipv4=IPv4Network(it.cidr_block) if it.cidr_block else None,
        ipv6=tuple(
            (block["associationId"], IPv6Network(block["ipv6CidrBlock"]))
            for block in it.ipv6_cidr_block_associations.values()
            if block["ipv6CidrBlockState"]["State"] == "associated"
        ),
        free_addresses=it.available_ip_address_count if it.cidr_block else 0,
        tags=_tags(backend, it.id),
    )


def _eni(backend: Backend, it: NetworkInterface) -> Eni:
    addresses = [IPv4Address(item["PrivateIpAddress"]) for item in it.private_ip_addresses]
    # A stable sort: the primary address moves to the front, the others keep their order.
    addresses.sort(key=lambda address: str(address) != it.private_ip_address)
    return Eni(
        id=it.id,
        mac=it.mac_address,
        vpc=it.subnet.vpc_id,
        subnet=it.subnet.id,
        zone=it.subnet.availability_zone,
        zone_id=it.subnet.availability_zone_id,
        description=it.description,
        ipv4=tuple(addresses),
        ipv6=tuple(IPv6Address(address) for address in it.ipv6_addresses),
        prefixes=backend.prefixes.get(it.id, ()),
        source_dest_check=it.source_dest_check,
        status=it.status,
        attachment=_attachment(backend, it),
        groups=tuple(sorted((group.id, group.name) for group in it.group_set)),
        tags=_tags(backend, it.id),
    )


def _attachment(backend: Backend, it: NetworkInterface) -> Attachment | None:
    if it.instance is None or it.attachment_id is None:
        return None
    return Attachment(
        id=it.attachment_id,
        instance=it.instance.id,
        instance_state=it.instance.state,
        device_index=it.device_index or 0,
        card_index=backend.card_index(it.id),
        delete_on_termination=bool(it.delete_on_termination),
        time=cast("datetime", it.attach_time),
    )


def _table(backend: Backend, it: RouteTable, vpc: Vpc, old: Table | None) -> Table:
    local: tuple[Network, ...] = (*vpc.ipv4, *vpc.ipv6)
    return Table(
        id=it.id,
        vpc=it.vpc_id,
        associations=tuple(
            Association(
                id=association["RouteTableAssociationId"],
                main=association["Main"],
                subnet=association.get("SubnetId"),
                gateway=association.get("GatewayId"),
            )
            for association in it.associations
        ),
        tags=_tags(backend, it.id),
        local=local,
        static=old.static if old else {},
        propagated=old.propagated if old else {},
        listed=old.listed if old else {},
    )
