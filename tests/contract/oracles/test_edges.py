"""The agent's edges against AWS's examples: the values that they read, what they send."""

import json
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from contract.oracles import beside
from contract.oracles.asked import REGION, Asked, wire
from contract.oracles.examples import (
    BARE_SUBNET,
    BARE_TABLE,
    DEFAULT_VPC,
    ENIS,
    FREE,
    MODIFIED,
    OTHER,
    SUBNETS,
    TABLE,
    TABLES,
    VPC,
)
from vipmanager.core.actions import (
    CloudAction,
    CreateRoute,
    DeleteRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
)
from vipmanager.core.values import (
    CloudRoute,
    DesiredRoute,
    Eni,
    EniId,
    InstanceId,
    Mac,
    RouteTable,
    RouteTableId,
    Subnet,
    SubnetId,
    Target,
    TargetKind,
    VpcId,
    eni_target,
)
from vipmanager.edges.aws.ec2 import Ec2
from vipmanager.edges.aws.zonal import ZonalShifts, ZonePlace
from vipmanager.edges.memory import MemoryFence

ENI = EniId("eni-e5aa89a3")


def local(cidr: str) -> CloudRoute:
    return CloudRoute(
        destination=ip_network(cidr), target=Target(kind=TargetKind.LOCAL, id="local")
    )


def default(target: str, *, blackhole: bool = False) -> CloudRoute:
    return CloudRoute(
        destination=ip_network("0.0.0.0/0"),
        target=Target(kind=TargetKind.OTHER, id=target),
        blackhole=blackhole,
    )


def test_route_tables_are_read_as_the_examples_have_them(aws: Asked, ec2: Ec2) -> None:
    everything = {"RouteTables": [*TABLES, BARE_TABLE]}
    aws.answers["DescribeRouteTables"] = 200, wire("ec2", "DescribeRouteTables", everything)
    private, main, public, bare = ec2.route_tables([VpcId(VPC), VpcId(DEFAULT_VPC)])
    assert private == RouteTable(
        id=RouteTableId("rtb-09ba434c1bEXAMPLE"),
        vpc=VpcId(VPC),
        main=True,
        routes=(local("10.0.0.0/16"), default("nat-06c018cbd8EXAMPLE", blackhole=True)),
    )
    assert (main.id, main.main, main.subnets) == ("rtb-a1eec7de", True, ())
    assert main.routes == (local("172.31.0.0/16"), default("igw-fEXAMPLE"))
    assert (public.main, public.subnets) == (False, ("subnet-0d3d002af8EXAMPLE",))
    assert public.routes == (local("10.0.0.0/16"), default("igw-06cf664d80EXAMPLE"))
    assert (bare.vpc, bare.routes) == ("vpc-a01106c2", (local("10.0.0.0/16"),))


def test_subnets_are_read_as_the_examples_have_them(aws: Asked, ec2: Ec2) -> None:
    everything = {"Subnets": [*SUBNETS, BARE_SUBNET]}
    aws.answers["DescribeSubnets"] = 200, wire("ec2", "DescribeSubnets", everything)
    wanted = (
        ("subnet-0bb1c79de3EXAMPLE", "vpc-0ee975135dEXAMPLE", "172.31.80.0/20", "us-east-1d"),
        ("subnet-8EXAMPLE", DEFAULT_VPC, "172.31.80.0/20", "us-east-1d"),
        ("subnet-9d4a7b6c", "vpc-a01106c2", "10.0.1.0/24", "us-east-1c"),
    )
    assert ec2.subnets([VpcId(DEFAULT_VPC)]) == tuple(
        Subnet(id=SubnetId(name), vpc=VpcId(vpc), networks=(ip_network(cidr),), zone=zone)
        for name, vpc, cidr, zone in wanted
    )


