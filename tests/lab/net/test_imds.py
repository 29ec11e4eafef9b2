"""The metadata service, asked from nodes and pods over real packets."""

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

import pytest

from vipmanager.edges import imds as metadata_edge
from vipmanager_lab.imds import Credentials, Imds, MetadataOptions, lookup, metadata
from vipmanager_lab.netns import Netns
from vipmanager_lab.network import Network
from vipmanager_lab.vpc import VpcState

TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"
MACS = "/latest/meta-data/network/interfaces/macs/"
ETH1 = f"{MACS}02:00:00:00:0b:10/"


@dataclass(slots=True)
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True)
class Client:
    """One keep-alive connection from a namespace."""

    netns: Netns
    address: str = "169.254.169.254"
    timeout: float = 2.0
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(self.address, 80, timeout=self.timeout)
        self.netns.call(self.connection.connect)

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, headers=named)
        response = self.connection.getresponse()
        return response.status, response.read().decode()

    def token(self, seconds: str = "60") -> str:
        status, body = self.ask("/latest/api/token", "PUT", **{TTL: seconds})
        assert status == 200
        return body

    def get(self, path: str) -> tuple[int, str]:
        return self.ask(path, **{TOKEN: self.token()})


ROLE = Credentials(
    role="node-role",
    access_key="AKIA",
    secret_key="s",
    token="t",
    updated=datetime(2026, 1, 1, tzinfo=UTC),
    expiration=datetime(2026, 1, 1, 6, tzinfo=UTC),
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def imds(network: Network, now: list[VpcState], clock: Clock) -> Iterator[Imds]:
    with Imds(
        network.vpc,
        lambda: now[-1],
        region="eu-west-1",
        credentials=lambda instance: ROLE if instance == "i-a" else None,
        clock=clock,
    ) as imds:
        yield imds


Connect = Callable[..., Client]


@pytest.fixture
def connect(imds: Imds) -> Iterator[Connect]:
    """Namespace, and fields of Client: connections that end with the test."""
    assert imds.options("i-a") == MetadataOptions()
    with contextlib.ExitStack() as stack:

        def connected(netns: Netns, **fields: Any) -> Client:  # noqa: ANN401 - Client's own
            client = Client(netns, **fields)
            stack.callback(client.connection.close)
            return client

        yield connected


@pytest.fixture
def node(network: Network, connect: Connect) -> Client:
    return connect(network.host("a").netns)


def test_a_node_reads_its_own_items(node: Client) -> None:
    assert node.get("/latest/meta-data/instance-id") == (200, "i-a")
    assert node.get("/latest/meta-data/placement/region") == (200, "eu-west-1")
    assert node.get("/latest/meta-data/placement/availability-zone-id") == (200, "euw1-az2")
    assert node.get(MACS) == (200, "02:00:00:00:01:10/\n02:00:00:00:0b:10/")
    assert node.get(f"{ETH1}device-number") == (200, "1")
    assert node.get(f"{ETH1}interface-id") == (200, "eni-a1")
    document = json.loads(node.get("/latest/dynamic/instance-identity/document")[1])
    assert document["availabilityZone"] == "eu-west-1a"


def test_a_pod_is_known_by_its_node(network: Network, connect: Connect) -> None:
    pod = network.add_pod("b", "one", IPv4Address("10.0.2.50")).netns
    assert connect(pod).get("/latest/meta-data/instance-id") == (200, "i-b")


def test_an_ipv6_source_reads_the_same(network: Network, connect: Connect) -> None:
    client = connect(network.host("a").netns, address="fd00:ec2::254")
    assert client.get("/latest/meta-data/instance-id") == (200, "i-a")


@pytest.mark.parametrize("hops", [1, 2])
def test_the_hop_limit_ends_a_tokens_way_at_the_node(
    network: Network, imds: Imds, connect: Connect, hops: int
) -> None:
    imds.set_options("i-a", MetadataOptions(hop_limit=hops, v1=True))
    pod = network.add_pod("a", "one", IPv4Address("10.0.1.50")).netns
    assert connect(network.host("a").netns).token()
    client = connect(pod, timeout=0.7)  # the kernel sends again after 0.2 s
    assert client.ask("/latest/meta-data/instance-id") == (200, "i-a"), "a GET is not limited"
    if hops == 2:
        assert client.token()
    else:
        with pytest.raises(TimeoutError):
            client.token()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/latest/api/token", {TTL: "1"}, 200),
        ("/latest/api/token", {TTL: "21600"}, 200),
        ("/latest/api/token", {TTL: "0"}, 400),
        ("/latest/api/token", {TTL: "21601"}, 400),
        ("/latest/api/token", {TTL: "soon"}, 400),
        ("/latest/api/token", {}, 400),
        ("/latest/api/token", {TTL: "60", "X-Forwarded-For": "10.0.0.1"}, 403),
        ("/2021-07-15/api/token", {TTL: "60"}, 403),
    ],
)
def test_a_put_is_judged(node: Client, path: str, headers: dict[str, str], status: int) -> None:
    assert node.ask(path, "PUT", **headers)[0] == status


