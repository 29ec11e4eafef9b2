"""From the endpoint's view to what the lab's router and IMDS read."""

from collections.abc import Iterator

from vipmanager_lab import vpc
from vipmanager_lab.ec2.prefix_lists import expanded
from vipmanager_lab.ec2.view import Eni, Origin, Route, Table, View


def vpc_state(view: View) -> vpc.VpcState:
    """The same moment in the lab's shared vocabulary, each tuple sorted by id.

    A propagated route hidden by a static one to the same destination is left out, because
    static routes win (VPC user guide, "How route priority works").
    """
    return vpc.VpcState(
        vpcs=tuple(
            vpc.Vpc(id=it.id, ipv4=it.ipv4, ipv6=it.ipv6) for _, it in sorted(view.vpcs.items())
        ),
        subnets=tuple(
            vpc.Subnet(
                id=it.id,
                vpc=it.vpc,
                zone=it.zone,
                ipv4=it.ipv4,
                ipv6=it.ipv6[0][1] if it.ipv6 else None,
            )
            for _, it in sorted(view.subnets.items())
        ),
        enis=tuple(_eni(it) for _, it in sorted(view.enis.items())),
        tables=tuple(_table(view, it) for _, it in sorted(view.tables.items())),
    )


def _eni(eni: Eni) -> vpc.Eni:
    attachment = eni.attachment
    return vpc.Eni(
        id=eni.id,
        mac=eni.mac,
        vpc=eni.vpc,
        subnet=eni.subnet,
        ipv4=eni.ipv4,
        ipv6=eni.ipv6,
        prefixes=eni.prefixes,
        source_dest_check=eni.source_dest_check,
        instance=attachment.instance if attachment else None,
        device_index=attachment.device_index if attachment else 0,
        card_index=attachment.card_index if attachment else 0,
        instance_running=eni.forwards,
    )


def _table(view: View, table: Table) -> vpc.RouteTable:
    return vpc.RouteTable(
        id=table.id,
        vpc=table.vpc,
        main=table.main,
        subnets=tuple(sorted(it.subnet for it in table.associations if it.subnet)),
        gateways=tuple(sorted(it.gateway for it in table.associations if it.gateway)),
        tags=table.tags,
        routes=tuple(
            vpc.Route(
                destination=route.destination,
                target=route.target,
                state="active" if view.active(route) else "blackhole",
            )
            for route in _routes(view, table)
        ),
    )


def _routes(view: View, table: Table) -> Iterator[Route]:
    """With the entries of prefix lists, which lose against static routes alone."""
    taken = {*table.local, *table.static}
    for cidr, target in expanded(view, table.listed):
        if cidr not in taken:
            taken.add(cidr)
            yield Route(destination=cidr, target=target, origin=Origin.STATIC)
    for route in table.routes():
        if route.origin is not Origin.PROPAGATED or route.destination not in taken:
            yield route
