"""Where EC2 and the Kubernetes API answer, and what a client sees of a lost zone's part."""

import contextlib
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from vipmanager_lab.netns import Netns
from vipmanager_lab.services import CLUSTER_IP, EC2_ADDRESSES, EC2_NAME
from vipmanager_lab.world import World

PORT = 7443
_TCP_INFO_UNACKED = slice(24, 28)  # struct tcp_info, tcpi_unacked


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.fixture(scope="module")
def pod(world: World) -> Netns:
    return world.start_pod("pod", "a", world.floating())


@pytest.fixture
def connect(world: World, pod: Netns) -> Iterator[Callable[[], socket.socket]]:
    """Connect from the pod to the ClusterIP, behind which each zone accepts."""
    with contextlib.ExitStack() as stack:
        for listener in world.services.listen(CLUSTER_IP, PORT):
            stack.enter_context(listener).listen()

        def call() -> socket.socket:
            client = stack.enter_context(pod.socket())
            client.settimeout(1)
            client.connect((str(CLUSTER_IP), PORT))
            return client

        yield call
        world.services.restore()


def test_the_name_of_ec2_has_an_address_in_each_zone(pod: Netns) -> None:
    found = pod.call(lambda: socket.getaddrinfo(EC2_NAME, 80, type=socket.SOCK_STREAM))
    assert {str(info[4][0]) for info in found} == set(map(str, EC2_ADDRESSES.values()))
    for address in EC2_ADDRESSES.values():
        with pod.socket() as client:
            client.settimeout(2)
            client.connect((str(address), 80))


def zones(world: World) -> "Counter[str]":
    found = world.services.connections(str(world.address("pod")))
    return Counter(one.zone for one in found if one.port == PORT)


def test_each_connection_to_the_cluster_ip_gets_a_zone(
    world: World, connect: Callable[[], socket.socket]
) -> None:
    for _ in range(60):
        connect()
    assert min(zones(world)[zone] for zone in "abc") >= 5


def unacknowledged(client: socket.socket) -> int:
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int.from_bytes(info[_TCP_INFO_UNACKED], "little")


def silent(client: socket.socket) -> bool:
    """Whether what is sent is not even acknowledged."""
    client.sendall(b"?")
    deadline = time.monotonic() + 0.3
    while unacknowledged(client):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.005)
    return False


def test_a_lost_zone_is_silent_to_those_who_were_connected_and_to_those_who_come(
    world: World, pod: Netns, connect: Callable[[], socket.socket]
) -> None:
    clients = {client.getsockname()[1]: client for client in [connect() for _ in range(20)]}
    found = world.services.connections(str(world.address("pod")))
    where = {c.client_port: c.zone for c in found if c.port == PORT}
    world.services.cut("b")
    assert {port for port, one in clients.items() if silent(one)} == {
        port for port in clients if where[port] == "b"
    }
    with pod.socket() as late:
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.connect((str(EC2_ADDRESSES["b"]), 80))
    world.services.restore()
    deadline = time.monotonic() + 5
    while any(map(unacknowledged, clients.values())):  # TCP sends again
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_one_connection_is_silenced_and_no_other(
    world: World, connect: Callable[[], socket.socket]
) -> None:
    first, second = connect(), connect()
    found = world.services.connections(str(world.address("pod")))
    mine = next(c for c in found if c.client_port == first.getsockname()[1])
    world.services.silence(mine)
    assert silent(first)
    assert not silent(second)


def test_nothing_is_left_of_a_fault(world: World, connect: Callable[[], socket.socket]) -> None:
    connect()
    before = rules(world)
    world.services.cut("a")
    world.services.cut("a")
    world.services.silence(world.services.connections(str(world.address("pod")))[0])
    assert rules(world) != before
    world.services.restore()
    assert rules(world) == before


def rules(world: World) -> list[object]:
    parts = [json.loads(world.services.run(zone, ["ip", "-j", "rule"])) for zone in "abc"]
    return [*parts, world.network.vpc.ip_json("rule")]
