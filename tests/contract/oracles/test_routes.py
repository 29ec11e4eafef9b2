"""What EC2 makes of routes, by the facts that terraform-provider-aws's acceptance tests fix.

Source: hashicorp/terraform-provider-aws, `internal/service/ec2/vpc_route_test.go`, the test that a
row names (TestAccVPCRoute_...); they run against EC2. The lab is asked by botocore and by our edge.
"""

from ipaddress import IPv4Network, ip_network

import pytest

from contract.oracles.far import Far, refused
from lab.ec2.test_prefix_lists import changed
from vipmanager.core.actions import CreateRoute, DeleteRoute, ReplaceRoute
from vipmanager.core.failures import Conflict
from vipmanager.core.values import (
    CloudRoute,
    DesiredRoute,
    EniId,
    RouteTableId,
    TargetKind,
    VpcId,
    eni_target,
)
from vipmanager.edges.memory import MemoryFence

ALWAYS = MemoryFence()
OUTSIDE = "10.3.0.0/16"


def to(destination: str) -> dict[str, str]:
    """The destination's field."""
    if destination.startswith("pl-"):
        return {"DestinationPrefixListId": destination}
    name = "DestinationIpv6CidrBlock" if ":" in destination else "DestinationCidrBlock"
    return {name: destination}


def read(vpc: Far, table: str) -> list[CloudRoute]:
    """What our edge makes of a table, without the VPC's own networks."""
    (found,) = (t for t in vpc.ours.route_tables([VpcId(vpc.vpc)]) if t.id == table)
    return [r for r in found.routes if r.target.kind is not TargetKind.LOCAL]


@pytest.fixture(scope="module")
def listed(vpc: Far) -> str:
    made = vpc.botocores.create_managed_prefix_list(
        PrefixListName="list", AddressFamily="IPv4", MaxEntries=1
    )
    name = str(made["PrefixList"]["PrefixListId"])
    changed(vpc.account, name, "create-complete")
    return name


LISTED = "pl-"
GATEWAYS = [
    # The acceptance test, the destination, the parameter, and the prefix of its value.
    ("basic", OUTSIDE, "GatewayId", "igw"),
    ("ipv6ToInternetGateway", "::/0", "GatewayId", "igw"),
    ("ipv6ToEgressOnlyInternetGateway", "::/0", "EgressOnlyInternetGatewayId", "eigw"),
    ("ipv4ToVPNGateway", OUTSIDE, "GatewayId", "vgw"),
    ("ipv6ToVPNGateway", "::/0", "GatewayId", "vgw"),
    ("ipv4ToVPCPeeringConnection", OUTSIDE, "VpcPeeringConnectionId", "pcx"),
    ("ipv6ToVPCPeeringConnection", "::/0", "VpcPeeringConnectionId", "pcx"),
    ("ipv4ToNatGateway", OUTSIDE, "NatGatewayId", "nat"),
    ("ipv6ToNatGateway", "64:ff9b::/96", "NatGatewayId", "nat"),
    ("ipv4ToTransitGateway", OUTSIDE, "TransitGatewayId", "tgw"),
    ("ipv6ToTransitGateway", "::/0", "TransitGatewayId", "tgw"),
    ("ipv4ToCarrierGateway", "172.16.1.0/24", "CarrierGatewayId", "cagw"),
    ("ipv4ToLocalGateway", "172.16.1.0/24", "LocalGatewayId", "lgw"),
    ("ipv6ToLocalGateway", "2002:bc9:1234:1a00::/56", "LocalGatewayId", "lgw"),
    ("ipv4ToVPCEndpoint", "172.16.1.0/24", "VpcEndpointId", "vpce"),
    ("ipv6ToVPCEndpoint", "::/0", "VpcEndpointId", "vpce"),
    ("prefixListToInternetGateway", LISTED, "GatewayId", "igw"),
    ("prefixListToVPNGateway", LISTED, "GatewayId", "vgw"),
    ("prefixListToVPCPeeringConnection", LISTED, "VpcPeeringConnectionId", "pcx"),
    ("prefixListToNatGateway", LISTED, "NatGatewayId", "nat"),
    ("prefixListToTransitGateway", LISTED, "TransitGatewayId", "tgw"),
    ("prefixListToCarrierGateway", LISTED, "CarrierGatewayId", "cagw"),
    ("prefixListToLocalGateway", LISTED, "LocalGatewayId", "lgw"),
    ("prefixListToEgressOnlyInternetGateway", LISTED, "EgressOnlyInternetGatewayId", "eigw"),
]


