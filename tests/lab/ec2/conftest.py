"""A VPC in two zones, its endpoint, and real clients that talk to it over loopback."""

import itertools
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from vipmanager_lab.ec2.account import Account
from vipmanager_lab.ec2.endpoint import Endpoint
from vipmanager_lab.ec2.faults import Faults

_ACCOUNTS = itertools.count(100_000_000_000)
_SESSION = botocore.session.Session()  # it caches the EC2 model, which is slow to read


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Two subnets, an instance with a second ENI in each, and a custom route table."""

    account: Account
    faults: Faults
    endpoint: Endpoint
    port: int
    vpc: str
    subnet_a: str
    subnet_b: str
    instance_a: str
    instance_b: str
    eni_a: str
    eni_b: str
    table: str


@pytest.fixture
def lab() -> Iterator[Lab]:
    account = Account(str(next(_ACCOUNTS)))
    vpc = account.create_vpc(IPv4Network("10.0.0.0/16"), ipv6=True)
    subnet_a = account.create_subnet(vpc, "eu-central-1a", IPv4Network("10.0.1.0/24"), ipv6=1)
    subnet_b = account.create_subnet(vpc, "eu-central-1b", IPv4Network("10.0.2.0/24"), ipv6=2)
    instance_a, instance_b = account.run_instance(subnet_a), account.run_instance(subnet_b)
    eni_a, eni_b = account.create_eni(subnet_a), account.create_eni(subnet_b)
    account.attach(eni_a, instance_a, 1)
    account.attach(eni_b, instance_b, 1)
    table = account.create_route_table(vpc, tags={"vip": "yes"}, subnets=[subnet_a])
    faults = Faults()
    endpoint = Endpoint(account, faults)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    endpoint.listen(listener)
    yield Lab(
        account=account,
        faults=faults,
        endpoint=endpoint,
        port=port,
        vpc=vpc,
        subnet_a=subnet_a,
        subnet_b=subnet_b,
        instance_a=instance_a,
        instance_b=instance_b,
        eni_a=eni_a,
        eni_b=eni_b,
        table=table,
    )
    endpoint.close()


Client = Any  # botocore makes its clients at run time
MakeClient = Callable[..., Client]


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Clients with one attempt per call, closed when the test ends."""
    clients: list[Any] = []

    def make(
        port: int,
        service: str = "ec2",
        *,
        key: str = "AKIAIOSFODNN7EXAMPLE",
        token: str | None = None,
        url: str = "http://127.0.0.1",
        verify: str | None = None,
        read_timeout: float = 5,
        pool: int = 10,
    ) -> Client:
        client = _SESSION.create_client(
            service,
            region_name="eu-central-1",
            endpoint_url=f"{url}:{port}",
            aws_access_key_id=key,
            aws_secret_access_key="secret",
            aws_session_token=token,
            verify=verify,
            config=Config(
                retries={"total_max_attempts": 1},
                connect_timeout=2,
                read_timeout=read_timeout,
                max_pool_connections=pool,
                proxies={},
            ),
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def ec2(lab: Lab, make_client: MakeClient) -> Client:
    return make_client(lab.port)


def _refused(call: Callable[..., object], **parameters: object) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    error = response["Error"]
    return response["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"]


Refused = Callable[..., tuple[int, str, str]]


@pytest.fixture
def refused() -> Refused:
    """Make a call that must fail: its HTTP status, code and message."""
    return _refused


Routes = Callable[..., dict[str, dict[str, str]]]


@pytest.fixture
def routes(lab: Lab, ec2: Client) -> Routes:
    """The routes of a table as EC2 describes them, by destination."""

    def read(table: str = lab.table) -> dict[str, dict[str, str]]:
        [described] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        return {
            route.get("DestinationCidrBlock") or route["DestinationIpv6CidrBlock"]: route
            for route in described["Routes"]
        }

    return read
