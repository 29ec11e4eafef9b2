"""CreateRoute, ReplaceRoute and DeleteRoute: pure functions from a view to a changed table.

Each checks everything before it returns, so a refused call has changed nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError
from typing import Final

from vipmanager_lab.ec2.errors import ApiError, invalid, missing
from vipmanager_lab.ec2.prefix_lists import VERSIONS, existing
from vipmanager_lab.ec2.query import Parameters, check_id, flag, require
from vipmanager_lab.ec2.view import Network, Origin, Route, Table, View

ROUTES_PER_TABLE: Final = 500
"""Static routes per table and address family (VPC quotas page, since June 2025)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetKind:
    """A request parameter that names a target."""

    prefix: str
    not_found: str
    text: str
    in_vpc: bool = False
    """Whether a destination inside the VPC's CIDR blocks may have this target."""


_GATEWAY: Final = "The gateway ID '{}' does not exist"

TARGETS: Final[Mapping[str, TargetKind]] = {
    # Anything that is no known gateway, `local` included (terraform's acceptance tests).
    "GatewayId": TargetKind(prefix="", not_found="InvalidGatewayID.NotFound", text=_GATEWAY),
    # ENI, NAT gateway and endpoint may take traffic between subnets (VPC user guide).
    "NetworkInterfaceId": TargetKind(
        prefix="eni",
        not_found="InvalidNetworkInterfaceID.NotFound",
        text="The networkInterface ID '{}' does not exist",
        in_vpc=True,
    ),
    "InstanceId": TargetKind(
        prefix="i",
        not_found="InvalidInstanceID.NotFound",
        text="The instance ID '{}' does not exist",
        in_vpc=True,
    ),
    "NatGatewayId": TargetKind(
        prefix="nat",
        not_found="InvalidNatGatewayID.NotFound",
        text="The natGateway ID '{}' does not exist",
        in_vpc=True,
    ),
    "VpcEndpointId": TargetKind(
        prefix="vpce",
        not_found="InvalidVpcEndpointId.NotFound",
        text="The vpcEndpoint ID '{}' does not exist",
        in_vpc=True,
    ),
    "VpcPeeringConnectionId": TargetKind(
        prefix="pcx",
        not_found="InvalidVpcPeeringConnectionID.NotFound",
        text="The vpcPeeringConnection ID '{}' does not exist",
    ),
    "TransitGatewayId": TargetKind(
        prefix="tgw",
        not_found="InvalidTransitGatewayID.NotFound",
        text="The transitGateway ID '{}' does not exist",
    ),
    # GUESS: the last three share the gateway's code and text.
    "EgressOnlyInternetGatewayId": TargetKind(
        prefix="eigw", not_found="InvalidGatewayID.NotFound", text=_GATEWAY
    ),
    "CarrierGatewayId": TargetKind(
        prefix="cagw", not_found="InvalidGatewayID.NotFound", text=_GATEWAY
    ),
    "LocalGatewayId": TargetKind(
        prefix="lgw", not_found="InvalidGatewayID.NotFound", text=_GATEWAY
    ),
}

RESERVED: Final[tuple[Network, ...]] = (
    IPv4Network("169.254.168.0/22"),  # "exactly match or a subset of" is refused (VPC user guide)
    IPv6Network("fd00:ec2::/32"),  # the same for IPv6
)


def create_route(view: View, parameters: Parameters, limit: int = ROUTES_PER_TABLE) -> Table:
    """CreateRoute: the table with the new route.

    A repeat with the same target succeeds and changes nothing.

    Raises:
        ApiError: as EC2 refuses the call.
    """
    table = _table(view, parameters)
    if _to_list(parameters):
        return _create_listed(view, table, parameters, limit)
    destination = _destination(parameters)
    kind, target = _target(view, table, parameters)
    present = table.route(destination)
    if present is not None:
        if present.target == target and present.origin is Origin.STATIC:
            return table
        raise ApiError(
            "RouteAlreadyExists", f"The route identified by {destination} already exists."
        )
    _check_destination(view, table, destination, kind)
    _check_quota(view, table, destination.version, 1, limit)
    return table.with_route(Route(destination=destination, target=target, origin=Origin.STATIC))