@pytest.mark.parametrize("fact", GATEWAYS, ids=lambda f: f[0])
def test_a_route_shows_its_gateway_in_one_field(
    vpc: Far, listed: str, fact: tuple[str, str, str, str]
) -> None:
    _, destination, parameter, kind = fact
    table, target = vpc.table(), vpc.has[kind]
    where = to(listed if destination == LISTED else destination)
    vpc.botocores.create_route(RouteTableId=table, **where, **{parameter: target})
    shown = "GatewayId" if parameter == "VpcEndpointId" else parameter
    assert vpc.made(table) == [{**where, shown: target, "State": "active", "Origin": "CreateRoute"}]
    ours = [(r.destination, r.target.kind, r.target.id, r.blackhole) for r in read(vpc, table)]
    nets = [] if destination == LISTED else [ip_network(destination)]
    assert ours == [(net, TargetKind.OTHER, target, False) for net in nets]


ENIS = [
    # The acceptance test, the destination, the parameter, its value, the ENI and its instance.
    ("ipv4ToInstance", OUTSIDE, "InstanceId", "single", "primary", "single"),
    ("ipv6ToInstance", "::/0", "InstanceId", "single", "primary", "single"),
    ("prefixListToInstance", LISTED, "InstanceId", "single", "primary", "single"),
    ("IPv4ToNetworkInterface_unattached", OUTSIDE, "NetworkInterfaceId", "free", "free", ""),
    ("IPv6ToNetworkInterface_unattached", "::/0", "NetworkInterfaceId", "free", "free", ""),
    ("PrefixListToNetworkInterface_unattached", LISTED, "NetworkInterfaceId", "free", "free", ""),
    ("IPv4ToNetworkInterface_attached", OUTSIDE, "NetworkInterfaceId", "one", "one", "several"),
    (
        "PrefixListToNetworkInterface_attached",
        LISTED,
        "NetworkInterfaceId",
        "two",
        "two",
        "several",
    ),
]


@pytest.mark.parametrize("fact", ENIS, ids=lambda f: f[0])
def test_a_route_to_an_eni_tells_its_instance_or_is_a_blackhole(
    vpc: Far, listed: str, fact: tuple[str, str, str, str, str, str]
) -> None:
    _, destination, parameter, asked, eni, instance = fact
    table = vpc.table()
    where = to(listed if destination == LISTED else destination)
    vpc.botocores.create_route(RouteTableId=table, **where, **{parameter: vpc.has[asked]})
    owner = {"InstanceId": vpc.has.get(instance, ""), "InstanceOwnerId": "123456789012"}
    assert vpc.made(table) == [
        {
            **where,
            "NetworkInterfaceId": vpc.has[eni],
            **(owner if instance else {}),
            "State": "active" if instance else "blackhole",
            "Origin": "CreateRoute",
        }
    ]
    ours = [(r.target.kind, r.target.id, r.target.instance, r.blackhole) for r in read(vpc, table)]
    tied = vpc.has.get(instance)
    alone = (TargetKind.ENI, vpc.has[eni], tied, not instance)
    assert ours == ([] if destination == LISTED else [alone])


def steer(table: str, destination: str, eni: str) -> DesiredRoute:
    net = ip_network(destination)
    return DesiredRoute(table=RouteTableId(table), destination=net, eni=EniId(eni))


def test_a_route_moves_between_two_enis_of_one_instance(vpc: Far) -> None:
    """IPv4ToNetworkInterface_twoAttachments: an instance with several is no target itself."""
    table = vpc.table()
    one, two = (EniId(vpc.has[name]) for name in ("one", "two"))
    vpc.ours.write(CreateRoute(steer=steer(table, OUTSIDE, one), reason="test"), ALWAYS)
    moved = ReplaceRoute(steer=steer(table, OUTSIDE, two), before=eni_target(one), reason="test")
    vpc.ours.write(moved, ALWAYS)
    (route,) = read(vpc, table)
    assert (route.target.id, route.target.instance) == (two, vpc.has["several"])
    assert (route.blackhole, route.propagated) == (False, False)


