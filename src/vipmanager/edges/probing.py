"""Asks addresses many times a second whether they answer: by ICMP, by UDP, by TCP.

A probe is numbered; its account is a `Tally`. One thread sends, and takes answers in.
"""

import contextlib
import errno
import os
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

from vipmanager.core.probes import Tally

DRAIN = 0.3
"""Seconds for which answers are waited for after the last probe."""
GIVEN_UP = 0.9
"""Seconds after which a TCP handshake is given up: before the kernel sends the SYN again, 1 s
after the first (RFC 6298, section 2.1), which would make an answer of a later probe's."""
KEEPALIVE = 1
"""Seconds between the questions on an open connection; TCP_KEEPIDLE takes no less (tcp(7))."""

_NUMBER = struct.Struct("!Q")
_ECHO = struct.Struct("!BBHHH")
"""Type, code, checksum, identifier and sequence (RFC 792, RFC 4443)."""
_TOKEN = 8
_ASKS = {socket.AF_INET: (socket.IPPROTO_ICMP, 8, 0), socket.AF_INET6: (58, 128, 129)}
"""Protocol, type of a question, type of its answer; 58 is ICMPv6."""
_LAST_ACK = 56
"""Where tcp_info has tcpi_last_ack_recv, milliseconds (linux/tcp.h)."""


def family(address: str) -> socket.AddressFamily:
    """Give the family of sockets to an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Channel(Protocol):
    """One way to ask one address."""

    def send(self, number: int) -> None:
        """Ask; what can't be sent is lost like any other."""
        ...

    def register(self, selector: selectors.BaseSelector, heard: Callable[[int], object]) -> None:
        """Watch for answers; each is told by its number. Whoever selects calls `key.data`."""
        ...

    def close(self) -> None:
        """Close every socket."""
        ...


