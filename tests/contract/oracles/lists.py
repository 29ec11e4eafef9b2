"""The same for what works on scratch tables and prefix lists: `vipmanager measure`."""

from contract.oracles.examples import Example

LIST = {
    "PrefixListId": "pl-0123456abcabcabc1",
    "AddressFamily": "IPv4",
    "PrefixListArn": "arn:aws:ec2:us-west-2:123456789012:prefix-list/pl-0123456abcabcabc1",
    "PrefixListName": "vpc-cidrs",
    "MaxEntries": 10,
    "Version": 1,
    "OwnerId": "123456789012",
}
SIX = {
    "PrefixListId": "pl-11223344556677aab",
    "AddressFamily": "IPv6",
    "State": "create-complete",
    "PrefixListArn": "arn:aws:ec2:us-west-2:123456789012:prefix-list/pl-11223344556677aab",
    "PrefixListName": "vpc-ipv6-cidrs",
    "MaxEntries": 25,
    "Version": 1,
    "Tags": [],
    "OwnerId": "123456789012",
}
ENTRIES = [
    {"Cidr": "10.0.0.0/16", "Description": "vpc-a"},
    {"Cidr": "10.2.0.0/16", "Description": "vpc-b"},
]

EXAMPLES = (
    Example(
        operation="CreateManagedPrefixList",
        source="aws-cli, number 1",
        asks={
            "AddressFamily": "IPv4",
            "MaxEntries": 10,
            "Entries": ENTRIES,
            "PrefixListName": "vpc-cidrs",
            "ClientToken": "a token",  # botocore gives one where there is none
        },
        form={
            "AddressFamily": "IPv4",
            "MaxEntries": "10",
            "Entry.1.Cidr": "10.0.0.0/16",
            "Entry.1.Description": "vpc-a",
            "Entry.2.Cidr": "10.2.0.0/16",
            "Entry.2.Description": "vpc-b",
            "PrefixListName": "vpc-cidrs",
            "ClientToken": "a token",
        },
        answers={"PrefixList": {**LIST, "State": "create-in-progress", "Tags": []}},
    ),
    Example(
        # The version is still the one before.
        operation="ModifyManagedPrefixList",
        source="aws-cli, number 1",
        asks={
            "PrefixListId": LIST["PrefixListId"],
            "AddEntries": [{"Cidr": "10.1.0.0/16", "Description": "vpc-c"}],
            "CurrentVersion": 1,
        },
        form={
            "PrefixListId": "pl-0123456abcabcabc1",
            "AddEntry.1.Cidr": "10.1.0.0/16",
            "AddEntry.1.Description": "vpc-c",
            "CurrentVersion": "1",
        },
        answers={"PrefixList": {**LIST, "State": "modify-in-progress"}},
    ),
    Example(
        operation="DeleteManagedPrefixList",
        source="aws-cli, number 1",
        asks={"PrefixListId": LIST["PrefixListId"]},
        form={"PrefixListId": "pl-0123456abcabcabc1"},
        answers={"PrefixList": {**LIST, "State": "delete-in-progress"}},
    ),
    Example(
        operation="DescribeManagedPrefixLists",
        source="aws-cli, number 1",
        asks={"Filters": [{"Name": "owner-id", "Values": ["123456789012"]}]},
        form={"Filter.1.Name": "owner-id", "Filter.1.Value.1": "123456789012"},
        answers={"PrefixLists": [SIX, {**LIST, "State": "create-complete", "Tags": []}]},
    ),
    Example(
        operation="GetManagedPrefixListEntries",
        source="aws-cli, number 1",
        asks={"PrefixListId": LIST["PrefixListId"]},
        form={"PrefixListId": "pl-0123456abcabcabc1"},
        answers={"Entries": ENTRIES},
    ),
    Example(
        operation="CreateRouteTable",
        source="aws-cli, number 1",
        asks={"VpcId": "vpc-a01106c2", "ClientToken": "a token"},
        form={"VpcId": "vpc-a01106c2", "ClientToken": "a token"},
        answers={
            "RouteTable": {
                "Associations": [],
                "RouteTableId": "rtb-22574640",
                "VpcId": "vpc-a01106c2",
                "PropagatingVgws": [],
                "Tags": [],
                "Routes": [
                    {"GatewayId": "local", "DestinationCidrBlock": "10.0.0.0/16", "State": "active"}
                ],
            }
        },
    ),
    Example(
        operation="DeleteRouteTable",
        source="aws-cli, number 1",
        asks={"RouteTableId": "rtb-22574640"},
        form={"RouteTableId": "rtb-22574640"},
    ),
)