UPDATES = {
    # IPv4Update_target and IPv6Update_target: the steps, each a ReplaceRoute of the one before.
    OUTSIDE: (
        "GatewayId vgw",
        "GatewayId igw",
        "NatGatewayId nat",
        "NetworkInterfaceId free",
        "TransitGatewayId tgw",
        "VpcEndpointId vpce",
        "VpcPeeringConnectionId pcx",
    ),
    "::/0": (
        "GatewayId vgw",
        "GatewayId igw",
        "EgressOnlyInternetGatewayId eigw",
        "NetworkInterfaceId free",
        "VpcPeeringConnectionId pcx",
    ),
}


@pytest.mark.parametrize("destination", UPDATES)
def test_a_replaced_route_has_the_new_target_alone_and_was_created_still(
    vpc: Far, destination: str
) -> None:
    table = vpc.table()
    call = vpc.botocores.create_route
    for step in UPDATES[destination]:
        parameter, kind = step.split()
        call(RouteTableId=table, **to(destination), **{parameter: vpc.has[kind]})
        shown = "GatewayId" if kind == "vpce" else parameter
        (route,) = vpc.made(table)
        state = "blackhole" if kind == "free" else "active"
        assert route == {
            **to(destination),
            shown: vpc.has[kind],
            "State": state,
            "Origin": "CreateRoute",
        }
        call = vpc.botocores.replace_route


def test_a_route_that_is_there_is_created_again_without_a_refusal(vpc: Far) -> None:
    """Duplicate: the provider looks for the route itself, since EC2 takes it a second time."""
    table, action = vpc.table(), None
    for _ in range(2):
        action = CreateRoute(steer=steer(table, OUTSIDE, vpc.has["one"]), reason="test")
        vpc.ours.write(action, ALWAYS)
    assert len(read(vpc, table)) == 1


def test_another_target_is_refused(vpc: Far) -> None:
    """errors.go, errCodeRouteAlreadyExists."""
    table = vpc.table()
    vpc.ours.write(CreateRoute(steer=steer(table, OUTSIDE, vpc.has["one"]), reason="test"), ALWAYS)
    fields = {"RouteTableId": table, **to(OUTSIDE), "GatewayId": vpc.has["igw"]}
    assert refused(vpc.botocores.create_route, **fields)[0] == "RouteAlreadyExists"
    other = CreateRoute(steer=steer(table, OUTSIDE, vpc.has["two"]), reason="test")
    with pytest.raises(Conflict):
        vpc.ours.write(other, ALWAYS)


def test_a_deleted_route_is_gone_and_can_not_be_deleted_again(vpc: Far) -> None:
    """Disappears; vpc_route.go takes InvalidRoute.NotFound for done."""
    table, target = vpc.table(), eni_target(EniId(vpc.has["one"]))
    vpc.ours.write(CreateRoute(steer=steer(table, OUTSIDE, vpc.has["one"]), reason="test"), ALWAYS)
    net = ip_network(OUTSIDE)
    action = DeleteRoute(table=RouteTableId(table), destination=net, before=target, reason="test")
    vpc.ours.write(action, ALWAYS)
    assert read(vpc, table) == []
    with pytest.raises(Conflict, match=r"InvalidRoute\.NotFound"):
        vpc.ours.write(action, ALWAYS)


def test_a_local_route_is_not_created_and_not_deleted(vpc: Far) -> None:
    """localRouteCreateError; vpc_route.go, resourceRouteDelete."""
    table = vpc.table()
    code, said = refused(
        vpc.botocores.create_route, RouteTableId=table, **to("10.1.0.0/16"), GatewayId="local"
    )
    assert (code, said) == ("InvalidGatewayID.NotFound", "The gateway ID 'local' does not exist")
    code, said = refused(vpc.botocores.delete_route, RouteTableId=table, **to("10.1.0.0/16"))
    assert code == "InvalidParameterValue"
    assert "cannot remove local route" in said


