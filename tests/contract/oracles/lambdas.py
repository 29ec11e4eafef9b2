"""The same for what the functions of deploy/lambda call, beside the agent's own operations."""

from contract.oracles.examples import IN_USE, Example

GROUP = {"GroupName": "my-security-group", "GroupId": "sg-09dfba7ed20cda78b"}
SUBNET = "subnet-00a24d0d67acf6333"
ENI = {
    "AvailabilityZone": "us-west-2a",
    "Description": "an interface",
    "Groups": [GROUP],
    "InterfaceType": "interface",
    "MacAddress": "06:b8:68:d2:b2:2d",
    "NetworkInterfaceId": "eni-05da417453f9a84bf",
    "OwnerId": "123456789012",
    "PrivateDnsName": "ip-10-0-8-18.us-west-2.compute.internal",
    "PrivateIpAddress": "10.0.8.18",
    "PrivateIpAddresses": [
        {
            "Primary": True,
            "PrivateDnsName": "ip-10-0-8-18.us-west-2.compute.internal",
            "PrivateIpAddress": "10.0.8.18",
        }
    ],
    "RequesterId": "AIDA4Z3Y7GSXTMEXAMPLE",
    "RequesterManaged": False,
    "SourceDestCheck": True,
    "Status": "pending",
    "SubnetId": SUBNET,
    "TagSet": [],
    "VpcId": "vpc-02723a0feeeb9d57b",
}
SIX = "2600:1f13:cfe:3650:a1dc:237c:393a:4ba7"
RESERVATION = {
    # The example asks for 10.1.0.20/26 and is given this one.
    "SubnetCidrReservationId": "scr-044f977c4eEXAMPLE",
    "SubnetId": "subnet-03c51e2e6cEXAMPLE",
    "Cidr": "10.1.0.16/28",
    "ReservationType": "prefix",
    "OwnerId": "123456789012",
}
INSTANCE = {
    # What the function reads, and what stands around it; the example has some forty fields more.
    "InstanceId": "i-1234567890abcdef0",
    "InstanceType": "t3.nano",
    "State": {"Code": 16, "Name": "running"},
    "Placement": {"AvailabilityZone": "us-east-2a", "GroupName": "", "Tenancy": "default"},
    "SubnetId": "subnet-04a636d18e83cfacb",
    "VpcId": "vpc-1234567890abcdef0",
    "SourceDestCheck": True,
    "NetworkInterfaces": [
        {
            "Attachment": {
                "AttachTime": "2022-11-15T10:48:59+00:00",
                "AttachmentId": "eni-attach-1234567890abcdefg",
                "DeleteOnTermination": True,
                "DeviceIndex": 0,
                "Status": "attached",
                "NetworkCardIndex": 0,
            },
            "Description": "",
            "Groups": IN_USE["Groups"],
            "Ipv6Addresses": [],
            "MacAddress": "00:11:22:33:44:55",
            "NetworkInterfaceId": "eni-1234567890abcdefg",
            "OwnerId": "104024344472",
            "PrivateDnsName": "ip-10-0-0-157.us-east-2.compute.internal",
            "PrivateIpAddress": "10.0.0.157",
            "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": "10.0.0.157"}],
            "SourceDestCheck": True,
            "Status": "in-use",
            "SubnetId": "subnet-1234567890abcdefg",
            "VpcId": "vpc-1234567890abcdefg",
            "InterfaceType": "interface",
        }
    ],
}
NETWORK = {
    "NetworkPerformance": "Low to Moderate",
    "MaximumNetworkInterfaces": 2,
    "Ipv4AddressesPerInterface": 2,
    "Ipv6AddressesPerInterface": 2,
    "Ipv6Supported": True,
    "EnaSupport": "unsupported",
}

