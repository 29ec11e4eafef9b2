"""What EC2 does with route writes, and moto does not."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import pytest

from vipmanager_lab.ec2.account import Account

if TYPE_CHECKING:
    from lab.ec2.conftest import Client, Lab, Refused, Routes

VIP = "198.51.100.7/32"
VIP6 = "2001:db8::7/128"

End = Callable[[Account, str, str], None]


def test_a_route_to_an_attached_eni_names_the_eni_the_instance_and_its_owner(
    lab: Lab, ec2: Client, routes: Routes
) -> None:
    ec2.create_route(RouteTableId=lab.table, DestinationCidrBlock=VIP, NetworkInterfaceId=lab.eni_a)
    assert routes()[VIP] == {
        "DestinationCidrBlock": VIP,
        "NetworkInterfaceId": lab.eni_a,
        "InstanceId": lab.instance_a,
        "InstanceOwnerId": lab.account.id,
        "State": "active",
        "Origin": "CreateRoute",
    }


def test_an_ipv6_route_lives_beside_the_ipv4_one(lab: Lab, ec2: Client, routes: Routes) -> None:
    ec2.create_route(
        RouteTableId=lab.table, DestinationIpv6CidrBlock=VIP6, NetworkInterfaceId=lab.eni_a
    )
    ec2.replace_route(
        RouteTableId=lab.table,
        DestinationIpv6CidrBlock="2001:0DB8:0:0::7/128",
        NetworkInterfaceId=lab.eni_b,
    )
    assert routes()[VIP6]["NetworkInterfaceId"] == lab.eni_b
    ec2.delete_route(RouteTableId=lab.table, DestinationIpv6CidrBlock=VIP6)
    assert VIP6 not in routes()


def test_creating_the_same_route_again_succeeds(lab: Lab, ec2: Client) -> None:
    route = {"RouteTableId": lab.table, "DestinationCidrBlock": VIP}
    ec2.create_route(**route, NetworkInterfaceId=lab.eni_a)
    assert ec2.create_route(**route, NetworkInterfaceId=lab.eni_a)["Return"] is True


def test_creating_a_route_with_another_target_is_refused_with_a_period(
    lab: Lab, ec2: Client, refused: Refused, routes: Routes
) -> None:
    route = {"RouteTableId": lab.table, "DestinationCidrBlock": VIP}
    ec2.create_route(**route, NetworkInterfaceId=lab.eni_a)
    assert refused(ec2.create_route, **route, NetworkInterfaceId=lab.eni_b) == (
        400,
        "RouteAlreadyExists",
        f"The route identified by {VIP} already exists.",
    )
    assert routes()[VIP]["NetworkInterfaceId"] == lab.eni_a


def test_an_ipv6_duplicate_is_refused_too(lab: Lab, ec2: Client, refused: Refused) -> None:
    route = {"RouteTableId": lab.table, "DestinationIpv6CidrBlock": VIP6}
    ec2.create_route(**route, NetworkInterfaceId=lab.eni_a)
    _, code, _ = refused(ec2.create_route, **route, NetworkInterfaceId=lab.eni_b)
    assert code == "RouteAlreadyExists"


def _detach(account: Account, eni: str, _instance: str) -> None:
    account.detach(eni)


def _delete(account: Account, eni: str, _instance: str) -> None:
    account.detach(eni)
    account.delete_eni(eni)


def _stop(account: Account, _eni: str, instance: str) -> None:
    account.stop_instance(instance)


def _terminate(account: Account, _eni: str, instance: str) -> None:
    account.terminate_instance(instance)


@pytest.mark.parametrize("end", [_detach, _delete, _stop, _terminate])
def test_a_route_whose_target_is_gone_stays_as_a_blackhole_without_an_instance(
    lab: Lab, routes: Routes, end: End
) -> None:
    lab.account.put_route(lab.table, VIP, lab.eni_a)
    end(lab.account, lab.eni_a, lab.instance_a)
    route = routes()[VIP]
    assert route["State"] == "blackhole"
    assert route["NetworkInterfaceId"] == lab.eni_a
    assert "InstanceId" not in route
    assert "InstanceOwnerId" not in route


def test_a_blackhole_is_active_again_when_the_instance_starts(lab: Lab, routes: Routes) -> None:
    lab.account.put_route(lab.table, VIP, lab.eni_a)
    lab.account.stop_instance(lab.instance_a)
    lab.account.start_instance(lab.instance_a)
    assert routes()[VIP]["State"] == "active"


def test_a_route_to_a_detached_eni_is_created_as_a_blackhole(
    lab: Lab, ec2: Client, routes: Routes
) -> None:
    eni = lab.account.create_eni(lab.subnet_a)
    ec2.create_route(RouteTableId=lab.table, DestinationCidrBlock=VIP, NetworkInterfaceId=eni)
    assert routes()[VIP]["State"] == "blackhole"


@pytest.mark.parametrize("action", ["create_route", "replace_route", "delete_route"])
def test_a_dry_run_changes_nothing_and_looks_at_nothing(
    lab: Lab, ec2: Client, refused: Refused, routes: Routes, action: str
) -> None:
    lab.account.put_route(lab.table, VIP, lab.eni_a)
    target = {} if action == "delete_route" else {"NetworkInterfaceId": lab.eni_b}
    before = routes()
    assert refused(
        getattr(ec2, action),
        RouteTableId=lab.table,
        DestinationCidrBlock=VIP,
        DryRun=True,
        **target,
    ) == (412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    assert routes() == before


def test_a_dry_run_of_a_describe_is_a_dry_run(ec2: Client, refused: Refused) -> None:
    assert refused(ec2.describe_route_tables, DryRun=True)[1] == "DryRunOperation"


@pytest.mark.parametrize("cidr", ["300.1.1.1/32", "::/0", "10.9.0.0", "10.9.0.0/33"])
def test_what_is_no_ipv4_cidr_is_refused(
    lab: Lab, ec2: Client, refused: Refused, cidr: str
) -> None:
    assert refused(
        ec2.create_route,
        RouteTableId=lab.table,
        DestinationCidrBlock=cidr,
        NetworkInterfaceId=lab.eni_a,
    ) == (
        400,
        "InvalidParameterValue",
        (
            f"Value ({cidr}) for parameter destinationCidrBlock is invalid. "
            "This is not a valid CIDR block."
        ),
    )


def test_host_bits_are_dropped(lab: Lab, ec2: Client, routes: Routes) -> None:
    ec2.create_route(
        RouteTableId=lab.table,
        DestinationCidrBlock="100.68.0.18/18",
        NetworkInterfaceId=lab.eni_a,
    )
    assert "100.68.0.0/18" in routes()


@pytest.mark.parametrize(
    ("cidr", "code"),
    [
        ("10.0.1.9/32", "InvalidParameterValue"),  # inside the VPC, but no subnet
        ("169.254.169.254/32", "InvalidParameterValue"),
        ("169.254.168.0/22", "InvalidParameterValue"),
        ("10.0.0.0/16", "RouteAlreadyExists"),  # the VPC's own
    ],
)
def test_a_destination_that_ec2_forbids_is_refused(
    lab: Lab, ec2: Client, refused: Refused, cidr: str, code: str
) -> None:
    status, got, _ = refused(
        ec2.create_route,
        RouteTableId=lab.table,
        DestinationCidrBlock=cidr,
        NetworkInterfaceId=lab.eni_a,
    )
    assert (status, got) == (400, code)


def test_a_whole_subnet_may_be_routed_to_an_eni(lab: Lab, ec2: Client, routes: Routes) -> None:
    ec2.create_route(
        RouteTableId=lab.table, DestinationCidrBlock="10.0.2.0/24", NetworkInterfaceId=lab.eni_a
    )
    assert routes()["10.0.2.0/24"]["State"] == "active"


def test_a_whole_ipv6_subnet_may_be_routed_to_an_eni(lab: Lab, ec2: Client, routes: Routes) -> None:
    block = str(lab.account.view.subnets[lab.subnet_b].ipv6[0][1])
    ec2.create_route(
        RouteTableId=lab.table, DestinationIpv6CidrBlock=block, NetworkInterfaceId=lab.eni_a
    )
    assert routes()[block]["State"] == "active"


def test_a_subnet_can_not_be_routed_to_a_gateway(lab: Lab, ec2: Client, refused: Refused) -> None:
    gateway = lab.account.create_internet_gateway(lab.vpc)
    assert refused(
        ec2.create_route,
        RouteTableId=lab.table,
        DestinationCidrBlock="10.0.2.0/24",
        GatewayId=gateway,
    )[2] == (
        "The destination CIDR block 10.0.2.0/24 is equal to or more specific than one of this "
        "VPC's CIDR blocks. This route can target only an interface or an instance."
    )


def test_an_eni_of_another_vpc_is_refused(lab: Lab, ec2: Client, refused: Refused) -> None:
    other = lab.account.create_vpc(IPv4Network("10.9.0.0/16"))
    subnet = lab.account.create_subnet(other, "eu-central-1a", IPv4Network("10.9.1.0/24"))
    eni = lab.account.create_eni(subnet)
    assert refused(
        ec2.create_route, RouteTableId=lab.table, DestinationCidrBlock=VIP, NetworkInterfaceId=eni
    ) == (
        400,
        "InvalidParameterValue",
        f"route table {lab.table} and interface {eni} belong to different networks",
    )


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"NetworkInterfaceId": "eni"}, "MissingParameter"),
        ({"DestinationCidrBlock": VIP}, "MissingParameter"),
        (
            {"DestinationCidrBlock": VIP, "NetworkInterfaceId": "eni", "GatewayId": "igw-1"},
            "InvalidParameterCombination",
        ),
        (
            {
                "DestinationCidrBlock": VIP,
                "DestinationIpv6CidrBlock": VIP6,
                "NetworkInterfaceId": "eni",
            },
            "InvalidParameterCombination",
        ),
        (
            {
                "DestinationCidrBlock": VIP,
                "DestinationPrefixListId": "pl-00000099",
                "NetworkInterfaceId": "eni",
            },
            "InvalidParameterCombination",
        ),
    ],
)
def test_a_route_has_exactly_one_destination_and_one_target(
    lab: Lab, ec2: Client, refused: Refused, parameters: dict[str, str], code: str
) -> None:
    given = {key: lab.eni_a if it == "eni" else it for key, it in parameters.items()}
    assert refused(ec2.create_route, RouteTableId=lab.table, **given)[1] == code


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        (
            {"RouteTableId": "rtb-00000099"},
            ("InvalidRouteTableID.NotFound", "The routeTable ID 'rtb-00000099' does not exist"),
        ),
        (
            {"RouteTableId": "rtb-oops"},
            ("InvalidRouteTableId.Malformed", 'Invalid id: "rtb-oops" (expecting "rtb-...")'),
        ),
        (
            {"NetworkInterfaceId": "eni-00000099"},
            (
                "InvalidNetworkInterfaceID.NotFound",
                "The networkInterface ID 'eni-00000099' does not exist",
            ),
        ),
        (
            {"NetworkInterfaceId": "eni-oops"},
            ("InvalidNetworkInterfaceId.Malformed", 'Invalid id: "eni-oops" (expecting "eni-...")'),
        ),
    ],
)
def test_an_unknown_id_is_not_found_and_a_bad_one_malformed(
    lab: Lab, ec2: Client, refused: Refused, changed: dict[str, str], answer: tuple[str, str]
) -> None:
    parameters = {
        "RouteTableId": lab.table,
        "DestinationCidrBlock": VIP,
        "NetworkInterfaceId": lab.eni_a,
    }
    assert refused(ec2.create_route, **(parameters | changed)) == (400, *answer)


def test_the_gateway_called_local_does_not_exist(lab: Lab, ec2: Client, refused: Refused) -> None:
    assert refused(
        ec2.create_route, RouteTableId=lab.table, DestinationCidrBlock=VIP, GatewayId="local"
    ) == (400, "InvalidGatewayID.NotFound", "The gateway ID 'local' does not exist")


def test_an_instance_with_two_enis_is_no_target(lab: Lab, ec2: Client, refused: Refused) -> None:
    assert refused(
        ec2.create_route,
        RouteTableId=lab.table,
        DestinationCidrBlock=VIP,
        InstanceId=lab.instance_a,
    ) == (
        400,
        "InvalidInstanceID",
        (
            f"There are multiple interfaces attached to instance '{lab.instance_a}'. "
            "Please specify an interface ID for the operation instead."
        ),
    )


def test_an_instance_with_one_eni_stands_for_it(lab: Lab, ec2: Client, routes: Routes) -> None:
    instance = lab.account.run_instance(lab.subnet_a)
    ec2.create_route(RouteTableId=lab.table, DestinationCidrBlock=VIP, InstanceId=instance)
    assert routes()[VIP]["NetworkInterfaceId"] == lab.account.primary_eni(instance)


def test_a_replace_that_is_refused_leaves_the_old_target(
    lab: Lab, ec2: Client, refused: Refused, routes: Routes
) -> None:
    gateway = lab.account.create_internet_gateway(lab.vpc)
    ec2.create_route(RouteTableId=lab.table, DestinationCidrBlock=VIP, GatewayId=gateway)
    refused(
        ec2.replace_route,
        RouteTableId=lab.table,
        DestinationCidrBlock=VIP,
        NetworkInterfaceId="eni-00000099",
    )
    assert routes()[VIP]["GatewayId"] == gateway


def test_replacing_a_route_that_is_not_there_has_ec2s_own_text(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    assert refused(
        ec2.replace_route,
        RouteTableId=lab.table,
        DestinationCidrBlock=VIP,
        NetworkInterfaceId=lab.eni_a,
    ) == (
        400,
        "InvalidParameterValue",
        f"There is no route defined for '{VIP}' in the route table. Use CreateRoute instead.",
    )


def test_a_local_route_takes_an_eni_and_gets_its_target_back(
    lab: Lab, ec2: Client, routes: Routes
) -> None:
    local = {"RouteTableId": lab.table, "DestinationCidrBlock": "10.0.0.0/16"}
    ec2.replace_route(**local, NetworkInterfaceId=lab.eni_a)
    assert routes()["10.0.0.0/16"]["NetworkInterfaceId"] == lab.eni_a
    assert "GatewayId" not in routes()["10.0.0.0/16"]
    ec2.replace_route(**local, LocalTarget=True)
    assert routes()["10.0.0.0/16"]["GatewayId"] == "local"


def test_a_local_route_can_not_be_deleted(lab: Lab, ec2: Client, refused: Refused) -> None:
    assert refused(
        ec2.delete_route, RouteTableId=lab.table, DestinationCidrBlock="10.0.0.0/16"
    ) == (
        400,
        "InvalidParameterValue",
        f"cannot remove local route 10.0.0.0/16 in route table {lab.table}",
    )


def test_deleting_a_route_that_is_not_there_is_not_found(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    assert refused(ec2.delete_route, RouteTableId=lab.table, DestinationCidrBlock=VIP) == (
        400,
        "InvalidRoute.NotFound",
        f"no route with destination-cidr-block {VIP} in route table {lab.table}",
    )


def test_a_full_table_takes_no_more_routes_of_that_family(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    for number in range(500):
        lab.account.put_route(lab.table, f"172.16.{number // 256}.{number % 256}/32", lab.eni_a)
    parameters: dict[str, Any] = {
        "RouteTableId": lab.table,
        "NetworkInterfaceId": lab.eni_a,
    }
    refusal = refused(ec2.create_route, DestinationCidrBlock=VIP, **parameters)
    assert refusal[:2] == (400, "RouteLimitExceeded")
    ec2.create_route(DestinationIpv6CidrBlock=VIP6, **parameters)


def test_an_edge_table_refuses_destinations_outside_the_vpc(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    gateway = lab.account.create_internet_gateway(lab.vpc)
    edge = lab.account.create_route_table(lab.vpc, gateway=gateway)
    refusal = refused(
        ec2.create_route,
        RouteTableId=edge,
        DestinationCidrBlock=VIP,
        NetworkInterfaceId=lab.eni_a,
    )
    assert refusal[:2] == (400, "InvalidParameterValue")
    ec2.create_route(
        RouteTableId=edge, DestinationCidrBlock="10.0.2.0/24", NetworkInterfaceId=lab.eni_a
    )


def test_a_static_route_and_a_propagated_one_live_side_by_side(lab: Lab, ec2: Client) -> None:
    lab.account.put_route(lab.table, VIP, "vgw-0000000000000000f", propagated=True)
    ec2.create_route(RouteTableId=lab.table, DestinationCidrBlock=VIP, NetworkInterfaceId=lab.eni_a)
    [table] = ec2.describe_route_tables(RouteTableIds=[lab.table])["RouteTables"]
    origins = [it["Origin"] for it in table["Routes"] if it.get("DestinationCidrBlock") == VIP]
    assert origins == ["CreateRoute", "EnableVgwRoutePropagation"]
    [state] = [it for it in lab.account.state().tables if it.id == lab.table]
    assert [it.target for it in state.routes if str(it.destination) == VIP] == [lab.eni_a]


def test_the_main_route_table_can_not_be_deleted(lab: Lab, ec2: Client, refused: Refused) -> None:
    main = lab.account.main_route_table(lab.vpc)
    assert refused(ec2.delete_route_table, RouteTableId=main) == (
        400,
        "DependencyViolation",
        f"The routeTable '{main}' has dependencies and cannot be deleted.",
    )
