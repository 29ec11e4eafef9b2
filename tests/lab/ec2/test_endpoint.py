"""The HTTP side: connections, errors, the log of calls, and closing without a trace."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ConnectionClosedError
from werkzeug.serving import make_ssl_devcert

from vipmanager_lab.ec2.endpoint import Endpoint
from vipmanager_lab.ec2.faults import Faults, Hang, Unreachable

if TYPE_CHECKING:
    from lab.ec2.conftest import Client, Lab, MakeClient, Refused

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SIGNED = FORM | {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIA1/20260101/eu/ec2/aws4_request"}


@pytest.fixture
def raw(lab: Lab) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", lab.port, timeout=5)
    yield connection
    connection.close()


def _threads() -> list[threading.Thread]:
    return [it for it in threading.enumerate() if it.name == "lab-ec2"]


def test_calls_share_one_connection(lab: Lab, ec2: Client) -> None:
    for _ in range(5):
        ec2.describe_route_tables()
    ec2.describe_vpcs()
    assert lab.endpoint.connections == 1


def test_answers_do_not_wait_for_delayed_acks(raw: http.client.HTTPConnection) -> None:
    spent = []
    for _ in range(20):
        start = time.monotonic()
        raw.request("POST", "/", "Action=DescribeSubnets&Version=2016-11-15", SIGNED)
        raw.getresponse().read()
        spent.append(time.monotonic() - start)
    assert sorted(spent)[10] < 0.03


def test_every_answer_has_its_own_request_id(ec2: Client) -> None:
    ids = set()
    for call in (ec2.describe_route_tables, ec2.describe_vpcs, ec2.describe_vpcs):
        ids.add(str(uuid.UUID(call()["ResponseMetadata"]["RequestId"])))
    assert len(ids) == 3


def test_an_unsigned_request_is_refused(raw: http.client.HTTPConnection) -> None:
    raw.request("POST", "/", "Action=DescribeRouteTables&Version=2016-11-15", FORM)
    answer = raw.getresponse()
    assert answer.status == 403
    assert b"<Code>MissingAuthenticationToken</Code>" in answer.read()


def test_a_request_may_come_in_the_query_string(lab: Lab, raw: http.client.HTTPConnection) -> None:
    raw.request("GET", "/?Action=DescribeRouteTables&Version=2016-11-15", headers=SIGNED)
    answer = raw.getresponse()
    assert (answer.status, lab.table.encode() in answer.read()) == (200, True)


def test_an_unknown_action_is_invalid(raw: http.client.HTTPConnection) -> None:
    raw.request("POST", "/", "Action=MakeCoffee&Version=2016-11-15", SIGNED)
    answer = raw.getresponse()
    assert answer.status == 400
    assert b"<Code>InvalidAction</Code>" in answer.read()


def test_a_missing_table_id_is_a_missing_parameter(raw: http.client.HTTPConnection) -> None:
    raw.request("POST", "/", "Action=DeleteRoute&Version=2016-11-15", SIGNED)
    answer = raw.getresponse()
    assert answer.status == 400
    assert (
        b"<Code>MissingParameter</Code>"
        b"<Message>The request must contain the parameter routeTableId</Message>"
    ) in answer.read()


def test_a_page_smaller_than_five_is_refused(raw: http.client.HTTPConnection) -> None:
    raw.request("POST", "/", "Action=DescribeSubnets&Version=2016-11-15&MaxResults=4", SIGNED)
    assert b"Expecting a value greater than 5." in raw.getresponse().read()


def test_bytes_that_are_no_http_are_answered_with_400(lab: Lab) -> None:
    with socket.create_connection(("127.0.0.1", lab.port), timeout=5) as client:
        client.sendall(b"hello\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_call_is_logged_with_what_the_client_sent(
    lab: Lab, ec2: Client, refused: Refused
) -> None:
    lab.endpoint.clear_calls()
    refused(ec2.delete_route, RouteTableId=lab.table, DestinationCidrBlock="198.51.100.7/32")
    [call] = lab.endpoint.calls_of("DeleteRoute")
    assert call.error == "InvalidRoute.NotFound"
    assert call.parameters["DestinationCidrBlock"] == "198.51.100.7/32"
    assert call.access_key == "AKIAIOSFODNN7EXAMPLE"
    assert call.start <= call.finish
    assert lab.endpoint.counts() == {"DeleteRoute": 1}


def test_closing_leaves_no_thread_even_with_calls_that_hang(
    lab: Lab, make_client: MakeClient
) -> None:
    lab.faults.inject("DescribeVpcs", Hang())
    lab.faults.latency = 0.2
    ec2 = make_client(lab.port)
    with ThreadPoolExecutor(2) as pool:
        hung = pool.submit(ec2.describe_vpcs)
        with pytest.raises(TimeoutError):
            hung.result(timeout=0.3)
        start = time.monotonic()
        lab.endpoint.close()
        assert time.monotonic() - start < 1
        with pytest.raises(ConnectionClosedError):
            hung.result(timeout=2)
    assert not _threads()


def test_closing_a_silent_endpoint_leaves_no_thread(lab: Lab, make_client: MakeClient) -> None:
    lab.faults.unreachable = Unreachable.SILENT
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(make_client(lab.port).describe_vpcs)
        with pytest.raises(TimeoutError):
            call.result(timeout=0.1)
        lab.endpoint.close()
        with pytest.raises(ConnectionClosedError):
            call.result(timeout=2)
    assert not _threads()


def test_a_closed_endpoint_takes_no_more_sockets(lab: Lab) -> None:
    lab.endpoint.close()
    with pytest.raises(RuntimeError, match="closed"):
        lab.endpoint.listen(socket.create_server(("127.0.0.1", 0)))


def test_one_endpoint_serves_several_sockets(
    lab: Lab, ec2: Client, make_client: MakeClient
) -> None:
    second = socket.create_server(("127.0.0.1", 0))
    port = second.getsockname()[1]
    lab.endpoint.listen(second)
    make_client(port).describe_route_tables()
    ec2.describe_route_tables()
    assert lab.endpoint.counts() == {"DescribeRouteTables": 2}


def test_an_idle_connection_is_closed(lab: Lab) -> None:
    endpoint = Endpoint(lab.account, idle_seconds=0.05)
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint.listen(listener)
    with socket.create_connection(listener.getsockname(), timeout=5) as client:
        assert client.recv(1) == b""
    endpoint.close()


def test_tls_is_served_and_closes_without_a_trace(
    lab: Lab, make_client: MakeClient, tmp_path: Path
) -> None:
    certificate, key = make_ssl_devcert(str(tmp_path / "lab"), host="localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    endpoint = Endpoint(lab.account, Faults(), tls=context)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    endpoint.listen(listener)
    client = make_client(port, url="https://localhost", verify=certificate)
    assert client.describe_route_tables()["RouteTables"]
    client.describe_route_tables()
    assert endpoint.connections == 1
    endpoint.close()
    lab.endpoint.close()
    assert not _threads()
