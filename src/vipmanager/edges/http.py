"""What kubelet asks, /healthz and /readyz; /status for people and tools; /metrics."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address

from vipmanager.core.failures import Permanent
from vipmanager.core.readiness import alive
from vipmanager.core.status import Status
from vipmanager.core.values import Address
from vipmanager.edges.wire.listen import BACKLOG, Guest, Listener

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""
LONGEST = 8192
"""Bytes of a request: Prometheus and kubelet send some hundred."""

LOOPBACK = ip_address("127.0.0.1"), ip_address("::1")
EVERYWHERE = ip_address("0.0.0.0"), ip_address("::")  # noqa: S104 - where nobody can tell better
PATIENCE = 5.0
"""Seconds for a request, and as many for its answer to be taken: kubelet waits for one."""

_REQUEST = re.compile(rb"([A-Z]{1,16}) ([!-~]+) HTTP/1\.[0-9]\r?\n")
_END = re.compile(rb"\r?\n\r?\n")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
_FREEBIND = {4: (socket.IPPROTO_IP, 15), 6: (socket.IPPROTO_IPV6, 78)}
"""`IP_FREEBIND` and `IPV6_FREEBIND` (linux/in.h, linux/in6.h), by IP version: an address that is
still tentative can be had with them."""


class Probes:
    """Answers HTTP probes with the agent's status."""

    def __init__(
        self,
        *,
        addresses: Iterable[Address],
        port: int,
        resync: float,
        status: Callable[[], Status],
        document: Callable[[], Mapping[str, object]],
        metrics: Callable[[], bytes],
    ) -> None:
        """Listen at once.

        Args:
            addresses: where kubelet and Prometheus reach the pod. Nobody is answered at others,
                but at the loopback addresses: `kubectl port-forward` leads there.
            port: of TCP.
            resync: seconds between readings; a loop that is silent for much longer is stuck.
            status: for the probes.
            document: what /status shows.
            metrics: what /metrics shows.

        Raises:
            Permanent: the port can't be had.
        """
        self._resync, self._now = resync, time.monotonic
        self._status = status
        self._document = document
        self._metrics = metrics
        Listener(
            *_listening(addresses, port),
            name="http",
            longest=LONGEST,
            patience=PATIENCE,
            who=lambda connection: str(connection.getpeername()[0]),
            hear=self._hear,
            sorry=lambda bug: _answer(500, f"{bug}\n".encode()),
        )

    def _hear(self, guest: Guest) -> bytes | None:
        """Answer a request once its head is whole; what it may send behind it does not matter."""
        head = bytes(guest.said)
        if not _END.search(head):
            return _answer(431, b"too long\n") if len(head) >= LONGEST else None
        request = _REQUEST.match(head)
        if request is None:
            return _answer(400, b"no HTTP/1 request\n")
        method, path = request[1], request[2].decode()
        if method not in {b"GET", b"HEAD"}:
            return _answer(405, b"GET\n")
        status, body, kind = self.answer(path)
        return _answer(status, body, kind, bare=method == b"HEAD")

    def answer(self, path: str) -> tuple[int, bytes, str]:
        """Give status, body and content type for a path."""
        match path.partition("?")[0]:
            case "/healthz":
                silent = self._now() - self._status().at
                if alive(since_pass=silent, resync=self._resync):
                    return 200, b"ok\n", "text/plain"
                return 503, f"stuck for {silent:.0f} s\n".encode(), "text/plain"
            case "/readyz":
                status = self._status()
                said = f"{status.why(self._now())}\n"
                return (200 if status.readiness.ready else 503), said.encode(), "text/plain"
            case "/status":
                return 200, json.dumps(self._document(), indent=1).encode(), "application/json"
            case "/metrics":
                return 200, self._metrics(), METRICS_TYPE
            case _:
                return 404, b"/healthz /readyz /status /metrics\n", "text/plain"


def _answer(status: int, body: bytes, kind: str = "text/plain", *, bare: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()
    return head if bare else head + body


def _listening(addresses: Iterable[Address], port: int) -> list[socket.socket]:
    families = socket.AF_INET, socket.AF_INET6
    wanted = dict.fromkeys((*addresses, *LOOPBACK))
    if any(a.is_unspecified for a in wanted):
        wanted = dict.fromkeys(a for a in wanted if a.is_unspecified)
    found = []
    for address in wanted:
        try:
            found.append(socket.socket(families[address.version == 6], socket.SOCK_STREAM))  # noqa: PLR2004 - IPv6
        except OSError:
            continue  # the node has no IPv6: so nobody asks there
        try:
            _listen(found[-1], address, port)
        except OSError as error:
            for each in found:
                each.close()
            raise Permanent(
                f"HTTPPort={port}: {error.strerror} ({address})",
                "choose a port that nothing in the pod uses",
            ) from error
    return found


def _listen(listening: socket.socket, address: Address, port: int) -> None:
    # An agent that starts again must not wait for the last one's connections to be forgotten.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(*_FREEBIND[address.version], 1)
    if listening.family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    listening.bind((str(address), port))
    listening.listen(BACKLOG)
