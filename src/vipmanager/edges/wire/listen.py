"""Connections from anybody: few at a time, none for long, all on one thread.

Who connects may be hostile or broken: it says nothing, a byte a minute, or no end of bytes; it does
not take its answer; it comes eight thousand times. A guest has a place, and a time for it. Where
every place is taken, a new guest has the one of the peer that has most.
"""

import contextlib
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from vipmanager.core.text import printable

PLACES: Final = 128
"""Guests at a time."""
FAREWELL: Final = 1.0
"""Seconds in which a guest that has its answer may still talk. To close on unread bytes would take
the answer from it (tcp(7), unix(7): the peer's reading fails with ECONNRESET)."""
PAUSE: Final = 0.1
"""Seconds without an accept after one that failed: descriptors or memory are short (accept(2))."""
BACKLOG: Final = 128
"""Connections that the kernel keeps until they are accepted."""
_CHUNK: Final = 65536

Reply: TypeAlias = bytes | Callable[[socket.socket], None]
"""An answer; or who talks on with the guest, on a thread of its own, and closes the connection."""


@dataclass(slots=True, eq=False)
class Guest:
    """Somebody who has connected."""

    connection: socket.socket
    who: str
    """The peer: an address, a process."""
    until: float
    """Monotonic seconds; then it has to go."""
    said: bytearray = field(default_factory=bytearray)
    ended: bool = False
    """Whether it will say nothing more."""
    left: memoryview | None = None
    """What it has not taken of its answer; None until there is one."""


class Listener:
    """Serves until the process ends."""

    def __init__(
        self,
        *sockets: socket.socket,
        name: str,
        longest: int,
        patience: float,
        who: Callable[[socket.socket], str],
        hear: Callable[[Guest], Reply | None],
        sorry: Callable[[str], bytes],
    ) -> None:
        """Begin to serve.

        Args:
            sockets: that listen, with a queue of `BACKLOG`.
            name: of the thread.
            longest: bytes that a guest may say; with them it counts as ended.
            patience: seconds for all that a guest asks, and as many for it to take its answer.
            who: tells a new guest's peer.
            hear: answers a guest, or gives None where more has to be said. It must not wait.
            sorry: makes an answer of a bug in `hear`.
        """
        self._longest, self._patience = longest, patience
        self._who, self._hear, self._sorry = who, hear, sorry
        self._guests: dict[Guest, None] = {}
        """From the oldest to the newest."""
        self._selector = selectors.PollSelector()
        for each in sockets:
            each.settimeout(0)
            self._selector.register(each, selectors.EVENT_READ)
        threading.Thread(target=self._live, name=name, daemon=True).start()

    def _live(self) -> None:
        while True:
            now = time.monotonic()
            for guest in [g for g in self._guests if g.until <= now]:
                self._close(guest)
            soonest = min((g.until for g in self._guests), default=None)
            for key, _ in self._selector.select(None if soonest is None else soonest - now):
                if key.data is None:
                    self._accept(key.fileobj)  # type: ignore[arg-type]  # a socket of ours
                elif key.data in self._guests:  # its place may just have been given away
                    self._serve(key.data)

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:
            # Descriptors or memory are short, here or on the node: a place that is given up helps.
            self._make_room()
            time.sleep(PAUSE)
            return
        try:
            connection.settimeout(0)
            who = self._who(connection)
        except OSError:
            connection.close()  # it is gone already
            return
        if len(self._guests) >= PLACES:
            self._make_room()
        guest = Guest(connection=connection, who=who, until=time.monotonic() + self._patience)
        self._guests[guest] = None
        self._selector.register(connection, selectors.EVENT_READ, guest)
        self._serve(guest)  # most have said it all when they are accepted

    def _make_room(self) -> None:
        """Send the oldest guest away of the peer that has most of them."""
        most = max(Counter(g.who for g in self._guests).items(), key=lambda c: c[1], default=None)
        if most is not None:
            self._close(next(g for g in self._guests if g.who == most[0]))

    def _serve(self, guest: Guest) -> None:
        try:
            if guest.left is None:
                self._listen(guest)
            elif guest.left:
                self._send(guest)
            else:
                self._drain(guest)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._close(guest)

    def _listen(self, guest: Guest) -> None:
        heard = guest.connection.recv(self._longest - len(guest.said))
        guest.said += heard
        guest.ended = not heard or len(guest.said) >= self._longest
        try:
            reply = self._hear(guest)
        except Exception as bug:  # noqa: BLE001 - it is told, and the next guest is served
            reply = self._sorry(printable(f"a bug: {bug!r}"))
        if callable(reply):
            self._forget(guest)
            self._hand_over(guest.connection, reply)
        elif reply is not None:
            guest.left, guest.until = memoryview(reply), time.monotonic() + self._patience
            self._send(guest)
        elif guest.ended:
            self._close(guest)

    def _hand_over(self, connection: socket.socket, talk: Callable[[socket.socket], None]) -> None:
        connection.settimeout(None)
        try:
            threading.Thread(target=talk, args=(connection,), daemon=True).start()
        except RuntimeError:  # threads are short
            connection.close()

    def _send(self, guest: Guest) -> None:
        assert guest.left is not None  # noqa: S101 - for mypy
        with contextlib.suppress(BlockingIOError):
            guest.left = guest.left[guest.connection.send(guest.left[:_CHUNK]) :]
        if guest.left:
            self._selector.modify(guest.connection, selectors.EVENT_WRITE, guest)
            return
        guest.connection.shutdown(socket.SHUT_WR)
        guest.until = time.monotonic() + FAREWELL
        self._selector.modify(guest.connection, selectors.EVENT_READ, guest)

    def _drain(self, guest: Guest) -> None:
        if not guest.connection.recv(_CHUNK):
            self._close(guest)

    def _forget(self, guest: Guest) -> None:
        del self._guests[guest]
        self._selector.unregister(guest.connection)

    def _close(self, guest: Guest) -> None:
        self._forget(guest)
        with contextlib.suppress(OSError):
            guest.connection.close()
