"""Real servers, well and ill, and what a series of checks tells."""

import contextlib
import os
import queue
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.healthcheck import AppHealth, parse
from vipmanager.edges.healthcheck import examine
from vipmanager.engine.checks import Checks
from vipmanager.engine.threads import SystemClock, Threads

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TIME = 5.0
"""Seconds for a check that is expected to end by itself."""
SOON = 0.2
"""Seconds for one that is not."""

Speak = Callable[[socket.socket], None]


class App:
    """An application on one port."""

    def __init__(self, speak: Speak, address: str = "127.0.0.1") -> None:
        self.speak = speak
        self.listener = socket.create_server(
            (address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET
        )
        self.port = self.listener.getsockname()[1]
        self._ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self.speak(connection)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


Start = Callable[..., App]


@pytest.fixture
def start() -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def started(speak: Speak, address: str = "127.0.0.1") -> App:
            app = App(speak, address)
            stack.callback(app.close)
            return app

        yield started


def says(answer: bytes) -> Speak:
    def speak(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    return speak


def silent(connection: socket.socket) -> None:
    while connection.recv(4096):
        pass


def drips(connection: socket.socket) -> None:
    for byte in OK * 100:
        connection.sendall(bytes([byte]))
        connection.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            connection.recv(4096)


def test_an_application_that_answers_is_well(start: Start) -> None:
    app = start(says(OK))
    examine(parse(f"http://127.0.0.1:{app.port}/ready"), timeout=TIME)
    examine(parse(f"http://localhost:{app.port}/"), timeout=TIME)
    examine(parse(f"tcp://127.0.0.1:{app.port}"), timeout=TIME)


def test_localhost_and_an_address_reach_ipv6(start: Start) -> None:
    app = start(says(OK), "::1")
    examine(parse(f"http://[::1]:{app.port}/"), timeout=TIME)
    examine(parse(f"http://localhost:{app.port}/"), timeout=TIME)
    examine(parse(f"tcp://localhost:{app.port}"), timeout=TIME)


def test_the_request_names_path_host_and_sender(start: Start) -> None:
    heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def speak(connection: socket.socket) -> None:
        heard.put(connection.recv(4096))
        connection.sendall(OK)

    app = start(speak, "::1")
    examine(parse(f"http://[::1]:{app.port}/ready?now"), timeout=TIME)
    lines = heard.get(timeout=TIME).split(b"\r\n")
    assert lines[0] == b"GET /ready?now HTTP/1.1"
    assert f"Host: [::1]:{app.port}".encode() in lines
    assert b"User-Agent: vipmanager" in lines


@pytest.mark.parametrize(
    ("status", "well"),
    [(200, True), (204, True), (302, True), (399, True), (404, False), (503, False), (100, False)],
)
def test_a_status_from_200_to_399_is_well(
    start: Start,
    status: int,
    well: bool,  # noqa: FBT001 - a table's column
) -> None:
    check = parse(f"http://127.0.0.1:{start(says(f'HTTP/1.1 {status} X'.encode() + OK[15:])).port}")
    with contextlib.nullcontext() if well else pytest.raises(Transient, match=f"answered {status}"):
        examine(check, timeout=TIME)


@pytest.mark.parametrize(
    "answer", [b"", b"SIP/2.0 200 OK\r\n", b"\0" * 5000, b"HTTP/1.1 2000 \r\n"]
)
def test_what_is_no_http_is_not_well(start: Start, answer: bytes) -> None:
    check = parse(f"http://127.0.0.1:{start(says(answer)).port}/")
    with pytest.raises(Transient, match="no HTTP"):
        examine(check, timeout=TIME)


@pytest.mark.parametrize("speak", [silent, drips])
def test_a_server_that_hangs_or_drips_has_failed_when_its_time_is_over(
    start: Start, speak: Speak
) -> None:
    check = parse(f"http://127.0.0.1:{start(speak).port}/")
    with pytest.raises(Transient, match=r"did not answer within 0\.2 s"):
        examine(check, timeout=SOON)


def test_a_full_backlog_is_a_hung_server() -> None:
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003
            waiting.connect_ex(listener.getsockname())
        with pytest.raises(Transient, match="did not answer within"):
            examine(parse(f"tcp://127.0.0.1:{listener.getsockname()[1]}"), timeout=SOON)


@pytest.mark.parametrize("form", ["http://127.0.0.1:{}/", "tcp://localhost:{}", "tcp://[::1]:{}"])
def test_a_closed_port_is_refused(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Transient, match="Connection refused"):
        examine(parse(form.format(port)), timeout=TIME)


def test_a_port_that_answers_itself_is_closed() -> None:
    """With one port to draw from, the kernel connects a socket to itself."""
    drawn = Path("/proc/sys/net/ipv4/ip_local_port_range")
    before = drawn.read_text()
    drawn.write_text("40000 40000")
    try:
        with pytest.raises(Transient, match="Connection refused"):
            examine(parse("tcp://127.0.0.1:40000"), timeout=TIME)
    finally:
        drawn.write_text(before)


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = folder / "app.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def secure(start: Start, tmp_path: Path) -> App:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(tmp_path))

    def speak(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as inside:
            says(OK)(inside)

    return start(speak)


def test_https_is_verified_by_the_systems_authorities(secure: App) -> None:
    with pytest.raises(Permanent, match="SSL_CERT_FILE"):
        examine(parse(f"https://127.0.0.1:{secure.port}/"), timeout=TIME)


def test_https_with_a_known_authority_is_well(secure: App, tmp_path: Path) -> None:
    script = (
        "from vipmanager.core.healthcheck import parse; "
        "from vipmanager.edges.healthcheck import examine; "
        f"examine(parse('https://127.0.0.1:{secure.port}/'), timeout={TIME})"
    )
    # Authorities are read once in a process.
    known = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "app.pem")}
    subprocess.run([sys.executable, "-c", script], env=known, check=True, timeout=60)


def test_https_that_is_not_shaken_hands_over_has_failed(start: Start) -> None:
    with pytest.raises(Transient, match="did not answer within"):
        examine(parse(f"https://127.0.0.1:{start(silent).port}/"), timeout=SOON)
    with pytest.raises(Transient):
        examine(parse(f"https://127.0.0.1:{start(says(OK)).port}/"), timeout=TIME)


def begun(check: str, told: queue.SimpleQueue[tuple[AppHealth, str]], interval: float) -> Checks:
    """Checks as the agent makes them; two results in a row change anything."""
    made = Checks(
        lambda timeout: examine(parse(check), timeout=timeout),
        interval=interval,
        rise=2,
        fall=2,
        clock=SystemClock(),
        tasks=Threads(),
        failed=print,
    )
    made.listen(lambda health, why: told.put((health, why)))
    assert made.pulse.health is AppHealth.UNKNOWN
    made.start()
    return made


def test_the_first_result_comes_at_once_and_changes_are_told(start: Start) -> None:
    told: queue.SimpleQueue[tuple[AppHealth, str]] = queue.SimpleQueue()
    app = start(says(OK))
    checks = begun(f"http://127.0.0.1:{app.port}/", told, 0.05)
    assert told.get(timeout=TIME)[0] is AppHealth.HEALTHY
    app.speak = says(b"HTTP/1.1 503 Busy\r\n\r\n")
    health, why = told.get(timeout=TIME)
    assert health is AppHealth.UNHEALTHY
    assert "answered 503" in why
    app.speak = says(OK)
    assert told.get(timeout=TIME)[0] is AppHealth.HEALTHY
    checks.close()
    assert told.empty()


def test_a_failure_is_the_first_result_of_a_closed_port() -> None:
    told: queue.SimpleQueue[tuple[AppHealth, str]] = queue.SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    checks = begun(f"tcp://127.0.0.1:{port}", told, 60)
    assert told.get(timeout=TIME)[0] is AppHealth.UNHEALTHY
    checks.close()
