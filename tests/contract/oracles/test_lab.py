"""The lab's EC2 and STS answer the examples' requests with the fields and types of the examples."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import pytest

from contract.oracles.asked import Asked, client, shape
from contract.oracles.examples import Example
from contract.oracles.test_examples import EVERY, method, written
from lab.ec2.test_prefix_lists import changed
from vipmanager_lab.ec2.account import Account
from vipmanager_lab.ec2.endpoint import Endpoint

LACKS = {
    # Nothing in the lab has a public address, an Outpost, or DNS hostnames, which a VPC has only
    # where someone switches them on.
    ("CustomerOwnedIpv4Pool", "str"),
    *{
        (f"{where}Association.{name}", "str")
        for where in ("", "PrivateIpAddresses[].")
        for name in ("AssociationId", "IpOwnerId", "PublicDnsName", "PublicIp")
    },
    ("PrivateDnsName", "str"),
    ("PrivateIpAddresses[].PrivateDnsName", "str"),
    ("NetworkInterfaces[].PrivateDnsName", "str"),
    # moto's CreateNetworkInterface; nobody reads them.
    ("Ipv6Address", "str"),
    ("Ipv6Addresses[].IsPrimaryIpv6", "bool"),
    # Who a token is from: the lab's can't be read.
    ("Audience", "str"),
    ("Provider", "str"),
    ("SubjectFromWebIdentityToken", "str"),
}
"""Fields of an answer's resource that the lab leaves out."""

RESOURCE = (
    "Reservations[].Instances[].",
    "NetworkInterfaces[].",
    "NetworkInterface.",
    "Subnets[].",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A node with a second ENI, a reservation, and a free ENI for whoever asks for one."""

    clients: Mapping[str, Any]
    has: Mapping[str, Callable[[], Any]]
    """What stands for each field of an example's request."""

    def asks(self, example: Example) -> dict[str, Any]:
        """The example's request, about what is in the lab."""
        return {k: self.has[k]() if k in self.has else v for k, v in example.asks.items()}


def prefix_list(account: Account, ec2: Any) -> str:  # noqa: ANN401 - botocore's
    made = ec2.create_managed_prefix_list(
        AddressFamily="IPv4",
        MaxEntries=5,
        PrefixListName="list",
        Entries=[{"Cidr": "10.0.0.0/16", "Description": "vpc-a"}],
    )["PrefixList"]["PrefixListId"]
    changed(account, made, "create-complete")
    return str(made)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    account = Account("123456789012")
    vpc = account.create_vpc(IPv4Network("10.0.0.0/16"), ipv6=True)
    subnet = account.create_subnet(vpc, "eu-central-1a", IPv4Network("10.0.8.0/24"), ipv6=1)
    instance = account.run_instance(subnet)
    eni = account.create_eni(subnet, tags={"Purpose": "Prod"})
    account.attach(eni, instance, 2)
    tie = account.view.enis[eni].attachment
    assert tie is not None
    gateway = account.create_internet_gateway(vpc)
    table = account.create_route_table(vpc, subnets=[subnet])
    account.put_route(table, "203.0.113.0/24", "nat-06c018cbd8EXAMPLE")
    for target in ("eigw-01eadbd45ecd7943f", "pcx-1a2b3c4d"):
        account.put_route(table, "198.51.100.0/24", target)
    endpoint = Endpoint(account)
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint.listen(listener)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with ExitStack() as stack:
        stack.callback(endpoint.close)
        clients = {name: stack.enter_context(client(name, url)) for name in ("ec2", "sts")}
        clients["ec2"].create_tags(Resources=[subnet], Tags=[{"Key": "Name", "Value": "MySubnet"}])
        made = clients["ec2"].create_subnet_cidr_reservation(
            SubnetId=subnet, Cidr="10.0.8.128/28", ReservationType="prefix"
        )["SubnetCidrReservation"]
        has: dict[str, Callable[[], Any]] = {
            "Attachment": lambda: {"AttachmentId": tie.id, "DeleteOnTermination": False},
            "AttachmentId": lambda: tie.id,
            "Cidr": lambda: "10.0.8.64/26",
            "GatewayId": lambda: gateway,
            "Groups": lambda: [account.view.enis[eni].groups[0][0]],
            "InstanceId": lambda: instance,
            "InstanceIds": lambda: [instance],
            "NetworkInterfaceId": lambda: account.create_eni(subnet),
            "NetworkInterfaceIds": lambda: [eni],
            "PrefixListId": lambda: prefix_list(account, clients["ec2"]),
            "RouteTableId": lambda: table,
            "RouteTableIds": lambda: [table],
            "SubnetCidrReservationId": lambda: made["SubnetCidrReservationId"],
            "SubnetId": lambda: subnet,
            "VpcId": lambda: vpc,
        }
        yield Lab(clients=clients, has=has)


def without(found: tuple[str, str]) -> tuple[str, str]:
    path, kind = found
    for start in RESOURCE:
        path = path.removeprefix(start)
    return path, kind


NOTHING = ("ReplaceRoute", "DeleteRoute")
"""Whose answers have no fields."""
ANSWERED = [e for e in EVERY if e.service in {"ec2", "sts"} and not e.operation.startswith(NOTHING)]


@pytest.mark.parametrize("example", ANSWERED, ids=lambda e: e.name)
def test_the_lab_answers_an_example_with_its_fields_and_types(
    lab: Lab, aws: Asked, make: Callable[[str, str], Any], example: Example
) -> None:
    aws.answers[example.operation] = 200, written(example)
    call = method(example.operation)
    real = {*shape(getattr(make(example.service, "all"), call)(**example.asks))}
    asks = lab.asks(example)
    match asks:
        case {"Filters": [{"Name": "vpc-id"}]}:
            asks = {}
        case {"DestinationCidrBlock": "10.0.0.0/16"}:  # the peer's VPC, and the lab's own
            asks["DestinationCidrBlock"] = "10.1.0.0/16"
        case _:
            pass
    said = {*shape(getattr(lab.clients[example.service], call)(**asks))}
    missing = {found for found in real - said if without(found) not in LACKS}
    assert not missing
