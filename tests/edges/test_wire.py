"""Connections: dialled, taken from a pool, waited for, and left."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from vipmanager.edges.aws.credentials import Kept
from vipmanager.edges.wire import dial, pool
from vipmanager.edges.wire.connection import Call, calling
from vipmanager.edges.wire.dial import AddressBook
from vipmanager_lab.kube.certificates import Authority
from vipmanager_lab.server import HttpAnswer, HttpRequest, Server

Answer = Callable[[HttpRequest], HttpAnswer]
READ = 0.5
HERE = IPv4Address("127.0.0.1")


def _drip() -> Iterator[bytes]:
    """Give a byte now and then, for ever."""
    while True:
        yield b"."
        time.sleep(READ / 5)


def _answer(asked: HttpRequest) -> HttpAnswer:
    return HttpAnswer(pieces=_drip()) if asked.path == "/drip" else HttpAnswer(body=b"here")


@dataclass(frozen=True, slots=True)
class Api:
    """A server, and a pool of connections to it."""

    server: Server
    pool: Any

    def ask(self, path: str = "/") -> bytes:
        body: bytes = self.pool.urlopen("GET", path, retries=False).data
        return body


@pytest.fixture(params=["http", "https"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    authority, ca = Authority(), tmp_path / "ca.crt"
    ca.write_text(authority.pem)
    secure = request.param == "https"
    server = Server(_answer, tls=authority.server([HERE]) if secure else None)
    listener = socket.create_server((str(HERE), 0))
    server.listen(listener)
    more = {"ca_certs": str(ca)} if secure else {}
    made: Any = pool.plain()[request.param]
    connections = made(str(HERE), listener.getsockname()[1], timeout=READ, maxsize=4, **more)
    yield Api(server, connections)
    connections.close()
    server.close()


def test_a_connection_is_used_again(api: Api) -> None:
    for _ in range(5):
        assert api.ask() == b"here"
    assert api.server.accepted == 1


def test_one_that_waits_before_its_first_call_is_used(api: Api) -> None:
    """TLS 1.3 sends its session tickets by itself: bytes are there that nobody has asked for."""
    ready = api.pool._get_conn()  # noqa: SLF001 - what `spare` does
    ready.connect()
    assert ready.usable
    api.pool._put_conn(ready)  # noqa: SLF001
    assert api.ask() == b"here"
    assert api.server.accepted == 1


def test_every_socket_drops_what_is_not_acknowledged_when_it_is_closed(api: Api) -> None:
    api.ask()
    (idle,) = api.pool.ready()
    for level, name, value in dial.OPTIONS:
        length = len(value) if isinstance(value, bytes) else 0
        found = idle.sock.getsockopt(level, name, *([length] if length else []))
        assert found == value


def test_an_answer_that_never_ends_is_given_up_as_a_whole(api: Api) -> None:
    began = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        api.ask("/drip")
    assert time.monotonic() - began < 10 * READ


def test_a_stream_may_last(api: Api) -> None:
    with calling(Call(stream=True)):
        answer = api.pool.urlopen("GET", "/drip", retries=False, preload_content=False)
        began = time.monotonic()
        while time.monotonic() - began < 2 * READ:
            assert answer.read(1) == b"."
        answer.close()


def test_one_that_the_server_has_closed_is_not_used(api: Api) -> None:
    api.ask()
    api.server.close()
    with pytest.raises(NewConnectionError):
        api.ask()


@pytest.fixture
def full() -> Iterator[tuple[str, int]]:
    """An address that does not answer: its queue of connections is full (listen(2))."""
    with socket.create_server(("127.0.0.2", 0), backlog=0) as listener:
        where = listener.getsockname()
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)  # noqa: FBT003 - positional-only in the standard library
            one.connect_ex(where)
            waiting.append(one)
        yield where
        for one in waiting:
            one.close()


def test_nobody_answers_within_the_time(full: tuple[str, int]) -> None:
    with pytest.raises(TimeoutError):
        AddressBook(*full).connect(0.3)


def test_whoever_refuses_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = listener.getsockname()
    began = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        AddressBook(*where).connect(60.0)
    assert time.monotonic() - began < 30.0


def test_a_name_that_is_not_known_is_told_as_such() -> None:
    with pytest.raises(socket.gaierror):
        AddressBook("no-such-name.invalid", 80).connect(5.0)


class Sts:
    """Credentials that are due, and take their time."""

    method = "web identity"

    def __init__(self) -> None:
        self.ends = 3600.0
        self.come = threading.Event()
        self.come.set()
        self.calls = 0

    def get_frozen_credentials(self) -> str:
        if self.refresh_needed():
            assert self.come.wait(20.0)
            self.calls += 1
            self.ends = 3600.0
        return f"key {self.calls}"

    def refresh_needed(self, refresh_in: float | None = None) -> bool:
        return self.ends < (900.0 if refresh_in is None else refresh_in)

    def get_deferred_property(self, property_name: str) -> Any:  # noqa: ANN401
        return SimpleNamespace(property_name=property_name)


def test_credentials_that_are_due_are_renewed_beside_while_the_old_ones_are_good() -> None:
    sts = Sts()
    kept = Kept(sts)
    assert kept.get_frozen_credentials() == "key 0"
    sts.ends = 600.0
    sts.come.clear()
    assert kept.get_frozen_credentials() == "key 0"
    sts.come.set()
    while kept.get_frozen_credentials() == "key 0":
        time.sleep(0.001)
    assert sts.calls == 1


def test_credentials_that_are_over_are_waited_for() -> None:
    sts = Sts()
    kept = Kept(sts)
    kept.get_frozen_credentials()
    sts.ends = -1.0
    assert kept.get_frozen_credentials() == "key 1"