def test_a_token_is_needed_valid_and_the_instances_own(
    network: Network, node: Client, connect: Connect, imds: Imds, clock: Clock
) -> None:
    path = "/latest/meta-data/mac"
    assert node.ask(path)[0] == 401
    assert node.ask(path, **{TOKEN: "made up"})[0] == 401
    token = node.token("60")
    assert connect(network.host("b").netns).ask(path, **{TOKEN: token})[0] == 401
    clock.now += 59
    assert node.ask(path, **{TOKEN: token})[0] == 200
    clock.now += 1
    assert node.ask(path, **{TOKEN: token})[0] == 401
    imds.set_options("i-a", MetadataOptions(v1=True))
    assert node.ask(path)[0] == 200
    assert node.ask(path, **{TOKEN: token})[0] == 401


def test_what_is_refused_switched_off_or_unknown(node: Client, imds: Imds) -> None:
    assert node.get("/latest/meta-data/nothing")[0] == 404
    assert node.ask("/latest/meta-data/mac", "HEAD", **{TOKEN: node.token()}) == (200, "")
    imds.set_options("i-a", MetadataOptions(v1=True, v2=False))
    assert node.ask("/latest/api/token", "PUT", **{TTL: "60"})[0] == 403
    assert node.ask("/latest/meta-data/mac")[0] == 200
    imds.set_options("i-a", MetadataOptions(v1=True, enabled=False))
    assert node.ask("/latest/meta-data/mac")[0] == 403


@pytest.mark.parametrize("down", [True, False], ids=["down", "cut"])
def test_no_answer_is_a_timeout(
    network: Network, imds: Imds, connect: Connect, *, down: bool
) -> None:
    client = connect(network.host("a").netns, timeout=0.3)
    assert client.token()
    if down:
        imds.set_options("i-a", MetadataOptions(down=True))
    else:
        network.cut("a")
    with pytest.raises(TimeoutError):
        client.token()


def test_a_slow_answer_of_one_node_holds_no_other_up(
    network: Network, imds: Imds, connect: Connect
) -> None:
    imds.set_options("i-a", MetadataOptions(latency=60.0))
    slow = connect(network.host("a").netns, timeout=0.3)
    slow.connection.request("PUT", "/latest/api/token", headers={TTL: "60"})
    assert connect(network.host("b").netns).token()
    with pytest.raises(TimeoutError):
        slow.connection.getresponse()


def test_a_roles_credentials(network: Network, node: Client, connect: Connect) -> None:
    folder = "/latest/meta-data/iam/security-credentials/"
    assert node.get(folder) == (200, "node-role")
    document = json.loads(node.get(folder + "node-role")[1])
    assert document["Code"] == "Success"
    assert document["Expiration"] == "2026-01-01T06:00:00Z"
    assert connect(network.host("b").netns).get(folder)[0] == 404


