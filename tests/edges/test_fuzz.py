"""Whatever IMDS, EC2 or netlink send: no crash, no hang, one of our own failures."""

import contextlib
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vipmanager.core.failures import Failure
from vipmanager.core.values import Mac, VpcId
from vipmanager.edges.aws.ec2 import Ec2
from vipmanager.edges.imds import Imds
from vipmanager.edges.kernel import links_down
from vipmanager_lab.server import HttpAnswer, HttpRequest, Server

TABLE = (
    "<routeTableId>rtb-1</routeTableId><vpcId>vpc-1</vpcId><routeSet><item>"
    "<destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local</gatewayId>"
    "<state>active</state></item></routeSet><tagSet><item><key>a</key><value>b</value></item>"
    "</tagSet><associationSet><item><main>true</main></item></associationSet>"
)
ANSWER = (
    "<DescribeRouteTablesResponse><requestId>r</requestId><routeTableSet><item>"
    f"{TABLE}</item></routeTableSet></DescribeRouteTablesResponse>"
)


class Talker:
    """A server that says what it is told to."""

    def __init__(self) -> None:
        self.status, self.body, self.token = 200, b"", b"token"
        self._server = Server(self._answer)
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server.listen(listener)

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        if request.path.endswith("/token"):
            return HttpAnswer(status=200, body=self.token, headers={})
        return HttpAnswer(status=self.status, body=self.body, headers={})

    def close(self) -> None:
        self._server.close()


@pytest.fixture(scope="module")
def talker() -> Iterator[Talker]:
    talker = Talker()
    yield talker
    talker.close()


@pytest.fixture(scope="module")
def ec2(talker: Talker) -> Iterator[Ec2]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", talker.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIALAB")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "lab")
        cloud = Ec2()
        cloud.connect("eu-central-1")
        with contextlib.suppress(Failure):
            cloud.route_tables([VpcId("vpc-1")])  # makes the client while the variables stand
    yield cloud
    cloud.close()


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """Cut, repeat and overwrite parts of a good answer."""
    text = ANSWER
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 60))
        put = draw(
            st.sampled_from(["", "<", ">", "</item>", "<item>", "&", "x", "10.0.0.5/8", "☃"])
        )
        text = text[:at] + put + text[at + length :]
    return text.encode()


MANY = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@MANY
@given(body=st.one_of(mangled(), st.binary(max_size=200)), status=st.sampled_from([200, 400, 500]))
def test_any_ec2_answer_is_tables_or_a_failure(
    talker: Talker, ec2: Ec2, body: bytes, status: int
) -> None:
    talker.body, talker.status = body, status
    with contextlib.suppress(Failure):
        for table in ec2.route_tables([VpcId("vpc-1")]):
            assert table.id


def test_a_good_answer_is_understood(talker: Talker, ec2: Ec2) -> None:
    talker.body, talker.status = ANSWER.encode(), 200
    (table,) = ec2.route_tables([VpcId("vpc-1")])
    assert table.main
    assert dict(table.tags) == {"a": "b"}


@MANY
@given(
    body=st.binary(max_size=300),
    token=st.one_of(st.just(b"token"), st.binary(max_size=40)),
    status=st.sampled_from([200, 301, 401, 403, 404, 429, 503]),
)
def test_any_imds_answer_is_a_node_or_a_failure(
    talker: Talker, body: bytes, token: bytes, status: int
) -> None:
    talker.body, talker.status, talker.token = body, status, token
    imds = Imds(allow_v1=True, environ={"AWS_EC2_METADATA_SERVICE_ENDPOINT": talker.url})
    with contextlib.suppress(Failure), contextlib.closing(imds):
        node = imds.read([Mac("02:00:00:00:00:01")])
        assert node.instance.startswith("i-")


@given(data=st.binary(max_size=200))
def test_any_netlink_message_is_a_list_of_links(data: bytes) -> None:
    assert all(isinstance(index, int) for index in links_down(data))


def test_a_link_that_goes_down_is_told_from_one_that_is_up() -> None:
    down = bytes.fromhex("20000000100000000000000000000000000001000700000000000000ffffffff")
    up = down[:24] + (1).to_bytes(4, "little") + down[28:]
    assert links_down(down + up) == [7]
