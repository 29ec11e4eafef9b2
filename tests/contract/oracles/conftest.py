"""What every oracle needs: an AWS that keeps what it was asked, and clients of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from contract.oracles.asked import REGION, Asked, asked, client
from contract.oracles.far import Far, far
from vipmanager.edges.aws.ec2 import Ec2


@pytest.fixture(scope="session")
def listening() -> Iterator[Asked]:
    with asked() as made:
        yield made


@pytest.fixture
def aws(listening: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    listening.forget()
    told(monkeypatch, listening)
    return listening


def told(environment: pytest.MonkeyPatch, aws: Asked) -> None:
    environment.setenv("AWS_ENDPOINT_URL", aws.url)
    environment.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.fixture(scope="session")
def edge(listening: Asked) -> Iterator[Ec2]:
    """The agent's edge, connected once: that takes long too."""
    listening.answers["DescribeSubnets"] = 200, b"<DescribeSubnetsResponse/>"
    made = Ec2()
    made.connect(REGION)
    with pytest.MonkeyPatch.context() as patched:
        told(patched, listening)
        made.subnets([])
    yield made
    made.close()


@pytest.fixture
def ec2(aws: Asked, edge: Ec2) -> Ec2:
    """The same, to be told by `aws` what it hears."""
    assert aws
    return edge


@pytest.fixture(scope="session")
def make(listening: Asked) -> Iterator[Callable[[str, str], Any]]:
    """One client of each kind: to make one takes long."""
    with ExitStack() as stack:
        yield cache(
            lambda service, models: stack.enter_context(client(service, listening.url, models))
        )


@pytest.fixture(scope="module")
def vpc() -> Iterator[Far]:
    with pytest.MonkeyPatch.context() as patched, far(patched) as made:
        yield made
