"""A node group's VPC in the lab, with the function that attaches ENIs beside it."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from types import ModuleType

import botocore.session
import pytest

from deploy.lifecycle import ACCOUNT, ENVIRONMENT, REGION, AutoScaling, Context, event, load
from deploy.stacks import Group, cloud, node_group
from vipmanager_lab.ec2.account import Account
from vipmanager_lab.ec2.endpoint import Endpoint
from vipmanager_lab.ec2.faults import Faults
from vipmanager_lab.ec2.view import Eni

_SESSION = botocore.session.Session()  # it caches the EC2 model, which is slow to read


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A VPC with a node in zone a, and the function as the stack `group` configures it."""

    function: ModuleType
    monkeypatch: pytest.MonkeyPatch
    account: Account
    faults: Faults
    endpoint: Endpoint
    autoscaling: AutoScaling
    vpc: str
    subnets: list[str]
    elsewhere: list[str]
    groups: list[str]
    instance: str
    before: frozenset[str]
    """The ENIs that were there already."""
    context: Context = field(default_factory=Context)

    def launch(self, instance: str | None = None, context: Context | None = None) -> str:
        asked = event(instance or self.instance, group="group-zone1", launch=True)
        return str(self.function.handler(asked, context or self.context))

    def leave(self, context: Context | None = None) -> str:
        asked = event(self.instance, group="group-zone1", launch=False)
        return str(self.function.handler(asked, context or self.context))

    def configure(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def use(self, *subnets: str) -> None:
        """Let these be zone 1's subnets."""
        others = (self.elsewhere * len(subnets))[: len(subnets)]
        names = {"group-zone1": ",".join(subnets), "group-zone2": ",".join(others)}
        self.configure(SUBNETS=json.dumps(names))
        self.configure(EXTRA_SECURITY_GROUPS=json.dumps(dict.fromkeys(names, "")))

    def made(self) -> list[Eni]:
        """The ENIs that came since, by device index."""
        enis = [eni for eni in self.account.view.enis.values() if eni.id not in self.before]
        return sorted(enis, key=lambda eni: eni.attachment.device_index if eni.attachment else 0)


@pytest.fixture(scope="module")
def function() -> ModuleType:
    return load("attach_enis")


@pytest.fixture
def stage(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    account = Account(ACCOUNT, REGION)
    vpc = account.create_vpc(IPv4Network("10.0.0.0/16"), ipv6=True)
    node = account.create_subnet(vpc, f"{REGION}a", IPv4Network("10.0.1.0/24"))
    subnets = [
        account.create_subnet(vpc, f"{REGION}a", IPv4Network(f"10.0.{n}.0/24")) for n in (11, 12)
    ]
    elsewhere = [
        account.create_subnet(vpc, f"{REGION}b", IPv4Network(f"10.0.{n}.0/24")) for n in (21, 22)
    ]
    instance = account.run_instance(node)
    faults, autoscaling = Faults(), AutoScaling()
    endpoint = Endpoint(account, faults)
    listener = socket.create_server(("127.0.0.1", 0))
    ec2 = f"http://127.0.0.1:{listener.getsockname()[1]}"
    endpoint.listen(listener)
    server = autoscaling.serve()
    variables = {
        **ENVIRONMENT,
        "AWS_ENDPOINT_URL_EC2": ec2,
        "AWS_ENDPOINT_URL_AUTO_SCALING": f"http://127.0.0.1:{server.server_port}",
        "NODE_GROUP": "group",
        "ADDRESSES": "dhcp",
        "TAGS": "",
        "DRAIN_SECONDS": "60",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    client = _SESSION.create_client("ec2")
    groups = [
        client.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        for name in ("signalling", "media")
    ]
    client.close()
    endpoint.clear_calls()
    monkeypatch.setenv("SECURITY_GROUPS", groups[0])
    built = Stage(
        function=function,
        monkeypatch=monkeypatch,
        account=account,
        faults=faults,
        endpoint=endpoint,
        autoscaling=autoscaling,
        vpc=vpc,
        subnets=subnets,
        elsewhere=elsewhere,
        groups=groups,
        instance=instance,
        before=frozenset(account.view.enis),
    )
    built.use(*subnets)
    yield built
    server.shutdown()
    server.server_close()
    endpoint.close()


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    """A stack `core` of the node group, in moto."""
    with cloud() as it:
        yield node_group(it, "core")
