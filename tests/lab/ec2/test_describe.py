"""Filters, pages and ids of the describes."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lab.ec2.conftest import Client, Lab, Refused

VIP = "198.51.100.7/32"
VIP6 = "2001:db8::7/128"


def _tables(ec2: Client, **wanted: list[str]) -> set[str]:
    filters = [{"Name": name.replace("_", "-"), "Values": it} for name, it in wanted.items()]
    return {it["RouteTableId"] for it in ec2.describe_route_tables(Filters=filters)["RouteTables"]}


def test_tables_come_in_pages_and_every_table_once(lab: Lab, ec2: Client) -> None:
    for _ in range(10):
        lab.account.create_route_table(lab.vpc)
    pages = list(
        ec2.get_paginator("describe_route_tables").paginate(PaginationConfig={"PageSize": 5})
    )
    assert [len(page["RouteTables"]) for page in pages] == [5, 5, 2]
    assert len({it["RouteTableId"] for page in pages for it in page["RouteTables"]}) == 12


@pytest.mark.parametrize("action", ["subnets", "network_interfaces"])
def test_subnets_and_enis_come_in_pages(lab: Lab, ec2: Client, action: str) -> None:
    for _ in range(4):
        lab.account.create_eni(lab.subnet_a)
    first = getattr(ec2, f"describe_{action}")(MaxResults=5)
    assert ("NextToken" in first) is (action == "network_interfaces")


def test_without_max_results_there_is_one_page(lab: Lab, ec2: Client) -> None:
    for _ in range(120):
        lab.account.create_route_table(lab.vpc)
    answer = ec2.describe_route_tables()
    assert len(answer["RouteTables"]) == 122
    assert "NextToken" not in answer


@pytest.mark.parametrize("token", ["bogus", base64.urlsafe_b64encode(b"eni-1234abcd").decode()])
def test_a_bogus_token_is_refused(ec2: Client, refused: Refused, token: str) -> None:
    status, code, _ = refused(ec2.describe_route_tables, NextToken=token)
    assert (status, code) == (400, "InvalidNextToken")


def test_a_page_larger_than_a_hundred_tables_is_refused(ec2: Client, refused: Refused) -> None:
    assert refused(ec2.describe_route_tables, MaxResults=101)[1] == "InvalidParameterValue"


@pytest.mark.parametrize(
    "name", ["route.network-interface-id", "no-such-filter", "association.nothing"]
)
@pytest.mark.parametrize(
    "action", ["describe_route_tables", "describe_subnets", "describe_network_interfaces"]
)
def test_an_unknown_filter_is_refused_never_a_server_error(
    ec2: Client, refused: Refused, action: str, name: str
) -> None:
    refusal = refused(getattr(ec2, action), Filters=[{"Name": name, "Values": ["x"]}])
    assert refusal == (400, "InvalidParameterValue", f"The filter '{name}' is invalid")


def test_an_unknown_filter_of_motos_own_describes_is_refused_too(
    ec2: Client, refused: Refused
) -> None:
    refusal = refused(ec2.describe_vpcs, Filters=[{"Name": "no-such-filter", "Values": ["x"]}])
    assert refusal[:2] == (400, "InvalidParameterValue")


def test_tables_are_found_by_tag_with_wildcards(lab: Lab, ec2: Client) -> None:
    assert _tables(ec2, **{"tag:vip": ["y*"]}) == {lab.table}
    assert _tables(ec2, **{"tag:vip": ["ye?"]}) == {lab.table}
    assert _tables(ec2, **{"tag:vip": [r"ye\?"]}) == set()
    assert _tables(ec2, **{"tag:vip": ["no", "yes"]}) == {lab.table}
    assert _tables(ec2, tag_key=["v*"]) == {lab.table}


def test_tables_are_found_by_vpc_and_association(lab: Lab, ec2: Client) -> None:
    main = lab.account.main_route_table(lab.vpc)
    gateway = lab.account.create_internet_gateway(lab.vpc)
    edge = lab.account.create_route_table(lab.vpc, gateway=gateway)
    assert _tables(ec2, vpc_id=[lab.vpc]) == {main, edge, lab.table}
    assert _tables(ec2, **{"association.main": ["true"]}) == {main}
    assert _tables(ec2, **{"association.subnet-id": [lab.subnet_a]}) == {lab.table}
    assert _tables(ec2, **{"association.gateway-id": [gateway]}) == {edge}


def test_tables_are_found_by_their_routes(lab: Lab, ec2: Client) -> None:
    lab.account.put_route(lab.table, VIP, lab.eni_a)
    lab.account.put_route(lab.table, VIP6, lab.eni_a)
    assert _tables(ec2, **{"route.destination-ipv6-cidr-block": [VIP6]}) == {lab.table}
    assert _tables(ec2, **{"route.destination-cidr-block": [VIP]}) == {lab.table}
    assert _tables(ec2, **{"route.instance-id": [lab.instance_a]}) == {lab.table}
    assert _tables(ec2, **{"route.origin": ["CreateRoute"]}) == {lab.table}
    assert _tables(ec2, **{"route.state": ["blackhole"]}) == set()
    lab.account.detach(lab.eni_a)
    assert _tables(ec2, **{"route.state": ["blackhole"]}) == {lab.table}


def test_filters_are_joined_with_and(lab: Lab, ec2: Client) -> None:
    assert _tables(ec2, vpc_id=[lab.vpc], **{"association.main": ["false"]}) == {lab.table}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attachment.instance-id", "{lab.instance_a}"),
        ("mac-address", "{eni.mac}"),
        ("network-interface-id", "{eni.id}"),
        ("private-ip-address", "{eni.ipv4[0]}"),
        ("addresses.private-ip-address", "{eni.ipv4[1]}"),
        ("ipv6-addresses.ipv6-address", "{eni.ipv6[0]}"),
        ("subnet-id", "{lab.subnet_a}"),
    ],
)
def test_an_eni_is_found_by_what_the_agent_knows(
    lab: Lab, ec2: Client, name: str, value: str
) -> None:
    view = lab.account.view
    address = view.subnets[lab.subnet_a].ipv6[0][1][9]
    lab.account.assign_private_ip(lab.eni_a, address)
    lab.account.assign_private_ip(lab.eni_a, view.enis[lab.eni_a].ipv4[0] + 20)
    wanted = value.format(lab=lab, eni=lab.account.view.enis[lab.eni_a])
    filters = [
        {"Name": name, "Values": [wanted]},
        {"Name": "attachment.device-index", "Values": ["1"]},
        {"Name": "attachment.status", "Values": ["attached"]},
        {"Name": "status", "Values": ["in-use"]},
        {"Name": "vpc-id", "Values": [lab.vpc]},
    ]
    found = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    assert [it["NetworkInterfaceId"] for it in found] == [lab.eni_a]


def test_an_eni_is_described_with_its_attachment(lab: Lab, ec2: Client) -> None:
    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[lab.eni_a])["NetworkInterfaces"]
    attachment = found["Attachment"]
    assert attachment["InstanceId"] == lab.instance_a
    assert attachment["InstanceOwnerId"] == lab.account.id
    assert (attachment["DeviceIndex"], attachment["NetworkCardIndex"]) == (1, 0)
    assert attachment["Status"] == "attached"
    assert attachment["DeleteOnTermination"] is False
    assert found["SourceDestCheck"] is True
    assert found["Status"] == "in-use"
    assert (found["SubnetId"], found["VpcId"]) == (lab.subnet_a, lab.vpc)
    assert found["PrivateIpAddresses"][0] == {
        "PrivateIpAddress": found["PrivateIpAddress"],
        "Primary": True,
    }


def test_a_detached_eni_has_no_attachment_and_is_available(lab: Lab, ec2: Client) -> None:
    lab.account.detach(lab.eni_a)
    [found] = ec2.describe_network_interfaces(NetworkInterfaceIds=[lab.eni_a])["NetworkInterfaces"]
    assert "Attachment" not in found
    assert found["Status"] == "available"


def test_a_subnets_ipv6_block_is_associated_and_findable(lab: Lab, ec2: Client) -> None:
    block = str(lab.account.view.subnets[lab.subnet_a].ipv6[0][1])
    filters = [
        {"Name": "ipv6-cidr-block-association.ipv6-cidr-block", "Values": [block]},
        {"Name": "ipv6-cidr-block-association.state", "Values": ["associated"]},
        {"Name": "cidr-block", "Values": ["10.0.1.0/24"]},
    ]
    [found] = ec2.describe_subnets(Filters=filters)["Subnets"]
    assert found["SubnetId"] == lab.subnet_a
    [association] = found["Ipv6CidrBlockAssociationSet"]
    assert association["Ipv6CidrBlockState"] == {"State": "associated"}
    assert "Ipv6CidrBlock" not in found


def test_a_subnet_created_over_the_api_is_associated_too(lab: Lab, ec2: Client) -> None:
    block = lab.account.view.vpcs[lab.vpc].ipv6[0]
    answer = ec2.create_subnet(
        VpcId=lab.vpc,
        CidrBlock="10.0.9.0/24",
        Ipv6CidrBlock=str(next(block.subnets(new_prefix=64))),
    )["Subnet"]
    [association] = answer["Ipv6CidrBlockAssociationSet"]
    assert association["Ipv6CidrBlockState"]["State"] == "associated"
    assert answer["MapPublicIpOnLaunch"] is False
    assert answer["SubnetId"] in lab.account.view.subnets


def test_an_unknown_table_is_not_found_and_a_bad_id_malformed(
    ec2: Client, refused: Refused
) -> None:
    missing = refused(ec2.describe_route_tables, RouteTableIds=["rtb-00000099"])
    assert missing[1] == "InvalidRouteTableID.NotFound"
    bad = refused(ec2.describe_network_interfaces, NetworkInterfaceIds=["eni"])
    assert bad[1] == "InvalidNetworkInterfaceId.Malformed"
