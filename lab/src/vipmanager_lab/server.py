"""A small threaded HTTP/1.1 server that keeps connections alive and closes without a trace.

werkzeug's own server ends every connection after one answer, and connection reuse is what
the agent's latency is made of.
"""

import contextlib
import ctypes
import enum
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final

_LARGEST_HEAD: Final = 64 * 1024
_RECEIVE: Final = 64 * 1024
_CLOSE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    source: str = ""
    """The address that it came from."""


class Delivery(enum.Enum):
    """How an answer leaves the server."""

    WHOLE = "whole"
    TRUNCATED = "truncated"
    """All of the head, half of the body, then the end of the connection."""
    RESET = "reset"
    """Nothing but a TCP reset."""
    CLOSED = "closed"
    """Nothing but an orderly end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """One answer."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery.WHOLE
    pieces: Iterable[bytes] | None = None
    """A body that comes in pieces, chunked, for as long as it lasts; a ConnectionError from it
    ends the connection in the middle."""


class _BadRequestError(Exception):
    """Bytes that are no HTTP request."""


class Server:
    """Threads that accept connections and answer requests.

    Args:
        respond: called on the connection's thread for each request; must not raise.
        name: what its threads are called.
        tls: serve HTTPS with this context.
        idle_seconds: close a connection that has been quiet for so long.
    """

    def __init__(
        self,
        respond: Callable[[HttpRequest], HttpAnswer],
        *,
        name: str = "lab",
        tls: ssl.SSLContext | None = None,
        idle_seconds: float | None = None,
    ) -> None:
        self._respond, self._name = respond, name
        self._tls, self._idle = tls, idle_seconds
        if tls is not None:
            tls.sslsocket_class = _TlsSocket
        self._lock = threading.Lock()
        self._closed = False
        self._sockets: dict[socket.socket, None] = {}
        self._threads: set[threading.Thread] = set()
        self._accepted = 0

    @property
    def accepted(self) -> int:
        """Connections accepted so far."""
        return self._accepted

    def listen(self, listener: socket.socket) -> None:
        """Serve a bound socket, which may live in another network namespace; it is ours now.

        Raises:
            RuntimeError: the server is closed.
        """
        listener.listen(128)
        if not self._start(listener, self._accept):
            listener.close()
            raise RuntimeError("the server is closed")

    def close(self) -> None:
        """End every connection and thread, within a second."""
        with self._lock:
            self._closed = True
            sockets, threads = list(self._sockets), list(self._threads)
        for it in sockets:
            _shut(it)
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def silence(self, *, keep: int = 0) -> None:
        """Let whatever arrives on the connections of now vanish, but for the `keep` newest.

        The server's kernel drops it unseen (socket(7), SO_ATTACH_FILTER), so nothing is
        acknowledged: as if packets were lost on the way.
        """
        with self._lock:
            connections = [it for it in self._sockets if _is_connected(it)]
        for it in connections[: len(connections) - keep]:
            _drop_all(it)

    def _start(self, it: socket.socket, run: Callable[[socket.socket], None]) -> bool:
        def body() -> None:
            try:
                run(it)
            finally:
                it.close()
                with self._lock:
                    self._sockets.pop(it, None)
                    self._threads.discard(threading.current_thread())

        with self._lock:
            if self._closed:
                return False
            thread = threading.Thread(target=body, name=self._name, daemon=True)
            self._sockets[it] = None
            self._threads.add(thread)
            thread.start()
        return True

    def _accept(self, listener: socket.socket) -> None:
        while not self._closed:
            try:
                connection, _ = listener.accept()
            except OSError:  # shut down, or the peer was gone before we looked
                if self._closed:
                    return
                continue
            self._accepted += 1
            if not self._start(connection, self._serve):
                connection.close()

    def _serve(self, raw: socket.socket) -> None:
        # Without this an answer in two segments waits 40 ms for the client's delayed ACK.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(self._idle)
        _keep_alive(raw)
        # A client may leave at any point; that is its right, and nobody's error here.
        with contextlib.suppress(OSError, ValueError):
            if self._tls is None:
                self._converse(raw, raw)
                return
            # A duplicate, so that close() can still shut the connection down from outside.
            with self._tls.wrap_socket(raw.dup(), server_side=True) as wrapped:
                self._converse(wrapped, raw)

    def _converse(self, stream: socket.socket, raw: socket.socket) -> None:
        rest, source = b"", str(raw.getpeername()[0])
        while not self._closed:
            try:
                received = _receive(stream, rest)
            except _BadRequestError:
                answer = HttpAnswer(status=HTTPStatus.BAD_REQUEST)
                stream.sendall(_head(answer, keep=False))
                return
            if received is None:
                return
            request, rest = received
            keep = request.headers.get("connection", "").lower() != "close"
            answer = self._respond(replace(request, source=source))
            if self._closed or not _send(stream, raw, answer, keep=keep) or not keep:
                return


