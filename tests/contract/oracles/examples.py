"""What AWS's own examples say of the operations that the agent calls: what is sent, what comes.

Source: aws/aws-cli at 07c4fe3, `awscli/examples/SERVICE/OPERATION.rst`, the example of that number;
where it has no output or none of our target, boto/botocore at 0e6e240, `examples-1.json` of the
service. Identifiers, addresses and numbers are theirs; texts are not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One example of an operation."""

    service: str = "ec2"
    operation: str
    source: str
    asks: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    """What `asks` is on the wire, without Action and Version."""
    answers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.operation}: {self.source}"


TABLE, OTHER = "rtb-22574640", "rtb-dce620b8"
VPC, DEFAULT_VPC = "vpc-0065acced4EXAMPLE", "vpc-3EXAMPLE"
OWNER = "111122223333"
LOCAL = {"GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}
MADE = {"DestinationCidrBlock": "0.0.0.0/0", "Origin": "CreateRoute"}


def _table(
    number: str, vpc: str, cidr: str, tie: Mapping[str, Any], route: Mapping[str, Any]
) -> Mapping[str, Any]:
    return {
        "RouteTableId": number,
        "VpcId": vpc,
        "OwnerId": OWNER,
        "Associations": [{**tie, "RouteTableId": number}],
        "PropagatingVgws": [],
        "Tags": [],
        "Routes": [{"DestinationCidrBlock": cidr, **LOCAL}, {**MADE, **route}],
    }


TABLES = [
    _table(
        "rtb-09ba434c1bEXAMPLE",
        VPC,
        "10.0.0.0/16",
        {"Main": True, "RouteTableAssociationId": "rtbassoc-0df3f54e06EXAMPLE"},
        {"NatGatewayId": "nat-06c018cbd8EXAMPLE", "State": "blackhole"},
    ),
    _table(
        "rtb-a1eec7de",
        DEFAULT_VPC,
        "172.31.0.0/16",
        {"Main": True, "RouteTableAssociationId": "rtbassoc-9EXAMPLE"},
        {"GatewayId": "igw-fEXAMPLE", "State": "active"},
    ),
    _table(
        "rtb-07a98f76e5EXAMPLE",
        VPC,
        "10.0.0.0/16",
        {
            "Main": False,
            "RouteTableAssociationId": "rtbassoc-0b100c28b2EXAMPLE",
            "SubnetId": "subnet-0d3d002af8EXAMPLE",
        },
        {"GatewayId": "igw-06cf664d80EXAMPLE", "State": "active"},
    ),
]

BARE_TABLE = {
    "RouteTableId": "rtb-1f382e7d",
    "VpcId": "vpc-a01106c2",
    "Associations": [
        {
            "Main": True,
            "RouteTableAssociationId": "rtbassoc-d8ccddba",
            "RouteTableId": "rtb-1f382e7d",
        }
    ],
    "PropagatingVgws": [],
    "Tags": [],
    "Routes": [{"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}],
}
"""As EC2 answered before it told an owner and where a route is from."""


def _subnet(number: str, vpc: str, **more: Any) -> Mapping[str, Any]:  # noqa: ANN401 - of an answer
    return {
        "SubnetId": number,
        "VpcId": vpc,
        "OwnerId": OWNER,
        "SubnetArn": f"arn:aws:ec2:us-east-1:{OWNER}:subnet/{number}",
        "CidrBlock": "172.31.80.0/20",
        "Ipv6CidrBlockAssociationSet": [],
        "Ipv6Native": False,
        "AvailabilityZone": "us-east-1d",
        "AvailabilityZoneId": "use1-az2",
        "AvailableIpAddressCount": 4089,
        "State": "available",
        "DefaultForAz": True,
        "MapPublicIpOnLaunch": False,
        "MapCustomerOwnedIpOnLaunch": False,
        "AssignIpv6AddressOnCreation": False,
        "EnableDns64": False,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        **more,
    }


SUBNETS = [
    # The key of the pool is misspelled in the example.
    _subnet(
        "subnet-0bb1c79de3EXAMPLE",
        "vpc-0ee975135dEXAMPLE",
        MapCustomerOwnedIpOnLaunch=True,
        CustomerOwnedIpv4Pool="pool-2EXAMPLE",
    ),
    _subnet(
        "subnet-8EXAMPLE",
        DEFAULT_VPC,
        MapPublicIpOnLaunch=True,
        Tags=[{"Key": "Name", "Value": "MySubnet"}],
    ),
]
BARE_SUBNET = {
    "SubnetId": "subnet-9d4a7b6c",
    "VpcId": "vpc-a01106c2",
    "CidrBlock": "10.0.1.0/24",
    "AvailabilityZone": "us-east-1c",
    "AvailableIpAddressCount": 251,
    "State": "available",
    "DefaultForAz": False,
    "MapPublicIpOnLaunch": False,
}

PUBLIC = {
    "PublicIp": "203.0.113.12",
    "AssociationId": "eipassoc-0fbb766a",
    "PublicDnsName": "ec2-203-0-113-12.compute-1.amazonaws.com",
    "IpOwnerId": "123456789012",
}
AMAZONS = {"PublicIp": "198.51.100.0", "IpOwnerId": "amazon"}


def _eni(number: str, mac: str, address: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "NetworkInterfaceId": number,
        "MacAddress": mac,
        "SourceDestCheck": True,
        "Description": "an interface",
        "RequesterManaged": False,
        "Ipv6Addresses": [],
        "AvailabilityZone": "us-east-1d",
        "OwnerId": "123456789012",
        "TagSet": [],
        "PrivateIpAddress": address,
        **more,
    }


def _tie(number: str, instance: str, index: int, *, goes: bool) -> Mapping[str, Any]:
    return {
        "AttachmentId": number,
        "InstanceId": instance,
        "InstanceOwnerId": "123456789012",
        "DeviceIndex": index,
        "Status": "attached",
        "AttachTime": f"2013-11-30T23:3{6 - (not index)}:42.000Z",
        "DeleteOnTermination": goes,
    }


IN_USE = {
    "Status": "in-use",
    "VpcId": "vpc-a01106c2",
    "SubnetId": "subnet-b61f49f0",
    "Groups": [{"GroupName": "default", "GroupId": "sg-8637d3e3"}],
}
DNS = "ip-10-0-1-17.ec2.internal"
ENIS = [
    _eni(
        "eni-e5aa89a3",
        "02:2f:8f:b0:cf:75",
        "10.0.1.17",
        **IN_USE,
        Association=PUBLIC,
        PrivateDnsName=DNS,
        PrivateIpAddresses=[
            {
                "PrivateIpAddress": "10.0.1.17",
                "Primary": True,
                "PrivateDnsName": DNS,
                "Association": PUBLIC,
            }
        ],
        Attachment=_tie("eni-attach-66c4350a", "i-1234567890abcdef0", 1, goes=False),
    ),
    _eni(
        "eni-f9ba99bf",
        "02:58:f5:ef:4b:06",
        "10.0.1.149",
        **IN_USE,
        Association=AMAZONS,
        PrivateIpAddresses=[
            {"PrivateIpAddress": "10.0.1.149", "Primary": True, "Association": AMAZONS}
        ],
        Attachment=_tie("eni-attach-1b9db777", "i-0598c7d356eba48d7", 0, goes=True),
    ),
]
FREE = _eni(
    "eni-b9a5ac93",
    "12:2c:bd:f9:bf:17",
    "10.0.1.55",
    Status="available",
    VpcId="vpc-8941ebec",
    SubnetId="subnet-31d6c219",
    Groups=[{"GroupName": "MySG", "GroupId": "sg-905002f5"}],
    PrivateDnsName="ip-10-0-1-55.ec2.internal",
    PrivateIpAddresses=[
        {
            "PrivateIpAddress": f"10.0.1.{last}",
            "Primary": last == 55,
            "PrivateDnsName": f"ip-10-0-1-{last}.ec2.internal",
        }
        for last in (55, 117)
    ],
) | {"TagSet": [{"Key": "Purpose", "Value": "Prod"}]}

MODIFIED = "eni-686ea200"


def _filtered(operation: str, source: str, name: str, value: str, answers: Any) -> Example:  # noqa: ANN401
    return Example(
        operation=operation,
        source=source,
        asks={"Filters": [{"Name": name, "Values": [value]}]},
        form={"Filter.1.Name": name, "Filter.1.Value.1": value},
        answers=answers,
    )


def _route(operation: str, number: int, answers: Any = None, **fields: str) -> Example:  # noqa: ANN401
    """One of the three writes of a route, whose fields have the same names on the wire."""
    return Example(
        operation=operation,
        source=f"aws-cli, number {number}",
        asks=fields,
        form=fields,
        answers=answers or {},
    )


def _modified(number: int, asks: Mapping[str, Any], form: Mapping[str, str]) -> Example:
    eni = {"NetworkInterfaceId": MODIFIED}
    return Example(
        operation="ModifyNetworkInterfaceAttribute",
        source=f"aws-cli, number {number}",
        asks={**eni, **asks},
        form={**eni, **form},
    )


EXAMPLES = (
    _route(
        "CreateRoute",
        1,
        {"Return": True},
        RouteTableId=TABLE,
        DestinationCidrBlock="0.0.0.0/0",
        GatewayId="igw-c0a643a9",
    ),
    _route(
        "CreateRoute",
        2,
        {"Return": True},
        RouteTableId="rtb-g8ff4ea2",
        DestinationCidrBlock="10.0.0.0/16",
        VpcPeeringConnectionId="pcx-1a2b3c4d",
    ),
    _route(
        "CreateRoute",
        3,
        {"Return": True},
        RouteTableId=OTHER,
        DestinationIpv6CidrBlock="::/0",
        EgressOnlyInternetGatewayId="eigw-01eadbd45ecd7943f",
    ),
    _route(
        "ReplaceRoute",
        1,
        RouteTableId=TABLE,
        DestinationCidrBlock="10.0.0.0/16",
        GatewayId="vgw-9a4cacf3",
    ),
    _route("DeleteRoute", 1, RouteTableId=TABLE, DestinationCidrBlock="0.0.0.0/0"),
    Example(
        operation="DescribeRouteTables",
        source="aws-cli, number 1",
        answers={"RouteTables": TABLES},
    ),
    Example(
        operation="DescribeRouteTables",
        source="botocore, number 1",
        asks={"RouteTableIds": ["rtb-1f382e7d"]},
        form={"RouteTableId.1": "rtb-1f382e7d"},
        answers={"RouteTables": [BARE_TABLE]},
    ),
    Example(operation="DescribeSubnets", source="aws-cli, number 1", answers={"Subnets": SUBNETS}),
    _filtered(
        "DescribeSubnets", "aws-cli, number 2", "vpc-id", DEFAULT_VPC, {"Subnets": SUBNETS[1:]}
    ),
    _filtered("DescribeSubnets", "aws-cli, number 3", "tag:CostCenter", "123", {"Subnets": []}),
    _filtered(
        "DescribeSubnets",
        "botocore, number 1",
        "vpc-id",
        "vpc-a01106c2",
        {"Subnets": [BARE_SUBNET]},
    ),
    Example(
        operation="DescribeNetworkInterfaces",
        source="aws-cli, number 1",
        answers={"NetworkInterfaces": ENIS},
    ),
    _filtered(
        "DescribeNetworkInterfaces",
        "aws-cli, number 2",
        "tag:Purpose",
        "Prod",
        {"NetworkInterfaces": [FREE]},
    ),
    Example(
        operation="DescribeNetworkInterfaces",
        source="botocore, number 1",
        asks={"NetworkInterfaceIds": ["eni-e5aa89a3"]},
        form={"NetworkInterfaceId.1": "eni-e5aa89a3"},
        answers={"NetworkInterfaces": ENIS[:1]},
    ),
    _modified(
        1,
        {"Attachment": {"AttachmentId": "eni-attach-43348162", "DeleteOnTermination": False}},
        {
            "Attachment.AttachmentId": "eni-attach-43348162",
            "Attachment.DeleteOnTermination": "false",
        },
    ),
    _modified(2, {"Description": {"Value": "a text"}}, {"Description.Value": "a text"}),
    _modified(
        3,
        {"Groups": ["sg-903004f8", "sg-1a2b3c4d"]},
        {"SecurityGroupId.1": "sg-903004f8", "SecurityGroupId.2": "sg-1a2b3c4d"},
    ),
    _modified(4, {"SourceDestCheck": {"Value": False}}, {"SourceDestCheck.Value": "false"}),
)
"""Of what the agent calls of EC2."""
