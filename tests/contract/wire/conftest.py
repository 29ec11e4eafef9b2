"""EC2 behind a router, with an address in each of two zones."""

import itertools
import os
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from contract.wire.senders import BESIDE, ZONES, Far, Make, Real, Sender, Simulated, address
from vipmanager_lab.ec2.account import Account
from vipmanager_lab.ec2.endpoint import Endpoint
from vipmanager_lab.netns import Netns

_number = itertools.count()


@pytest.fixture
def far() -> Iterator[Far]:
    account = Account("210987654321")
    vpc = account.create_vpc(IPv4Network("10.0.0.0/16"), ipv6=False)
    subnet = account.create_subnet(vpc, "eu-central-1a", IPv4Network("10.0.1.0/24"))
    eni = account.create_eni(subnet, ipv4=IPv4Address("10.0.1.101"))
    table = account.create_route_table(vpc)
    prefix = f"w{os.getpid()}n{next(_number)}"
    endpoint = Endpoint(account)
    router, server, client = (Netns(prefix, name) for name in ("router", "server", "client"))
    try:
        for end, octet in ((client, 0), (server, 3)):
            router.ip_batch(
                [
                    f"link add {end.name} type veth peer name eth0 netns {end.full_name}",
                    f"addr add 10.9.{octet}.1/24 dev {end.name}",
                    f"link set {end.name} up",
                ]
            )
            end.ip_batch(
                [
                    f"addr add 10.9.{octet}.2/24 dev eth0",
                    "link set eth0 up",
                    f"route add default via 10.9.{octet}.1",
                ]
            )
        router.sysctl({"ipv4/ip_forward": 1})
        server.ip_batch([f"addr add {address(z)}/32 dev lo" for z in ZONES])
        listening = []
        for port in (80, BESIDE):
            listener = server.socket()
            listener.bind(("0.0.0.0", port))
            listening.append(listener)
        endpoint.listen(listening[0])
        listening[1].listen()
        made = Far(
            endpoint=endpoint,
            router=router,
            server=server,
            client=client,
            beside=listening[1],
            table=table,
            eni=eni,
        )
        for zone in ZONES:
            made.heal(zone)
        router.wait_running("client", "server")
        yield made
    finally:
        listening[1].close()
        endpoint.close()
        for netns in (client, server, router):
            netns.close()


@pytest.fixture(params=["simulated", "real"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Make a sender; there may be several in one world."""
    if request.param == "simulated":
        yield Simulated
        return
    far: Far = request.getfixturevalue("far")
    made: list[Real] = []

    def real(*, spare: bool = False) -> Sender:
        made.append(Real(far, tmp_path, spare=spare))
        return made[-1]

    yield real
    for sender in made:
        sender.close()


@pytest.fixture
def sender(make: Make) -> Sender:
    return make()
