"""EC2's and STS's protocols by botocore's vectors, in the shapes that the agent uses.

Source: boto/botocore at 0e6e240, `tests/unit/protocols/{input,output}/{ec2,query}.json`; a row
names the vector whose rule it holds. Vectors of shapes that our models do not have (maps, blobs,
floats, enums of numbers, flattened lists, times in a request) are left out, and a test says so.
"""

import json
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from contract.oracles.asked import Asked, wire
from contract.oracles.test_examples import method
from vipmanager.core.values import EniId, RouteTable, TargetKind, VpcId
from vipmanager.edges.aws.ec2 import Ec2
from vipmanager.edges.aws.session import MODELS
from vipmanager_lab.ec2.query import filters, flag, indexed, parse

VPC = VpcId("vpc-1")
ROLE = {"RoleArn": "arn:aws:iam::123456789012:role/a", "RoleSessionName": "a1"}
SENT: list[tuple[str, str, str, dict[str, Any], dict[str, str]]] = [
    # The vectors, the service, the operation, the input, and the form beside Action and Version.
    ("Ec2QueryEmptyInputAndEmptyOutput", "ec2", "DescribeSubnets", {}, {}),
    (
        "Ec2Lists, Ec2ListNestedStructWithList, Ec2ListMemberWithXmlName",
        "ec2",
        "DescribeSubnets",
        {
            "Filters": [{"Name": "a", "Values": ["1", "2"]}, {"Name": "b", "Values": ["3"]}],
        },
        {
            "Filter.1.Name": "a",
            "Filter.1.Value.1": "1",
            "Filter.1.Value.2": "2",
            "Filter.2.Name": "b",
            "Filter.2.Value.1": "3",
        },
    ),
    (
        "Ec2ListMemberWithXmlName, of more than nine",
        "ec2",
        "DescribeSubnets",
        {"SubnetIds": [f"subnet-{n}" for n in range(1, 13)]},
        {f"SubnetId.{n}": f"subnet-{n}" for n in range(1, 13)},
    ),
    ("Ec2EmptyQueryLists", "ec2", "DescribeSubnets", {"SubnetIds": [], "Filters": []}, {}),
    (
        "Ec2SimpleInputParamsStringAndBooleanTrue, Ec2SimpleInputParamsInteger",
        "ec2",
        "DescribeSubnets",
        {"DryRun": True, "MaxResults": 10},
        {"DryRun": "true", "MaxResults": "10"},
    ),
    (
        "Ec2NestedStructures, Ec2SimpleInputParamsStringsAndBooleanFalse",
        "ec2",
        "ModifyNetworkInterfaceAttribute",
        {"NetworkInterfaceId": "eni-1", "SourceDestCheck": {"Value": False}},
        {"NetworkInterfaceId": "eni-1", "SourceDestCheck.Value": "false"},
    ),
    (
        "Ec2Query, Ec2QueryIsPreferred, Ec2XmlNameIsUppercased",
        "ec2",
        "CreateRoute",
        {
            "RouteTableId": "rtb-1",
            "DestinationIpv6CidrBlock": "::/0",
            "NetworkInterfaceId": "eni-1",
        },
        {
            "RouteTableId": "rtb-1",
            "DestinationIpv6CidrBlock": "::/0",
            "NetworkInterfaceId": "eni-1",
        },
    ),
    (
        "Ec2SimpleInputParamsStrings, with what a form escapes",
        "ec2",
        "DescribeSubnets",
        {"Filters": [{"Name": "tag:a b&c=d", "Values": ["é+%\n"]}]},
        {"Filter.1.Name": "tag:a b&c=d", "Filter.1.Value.1": "é+%\n"},
    ),
    (
        "QueryLists",
        "sts",
        "AssumeRole",
        {
            **ROLE,
            "Tags": [{"Key": "k", "Value": "v"}, {"Key": "l", "Value": "w"}],
            "TransitiveTagKeys": ["k", "l"],
        },
        {
            **ROLE,
            "Tags.member.1.Key": "k",
            "Tags.member.1.Value": "v",
            "Tags.member.2.Key": "l",
            "Tags.member.2.Value": "w",
            "TransitiveTagKeys.member.1": "k",
            "TransitiveTagKeys.member.2": "l",
        },
    ),
    (
        "EmptyQueryLists: not left out, as EC2's are",
        "sts",
        "AssumeRole",
        {
            **ROLE,
            "PolicyArns": [],
        },
        {
            **ROLE,
            "PolicyArns": "",
        },
    ),
    (
        "QuerySimpleInputParamsInteger",
        "sts",
        "AssumeRoleWithWebIdentity",
        {
            **ROLE,
            "WebIdentityToken": "to.ken",
            "DurationSeconds": 900,
        },
        {
            **ROLE,
            "WebIdentityToken": "to.ken",
            "DurationSeconds": "900",
        },
    ),
]


