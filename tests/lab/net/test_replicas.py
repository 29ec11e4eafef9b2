"""The lab of the warm standby: what pods of a group reach, and what can be taken from them."""

import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from agent_fixtures import wait_until
from vipmanager_lab.faults import Unreachable
from vipmanager_lab.replicas import HEALTH_PORT, Replica, Replicas
from vipmanager_lab.services import EC2_ADDRESSES
from vipmanager_lab.world import World

PORT = 7946


@pytest.fixture
def group() -> Iterator[Replicas]:
    # Without an election each agent ends or steers on its own; here only its pod matters.
    with World() as world, Replicas(world, config={"LeaderElection": "False"}) as made:
        yield made


def hears(receiver: Replica, sender: Replica) -> bool:
    """Send a datagram from one pod's primary address to the other's."""
    with (
        receiver.netns.socket(kind=socket.SOCK_DGRAM) as there,
        sender.netns.socket(kind=socket.SOCK_DGRAM) as here,
    ):
        there.bind((receiver.address, PORT + 1))
        there.settimeout(0.5)
        here.bind((sender.address, PORT + 1))
        here.sendto(b"?", (receiver.address, PORT + 1))
        try:
            return there.recvfrom(16) == (b"?", (sender.address, PORT + 1))
        except TimeoutError:
            return False


def asks(replica: Replica, path: str) -> int:
    """Call the Kubernetes API with the pod's service account; give the status."""
    environ = replica.environment
    folder = Path(environ["VIPMANAGER_SERVICE_ACCOUNT"])
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    token = (folder / "token").read_text()
    where = environ["KUBERNETES_SERVICE_HOST"], int(environ["KUBERNETES_SERVICE_PORT"])
    url = f"/apis/coordination.k8s.io/v1/namespaces/telco/{path}"

    def call() -> int:
        connection = HTTPSConnection(*where, context=context, timeout=2)
        try:
            connection.request("GET", url, headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status
        finally:
            connection.close()

    return replica.netns.call(call)


def test_a_wire_is_severed_in_one_direction_and_mended(group: Replicas) -> None:
    one, other = group.start("a"), group.start("b")
    assert hears(one, other)
    assert hears(other, one)
    group.sever(one, other)
    assert not hears(other, one)
    assert hears(one, other)
    group.mend(one, other)
    assert hears(other, one)


def test_a_pod_may_read_its_lease_and_no_other_and_list_none(group: Replicas) -> None:
    replica = group.start("a")
    assert asks(replica, "leases/vipmanager") == 200
    assert asks(replica, "leases/other") == 403
    assert asks(replica, "leases") == 403
    (call, *_) = group.plane.cluster.endpoint.calls_of("get leases")
    assert call.source == replica.address


def test_one_pod_is_cut_off_from_the_kubernetes_api_and_the_other_is_not(group: Replicas) -> None:
    one, other = group.start("a"), group.start("b")
    group.kube.partition(one.address, Unreachable.CLOSES)
    with pytest.raises(OSError, match=r"closed|reset|EOF"):
        asks(one, "leases/vipmanager")
    assert asks(other, "leases/vipmanager") == 200


def test_an_application_that_is_killed_fails_its_health_check_at_once(group: Replicas) -> None:
    replica = group.start("a")
    replica.application.wait_for(lambda r: r["event"] == "bound")

    def connect() -> None:
        socket.create_connection(("127.0.0.1", HEALTH_PORT), timeout=2).close()

    replica.netns.call(connect)
    replica.application.close()
    with pytest.raises(ConnectionRefusedError):
        replica.netns.call(connect)
    replica.start_application()
    replica.application.wait_for(lambda r: r["event"] == "bound")
    replica.netns.call(connect)


def test_a_replica_that_ends_leaves_its_zone_to_the_next(group: Replicas) -> None:
    first = group.start("a")
    group.end(first)
    second = group.start("a")
    assert second.address == first.address
    assert second.uid != first.uid
    assert group.running == [second]


def test_the_connection_of_a_client_that_was_cut_off_does_not_last_for_ever() -> None:
    with World() as world, world.client.socket() as connection:
        connection.connect((str(EC2_ADDRESSES["a"]), 80))
        # The kernel's timer runs; that it ends the connection after 30 s is the kernel's part.
        served = ["ss", "-tnoH", "state", "established"]
        wait_until(lambda: "timer:(keepalive," in world.services.run("a", served))
