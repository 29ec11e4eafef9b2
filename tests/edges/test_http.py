"""Kubelet and Prometheus are answered, whoever else comes."""

import contextlib
import json
import os
import resource
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from vipmanager.core.failures import Permanent
from vipmanager.core.status import Status
from vipmanager.edges.http import LONGEST, Probes
from vipmanager.edges.wire.listen import PLACES

POD = "127.0.0.2"
"""Stands for the pod's own address: on this machine all of 127.0.0.0/8 is."""
MAX_PEERS = 2000


def document() -> dict[str, object]:
    return {"why": "x" * 300_000}


def bug() -> bytes:
    raise LookupError("two\nlines")


@pytest.fixture(scope="module")
def port() -> int:
    with socket.create_server((POD, 0)) as free:
        port: int = free.getsockname()[1]
    Probes(
        addresses=[ip_address(POD)],
        port=port,
        resync=30.0,
        status=lambda: Status(at=float("inf")),
        document=document,
        metrics=bug,
    )
    return port


def asked(port: int, said: bytes, host: str = POD) -> bytes:
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(said)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def get(port: int, path: str = "/healthz", host: str = POD) -> tuple[int, bytes]:
    head, _, body = asked(port, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), host).partition(
        b"\r\n\r\n"
    )
    return int(head.split()[1]), body


def test_each_path_is_answered_and_nothing_else(port: int) -> None:
    assert get(port) == (200, b"ok\n")
    assert get(port, "/healthz?verbose") == (200, b"ok\n")
    assert get(port, "/readyz")[0] == 503
    assert json.loads(get(port, "/status")[1]) == document()
    assert get(port, "/../etc/passwd\x1b")[0] == 400
    assert get(port, "/else")[0] == 404


def test_kubectl_port_forward_reaches_it_by_loopback_and_no_other_address_does(port: int) -> None:
    assert get(port, host="127.0.0.1")[0] == 200
    assert get(port, host="::1")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        get(port, host="127.0.0.3")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"HEAD /healthz HTTP/1.0\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.1\n\n", 200),
        (b"POST /healthz HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000, 405),
        (b"GET /" + b"a" * LONGEST, 431),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * LONGEST, 431),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 400),
    ],
)
def test_an_odd_request_is_told_what_is_wrong(port: int, said: bytes, status: int) -> None:
    answer = asked(port, said)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert (b"\r\n\r\nok" in answer) == (status == 200 and said.startswith(b"GET"))


def test_a_request_may_come_in_pieces(port: int) -> None:
    with socket.create_connection((POD, port), timeout=10) as connection:
        for piece in (b"GET /hea", b"lthz HTTP/1.1\r", b"\n\r", b"\n"):
            connection.sendall(piece)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_a_bug_is_told_in_one_line_and_ends_nothing(port: int) -> None:
    status, body = get(port, "/metrics")
    assert (status, body) == (500, rb"a bug: LookupError('two\nlines')" + b"\n")
    assert get(port) == (200, b"ok\n")


@pytest.fixture
def crowd(port: int) -> Iterator[list[socket.socket]]:
    """As many connections as open files allow, that say nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * MAX_PEERS), hard))
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection((POD, port), timeout=10))
            for _ in range(min(MAX_PEERS, hard // 4))
        ]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousands_of_idle_connections_take_no_thread_and_few_places(
    port: int, crowd: list[socket.socket]
) -> None:
    assert get(port) == (200, b"ok\n")
    assert get(port, "/status")[0] == 200
    assert sum(t.name == "http" for t in threading.enumerate()) == 1
    assert len(list(Path("/proc/self/fd").iterdir())) < len(crowd) + 3 * PLACES
    assert crowd[0].recv(1) == b"", "the oldest was sent away"


def test_who_talks_slowly_or_does_not_take_its_answer_keeps_nobody_waiting(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for said in (b"GET /", b"GET /status HTTP/1.1\r\n\r\n") * 20:
            guest = stack.enter_context(socket.create_connection((POD, port), timeout=10))
            guest.sendall(said)
        assert get(port, "/status")[0] == 200


def test_a_guest_without_a_request_is_sent_away(port: int) -> None:
    with socket.create_connection((POD, port), timeout=30) as guest:
        guest.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert guest.recv(1) == b""


def test_a_port_in_use_names_its_key(port: int) -> None:
    with pytest.raises(Permanent, match=f"HTTPPort={port}: Address already in use"):
        Probes(
            addresses=[ip_address(POD)],
            port=port,
            resync=30.0,
            status=Status,
            document=document,
            metrics=bug,
        )


def test_it_goes_on_after_descriptors_were_short(port: int) -> None:
    """accept(2) fails with EMFILE, and takes nothing out of the queue."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    guest = socket.socket()
    guest.settimeout(10)
    highest = os.dup(0)
    os.close(highest)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
        guest.connect((POD, port))
        guest.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        guest.settimeout(0.3)
        with pytest.raises(TimeoutError):
            guest.recv(1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    guest.settimeout(10)
    with guest:
        assert guest.recv(100).startswith(b"HTTP/1.1 200")
