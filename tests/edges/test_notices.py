"""Termination notices: asked of an IMDS, told once."""

import contextlib
import queue
import socket
from collections.abc import Iterator

import pytest

from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.notice import TerminationNotice
from vipmanager.edges.imds import Imds
from vipmanager.edges.notices import Notices
from vipmanager_lab.server import HttpAnswer, HttpRequest, Server

TIME = 5.0
SPOT = "/latest/meta-data/spot/instance-action"
GROUP = "/latest/meta-data/autoscaling/target-lifecycle-state"
TERMINATE = '{"action": "terminate", "time": "2026-09-18T08:22:00Z"}'


class Service:
    """An IMDS with the items that it is given; each token is good for one answer."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._token = 0
        self._server = Server(self._answer)
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server.listen(listener)

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        if request.path.endswith("/token"):
            self._token += 1
            return HttpAnswer(status=200, body=b"token%d" % self._token, headers={})
        shown = {k.lower(): v for k, v in request.headers.items()}["x-aws-ec2-metadata-token"]
        if shown != f"token{self._token}":
            return HttpAnswer(status=401, body=b"", headers={})
        self._token += 1
        self.asked.put(request.path)
        found = self.items.get(request.path)
        return HttpAnswer(
            status=404 if found is None else 200, body=(found or "").encode(), headers={}
        )

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def service() -> Iterator[Service]:
    with contextlib.closing(Service()) as service:
        yield service


@pytest.fixture
def imds(service: Service) -> Iterator[Imds]:
    environ = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.url}
    with contextlib.closing(Imds(allow_v1=False, environ=environ)) as imds:
        yield imds


def test_an_instance_that_stays_has_no_notice(service: Service, imds: Imds) -> None:
    assert imds.notices() == ()
    service.items = {GROUP: "InService"}
    assert imds.notices() == ()


def test_both_kinds_of_notice_are_read_with_a_token_that_expires(
    service: Service, imds: Imds
) -> None:
    service.items = {SPOT: TERMINATE, GROUP: "Terminated\n"}
    spot, group = imds.notices()
    assert spot.what == "EC2 will terminate this Spot Instance"
    assert spot.when == "2026-09-18T08:22:00Z"
    assert "Terminated" in group.what


def test_an_answer_that_is_no_notice_is_a_failure(service: Service, imds: Imds) -> None:
    service.items = {SPOT: "<html>"}
    with pytest.raises(Transient, match="spot/instance-action"):
        imds.notices()


def test_an_imds_that_is_switched_off_is_not_asked() -> None:
    with pytest.raises(Permanent, match="AWS_EC2_METADATA_DISABLED"):
        Imds(allow_v1=False, environ={"AWS_EC2_METADATA_DISABLED": "true"}).notices()


def test_a_notice_is_told_once_however_often_it_is_read(service: Service, imds: Imds) -> None:
    told: queue.SimpleQueue[TerminationNotice] = queue.SimpleQueue()
    service.items = {SPOT: TERMINATE}
    notices = Notices(read=imds.notices, heard=told.put, every=0.01)
    notices.start()
    assert "terminate" in told.get(timeout=TIME).what
    for _ in range(6):
        service.asked.get(timeout=TIME)
    service.items[GROUP] = "Terminated"
    assert "Auto Scaling" in told.get(timeout=TIME).what
    notices.close()
    assert told.empty()


def test_an_imds_that_fails_is_nothing_and_is_asked_again() -> None:
    told: queue.SimpleQueue[TerminationNotice] = queue.SimpleQueue()
    failures: Iterator[Failure] = iter([Transient("silent"), Permanent("refused")])

    def read() -> tuple[TerminationNotice, ...]:
        for failure in failures:
            raise failure
        return (TerminationNotice(what="gone soon"),)

    notices = Notices(read=read, heard=told.put, every=0.01)
    notices.start()
    assert told.get(timeout=TIME) == TerminationNotice(what="gone soon")
    notices.close()