EXAMPLES = (
    Example(
        operation="CreateNetworkInterface",
        source="aws-cli, number 1",
        asks={
            "SubnetId": SUBNET,
            "Description": "an interface",
            "Groups": [GROUP["GroupId"]],
            "PrivateIpAddress": "10.0.8.17",
            "ClientToken": "a token",
        },
        form={
            "SubnetId": SUBNET,
            "Description": "an interface",
            "SecurityGroupId.1": GROUP["GroupId"],
            "PrivateIpAddress": "10.0.8.17",
            "ClientToken": "a token",
        },
        answers={"NetworkInterface": ENI},
    ),
    Example(
        operation="CreateNetworkInterface",
        source="aws-cli, number 2",
        asks={
            "SubnetId": SUBNET,
            "Ipv6AddressCount": 1,
            "Groups": [GROUP["GroupId"]],
            "ClientToken": "another token",
        },
        form={
            "SubnetId": SUBNET,
            "Ipv6AddressCount": "1",
            "SecurityGroupId.1": GROUP["GroupId"],
            "ClientToken": "another token",
        },
        answers={
            "NetworkInterface": {
                **ENI,
                "Ipv6Address": SIX,
                "Ipv6Addresses": [{"Ipv6Address": SIX, "IsPrimaryIpv6": False}],
            }
        },
    ),
    Example(
        operation="AttachNetworkInterface",
        source="aws-cli, number 1",
        asks={
            "NetworkInterfaceId": "eni-0dc56a8d4640ad10a",
            "InstanceId": "i-1234567890abcdef0",
            "DeviceIndex": 1,
        },
        form={
            "NetworkInterfaceId": "eni-0dc56a8d4640ad10a",
            "InstanceId": "i-1234567890abcdef0",
            "DeviceIndex": "1",
        },
        answers={"AttachmentId": "eni-attach-01a8fc87363f07cf9"},
    ),
    Example(
        operation="AttachNetworkInterface",
        source="aws-cli, number 2",
        asks={
            "NetworkInterfaceId": "eni-07483b1897541ad83",
            "InstanceId": "i-01234567890abcdef",
            "NetworkCardIndex": 1,
            "DeviceIndex": 1,
        },
        form={
            "NetworkInterfaceId": "eni-07483b1897541ad83",
            "InstanceId": "i-01234567890abcdef",
            "NetworkCardIndex": "1",
            "DeviceIndex": "1",
        },
        answers={"AttachmentId": "eni-attach-0fbd7ee87a88cd06c"},
    ),
    Example(
        operation="DetachNetworkInterface",
        source="aws-cli, number 1",
        asks={"AttachmentId": "eni-attach-66c4350a"},
        form={"AttachmentId": "eni-attach-66c4350a"},
    ),
    Example(
        operation="DeleteNetworkInterface",
        source="aws-cli, number 1",
        asks={"NetworkInterfaceId": "eni-e5aa89a3"},
        form={"NetworkInterfaceId": "eni-e5aa89a3"},
    ),
    Example(
        operation="DescribeInstances",
        source="aws-cli, number 1",
        asks={"InstanceIds": ["i-1234567890abcdef0"]},
        form={"InstanceId.1": "i-1234567890abcdef0"},
        answers={"Reservations": [{"Groups": [], "Instances": [INSTANCE]}]},
    ),
    Example(
        operation="DescribeInstanceTypes",
        source="aws-cli, number 1",  # whose option has the name of another command
        asks={"InstanceTypes": ["t2.micro"]},
        form={"InstanceType.1": "t2.micro"},
        answers={"InstanceTypes": [{"InstanceType": "t2.micro", "NetworkInfo": NETWORK}]},
    ),
    Example(
        operation="GetSubnetCidrReservations",
        source="aws-cli, number 1",
        asks={"SubnetId": RESERVATION["SubnetId"]},
        form={"SubnetId": RESERVATION["SubnetId"]},
        answers={
            "SubnetIpv4CidrReservations": [RESERVATION],
            "SubnetIpv6CidrReservations": [],
        },
    ),
    Example(
        operation="CreateSubnetCidrReservation",
        source="aws-cli, number 1",
        asks={
            "SubnetId": "subnet-03c51e2eEXAMPLE",
            "ReservationType": "prefix",
            "Cidr": "10.1.0.20/26",
        },
        form={
            "SubnetId": "subnet-03c51e2eEXAMPLE",
            "ReservationType": "prefix",
            "Cidr": "10.1.0.20/26",
        },
        answers={"SubnetCidrReservation": RESERVATION},
    ),
    Example(
        operation="DeleteSubnetCidrReservation",
        source="aws-cli, number 1",
        asks={"SubnetCidrReservationId": RESERVATION["SubnetCidrReservationId"]},
        form={"SubnetCidrReservationId": RESERVATION["SubnetCidrReservationId"]},
        answers={"DeletedSubnetCidrReservation": RESERVATION},
    ),
    Example(
        service="autoscaling",
        operation="CompleteLifecycleAction",
        source="aws-cli, number 1",
        asks={
            "LifecycleHookName": "my-launch-hook",
            "AutoScalingGroupName": "my-asg",
            "LifecycleActionResult": "CONTINUE",
            "LifecycleActionToken": "bcd2f1b8-9a78-44d3-8a7a-4dd07d7cf635",
        },
        form={
            "LifecycleHookName": "my-launch-hook",
            "AutoScalingGroupName": "my-asg",
            "LifecycleActionResult": "CONTINUE",
            "LifecycleActionToken": "bcd2f1b8-9a78-44d3-8a7a-4dd07d7cf635",
        },
    ),
)