def replace_route(view: View, parameters: Parameters) -> Table:
    """ReplaceRoute: the table with the route's new target.

    A local route takes another target and gets its own back with LocalTarget.

    Raises:
        ApiError: as EC2 refuses the call.
    """
    table = _table(view, parameters)
    if _to_list(parameters):
        return _replace_listed(view, table, parameters)
    destination = _destination(parameters)
    present = table.route(destination)
    if present is None:
        raise invalid(
            f"There is no route defined for '{destination}' in the route table. "
            "Use CreateRoute instead."
        )
    if flag(parameters, "LocalTarget"):
        if _given(parameters):
            raise _combination()
        if destination not in table.local:
            # GUESS: code and text not found.
            raise invalid(f"The route {destination} is not a local route.")
        return table.without_route(destination)
    kind, target = _target(view, table, parameters)
    _check_destination(view, table, destination, kind)
    return table.with_route(Route(destination=destination, target=target, origin=present.origin))


def delete_route(view: View, parameters: Parameters) -> Table:
    """DeleteRoute: the table without the route.

    Raises:
        ApiError: as EC2 refuses the call.
    """
    table = _table(view, parameters)
    if _to_list(parameters):
        return _delete_listed(table, parameters)
    destination = _destination(parameters)
    if destination in table.local:
        raise invalid(f"cannot remove local route {destination} in route table {table.id}")
    if destination not in table.static:
        raise ApiError(
            "InvalidRoute.NotFound",
            f"no route with destination-cidr-block {destination} in route table {table.id}",
        )
    return table.without_route(destination)


ROUTE_ACTIONS: Final[Mapping[str, Callable[[View, Parameters], Table]]] = {
    "CreateRoute": create_route,
    "ReplaceRoute": replace_route,
    "DeleteRoute": delete_route,
}


_LIST: Final = "DestinationPrefixListId"


def _to_list(parameters: Parameters) -> bool:
    cidr = parameters.get("DestinationCidrBlock") or parameters.get("DestinationIpv6CidrBlock")
    if cidr and parameters.get(_LIST):
        raise _combination()
    return bool(parameters.get(_LIST))


def _create_listed(view: View, table: Table, parameters: Parameters, limit: int) -> Table:
    """CreateRoute to a prefix list (terraform-provider-aws PR#17291); MaxEntries are counted."""
    found = existing(view, parameters, _LIST)
    if table.edge:  # GUESS at the text; refused for certain (VPC user guide, edge tables)
        raise invalid(f"The prefix list {found.id} cannot be a destination in {table.id}.")
    target = _listed_target(view, table, parameters)
    if found.id in table.listed:
        if table.listed[found.id] == target:
            return table
        raise ApiError("RouteAlreadyExists", f"The route identified by {found.id} already exists.")
    _check_quota(view, table, VERSIONS[found.family], found.most, limit)
    return replace(table, listed={**table.listed, found.id: target})


def _replace_listed(view: View, table: Table, parameters: Parameters) -> Table:
    found = existing(view, parameters, _LIST)
    if found.id not in table.listed:
        raise invalid(
            f"There is no route defined for '{found.id}' in the route table. "
            "Use CreateRoute instead."
        )
    target = _listed_target(view, table, parameters)
    return replace(table, listed={**table.listed, found.id: target})


def _listed_target(view: View, table: Table, parameters: Parameters) -> str:
    _, target = _target(view, table, parameters)
    if target.startswith("vpce-"):  # terraform-provider-aws, vpc_route.go
        raise invalid("Cannot create or replace a prefix list route targeting a VPC Endpoint.")
    return target


def _delete_listed(table: Table, parameters: Parameters) -> Table:
    list_id = parameters[_LIST]
    if list_id not in table.listed:  # GUESS at the text
        raise ApiError(
            "InvalidRoute.NotFound",
            f"no route with destination-prefix-list-id {list_id} in route table {table.id}",
        )
    return replace(table, listed={k: v for k, v in table.listed.items() if k != list_id})


def _check_quota(view: View, table: Table, version: int, more: int, limit: int) -> None:
    lists = (view.lists[it] for it in table.listed)
    have = sum(1 for it in table.static if it.version == version)
    have += sum(it.most for it in lists if VERSIONS[it.family] == version)
    if have + more > limit:
        # The code is EC2's; GUESS at the text.
        raise ApiError("RouteLimitExceeded", "The maximum number of routes has been reached.")


def _table(view: View, parameters: Parameters) -> Table:
    table_id = check_id(require(parameters, "RouteTableId"), "rtb", "InvalidRouteTableId.Malformed")
    if table_id not in view.tables:
        raise ApiError(
            "InvalidRouteTableID.NotFound", f"The routeTable ID '{table_id}' does not exist"
        )
    return view.tables[table_id]


