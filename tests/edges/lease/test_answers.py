"""Whatever answers in the API's place."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest

from clusters import MINE, NAMESPACE
from edges.lease.conftest import LONG, TIGHT, Watcher
from vipmanager.core.failures import Failure
from vipmanager.edges.kube import Kube
from vipmanager.edges.lease import KubeLease
from vipmanager.lab.kube.certificates import Authority
from vipmanager.lab.server import HttpAnswer, HttpRequest, Server

if TYPE_CHECKING:
    from pathlib import Path

JSON = {"Content-Type": "application/json"}
Answering = Callable[[Callable[[HttpRequest], HttpAnswer]], tuple[Kube, KubeLease]]


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    """Make an API that answers as it likes, and a Lease in it."""
    with contextlib.ExitStack() as stack:

        def make(answer: Callable[[HttpRequest], HttpAnswer]) -> tuple[Kube, KubeLease]:
            authority = Authority()
            server = Server(answer, tls=authority.server([IPv4Address("127.0.0.1")]))
            stack.callback(server.close)
            listener = socket.create_server(("127.0.0.1", 0))
            environ = {
                "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                "KUBERNETES_SERVICE_PORT": str(listener.getsockname()[1]),
                "VIPMANAGER_SERVICE_ACCOUNT": str(tmp_path),
            }
            server.listen(listener)
            for name, text in {"ca.crt": authority.pem, "token": "t", "namespace": "n"}.items():
                (tmp_path / name).write_text(text)
            kube = Kube(environ)
            stack.callback(kube.close)
            lease = KubeLease(kube, namespace=NAMESPACE, name="group")
            stack.callback(lease.close)
            return kube, lease

        yield make


@pytest.mark.parametrize(
    "answer",
    [
        HttpAnswer(body=b"<html>sign in</html>", headers={"Content-Type": "text/html"}),
        HttpAnswer(body=b"[]", headers=JSON),
        HttpAnswer(body=b"{}", headers=JSON),
        HttpAnswer(body=b'{"type": "ADDED", "object": {}}', headers=JSON),
        HttpAnswer(body=b'{"type": "ADDED", "object": {"metadata": null}}', headers=JSON),
        HttpAnswer(body=b'{"type": "ADDED", "object": {"metadata": {}, "spec": 5}}'),
        HttpAnswer(body=b'{"type": "ERROR", "object": {}}', headers=JSON),
        HttpAnswer(body=b'{"type": "ERROR", "object": {"kind": "Status", "message": "m"}}'),
        HttpAnswer(status=502, body=b"bad gateway"),
        HttpAnswer(status=502, body=b"bad gateway", headers=JSON),
        HttpAnswer(status=400, body=b"{}", headers=JSON),
    ],
)
def test_what_is_no_kubernetes_api_is_a_failure_and_no_crash(
    answering: Answering, answer: HttpAnswer
) -> None:
    _, lease = answering(lambda _: answer)
    for call in (lease.read, lambda: lease.create(MINE), lambda: lease.replace(MINE)):
        with pytest.raises(Failure):
            call()
    watcher = Watcher(lease)
    for _ in range(2):  # and it goes on
        assert isinstance(watcher.failures.get(timeout=LONG), Failure)


def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_tight_loop(
    answering: Answering,
) -> None:
    watches = 0

    def answer(_asked: HttpRequest) -> HttpAnswer:
        nonlocal watches
        watches += 1
        return HttpAnswer()

    kube, lease = answering(answer)
    Watcher(lease)
    for _ in range(TIGHT):
        assert list(kube.watch_lease(NAMESPACE, "group", "", 1)) == []
    assert TIGHT < watches < TIGHT * 1.5