def test_our_models_have_no_shape_whose_vectors_are_left_out() -> None:
    used = set()
    for path in [*MODELS.glob("ec2/*/service-2.json"), *MODELS.glob("sts/*/service-2.json")]:
        model = json.loads(path.read_text())
        used |= {shape["type"] for shape in model["shapes"].values()}
        assert not any(shape.get("flattened") for shape in model["shapes"].values())
        asked = {o["input"]["shape"] for o in model["operations"].values()}
        members = [m for name in asked for m in model["shapes"][name]["members"].values()]
        assert all(model["shapes"][m["shape"]]["type"] != "timestamp" for m in members)
    assert used == {"structure", "list", "string", "integer", "boolean", "timestamp"}


@pytest.mark.parametrize("vector", SENT, ids=lambda v: v[0])
def test_a_request_is_sent_by_the_vectors(
    aws: Asked,
    make: Callable[[str, str], Any],
    vector: tuple[str, str, str, dict[str, Any], dict[str, str]],
) -> None:
    _, service, operation, asks, form = vector
    made = make(service, "our")
    aws.answers[operation] = 200, wire(service, operation, {})
    getattr(made, method(operation))(**asks)
    version = made.meta.service_model.api_version
    assert aws.forms == [{"Action": operation, "Version": version, **form}]
    (request,) = aws.requests
    content, _, charset = request.headers["content-type"].partition(";")
    assert content == "application/x-www-form-urlencoded"
    assert charset.strip() in {"", "charset=utf-8"}


def test_the_lab_understands_a_request_by_the_vectors() -> None:
    body = "&".join(
        (
            "Filter.1.Name=a&Filter.1.Value.1=1&Filter.1.Value.2=2",
            "Filter.2.Name=tag%3Ab&Filter.2.Value.1=%C3%A9%2B%25",
            "DryRun=true&Other=false",
            *(f"SubnetId.{n}=subnet-{n}" for n in range(12, 0, -1)),
        )
    )
    read = parse("", body.encode())
    assert [(f.name, f.values) for f in filters(read)] == [("a", ("1", "2")), ("tag:b", ("é+%",))]
    assert (flag(read, "DryRun"), flag(read, "Other"), flag(read, "Absent")) == (True, False, False)
    assert indexed(read, "SubnetId") == tuple(f"subnet-{n}" for n in range(1, 13))
    assert indexed(parse("", b"SubnetId="), "SubnetId") == ()


# --- answers -------------------------------------------------------------------------------------


def tables(aws: Asked, ec2: Ec2, items: str, around: str = "{}") -> tuple[RouteTable, ...]:
    aws.answers["DescribeRouteTables"] = 200, around.format(items).encode()
    return ec2.route_tables([VPC])


START = '<DescribeRouteTablesResponse xmlns="http://ec2.amazonaws.com/doc/{}/">'
END = "</DescribeRouteTablesResponse>"
TABLE = (
    "<routeTableSet><item><routeTableId>rtb-1</routeTableId><vpcId>vpc-1</vpcId>{}</item>"
    "</routeTableSet>"
)
ROUTE = (
    "<routeSet><item><destinationCidrBlock>192.0.2.1/32</destinationCidrBlock>"
    "<networkInterfaceId>eni-1</networkInterfaceId><state>active</state>"
    "<origin>CreateRoute</origin></item></routeSet>"
)
WRAPPED = {
    "Ec2XmlNamespaces: EC2's own": START.format("2016-11-15") + "{}" + END,
    "Ec2XmlNamespaces: of another version": START.format("2014-06-15") + "{}" + END,
    "Ec2XmlNamespaces: none": "<DescribeRouteTablesResponse>{}" + END,
    "Ec2IgnoresWrappingXmlName": "<Something>{}</Something>",
    "Ec2GreetingWithErrors: with a declaration, spaces and fields of tomorrow": (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + START.format("2016-11-15") + "\n  <requestId>"
        "r</requestId>\n  {}\n  <tomorrow><item>x</item></tomorrow>\n" + END + "\n"
    ),
}


@pytest.mark.parametrize("around", WRAPPED.values(), ids=WRAPPED)
def test_an_answer_is_read_whatever_is_around_it(aws: Asked, ec2: Ec2, around: str) -> None:
    (table,) = tables(aws, ec2, TABLE.format(ROUTE), around)
    (route,) = table.routes
    assert (table.id, table.vpc) == ("rtb-1", "vpc-1")
    assert route.destination == ip_network("192.0.2.1/32")
    assert (route.target.kind, route.target.id) == (TargetKind.ENI, "eni-1")


