"""A VPC with two zones and a client, as values and as namespaces.

    i-a: eni-a0 (eth0) in 10.0.1.0/24, eni-a1 (eth1) in 10.0.11.0/24
    i-b: eni-b0 (eth0) in 10.0.2.0/24, eni-b1 (eth1) in 10.0.12.0/24
    i-c: eni-c0 (eth0) in 10.0.3.0/24, which alone has the table rtb-client

The third octet is also the IPv6 subnet's: 2001:db8:0:11::/64. eth1 has no source/dest check.
"""

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
    ip_network,
)

import pytest

from vipmanager_lab.netns import Netns
from vipmanager_lab.network import Attachment, Network, Pod
from vipmanager_lab.vpc import Eni, Route, RouteTable, Subnet, Vpc, VpcState

_worlds = itertools.count()


def _subnet(name: str, octet: int, zone: str) -> Subnet:
    return Subnet(
        id=f"subnet-{name}",
        vpc="vpc-1",
        zone=zone,
        ipv4=IPv4Network(f"10.0.{octet}.0/24"),
        ipv6=IPv6Network(f"2001:db8:0:{octet}::/64"),
    )


def _eni(name: str, octet: int, *, check: bool, more: tuple[int, ...] = ()) -> Eni:
    index = int(name[1])
    return Eni(
        id=f"eni-{name}",
        mac=f"02:00:00:00:{octet:02x}:10",
        vpc="vpc-1",
        subnet={1: "subnet-a", 2: "subnet-b", 3: "subnet-c", 11: "subnet-ma", 12: "subnet-mb"}[
            octet
        ],
        ipv4=tuple(IPv4Address(f"10.0.{octet}.{last}") for last in (10, *more)),
        ipv6=(IPv6Address(f"2001:db8:0:{octet}::10"),),
        source_dest_check=check,
        instance=f"i-{name[0]}",
        device_index=index,
        card_index=0,
        instance_running=True,
    )


def _table(name: str, subnets: tuple[str, ...] = (), *, main: bool = False) -> RouteTable:
    local = ("10.0.0.0/16", "2001:db8::/56")
    return RouteTable(
        id=name,
        vpc="vpc-1",
        main=main,
        subnets=subnets,
        gateways=(),
        tags=(),
        routes=tuple(
            Route(destination=ip_network(one), target="local", state="active") for one in local
        ),
    )


@pytest.fixture
def base() -> VpcState:
    return VpcState(
        vpcs=(
            Vpc(
                id="vpc-1",
                ipv4=(IPv4Network("10.0.0.0/16"),),
                ipv6=(IPv6Network("2001:db8::/56"),),
            ),
        ),
        subnets=(
            _subnet("a", 1, "eu-west-1a"),
            _subnet("b", 2, "eu-west-1b"),
            _subnet("c", 3, "eu-west-1a"),
            _subnet("ma", 11, "eu-west-1a"),
            _subnet("mb", 12, "eu-west-1b"),
        ),
        enis=(
            _eni("a0", 1, check=True, more=(50,)),
            _eni("a1", 11, check=False),
            _eni("b0", 2, check=True, more=(50,)),
            _eni("b1", 12, check=False),
            _eni("c0", 3, check=True),
        ),
        tables=(_table("rtb-client", ("subnet-c",)), _table("rtb-main", main=True)),
    )


def _steered(state: VpcState, table: str, destination: str, target: str) -> VpcState:
    network = ip_network(destination)
    new = Route(destination=network, target=target, state="active")
    return replace(
        state,
        tables=tuple(
            replace(
                one,
                routes=(*(old for old in one.routes if old.destination != network), new),
            )
            if one.id == table
            else one
            for one in state.tables
        ),
    )


def _changed(state: VpcState, eni: str, **changes: object) -> VpcState:
    return replace(
        state,
        enis=tuple(
            replace(one, **changes) if one.id == eni else one  # type: ignore[arg-type]
            for one in state.enis
        ),
    )


@pytest.fixture
def steered() -> Callable[[VpcState, str, str, str], VpcState]:
    """State, table, destination, target: the state with that route."""
    return _steered


@pytest.fixture
def changed() -> Callable[..., VpcState]:
    """State, ENI, fields: the state with an ENI that differs."""
    return _changed


@pytest.fixture
def now(base: VpcState) -> list[VpcState]:
    """The state as the network sees it: the last element."""
    return [base]


@pytest.fixture
def network(now: list[VpcState]) -> Iterator[Network]:
    with Network(f"t{os.getpid()}n{next(_worlds)}", lambda: now[-1]) as network:
        network.add_host("a", ["eni-a0", "eni-a1"])
        network.add_host("b", ["eni-b0", "eni-b1"])
        network.add_host("c", ["eni-c0"], forwarding=False)
        yield network


@pytest.fixture
def steer(network: Network, now: list[VpcState]) -> Callable[[str, str, str], None]:
    """Table, destination, target: CreateRoute or ReplaceRoute."""

    def create(table: str, destination: str, target: str) -> None:
        now.append(_steered(now[-1], table, destination, target))
        network.refresh()

    return create


@pytest.fixture
def change(network: Network, now: list[VpcState]) -> Callable[..., None]:
    """ENI, fields: anything that happens to an ENI."""

    def modify(eni: str, **changes: object) -> None:
        now.append(_changed(now[-1], eni, **changes))
        network.refresh()

    return modify


@pytest.fixture
def floating_pod(network: Network) -> Callable[..., Pod]:
    """Host, addresses: a pod with the addresses on net1 and the way back to the client."""

    def start(host: str, *addresses: str) -> Pod:
        octet = {"a": 1, "b": 2}[host]
        found: list[IPv4Interface | IPv6Interface] = [ip_interface(one) for one in addresses]
        pod = network.add_pod(
            host,
            f"pod-{host}",
            IPv4Address(f"10.0.{octet}.50"),
            [Attachment(master="eth1", addresses=tuple(found))],
        )
        for address in found:
            back = (
                f"10.0.3.0/24 via 10.0.1{octet}.1"
                if isinstance(address, IPv4Interface)
                else "2001:db8:0:3::/64 via fe80:ec2::1"
            )
            pod.netns.ip_batch([f"route replace {back} dev net1 onlink src {address.ip}"])
        return pod

    return start


def _udp(netns: Netns, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    one = netns.socket(family, socket.SOCK_DGRAM)
    one.bind((address, port))
    return one


def _arrives(here: Netns, source: str, there: Netns, destination: str) -> bool:
    with _udp(there, destination, 9) as server, _udp(here, source, 0) as client:
        server.settimeout(0.3)
        client.sendto(b"there", (destination, 9))
        try:
            server.recv(16)
        except TimeoutError:
            return False
        return True


@pytest.fixture
def arrives() -> Callable[[Netns, str, Netns, str], bool]:
    """Whether a datagram gets from an address in one namespace to one in another."""
    return _arrives


@pytest.fixture
def exchange() -> Callable[[Netns, str, Netns, str], bool]:
    """Whether datagrams get there and back."""

    def both(here: Netns, source: str, there: Netns, destination: str) -> bool:
        return _arrives(here, source, there, destination) and _arrives(
            there, destination, here, source
        )

    return both
