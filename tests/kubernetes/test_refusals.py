"""An API server that refuses for a while, or ends a watch: role label, Events and watch go on."""

from __future__ import annotations

import json
import queue
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path

import pytest

from clusters import LOCAL, MINE, NAMESPACE, Pod
from kubernetes.conftest import LONG
from reports import report, wrote
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.lease import Gone, LeaseRecord
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.events import PodEvents
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager.edges.kubernetes.role_label import RoleLabel
from vipmanager_lab.kube.api import Asked
from vipmanager_lab.kube.certificates import Authority
from vipmanager_lab.kube.endpoint import Endpoint
from vipmanager_lab.kube.kinds import EVENTS, LEASES, PODS
from vipmanager_lab.kube.status import StatusError
from vipmanager_lab.kube.store import Key
from vipmanager_lab.kubernetes.plane import Plane, await_true
from vipmanager_lab.kubernetes.upstream import Upstream
from vipmanager_lab.server import HttpAnswer, HttpRequest

SOON = 8.0
"""Seconds within which a refusal at first is tried again; one that lasts is later."""
GROUP, APP = Key(LEASES, NAMESPACE, "group"), Key(PODS, NAMESPACE, "app-0")


class Agent:
    """What of an agent calls the Kubernetes API, and what was said of it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.said: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self.states: queue.SimpleQueue[LeaseRecord | None] = queue.SimpleQueue()
        self.failures: queue.SimpleQueue[Failure] = queue.SimpleQueue()
        self._kube = Kube(environ)

        def say(level: str, word: str, _: str) -> None:
            self.said.put((word, level))

        self.label = RoleLabel(self._kube, environ, say=say)
        self.events = PodEvents(self._kube, environ, say=say)
        self._lease = KubeLease(self._kube, namespace=NAMESPACE, name="group")

    def begin(self) -> None:
        self.label.show("holder")
        self.events.report(report(done=(wrote(0),)))
        self._lease.watch(self.states.put, self.failures.put)

    def says(self, times: int) -> set[tuple[str, str]]:
        return {self.said.get(timeout=LONG) for _ in range(times)}

    def close(self) -> None:
        self._lease.close()
        self._kube.close()


@pytest.fixture
def agent(direct: Pod) -> Iterator[Agent]:
    direct.cluster.store.create(LEASES, NAMESPACE, {"metadata": {"name": "group"}, "spec": {}})
    made = Agent(direct.environ)
    yield made
    made.close()


def allow(pod: Pod) -> None:
    pod.account.allow(LEASES, ["get", "watch", "update"], ["group"])
    pod.account.allow(PODS, ["patch"])
    pod.account.allow(EVENTS, ["create", "patch"])


def await_all(pod: Pod, agent: Agent) -> None:
    """Wait until the label is right, an Event is there, and the watch tells of the Lease."""
    store = pod.cluster.store
    await_true(
        "the label is there",
        lambda: store.get(APP)["metadata"].get("labels", {}).get("vipmanager/role") == "holder",
    )
    await_true("an Event is there", lambda: bool(store.list(EVENTS, NAMESPACE)[1]))
    wanted = store.get(GROUP)["metadata"]["resourceVersion"]
    while True:
        heard = agent.states.get(timeout=SOON)
        if heard is not None and heard.resource_version == wanted:
            return


def test_roles_that_are_bound_later_bring_label_events_and_watch(direct: Pod, agent: Agent) -> None:
    agent.begin()
    assert agent.says(2) == {("label", "warning"), ("events", "warning")}
    assert isinstance(agent.failures.get(timeout=LONG), Permanent)
    allow(direct)
    assert agent.says(2) == {("label", "info"), ("events", "info")}
    await_all(direct, agent)


def test_an_api_server_that_starts_delays_all_of_it_and_ends_nothing(
    plane: Plane, direct: Pod, agent: Agent
) -> None:
    allow(direct)
    plane.apiserver.kill()
    agent.begin()
    assert agent.says(2) == {("label", "warning"), ("events", "warning")}
    plane.start_apiserver()
    await_all(direct, agent)
    direct.cluster.store.patch(GROUP, {"spec": {"holderIdentity": "somebody"}})
    await_all(direct, agent)


class Spoiled:
    """The API server, whose first watch ends with an error that is not its own.

    Nothing here makes a real one send any but 410; those that it has come from its storage.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._error: bytes | None = _line(500, "InternalError", "storage is (re)initializing")

    def perform(
        self, http: HttpRequest, asked: Asked | StatusError, broken: Callable[[], bool]
    ) -> HttpAnswer:
        answer = self._upstream.perform(http, asked, broken)
        if answer.pieces is None or self._error is None:
            return answer
        error, self._error = self._error, None
        first = iter(answer.pieces)
        return replace(answer, pieces=iter([next(first), error]))

    def wake(self) -> None:
        self._upstream.wake()


def _line(code: int, reason: str, message: str) -> bytes:
    status = {"kind": "Status", "status": "Failure", "code": code}
    event = {"type": "ERROR", "object": status | {"reason": reason, "message": message}}
    return json.dumps(event).encode() + b"\n"


def test_a_watch_that_ends_with_any_error_begins_with_what_there_is(
    plane: Plane, direct: Pod, tmp_path: Path
) -> None:
    direct.account.allow(LEASES, ["get", "watch", "update", "create"])
    authority, upstream = Authority(), Upstream(plane.url, plane.authority)
    endpoint = Endpoint(Spoiled(upstream), tls=authority.server([LOCAL]))
    listener = socket.create_server((str(LOCAL), 0))
    port = listener.getsockname()[1]
    endpoint.listen(listener)
    (tmp_path / "ca.crt").write_text(authority.pem)
    kube = Kube({**direct.environ, "KUBERNETES_SERVICE_PORT": str(port)})
    lease = KubeLease(kube, namespace=NAMESPACE, name="group")
    record = lease.create(MINE)
    states: queue.SimpleQueue[LeaseRecord | None] = queue.SimpleQueue()
    failures: queue.SimpleQueue[Failure] = queue.SimpleQueue()
    lease.watch(states.put, failures.put)
    assert [states.get(timeout=LONG) for _ in range(2)] == [record, record]
    failure = failures.get(timeout=LONG)
    assert isinstance(failure, Gone)
    assert "storage is (re)initializing" in str(failure)
    watches = endpoint.await_calls(lambda calls: len(calls) >= 2)
    asked = [it.query for it in watches if it.action == "watch leases"]
    assert not any("resourceVersion=" in query for query in asked)
    assert {it.status for it in watches} <= {HTTPStatus.OK, HTTPStatus.CREATED}
    lease.close()
    kube.close()
    endpoint.close()
    upstream.close()
