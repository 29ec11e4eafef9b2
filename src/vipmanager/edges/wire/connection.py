"""The fence in front of the bytes of a request, and silence behind them.

One mixin for botocore's connections and for urllib3's own.
"""

import errno
import io
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPResponse
from select import POLLIN, poll
from typing import TYPE_CHECKING, Any

from vipmanager.core.failures import TooLate
from vipmanager.edges.wire.dial import AddressBook
from vipmanager.ports import Fence

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection as Base
else:
    Base = object

SILENT = 0.1
"""Seconds after which a request that the server's kernel has not acknowledged is given up.

Linux acknowledges within 40 ms (TCP_DELACK_MIN) and sends a lost segment again after 200 ms at the
least (TCP_RTO_MIN, both include/net/tcp.h), so this is sooner than any repair; a false alarm costs
one more call.
"""

ROUND_TRIPS = 3.0
"""So many round trips, where that is longer: the API may be in another Region."""


class Silent(Exception):
    """What was sent is not acknowledged: the way there is cut, or the server's machine is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a connection has to know of the call that uses it."""

    fence: Fence | None = None
    """Looked at before bytes are sent; None: they always may be."""
    patient: bool = False
    """Whether silence is borne until the kernel gives up (`USER_TIMEOUT`)."""
    stream: bool = False
    """Whether the read time-out is between two pieces of the answer, and not for all of it."""
    apart: set[str] | None = None
    """Addresses to which the same request goes already; the one that is taken is added."""


_ANY = Call()
_this_thread = threading.local()


@contextmanager
def calling(call: Call) -> Iterator[None]:
    """Let the requests that this thread makes be such a call's."""
    before = current()
    _this_thread.call = call
    try:
        yield
    finally:
        _this_thread.call = before


def current() -> Call:
    """Give the call that this thread makes."""
    call: Call = getattr(_this_thread, "call", _ANY)
    return call


class Wire(Base):
    """What both kinds of connection, plain and TLS, do otherwise than urllib3's."""

    book: AddressBook
    """Where it may lead; set by its pool."""
    address = ""
    """Where it leads."""
    heard = 0.0
    """When the other end gave a sign of life (monotonic seconds)."""
    _sent = 0.0

    # urllib3 has no public place for who dials: its own contrib/socks.py overrides this one too.
    def _new_conn(self) -> socket.socket:
        from urllib3.exceptions import (  # noqa: PLC0415 - slow to import
            ConnectTimeoutError,
            NameResolutionError,
            NewConnectionError,
        )

        seconds = float(self.timeout or 0.0)
        apart = current().apart
        try:
            sock, self.address = self.book.connect(
                seconds,
                options=self.socket_options or (),
                source=self.source_address,
                last=apart or (),
            )
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            said = f"Connection to {self.host} timed out. (connect timeout={seconds:g})"
            raise ConnectTimeoutError(self, said) from error
        except OSError as error:
            said = f"Failed to establish a new connection: {error}"
            raise NewConnectionError(self, said) from error
        if apart is not None:
            apart.add(self.address)
        self.heard = time.monotonic()
        sock.settimeout(seconds)
        return sock

    @property
    def is_connected(self) -> bool:
        """Whether it can be used (again)."""
        if self.sock is None:
            return False
        if not _readable(self.sock, 0.0):
            return True
        # Either it was closed, or these are the session tickets of TLS 1.3, which nobody has read.
        self.sock.settimeout(0.0)
        try:
            self.sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    @property
    def usable(self) -> bool:
        """Whether it is connected, and to an address that was not silent since it was heard."""
        return self.is_connected and not self.book.silent_since(self.address, self.heard)

    def send(self, data: Any) -> None:  # noqa: ANN401 - whatever http.client sends
        """Send bytes, unless the fence does not stand any more.

        Raises:
            TooLate: they were not sent.
        """
        if self.sock is None:
            self.connect()  # as http.client does it, but before the fence is looked at
        fence = current().fence
        if fence is not None and not fence.stands():
            raise TooLate("nothing was sent: the time in which it might have been is over")
        self._sent = time.monotonic()
        super().send(data)

    def getresponse(self) -> Any:  # noqa: ANN401 - urllib3's response
        """Wait for the answer.

        Raises:
            Silent: the request is not acknowledged; this address is tried last for a while.
        """
        patience = _Patience(self.sock, self._sent, self.timeout, current())
        answer: Any = partial(_response, patience)
        self.response_class = answer
        try:
            response = super().getresponse()
        except Silent:
            self.book.silent(self.address)
            raise
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:  # the kernel's, and not ours
                self.book.silent(self.address)
            raise
        self.heard = time.monotonic()
        self.book.heard(self.address)
        return response


