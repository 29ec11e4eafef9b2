"""Raw HTTPS to the lab's Kubernetes API."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from clusters import Pod, pod_in_a_cluster
from vipmanager_lab.kube.kinds import EVENTS, LEASES, PODS

LEASE_PATH = "/apis/coordination.k8s.io/v1/namespaces/telco/leases"


@dataclass
class Caller:
    """One TLS connection of a client that trusts the mounted ca.crt."""

    pod: Pod
    source: str = "127.0.0.1"
    timeout: float = 10.0
    token: str | None = None
    connection: http.client.HTTPSConnection = field(init=False)

    def __post_init__(self) -> None:
        tls = ssl.create_default_context(cafile=str(self.pod.account.folder / "ca.crt"))
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.pod.port,
            context=tls,
            timeout=self.timeout,
            source_address=(self.source, 0),
        )

    def send(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> http.client.HTTPResponse:
        token = self.token or self.pod.token
        sent = {"Authorization": f"Bearer {token}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text, sent)
        return self.connection.getresponse()

    def __call__(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        answer = self.send(method, path, body, **headers)
        return answer.status, json.loads(answer.read())


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    with pod_in_a_cluster(tmp_path) as made:
        for kind in (LEASES, EVENTS, PODS):
            made.account.allow(kind, ["*"])
        yield made


Connect = Callable[..., Caller]


@pytest.fixture
def connect(pod: Pod) -> Iterator[Connect]:
    with contextlib.ExitStack() as stack:

        def make(
            *, source: str = "127.0.0.1", timeout: float = 10.0, token: str | None = None
        ) -> Caller:
            caller = Caller(pod, source=source, timeout=timeout, token=token)
            stack.callback(caller.connection.close)
            return caller

        yield make


@pytest.fixture
def call(connect: Connect) -> Caller:
    return connect()


def lease(name: str = "group", **spec: object) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec}
