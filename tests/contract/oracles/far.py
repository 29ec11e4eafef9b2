"""The lab's EC2 over HTTP, as terraform-provider-aws's acceptance tests set up the real one."""

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import pytest
from botocore.exceptions import ClientError

from contract.oracles.asked import client
from vipmanager.edges.aws.ec2 import Ec2
from vipmanager_lab.ec2.account import Account
from vipmanager_lab.ec2.endpoint import Endpoint

GATEWAYS = ("cagw", "eigw", "lgw", "nat", "pcx", "tgw", "vgw", "vpce")


@dataclass(frozen=True, slots=True, kw_only=True)
class Far:
    """One VPC with every kind of target, and a client of each kind."""

    account: Account
    endpoint: Endpoint
    botocores: Any
    ours: Ec2
    vpc: str
    has: Mapping[str, str]
    """Each target by its prefix, and `single` and `several`, instances with one ENI and with
    three: `primary`, `one` and `two`; `free` is attached nowhere."""

    def table(self, **more: Any) -> str:  # noqa: ANN401
        return self.account.create_route_table(self.vpc, **more)

    def routes(self, table: str) -> list[dict[str, str]]:
        (found,) = self.botocores.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        routes: list[dict[str, str]] = found["Routes"]
        return routes

    def made(self, table: str) -> list[dict[str, str]]:
        """The routes beside the VPC's own."""
        return [r for r in self.routes(table) if r["Origin"] != "CreateRouteTable"]


def seeded(account: Account, vpc: str) -> dict[str, str]:
    subnet = account.create_subnet(vpc, "eu-central-1a", IPv4Network("10.1.1.0/24"), ipv6=1)
    single, several = account.run_instance(subnet), account.run_instance(subnet)
    one, two, free = (account.create_eni(subnet) for _ in range(3))
    account.attach(one, several, 1)
    account.attach(two, several, 2)
    has = {
        "igw": account.create_internet_gateway(vpc),
        "single": single,
        "several": several,
        "primary": account.primary_eni(single),
        "one": one,
        "two": two,
        "free": free,
    }
    scratch = account.create_route_table(vpc)
    for kind in GATEWAYS:
        has[kind] = f"{kind}-0123456789abcdef0"
        account.put_route(scratch, "198.51.100.0/24", has[kind])
    return has


@contextmanager
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    account = Account("123456789012")
    vpc = account.create_vpc(IPv4Network("10.1.0.0/16"), ipv6=True)
    endpoint = Endpoint(account)
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint.listen(listener)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    ours = Ec2()
    ours.connect("eu-central-1")
    try:
        with client("ec2", url) as botocores:
            yield Far(
                account=account,
                endpoint=endpoint,
                botocores=botocores,
                ours=ours,
                vpc=vpc,
                has=seeded(account, vpc),
            )
    finally:
        ours.close()
        endpoint.close()


def refused(call: Callable[..., object], **fields: object) -> tuple[str, str]:
    """Make a call that must fail: its code and text."""
    with pytest.raises(ClientError) as caught:
        call(**fields)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]
