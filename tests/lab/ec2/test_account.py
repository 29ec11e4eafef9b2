"""Seeding, the state for the router, word of changes, credentials."""

from __future__ import annotations

import time
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from vipmanager_lab.ec2.account import Account

if TYPE_CHECKING:
    from lab.ec2.conftest import Client, Lab, MakeClient, Refused, Routes

VIP = "198.51.100.7/32"


def test_the_state_shows_the_vpc_as_the_router_needs_it(lab: Lab) -> None:
    lab.account.put_route(lab.table, VIP, lab.eni_a)
    state = lab.account.state()
    assert [it.id for it in state.vpcs] == [lab.vpc]
    assert {it.id for it in state.subnets} == {lab.subnet_a, lab.subnet_b}
    eni = next(it for it in state.enis if it.id == lab.eni_a)
    assert (eni.instance, eni.device_index, eni.instance_running) == (lab.instance_a, 1, True)
    table = next(it for it in state.tables if it.id == lab.table)
    assert (table.main, table.subnets, table.tags) == (False, (lab.subnet_a,), (("vip", "yes"),))
    assert [(str(it.destination), it.target) for it in table.routes if it.target != "local"] == [
        (VIP, lab.eni_a)
    ]
    assert sum(it.target == "local" for it in table.routes) == 2


def test_the_state_shows_blackholes(lab: Lab) -> None:
    lab.account.put_route(lab.table, VIP, lab.eni_a)
    lab.account.stop_instance(lab.instance_a)
    table = next(it for it in lab.account.state().tables if it.id == lab.table)
    assert [it.state for it in table.routes if str(it.destination) == VIP] == ["blackhole"]


def test_a_secondary_cidr_becomes_a_local_route(lab: Lab, ec2: Client, routes: Routes) -> None:
    ec2.associate_vpc_cidr_block(VpcId=lab.vpc, CidrBlock="10.64.0.0/16")
    assert routes()["10.64.0.0/16"]["GatewayId"] == "local"
    assert lab.account.state().vpcs[0].ipv4 == (
        IPv4Network("10.0.0.0/16"),
        IPv4Network("10.64.0.0/16"),
    )


def test_subscribers_hear_of_each_change_and_of_no_refusal(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    heard: list[int] = []
    lab.account.subscribe(lambda: heard.append(len(lab.account.state().tables)))
    route = {"RouteTableId": lab.table, "DestinationCidrBlock": VIP}
    ec2.create_route(**route, NetworkInterfaceId=lab.eni_a)
    refused(ec2.create_route, **route, NetworkInterfaceId=lab.eni_b)
    ec2.replace_route(**route, NetworkInterfaceId=lab.eni_a)  # to what it is
    ec2.create_tags(Resources=[lab.table], Tags=[{"Key": "a", "Value": "b"}])
    lab.account.create_route_table(lab.vpc)
    assert heard == [2, 2, 3]


def test_a_table_tagged_over_the_api_shows_its_tags(lab: Lab, ec2: Client) -> None:
    ec2.create_tags(Resources=[lab.table], Tags=[{"Key": "a", "Value": "<&>"}])
    [table] = ec2.describe_route_tables(RouteTableIds=[lab.table])["RouteTables"]
    assert {"Key": "a", "Value": "<&>"} in table["Tags"]
    lab.account.tag_route_table(lab.table, {"a": "c"})
    assert ("a", "c") in lab.account.view.tables[lab.table].tags


def test_a_dropped_route_is_gone_and_a_deleted_table_too(lab: Lab) -> None:
    lab.account.put_route(lab.table, VIP, lab.eni_a)
    lab.account.drop_route(lab.table, VIP)
    assert not lab.account.view.tables[lab.table].static
    spare = lab.account.create_route_table(lab.vpc)
    lab.account.delete_route_table(spare)
    assert spare not in lab.account.view.tables


def test_two_accounts_in_one_process_share_nothing(lab: Lab) -> None:
    other = Account(lab.account.id)
    assert not other.view.vpcs
    other.create_vpc(IPv4Network("10.0.0.0/16"))
    assert list(lab.account.view.vpcs) == [lab.vpc]


def test_expired_credentials_are_refused_as_each_service_does(
    lab: Lab, make_client: MakeClient, refused: Refused
) -> None:
    old = lab.account.issue_credentials(-1)
    ec2 = make_client(lab.port, key=old.key, token=old.token)
    sts = make_client(lab.port, "sts", key=old.key, token=old.token)
    assert refused(ec2.describe_route_tables)[:2] == (400, "RequestExpired")
    assert refused(sts.get_caller_identity)[:2] == (403, "ExpiredToken")


def test_issued_credentials_need_their_token_and_can_be_revoked(
    lab: Lab, make_client: MakeClient, refused: Refused
) -> None:
    good = lab.account.issue_credentials(60)
    make_client(lab.port, key=good.key, token=good.token).describe_route_tables()
    bare = make_client(lab.port, key=good.key)
    assert refused(bare.describe_route_tables)[:2] == (401, "AuthFailure")
    lab.account.credentials.revoke(good.key)
    again = make_client(lab.port, key=good.key, token=good.token)
    assert refused(again.describe_route_tables)[1] == "AuthFailure"


def test_an_assumed_roles_key_is_seen_in_the_calls(lab: Lab, make_client: MakeClient) -> None:
    sts = make_client(lab.port, "sts")
    role = sts.assume_role(
        RoleArn=f"arn:aws:iam::{lab.account.id}:role/router", RoleSessionName="vipmanager"
    )["Credentials"]
    ec2 = make_client(lab.port, key=role["AccessKeyId"], token=role["SessionToken"])
    ec2.describe_route_tables()
    assert lab.endpoint.calls[-1].access_key == role["AccessKeyId"]
    assert lab.account.caller(role["AccessKeyId"]).endswith(":assumed-role/router/vipmanager")


def test_a_view_from_before_is_kept(lab: Lab) -> None:
    lab.account.put_route(lab.table, VIP, lab.eni_a)
    lab.account.put_route(lab.table, VIP, lab.eni_b)
    before = lab.account.view_before(writes=1).tables[lab.table].static
    assert [it.target for it in before.values()] == [lab.eni_a]
    assert lab.account.view_before(seconds=time.monotonic()) is lab.account.view_before(
        writes=10**6
    )