def test_enis_are_read_as_the_examples_have_them(aws: Asked, ec2: Ec2) -> None:
    everything = {"NetworkInterfaces": [*ENIS, FREE]}
    aws.answers["DescribeNetworkInterfaces"] = (
        200,
        wire("ec2", "DescribeNetworkInterfaces", everything),
    )
    vpc, subnet = VpcId("vpc-a01106c2"), SubnetId("subnet-b61f49f0")
    assert ec2.enis_by_id([ENI]) == (
        Eni(
            id=ENI,
            mac=Mac("02:2f:8f:b0:cf:75"),
            addresses=frozenset({ip_address("10.0.1.17")}),
            instance=InstanceId("i-1234567890abcdef0"),
            attached=True,
            device_index=1,
            zone="us-east-1d",
            vpc=vpc,
            subnet=subnet,
        ),
        Eni(
            id=EniId("eni-f9ba99bf"),
            mac=Mac("02:58:f5:ef:4b:06"),
            addresses=frozenset({ip_address("10.0.1.149")}),
            instance=InstanceId("i-0598c7d356eba48d7"),
            attached=True,
            zone="us-east-1d",
            vpc=vpc,
            subnet=subnet,
        ),
        Eni(
            id=EniId("eni-b9a5ac93"),
            mac=Mac("12:2c:bd:f9:bf:17"),
            vpc=VpcId("vpc-8941ebec"),
            subnet=SubnetId("subnet-31d6c219"),
            addresses=frozenset({ip_address("10.0.1.55"), ip_address("10.0.1.117")}),
            attached=False,
            zone="us-east-1d",
            tags=MappingProxyType({"Purpose": "Prod"}),
        ),
    )


# --- what is sent --------------------------------------------------------------------------------

Read = Callable[[Ec2], object]
READS: tuple[tuple[Read, str, dict[str, list[str]]], ...] = (
    (
        lambda e: e.route_tables([VpcId("vpc-1"), VpcId("vpc-2")]),
        "RouteTables",
        {"vpc-id": ["vpc-1", "vpc-2"]},
    ),
    (lambda e: e.subnets([VpcId("vpc-1")]), "Subnets", {"vpc-id": ["vpc-1"]}),
    (lambda e: e.enis_by_id([ENI]), "NetworkInterfaces", {"network-interface-id": [ENI]}),
    (lambda e: e.enis_in([SubnetId("subnet-1")]), "NetworkInterfaces", {"subnet-id": ["subnet-1"]}),
    (
        lambda e: e.instance_enis(InstanceId("i-1")),
        "NetworkInterfaces",
        {"attachment.instance-id": ["i-1"]},
    ),
    (
        lambda e: e.enis_by_mac([Mac("02:2f:8f:b0:cf:75")]),
        "NetworkInterfaces",
        {"mac-address": ["02:2f:8f:b0:cf:75"], "attachment.status": ["attached"]},
    ),
)


def steer(table: str, destination: str) -> DesiredRoute:
    return DesiredRoute(table=RouteTableId(table), destination=ip_network(destination), eni=ENI)


BEFORE = eni_target(EniId("eni-1"))
WRITES: tuple[tuple[CloudAction, dict[str, Any]], ...] = (
    (
        CreateRoute(steer=steer(TABLE, "0.0.0.0/0"), reason="test"),
        {
            "RouteTableId": TABLE,
            "DestinationCidrBlock": "0.0.0.0/0",
            "NetworkInterfaceId": ENI,
        },
    ),
    (
        CreateRoute(steer=steer(OTHER, "::/0"), reason="test"),
        {"RouteTableId": OTHER, "DestinationIpv6CidrBlock": "::/0", "NetworkInterfaceId": ENI},
    ),
    (
        ReplaceRoute(steer=steer(TABLE, "10.0.0.0/16"), before=BEFORE, reason="test"),
        {
            "RouteTableId": TABLE,
            "DestinationCidrBlock": "10.0.0.0/16",
            "NetworkInterfaceId": ENI,
        },
    ),
    (
        DeleteRoute(
            table=RouteTableId(TABLE),
            destination=ip_network("0.0.0.0/0"),
            before=BEFORE,
            reason="test",
        ),
        {"RouteTableId": TABLE, "DestinationCidrBlock": "0.0.0.0/0"},
    ),
    (
        DisableSourceDestCheck(eni=EniId(MODIFIED), reason="test"),
        {"NetworkInterfaceId": MODIFIED, "SourceDestCheck": {"Value": False}},
    ),
)


@pytest.mark.parametrize("reading", READS, ids=lambda r: f"{r[1]} by {', '.join(r[2])}")
def test_a_reading_is_sent_as_botocore_sends_it(
    aws: Asked,
    ec2: Ec2,
    make: Callable[[str, str], Any],
    reading: tuple[Read, str, dict[str, list[str]]],
) -> None:
    read, key, filters = reading
    aws.answers[f"Describe{key}"] = 200, wire("ec2", f"Describe{key}", {key: []})
    read(ec2)
    call = {"RouteTables": "route_tables", "Subnets": "subnets"}.get(key, "network_interfaces")
    getattr(make("ec2", "all"), f"describe_{call}")(
        Filters=[{"Name": name, "Values": values} for name, values in filters.items()],
        MaxResults=100,
    )
    ours, botocores = aws.forms
    assert ours == botocores