class Datagrams:
    """UDP: an echo answers with what it was sent."""

    def __init__(self, address: str, port: int) -> None:
        """Open the socket."""
        self.socket = socket.socket(family(address), socket.SOCK_DGRAM)
        self.socket.setblocking(False)  # noqa: FBT003 - positional-only in the standard library
        self._to = (address, port)

    def send(self, number: int) -> None:
        """Send a datagram."""
        with contextlib.suppress(OSError):  # no route right now
            self.socket.sendto(_NUMBER.pack(number), self._to)

    def heard(self) -> Iterator[int]:
        """Give the number of each answer that waits."""
        for data, sender in received(self.socket):
            if sender[0] == self._to[0] and len(data) == _NUMBER.size:
                yield _NUMBER.unpack(data)[0]

    def register(self, selector: selectors.BaseSelector, heard: Callable[[int], object]) -> None:
        """Watch for answers."""
        _watch(selector, self.socket, self.heard, heard)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Pings:
    """ICMP: the kernel of whoever has the address answers."""

    def __init__(self, address: str) -> None:
        """Open the socket: one for pings where the kernel lets us, else a raw one.

        Raises:
            Permanent: neither is allowed.
        """
        protocol, self._asks, self._answers = _ASKS[family(address)]
        self.socket, self._raw = _ping_socket(family(address), protocol)
        self.socket.setblocking(False)  # noqa: FBT003 - as above
        self._v6 = family(address) is socket.AF_INET6
        self._address, self._token = address, os.urandom(_TOKEN)

    def send(self, number: int) -> None:
        """Send an echo request."""
        body = self._token + _NUMBER.pack(number)
        head = (self._asks, 0, 0, 0, number & 0xFFFF)
        if self._raw and not self._v6:  # the kernel adds it to all others (icmp(7), RFC 3542)
            head = (self._asks, 0, _checksum(_ECHO.pack(*head) + body), 0, number & 0xFFFF)
        with contextlib.suppress(OSError):  # no route right now
            self.socket.sendto(_ECHO.pack(*head) + body, (self._address, 0))

    def heard(self) -> Iterator[int]:
        """Give the number of each answer that waits."""
        for data, sender in received(self.socket):
            # A raw IPv4 socket gives the IP header too, of so many words (raw(7)).
            message = data[(data[0] & 15) * 4 :] if self._raw and not self._v6 else data
            told = message[_ECHO.size :]
            if len(told) != _TOKEN + _NUMBER.size or told[:_TOKEN] != self._token:
                continue
            if message[0] == self._answers and sender[0] == self._address:
                yield _NUMBER.unpack(told[_TOKEN:])[0]

    def register(self, selector: selectors.BaseSelector, heard: Callable[[int], object]) -> None:
        """Watch for answers."""
        _watch(selector, self.socket, self.heard, heard)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Handshakes:
    """TCP: an application accepts a connection, which is closed at once."""

    def __init__(self, address: str, port: int) -> None:
        """Open nothing yet."""
        self._to, self._family = (address, port), family(address)
        self._open: dict[int, tuple[socket.socket, float]] = {}
        self._selector: selectors.BaseSelector | None = None
        self._heard: Callable[[int], object] = lambda _: None

    def register(self, selector: selectors.BaseSelector, heard: Callable[[int], object]) -> None:
        """Watch for answers from now on."""
        self._selector, self._heard = selector, heard

    def send(self, number: int) -> None:
        """Begin a handshake, and give up those that take too long."""
        now = time.monotonic()
        for old in [n for n, (_, since) in self._open.items() if since < now - GIVEN_UP]:
            self._end(old)
        try:
            one = socket.socket(self._family, socket.SOCK_STREAM)
        except OSError:
            return  # too many files
        one.setblocking(False)  # noqa: FBT003 - as above
        self._open[number] = one, now
        if one.connect_ex(self._to) not in {0, errno.EINPROGRESS} or self._selector is None:
            self._end(number)
            return
        self._selector.register(one, selectors.EVENT_WRITE, lambda: self._ended(number))

    def close(self) -> None:
        """Close every socket."""
        for number in tuple(self._open):
            self._end(number)

    def _ended(self, number: int) -> None:
        one, _ = self._open[number]
        accepted = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        self._end(number)
        if accepted:
            self._heard(number)

    def _end(self, number: int) -> None:
        one, _ = self._open.pop(number)
        if self._selector is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(one)
        one.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What became of an open connection."""

    broken: float | None
    """When that was noticed, monotonic seconds; None for kept."""
    how: str
    """In which way it broke, for people; empty for kept."""
    acknowledged: float
    """When the other end was last heard of, monotonic seconds."""


class Held:
    """A TCP connection that is opened before, and held.

    Nothing is sent but TCP's own keepalive, so that it fits any application; an end that knows
    nothing of it answers that with a reset.
    """

    def __init__(self, address: str, port: int, *, seconds: float = 2.0) -> None:
        """Open it.

        Raises:
            Permanent: nobody accepts it in time.
        """
        try:
            self._socket = socket.create_connection((address, port), timeout=seconds)
        except OSError as error:
            _refuse(
                f"{address}: no connection to port {port} ({error.strerror or error})",
                "name a TCP port on which the application accepts connections",
                error,
            )
        self._socket.setblocking(False)  # noqa: FBT003 - as above
        for level, option, value in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE),
            (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 127),  # the most that there is (linux/tcp.h)
        ):
            self._socket.setsockopt(level, option, value)
        self._broken: float | None = None
        self._how, self._acknowledged = "", time.monotonic()
        self._selector: selectors.BaseSelector | None = None

    def register(self, selector: selectors.BaseSelector) -> None:
        """Watch it."""
        self._selector = selector
        selector.register(self._socket, selectors.EVENT_READ, self._read)

    def state(self) -> Connection:
        """Tell how it is; from any thread."""
        if self._broken is None:
            with contextlib.suppress(OSError):
                size = _LAST_ACK + 4
                info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size)
                (silent,) = struct.unpack_from("=I", info, _LAST_ACK)
                self._acknowledged = time.monotonic() - silent / 1000
        return Connection(broken=self._broken, how=self._how, acknowledged=self._acknowledged)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _read(self) -> None:
        try:
            if self._socket.recv(65536):
                return  # what the application has to say is nothing to us
            how = "closed by the other end"
        except BlockingIOError:
            return
        except OSError as error:
            how = "reset" if error.errno == errno.ECONNRESET else str(error.strerror or error)
        self._how, self._broken = how, time.monotonic()
        if self._selector is not None:
            self._selector.unregister(self._socket)


class Prober:
    """Sends to several addresses on a thread of its own, and accounts for each."""

    def __init__(
        self, channels: Mapping[str, Channel], held: Sequence[Held] = (), *, interval: float
    ) -> None:
        """Send nothing yet; `interval` is the seconds between two probes of one address."""
        self._channels, self._held, self._interval = channels, held, interval
        self._tallies = {name: Tally() for name in channels}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)
        self._bug: Exception | None = None

    def start(self) -> None:
        """Send from now on."""
        for name, channel in self._channels.items():
            channel.register(self._selector, self._tallies[name].answer)
        for one in self._held:
            one.register(self._selector)
        self._thread.start()

    # No context manager for a caller's look at the accounts: a signal that raises while one is
    # entered would leave the lock taken, and `close` would wait for ever.

    def steady(self) -> Mapping[str, float]:
        """Give the seconds for which each address has been steady (`Tally.steady`).

        Raises:
            Exception: what ended the prober.
        """
        with self._lock:
            self._unless_broken()
            now = time.monotonic()
            return {name: tally.steady(now) for name, tally in self._tallies.items()}

    def tallies(self) -> Mapping[str, Tally]:
        """Give the accounts, once the prober is closed.

        Raises:
            Exception: what ended the prober.
        """
        self._unless_broken()
        return self._tallies

    def _unless_broken(self) -> None:
        if self._bug is not None:
            raise self._bug

    def close(self) -> None:
        """Send nothing more, take in what is on its way, and close every socket."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for channel in self._channels.values():
            channel.close()
        for one in self._held:
            one.close()
        self._selector.close()

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while not self._stop.is_set():
                if time.monotonic() >= due:
                    self._send()
                    due = max(due + self._interval, time.monotonic())  # no burst after a pause
                self._receive(due)
            end = time.monotonic() + DRAIN
            while time.monotonic() < end:
                self._receive(end)
        except Exception as bug:  # noqa: BLE001 - raised again where the accounts are asked for
            self._bug = bug

    def _send(self) -> None:
        with self._lock:
            for name, channel in self._channels.items():
                channel.send(self._tallies[name].send(time.monotonic()))

    def _receive(self, until: float) -> None:
        ready = self._selector.select(max(0.0, until - time.monotonic()))
        with self._lock:
            for key, _ in ready:
                key.data()