@pytest.mark.parametrize("empty", ["<{0}/>", "<{0}></{0}>", "<{0}> </{0}>", ""])
def test_an_empty_list_is_empty_however_it_is_written(aws: Asked, ec2: Ec2, empty: str) -> None:
    """Ec2XmlEmptyLists."""
    sets = "".join(empty.format(name) for name in ("routeSet", "associationSet", "tagSet"))
    around = START.format("2016-11-15") + "{}" + END
    (table,) = tables(aws, ec2, TABLE.format(sets), around)
    assert (table.routes, table.subnets, dict(table.tags)) == ((), (), {})
    assert tables(aws, ec2, empty.format("routeTableSet"), around) == ()


def test_an_empty_string_is_no_target_and_no_instance(aws: Asked, ec2: Ec2) -> None:
    """Ec2SimpleScalarProperties: a closed element is the empty string, not an absent one."""
    route = ROUTE.replace("<state>", "<gatewayId/><instanceId/><destinationPrefixListId/><state>")
    associations = (
        "<associationSet><item><subnetId/><gatewayId/><main>true</main></item></associationSet>"
    )
    around = START.format("2016-11-15") + "{}" + END
    (table,) = tables(aws, ec2, TABLE.format(route + associations), around)
    (found,) = table.routes
    assert (found.target.kind, found.target.id, found.target.instance) == (
        TargetKind.ENI,
        "eni-1",
        None,
    )
    assert (table.main, table.subnets, table.edges) == (True, (), ())


def test_a_route_of_a_gateway_endpoint_is_left_out(aws: Asked, ec2: Ec2) -> None:
    """TestAccVPCRoute_doesNotCrashWithVPCEndpoint: its destination is a prefix list of AWS's."""
    endpoint = (
        "<item><destinationPrefixListId>pl-63a5400a</destinationPrefixListId>"
        "<gatewayId>vpce-0123456789abcdef0</gatewayId><state>active</state>"
        "<origin>CreateRoute</origin></item></routeSet>"
    )
    around = START.format("2016-11-15") + "{}" + END
    three = ROUTE.replace("</routeSet>", endpoint)
    (table,) = tables(aws, ec2, TABLE.format(three), around)
    assert [str(route.destination) for route in table.routes] == ["192.0.2.1/32"]


def eni(aws: Asked, ec2: Ec2, fields: str) -> Any:  # noqa: ANN401
    aws.answers["DescribeNetworkInterfaces"] = (
        200,
        (
            "<DescribeNetworkInterfacesResponse><networkInterfaceSet><item>"
            "<networkInterfaceId>eni-1</networkInterfaceId><vpcId>vpc-1</vpcId>"
            f"<subnetId>subnet-1</subnetId>{fields}</item></networkInterfaceSet>"
            "</DescribeNetworkInterfacesResponse>"
        ).encode(),
    )
    (found,) = ec2.enis_by_id([EniId("eni-1")])
    return found


@pytest.mark.parametrize(
    "when",
    [
        "2014-04-29T18:30:38Z",  # Ec2XmlTimestamps
        "2000-01-02T20:34:56.123Z",  # Ec2QueryDateTimeWithFractionalSeconds
        "2019-12-16T22:48:18-01:00",  # Ec2QueryDateTimeWithNegativeOffset
        "2019-12-17T00:48:18+01:00",  # Ec2QueryDateTimeWithPositiveOffset
    ],
)
def test_an_eni_is_read_with_its_numbers_and_truths_at_any_time(
    aws: Asked, ec2: Ec2, when: str
) -> None:
    """Ec2SimpleScalarProperties, Ec2XmlLists, Ec2RecursiveShapes."""
    found = eni(
        aws,
        ec2,
        "<sourceDestCheck>false</sourceDestCheck><macAddress>02:AB:00:00:00:01</macAddress>"
        "<attachment><deviceIndex>3</deviceIndex><networkCardIndex>1</networkCardIndex>"
        f"<status>attached</status><instanceId>i-1</instanceId><attachTime>{when}</attachTime>"
        "<deleteOnTermination>true</deleteOnTermination></attachment>"
        "<privateIpAddressesSet><item><privateIpAddress>10.0.0.4</privateIpAddress></item>"
        "<item><privateIpAddress>10.0.0.5</privateIpAddress></item></privateIpAddressesSet>"
        "<ipv6AddressesSet><item><ipv6Address>2001:db8::4</ipv6Address></item></ipv6AddressesSet>",
    )
    assert (found.source_dest_check, found.mac) == (False, "02:ab:00:00:00:01")
    assert (found.device_index, found.card_index, found.attached) == (3, 1, True)
    assert found.addresses == {*map(ip_address, ("10.0.0.4", "10.0.0.5", "2001:db8::4"))}