def test_a_local_route_takes_an_eni_and_gets_its_target_back_as_one_route(vpc: Far) -> None:
    """localRouteImportAndUpdate."""
    table, own = vpc.table(), to("10.1.0.0/16")
    before = vpc.routes(table)
    vpc.botocores.replace_route(RouteTableId=table, **own, NetworkInterfaceId=vpc.has["one"])
    (route,) = (r for r in vpc.routes(table) if own.items() <= r.items())
    assert route["NetworkInterfaceId"] == vpc.has["one"]
    assert "GatewayId" not in route
    assert len(vpc.routes(table)) == len(before)
    vpc.botocores.replace_route(RouteTableId=table, **own, LocalTarget=True)
    assert vpc.routes(table) == before


def test_an_ipv6_destination_may_be_written_long(vpc: Far) -> None:
    """ipv6ToEgressOnlyInternetGateway: `::0/0` is `::/0`, once it is there."""
    table, target = vpc.table(), {"EgressOnlyInternetGatewayId": vpc.has["eigw"]}
    vpc.botocores.create_route(RouteTableId=table, **to("::0/0"), **target)
    assert [r["DestinationIpv6CidrBlock"] for r in vpc.made(table)] == ["::/0"]
    vpc.botocores.delete_route(RouteTableId=table, **to("::/0"))
    assert vpc.made(table) == []


@pytest.mark.parametrize(("ipv6", "count"), [(False, 1), (True, 2)])
def test_a_new_table_has_a_local_route_for_each_family(vpc: Far, count: int, *, ipv6: bool) -> None:
    """TestAccVPCRouteTable_basic; ..._ipv6ToEgressOnlyInternetGateway, which has one more."""
    other = vpc.account.create_vpc(IPv4Network("10.9.0.0/16"), ipv6=ipv6)
    routes = vpc.routes(vpc.account.create_route_table(other))
    assert len(routes) == count
    assert {(r["GatewayId"], r["Origin"], r["State"]) for r in routes} == {
        ("local", "CreateRouteTable", "active")
    }


def test_a_reading_may_not_show_yet_what_was_written(vpc: Far) -> None:
    """waitRouteReady sees a route twice in a row before it believes."""
    table = vpc.table()
    action = CreateRoute(steer=steer(table, OUTSIDE, vpc.has["one"]), reason="test")
    vpc.ours.write(action, ALWAYS)
    vpc.endpoint.faults.stale_reads(count=1)
    try:
        assert read(vpc, table) == []
        vpc.ours.write(action, ALWAYS)
    finally:
        vpc.endpoint.faults.stale_reads()
    assert [r.target.id for r in read(vpc, table)] == [vpc.has["one"]]


def test_a_route_to_a_prefix_list_does_not_end_at_a_vpc_endpoint(vpc: Far, listed: str) -> None:
    """vpc_route.go, `vpc_endpoint_id`."""
    code, said = refused(
        vpc.botocores.create_route,
        RouteTableId=vpc.table(),
        DestinationPrefixListId=listed,
        VpcEndpointId=vpc.has["vpce"],
    )
    assert code == "InvalidParameterValue"
    assert said == "Cannot create or replace a prefix list route targeting a VPC Endpoint."


def test_tables_are_found_by_what_leads_to_prefix_lists_too(vpc: Far, listed: str) -> None:
    """PrefixListToNetworkInterface_unattached; the filters are the API reference's."""
    table = vpc.table(tags={"role": "lists"})
    vpc.botocores.create_route(RouteTableId=table, **to(listed), NetworkInterfaceId=vpc.has["free"])
    only = {"Name": "tag:role", "Values": ["lists"]}
    for name, value in (
        ("route.destination-prefix-list-id", listed),
        ("route.state", "blackhole"),
        ("route.origin", "CreateRoute"),
    ):
        found = vpc.botocores.describe_route_tables(
            Filters=[only, {"Name": name, "Values": [value]}]
        )["RouteTables"]
        assert [t["RouteTableId"] for t in found] == [table], name
