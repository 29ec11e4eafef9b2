"""What every oracle needs: an AWS that keeps what it was asked, and clients of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from contract.oracles.asked import Asked, asked, client
from contract.oracles.far import Far, far


@pytest.fixture(scope="session")
def listening() -> Iterator[Asked]:
    with asked() as made:
        yield made


@pytest.fixture
def aws(listening: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    listening.forget()
    monkeypatch.setenv("AWS_ENDPOINT_URL", listening.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return listening


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