class _Patience:
    """How long an answer is waited for."""

    def __init__(self, sock: Any, sent: float, seconds: float | None, call: Call) -> None:  # noqa: ANN401
        self.sock = sock
        self._sent = sent
        self._seconds = float("inf") if seconds is None else seconds
        self._until = time.monotonic() + self._seconds
        self._stream = call.stream
        self._acknowledged = call.patient

    def look(self) -> None:
        """See whether there is time left, also where the next piece is there already.

        Raises:
            TimeoutError: there is none.
        """
        if not self._stream and time.monotonic() >= self._until:
            raise TimeoutError("timed out")

    def wait(self) -> None:
        """Wait for the next piece of it.

        Raises:
            Silent: the request is not acknowledged.
            TimeoutError: it takes too long.
        """
        if self._stream:
            self._until = time.monotonic() + self._seconds
        while not self._acknowledged:
            left = self._sent + SILENT - time.monotonic()
            if left > 0 and _readable(self.sock, left):
                return
            unacknowledged, round_trip = _tcp_info(self.sock)
            if not unacknowledged:
                self._acknowledged = True
            elif _readable(self.sock, self._sent + ROUND_TRIPS * round_trip - time.monotonic()):
                return
            elif _tcp_info(self.sock)[0]:
                raise Silent(f"what was sent is not acknowledged after {SILENT:g} s")
        if not _readable(self.sock, self._until - time.monotonic()):
            raise TimeoutError("timed out")


def _readable(sock: Any, seconds: float) -> bool:  # noqa: ANN401
    waiting = poll()
    waiting.register(sock, POLLIN)
    return bool(waiting.poll(None if seconds == float("inf") else max(0.0, seconds) * 1000))


def _tcp_info(sock: Any) -> tuple[int, float]:  # noqa: ANN401
    """Give the segments that are not acknowledged, and the round trip in seconds.

    `tcpi_unacked` and `tcpi_rtt` of struct tcp_info (include/uapi/linux/tcp.h): eight octets of
    flags, then numbers of 32 bits.
    """
    below = getattr(sock, "socket", sock)  # TLS within TLS, through a proxy
    info = below.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 72)
    unacknowledged, round_trip = (
        struct.unpack_from("I", info, 24),
        struct.unpack_from("I", info, 68),
    )
    return unacknowledged[0], round_trip[0] / 1e6


def _response(patience: _Patience, sock: Any, *args: Any, **more: Any) -> HTTPResponse:  # noqa: ANN401
    return HTTPResponse(_Source(patience, sock), *args, **more)  # type: ignore[arg-type]


class _Source:
    """What http.client takes for a socket: it asks for nothing but a file."""

    def __init__(self, patience: _Patience, sock: Any) -> None:  # noqa: ANN401
        self._patience, self._sock = patience, sock

    def makefile(self, mode: str) -> io.BufferedReader:
        """Give a file that waits with patience."""
        return io.BufferedReader(_Pieces(self._patience, self._sock.makefile(mode, buffering=0)))


class _Pieces(io.RawIOBase):
    """An answer, as it arrives."""

    def __init__(self, patience: _Patience, raw: Any) -> None:  # noqa: ANN401
        self._patience, self._raw = patience, raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        self._patience.look()
        self._patience.sock.settimeout(0.0)  # TLS may need more than is there to give anything
        while True:
            try:
                count: int | None = self._raw.readinto(buffer)
            except ssl.SSLWantReadError:
                count = None
            if count is not None:
                return count
            self._patience.wait()

    def close(self) -> None:
        self._raw.close()
        super().close()