def _destination(parameters: Parameters) -> Network:
    """Exactly one destination, canonical: 100.68.0.18/18 means 100.68.0.0/18 (API reference)."""
    ipv4, ipv6 = parameters.get("DestinationCidrBlock"), parameters.get("DestinationIpv6CidrBlock")
    if ipv4 and ipv6:
        raise _combination()
    try:
        if ipv4:
            return IPv4Network(ipv4 if "/" in ipv4 else "", strict=False)
        if ipv6:
            return IPv6Network(ipv6 if "/" in ipv6 else "", strict=False)
    except (AddressValueError, NetmaskValueError):
        name = "destinationCidrBlock" if ipv4 else "destinationIpv6CidrBlock"
        raise invalid(
            f"Value ({ipv4 or ipv6}) for parameter {name} is invalid. "
            "This is not a valid CIDR block."
        ) from None
    raise missing("destinationCidrBlock")


def _given(parameters: Parameters) -> list[str]:
    return [name for name in TARGETS if parameters.get(name)]


def _combination() -> ApiError:
    # The code is EC2's; GUESS at the text.
    return ApiError(
        "InvalidParameterCombination",
        "The request must contain exactly one destination and exactly one target.",
    )


def _target(view: View, table: Table, parameters: Parameters) -> tuple[TargetKind, str]:
    names = _given(parameters)
    if not names:
        # The code is EC2's; GUESS at the text.
        raise missing("gatewayId, instanceId, networkInterfaceId or another target")
    if len(names) > 1:
        raise _combination()
    kind, target = TARGETS[names[0]], parameters[names[0]]
    if names[0] == "InstanceId":
        target = _only_eni(view, target)
    if kind is TARGETS["NetworkInterfaceId"]:
        check_id(target, "eni", "InvalidNetworkInterfaceId.Malformed")
    eni = view.enis.get(target)
    if eni is None and (target.startswith("eni-") or target not in view.gateways):
        raise ApiError(kind.not_found, kind.text.format(target))
    if eni is not None and kind.prefix not in {"eni", "i"}:
        raise ApiError(kind.not_found, kind.text.format(target))
    if eni is not None and eni.vpc != table.vpc:
        # The text is EC2's for gateways, seen for interfaces too (saltstack/salt#38791).
        raise invalid(f"route table {table.id} and interface {target} belong to different networks")
    return kind, target


def _only_eni(view: View, instance: str) -> str:
    """The ENI that an InstanceId stands for."""
    kind = TARGETS["InstanceId"]
    check_id(instance, kind.prefix, "InvalidInstanceID.Malformed")
    if instance not in view.instances:
        raise ApiError(kind.not_found, kind.text.format(instance))
    enis = [
        it.id for it in view.enis.values() if it.attachment and it.attachment.instance == instance
    ]
    if len(enis) != 1:
        raise ApiError(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance}'. "
            "Please specify an interface ID for the operation instead.",
        )
    return enis[0]


def _check_destination(view: View, table: Table, destination: Network, kind: TargetKind) -> None:
    if any(_within(destination, it) for it in RESERVED):
        raise invalid(  # GUESS: refused for certain (VPC user guide), code and text not found.
            f"The destination CIDR block {destination} is reserved and cannot be routed."
        )
    if not any(_within(destination, it) for it in table.local):
        if table.edge:
            raise invalid(  # GUESS at the text; refused for certain (VPC user guide, edge tables).
                f"The destination CIDR block {destination} is not within one of this VPC's CIDR "
                "blocks, which a gateway route table requires."
            )
        return
    if not kind.in_vpc:
        raise invalid(
            f"The destination CIDR block {destination} is equal to or more specific than one of "
            "this VPC's CIDR blocks. This route can target only an interface or an instance."
        )
    if destination not in table.local and not _is_subnet(view, table.vpc, destination):
        raise invalid(  # GUESS at the text; refused for certain: "must match the entire CIDR block
            # of a subnet in your VPC" (VPC user guide).
            f"The destination CIDR block {destination} does not match the entire CIDR block of a "
            "subnet in this VPC."
        )


def _within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    if isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network):
        return inner.subnet_of(outer)
    return False


def _is_subnet(view: View, vpc: str, destination: Network) -> bool:
    return any(
        it.vpc == vpc and (destination == it.ipv4 or destination in {cidr for _, cidr in it.ipv6})
        for it in view.subnets.values()
    )