@pytest.mark.parametrize("dry", [False, True], ids=["", "dry run"])
@pytest.mark.parametrize(("action", "fields"), WRITES, ids=lambda v: type(v).__name__)
def test_a_write_is_sent_as_botocore_sends_it(
    aws: Asked,
    ec2: Ec2,
    make: Callable[[str, str], Any],
    action: CloudAction,
    fields: dict[str, Any],
    *,
    dry: bool,
) -> None:
    call = {
        "CreateRoute": "create_route",
        "ReplaceRoute": "replace_route",
        "DeleteRoute": "delete_route",
    }.get(type(action).__name__, "modify_network_interface_attribute")
    aws.answers[type(action).__name__] = 200, b"<Response><return>true</return></Response>"
    aws.answers["ModifyNetworkInterfaceAttribute"] = 200, b"<Response/>"
    if dry:
        ec2.permits(action)
    else:
        ec2.write(action, MemoryFence())
    getattr(make("ec2", "all"), call)(**fields, **({"DryRun": True} if dry else {}))
    ours, botocores = aws.forms
    assert ours == botocores


# --- the services beside EC2 ---------------------------------------------------------------------


def sts(operation: str) -> bytes:
    """The example, with credentials that are still good."""
    (example,) = (e for e in beside.EXAMPLES if e.operation == operation)
    key = {**beside.KEY, "Expiration": "2099-05-19T18:06:10+00:00"}
    return wire("sts", operation, {**example.answers, "Credentials": key})


def signs(aws: Asked) -> tuple[str, str]:
    headers = aws.requests[-1].headers
    return headers["authorization"], headers["x-amz-security-token"]


def test_an_assumed_role_signs_with_the_examples_credentials(aws: Asked) -> None:
    aws.answers["AssumeRole"] = 200, sts("AssumeRole")
    aws.answers["DescribeRouteTables"] = 200, wire("ec2", "DescribeRouteTables", {})
    ec2 = Ec2(route_role=beside.ROLE)
    ec2.connect(REGION)
    ec2.route_tables([VpcId(VPC)])
    ec2.close()
    assert aws.forms[0] == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": beside.ROLE,
        "RoleSessionName": "vipmanager",
    }
    authorization, token = signs(aws)
    assert f"Credential={beside.KEY['AccessKeyId']}/" in authorization
    assert token == beside.KEY["SessionToken"]


def test_a_web_identity_signs_with_the_examples_credentials(
    aws: Asked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("Atza%7CIQEBLjAsAhRF")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token_file))
    monkeypatch.setenv("AWS_ROLE_ARN", beside.WEB_ROLE)
    monkeypatch.setenv("AWS_ROLE_SESSION_NAME", "app1")
    aws.answers["AssumeRoleWithWebIdentity"] = 200, sts("AssumeRoleWithWebIdentity")
    aws.answers["DescribeSubnets"] = 200, wire("ec2", "DescribeSubnets", {})
    ec2 = Ec2()
    ec2.connect(REGION)
    ec2.subnets([VpcId(VPC)])
    ec2.close()
    assert aws.forms[0] == {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": beside.WEB_ROLE,
        "RoleSessionName": "app1",
        "WebIdentityToken": "Atza%7CIQEBLjAsAhRF",
    }
    authorization, token = signs(aws)
    assert f"Credential={beside.KEY['AccessKeyId']}/" in authorization
    assert token == beside.KEY["SessionToken"]


def test_a_zonal_shift_is_read_as_the_model_has_it(aws: Asked) -> None:
    (example,) = (e for e in beside.EXAMPLES if e.service == "arc-zonal-shift")
    aws.answers["GET"] = 200, json.dumps(example.answers).encode()
    shifts = ZonalShifts(REGION)
    left = ZonePlace(shifts, beside.CLUSTER, lambda: "use1-az1")
    stayed = ZonePlace(shifts, beside.CLUSTER, lambda: "use1-az2")
    assert left.why_leave() == "zone use1-az1 is shifted away (zonal shift)"
    assert stayed.why_leave() == ""