class _TlsSocket(ssl.SSLSocket):
    """CPython leaves a socket open that was reset before the handshake (ssl.py, `_create`)."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except OSError:
            self.close()
            raise


def _receive(stream: socket.socket, rest: bytes) -> tuple[HttpRequest, bytes] | None:
    """The next request and what follows it; None at an orderly end."""
    data = rest
    while b"\r\n\r\n" not in data:
        if len(data) > _LARGEST_HEAD:
            raise _BadRequestError
        more = stream.recv(_RECEIVE)
        if not more:
            return None
        data += more
    head, _, data = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, _ = lines[0].split(" ")
        pairs = (line.split(":", 1) for line in lines[1:])
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        length = int(headers.get("content-length", "0"))
    except ValueError:
        raise _BadRequestError from None
    if headers.get("expect", "").lower() == "100-continue":
        stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    chunks = [data]
    missing = length - len(data)
    while missing > 0:
        more = stream.recv(_RECEIVE)
        if not more:
            return None
        chunks.append(more)
        missing -= len(more)
    data = b"".join(chunks)
    path, _, query = target.partition("?")
    request = HttpRequest(
        method=method, path=path, query=query, headers=headers, body=data[:length]
    )
    return request, data[length:]


def _head(answer: HttpAnswer, *, keep: bool) -> bytes:
    status = HTTPStatus(answer.status)
    length = f"Content-Length: {len(answer.body)}"
    framing = "Transfer-Encoding: chunked" if answer.pieces is not None else length
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", framing]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if not keep:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _send(stream: socket.socket, raw: socket.socket, answer: HttpAnswer, *, keep: bool) -> bool:
    """Deliver the answer; whether the connection may serve another request."""
    if answer.delivery is Delivery.WHOLE and answer.pieces is not None:
        stream.sendall(_head(answer, keep=keep))
        for piece in answer.pieces:
            stream.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        stream.sendall(b"0\r\n\r\n")
        return True
    if answer.delivery is Delivery.WHOLE:
        stream.sendall(_head(answer, keep=keep) + answer.body)
        return True
    if answer.delivery is Delivery.TRUNCATED:
        stream.sendall(_head(answer, keep=keep) + answer.body[: len(answer.body) // 2])
    elif answer.delivery is Delivery.RESET:
        # Lingering for no time at all makes the kernel send a reset.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def _keep_alive(it: socket.socket) -> None:
    """End a connection whose client was cut off for half a minute: its thread waits for nobody."""
    it.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    it.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    it.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    it.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    it.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)


def _is_connected(it: socket.socket) -> bool:
    try:
        it.getpeername()
    except OSError:
        return False
    return True


_SO_ATTACH_FILTER: Final = 26
_RETURN_NOTHING: Final = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
"""The classic BPF program `ret #0` (include/uapi/linux/bpf_common.h): no packet gets through."""


def _drop_all(it: socket.socket) -> None:
    program = struct.pack("HP", 1, ctypes.addressof(_RETURN_NOTHING))
    with contextlib.suppress(OSError):  # it has ended
        it.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _shut(it: socket.socket) -> None:
    """Wake whatever thread waits on a socket."""
    with contextlib.suppress(OSError):
        it.shutdown(socket.SHUT_RDWR)
