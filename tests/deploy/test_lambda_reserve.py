"""The custom resource that reserves dummy subnets, against the lab's EC2 endpoint."""

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network
from types import ModuleType
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest

from deploy.lifecycle import ACCOUNT, ENVIRONMENT, REGION, Context, load
from vipmanager_lab.ec2.account import Account
from vipmanager_lab.ec2.endpoint import Endpoint


@dataclass(slots=True, kw_only=True)
class Stage:
    """A dummy subnet, and CloudFormation, which waits at a URL."""

    function: ModuleType
    account: Account
    subnet: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def ask(self, kind: str, cidr: str, subnet: str = "", known: str = "") -> dict[str, Any]:
        """Send a request of CloudFormation's and give the answer."""
        request = {
            "RequestType": kind,
            "ResponseURL": self.url,
            "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/dummy/guid",
            "RequestId": "unique",
            "ResourceType": "Custom::CidrReservation",
            "LogicalResourceId": "Reservation1",
            "ResourceProperties": {"SubnetId": subnet or self.subnet, "Cidr": cidr},
        }
        if known:
            request["PhysicalResourceId"] = known
        self.function.handler(request, Context())
        return self.answers[-1]

    def reserved(self) -> list[str]:
        client = boto3.client("ec2")
        found = client.get_subnet_cidr_reservations(SubnetId=self.subnet)
        client.close()
        return [it["Cidr"] for it in found["SubnetIpv4CidrReservations"]]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    account = Account(ACCOUNT, REGION)
    vpc = account.create_vpc(IPv4Network("10.0.0.0/16"))
    subnet = account.create_subnet(vpc, f"{REGION}a", IPv4Network("10.0.254.0/28"))
    endpoint = Endpoint(account)
    listener = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", f"http://127.0.0.1:{listener.getsockname()[1]}")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    endpoint.listen(listener)
    built = Stage(function=load("reserve_cidr"), account=account, subnet=subnet)

    class Formation(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            built.answers.append(json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Formation)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    built.url = f"http://127.0.0.1:{server.server_port}/answer?signature=x"
    yield built
    server.shutdown()
    server.server_close()
    endpoint.close()


def test_a_subnet_is_reserved_and_given_back(stage: Stage) -> None:
    answer = stage.ask("Create", "10.0.254.0/28")
    assert answer["Status"] == "SUCCESS"
    assert stage.reserved() == ["10.0.254.0/28"]
    known = answer["PhysicalResourceId"]
    assert stage.ask("Delete", "10.0.254.0/28", known=known)["Status"] == "SUCCESS"
    assert stage.reserved() == []
    assert stage.ask("Delete", "10.0.254.0/28", known=known)["Status"] == "SUCCESS"


def test_a_request_that_comes_again_reserves_once(stage: Stage) -> None:
    first, second = (stage.ask("Create", "10.0.254.0/28") for _ in range(2))
    assert first == second
    assert stage.reserved() == ["10.0.254.0/28"]


@pytest.mark.parametrize(
    ("subnet", "cidr", "told"),
    [
        ("subnet-0123456789abcdef0", "10.0.254.0/28", "subnet-0123456789abcdef0"),
        ("", "10.9.0.0/28", "CIDR should be"),
    ],
)
def test_a_refusal_of_ec2_fails_the_stack_and_can_be_deleted(
    stage: Stage, subnet: str, cidr: str, told: str
) -> None:
    answer = stage.ask("Create", cidr, subnet=subnet)
    assert answer["Status"] == "FAILED"
    assert told in answer["Reason"]
    undone = stage.ask("Delete", cidr, known=answer["PhysicalResourceId"])
    assert undone["Status"] == "SUCCESS"
