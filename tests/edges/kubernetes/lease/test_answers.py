"""Whatever answers in the API's place."""

from collections.abc import Iterator
from threading import Event

import pytest

from clusters import MINE, NAMESPACE
from edges.kubernetes.conftest import Api
from edges.kubernetes.lease.conftest import LONG, TIGHT, Watcher
from vipmanager.core.failures import Failure
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager_lab.server import HttpAnswer, HttpRequest

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def lease(trusted: Kube) -> Iterator[KubeLease]:
    made = KubeLease(trusted, namespace=NAMESPACE, name="group")
    yield made
    made.close()


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
    api: Api, lease: KubeLease, answer: HttpAnswer
) -> None:
    api.answer = lambda _: answer
    for call in (lease.read, lambda: lease.create(MINE), lambda: lease.replace(MINE)):
        with pytest.raises(Failure):
            call()
    watcher = Watcher(lease)
    for _ in range(2):  # and it goes on
        assert isinstance(watcher.failures.get(timeout=LONG), Failure)


def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_tight_loop(
    api: Api, trusted: Kube, lease: KubeLease
) -> None:
    watches, asked = 0, Event()

    def answer(_asked: HttpRequest) -> HttpAnswer:
        nonlocal watches
        watches += 1
        asked.set()
        return HttpAnswer()

    api.answer = answer
    Watcher(lease)
    assert asked.wait(LONG)
    for _ in range(TIGHT):
        assert list(trusted.watch_lease(NAMESPACE, "group", "", 1)) == []
    assert TIGHT < watches < TIGHT * 1.5