def test_what_ends_an_instance_is_there_only_once_it_was_decided(
    network: Network, imds: Imds, node: Client
) -> None:
    spot = "/latest/meta-data/spot/instance-action"
    group = "/latest/meta-data/autoscaling/target-lifecycle-state"
    assert (node.get(spot)[0], node.get(group)[0]) == (404, 404)
    when = datetime(2026, 9, 18, 8, 22, tzinfo=UTC)
    imds.set_options(
        "i-a",
        MetadataOptions(spot_action=("terminate", when), target_lifecycle_state="Terminated"),
    )
    document = {"action": "terminate", "time": "2026-09-18T08:22:00Z"}
    assert json.loads(node.get(spot)[1]) == document
    assert node.get(group) == (200, "Terminated")
    agent = metadata_edge.Imds(allow_v1=False, environ={})
    with contextlib.closing(agent):
        told = network.host("a").netns.call(agent.notices)
    assert [n.when for n in told] == [document["time"], None]


def items(state: VpcState, options: MetadataOptions) -> dict[str, str]:
    return metadata(
        state, "i-a", options, account="123456789012", region="eu-west-1", credentials=None
    )


def test_the_items_of_an_interface(base: VpcState) -> None:
    found = items(base, MetadataOptions())
    assert {key.removeprefix(ETH1): value for key, value in found.items() if ETH1 in key} == {
        "device-number": "1",
        "interface-id": "eni-a1",
        "ipv6s": "2001:db8:0:11::10",
        "local-ipv4s": "10.0.11.10",
        "mac": "02:00:00:00:0b:10",
        "network-card": "0",
        "owner-id": "123456789012",
        "subnet-id": "subnet-ma",
        "subnet-ipv4-cidr-block": "10.0.11.0/24",
        "subnet-ipv6-cidr-blocks": "2001:db8:0:11::/64",
        "vpc-id": "vpc-1",
        "vpc-ipv4-cidr-block": "10.0.0.0/16",
        "vpc-ipv4-cidr-blocks": "10.0.0.0/16",
        "vpc-ipv6-cidr-blocks": "2001:db8::/56",
    }
    both = frozenset({"network-card", "network-card-index"})
    assert items(base, MetadataOptions(card_keys=both))[f"{ETH1}network-card-index"] == "0"


def test_what_an_eni_has_none_of_is_not_there(
    base: VpcState, changed: Callable[..., VpcState]
) -> None:
    found = items(changed(base, "eni-a1", ipv6=()), MetadataOptions())
    assert lookup(found, f"{ETH1}ipv6s") is None
    assert lookup(found, f"{ETH1}local-ipv4s") == "10.0.11.10"


def test_a_lagging_eni_is_listed_without_keys_and_a_missing_one_is_not_listed(
    base: VpcState,
) -> None:
    mac = "02:00:00:00:0b:10"
    lagging = items(base, MetadataOptions(lagging=frozenset({mac})))
    assert lookup(lagging, MACS) == "02:00:00:00:01:10/\n02:00:00:00:0b:10/"
    assert lookup(lagging, f"{ETH1}device-number") is None
    assert lookup(lagging, ETH1) is None
    missing = items(base, MetadataOptions(missing=frozenset({mac})))
    assert lookup(missing, MACS) == "02:00:00:00:01:10/"


def test_a_detached_eni_may_stay_listed(base: VpcState, changed: Callable[..., VpcState]) -> None:
    old = base.enis[1]
    detached = changed(base, "eni-a1", instance=None)
    assert lookup(items(detached, MetadataOptions()), ETH1) is None
    whole = items(detached, MetadataOptions(stale=(old,)))
    assert lookup(whole, f"{ETH1}device-number") == "1"
    half = items(detached, MetadataOptions(half_stale=(replace(old),)))
    assert lookup(half, f"{ETH1}device-number") is None
    assert lookup(half, f"{ETH1}interface-id") is None
    assert lookup(half, f"{ETH1}subnet-id") == "subnet-ma"
