"""Heartbeats by UDP: sent from wherever, received on a thread of its own.

What arrives may be anything: it is counted and dropped unless it is sealed with the key, new, and
meant for this agent. Nothing that arrives, or fails to be sent, raises.
"""

import contextlib
import errno
import os
import select
import socket
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from vipmanager.core.election.values import Message, Reply
from vipmanager.core.failures import Permanent
from vipmanager.core.heartbeat import (
    LONGEST,
    Count,
    Datagram,
    Dropped,
    DropReason,
    Window,
    decode,
    encode,
    endpoint,
    shown,
)
from vipmanager.core.values import Address

MAX_PEERS = 64
"""Senders that are remembered; the one not heard for the longest time is forgotten first."""
SHORTEST_KEY = 16
"""Bytes: as many as the seal has."""

Heard = Callable[[Message, str], None]
T = TypeVar("T")


class Heartbeat:
    """One agent's end, on one address of its pod."""

    def __init__(
        self, *, address: Address, port: int, me: str, heard: Heard, key: bytes = b""
    ) -> None:
        """Bind at once.

        Args:
            address: of the pod's primary interface; nothing is heard on the others.
            port: `HeartbeatPort`; 0 takes a free one.
            me: this agent's identity, as its messages show it.
            heard: takes each authentic message and the address it came from, on the thread
                that receives.
            key: of the seal; empty for none.

        Raises:
            Permanent: the port can't be had.
        """
        self._me, self._heard, self._key = me, heard, key
        self._version = address.version
        six = address.version == 6  # noqa: PLR2004 - IPv6
        self._socket = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0)
        level, option = _RECVERR[address.version]
        try:
            self._socket.setsockopt(level, option, 1)
            self._socket.bind((str(address), port))
        except OSError as error:
            self._socket.close()
            raise Permanent(
                f"HeartbeatPort={port}: {error.strerror} (UDP, {address})",
                "choose a port that nothing in the pod uses, the same one in every replica",
            ) from error
        self.address = shown(address, self._socket.getsockname()[1])
        """Where others reach it."""
        self._wake = os.eventfd(0)
        self._lock = threading.Lock()
        self._sequence = 0
        self._windows: OrderedDict[str, Window] = OrderedDict()
        self._askers: OrderedDict[str, str] = OrderedDict()
        """Who last sent from an address."""
        self._troubles: dict[DropReason, Count] = {}
        self._thread = threading.Thread(target=self._receive, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Receive until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Hear and send nothing more."""
        os.eventfd_write(self._wake, 1)
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
        os.close(self._wake)

    def drops(self) -> Mapping[DropReason, Count]:
        """Tell what was met so far."""
        with self._lock:
            return dict(self._troubles)

    def send(self, to: str, message: Message) -> None:
        """Send a message to an address, or count why not."""
        with self._lock:
            self._sequence += 1
            # A reply that nobody asked for, number 0, is for whoever is there.
            asked = isinstance(message, Reply) and message.number > 0
            asker = self._askers.get(to, "") if asked else ""
            datagram = Datagram(message=message, sequence=self._sequence, to=asker)
        try:
            address, port = endpoint(to)
            data = encode(datagram, self._key)
        except ValueError:
            self._count(DropReason.UNSENT, to)
            return
        if address.version != self._version or not self._send(data, (str(address), port)):
            self._count(DropReason.UNSENT, to)

    def _send(self, data: bytes, to: tuple[str, int]) -> bool:
        for _ in range(2):
            # The first call may report what became of an earlier datagram (udp(7)).
            with contextlib.suppress(OSError):
                self._socket.sendto(data, to)
                return True
        return False

    def _receive(self) -> None:
        # It notices no silence: the election counts what is not answered, when it next asks.
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            events = dict(poll.poll())
            if self._wake in events:
                return
            if events[self._socket.fileno()] & select.POLLERR:
                self._refusals()
            self._datagram()

    def _datagram(self) -> None:
        try:
            data, source = self._socket.recvfrom(LONGEST + 1)
        except OSError:
            return  # none after all
        at = shown(source[0], source[1])
        try:
            datagram = decode(data, self._key)
            self._admit(datagram, at)
        except Dropped as dropped:
            self._count(dropped.reason, at)
            return
        self._heard(datagram.message, at)

    def _admit(self, datagram: Datagram, at: str) -> None:
        sender = datagram.message.sender
        if sender == self._me or datagram.to not in {"", self._me}:
            raise Dropped(DropReason.MISDIRECTED)
        with self._lock:
            window = self._windows.get(sender, Window()).admit(datagram.sequence)
            if window is None:
                raise Dropped(DropReason.REPLAYED)
            _note(self._windows, sender, window)
            _note(self._askers, at, sender)

    def _refusals(self) -> None:
        """Take in what ICMP said of datagrams that were sent (ip(7), IP_RECVERR)."""
        with contextlib.suppress(OSError):
            while True:
                _, control, _, to = self._socket.recvmsg(0, _CONTROL, socket.MSG_ERRQUEUE)
                for level, kind, data in control:
                    if (level, kind) in _RECVERR.values() and len(data) >= _EXTENDED.size:
                        (code,) = _EXTENDED.unpack_from(data)
                        refused = code == errno.ECONNREFUSED
                        reason = DropReason.REFUSED if refused else DropReason.UNREACHABLE
                        self._count(reason, shown(to[0], to[1]))
        # The queue is empty; the socket's own note of an error goes with being read.
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def _count(self, reason: DropReason, last: str) -> None:
        with self._lock:
            before = self._troubles.get(reason)
            number = before.number + 1 if before is not None else 1
            self._troubles[reason] = Count(number=number, last=last)


_RECVERR = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}
"""`IP_RECVERR` and `IPV6_RECVERR` (linux/in.h, linux/in6.h), by IP version."""
_CONTROL = 512
_EXTENDED = struct.Struct("=I12x")
"""`struct sock_extended_err`, of which the error number comes first (linux/errqueue.h)."""


def _note(kept: OrderedDict[str, T], name: str, value: T) -> None:
    kept[name] = value
    kept.move_to_end(name)
    if len(kept) > MAX_PEERS:
        kept.popitem(last=False)


def read_key(path: str) -> bytes:
    """Read the key that all replicas share, as a Secret is mounted.

    Raises:
        Permanent: there is none, or it is too short to be secret.
    """
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        raise Permanent(
            f"HeartbeatKeyFile={path}: {error.strerror}",
            "mount the Secret at that place, and let the agent's user read it",
        ) from error
    if len(key) < SHORTEST_KEY:
        raise Permanent(
            f"HeartbeatKeyFile={path}: {len(key)} bytes are too few for a key",
            f"put at least {SHORTEST_KEY} random bytes in the Secret: openssl rand -hex 32",
        )
    return key
