"""The lab's EC2 over HTTP, with a VPC of the user's in it, and the command."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

import pytest

from vipmanager_lab.ec2.account import Account
from vipmanager_lab.ec2.endpoint import Endpoint
from vipmanager_lab.ec2.faults import Faults
from vipmanager_lab.latency import Even

REGION = "eu-central-1"
LONG = 120.0
"""Seconds that nothing here takes."""
QUICK = ("--times", "2", "--rate", "5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A VPC with a table and two attached ENIs; what was there before is `before`."""

    account: Account
    faults: Faults
    endpoint: Endpoint
    vpc: str
    table: str
    environ: Mapping[str, str]
    before: tuple[object, ...] = field(default=())

    def now(self) -> tuple[object, ...]:
        view = self.account.view
        return (view.tables, view.lists)

    def run(self, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Type `vipmanager measure`; its output ends when its child has ended too."""
        return subprocess.run(
            [sys.executable, "-m", "vipmanager", "measure", *options],
            env={**os.environ, **self.environ, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=LONG,
        )

    def json(self, *options: str, **more: str) -> dict[str, Any]:
        done = self.run("--vpc", self.vpc, "--output", "json", *options, **more)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def lab() -> Iterator[Lab]:
    account = Account("123456789012")
    vpc = account.create_vpc(IPv4Network("10.0.0.0/16"))
    for n, zone in enumerate(("a", "b"), start=1):
        subnet = account.create_subnet(vpc, f"{REGION}{zone}", IPv4Network(f"10.0.{n}.0/24"))
        account.attach(account.create_eni(subnet), account.run_instance(subnet), 1)
    table = account.create_route_table(vpc, tags={"vip": "yes"})
    faults = Faults()
    faults.pace = {
        "* carried out": Even(0.1, 0.2),
        "Describe*": Even(0.005, 0.01),
        "*": Even(0.01, 0.03),
    }
    endpoint = Endpoint(account, faults)
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint.listen(listener)
    environ = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    view = account.view
    yield Lab(
        account=account,
        faults=faults,
        endpoint=endpoint,
        vpc=vpc,
        table=table,
        environ=environ,
        before=(view.tables, view.lists),
    )
    endpoint.close()