def received(one: socket.socket) -> Iterator[tuple[bytes, tuple[str, int]]]:
    """Give every datagram that waits, and who sent it."""
    while True:
        try:
            yield one.recvfrom(2048)
        except BlockingIOError:
            return
        except OSError:
            continue  # an ICMP error of an earlier one


def _watch(
    selector: selectors.BaseSelector,
    one: socket.socket,
    waiting: Callable[[], Iterator[int]],
    heard: Callable[[int], object],
) -> None:
    def read() -> None:
        for number in waiting():
            heard(number)

    selector.register(one, selectors.EVENT_READ, read)


def _ping_socket(kind: socket.AddressFamily, protocol: int) -> tuple[socket.socket, bool]:
    """Open a socket for pings, and tell whether it is a raw one."""
    try:
        return socket.socket(kind, socket.SOCK_DGRAM, protocol), False
    except PermissionError:
        pass  # net.ipv4.ping_group_range has no group of ours (icmp(7))
    try:
        return socket.socket(kind, socket.SOCK_RAW, protocol), True
    except PermissionError as error:
        _refuse(
            "ICMP is not allowed here: no group of ours is in net.ipv4.ping_group_range, and "
            "CAP_NET_RAW is missing",
            "probe by --udp PORT or --tcp PORT; or set the pod's sysctl "
            'net.ipv4.ping_group_range to "0 2147483647"',
            error,
        )


def _checksum(data: bytes) -> int:
    """Give the Internet checksum (RFC 1071) of an even number of octets."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _refuse(what: str, hint: str, error: OSError) -> NoReturn:
    from vipmanager.core.failures import Permanent  # noqa: PLC0415 - a lab's echo starts without it

    raise Permanent(what, hint) from error
