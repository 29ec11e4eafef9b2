"""Connecting to an endpoint that has several addresses: one in a lost zone costs a moment."""

import errno
import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from select import POLLERR, POLLHUP, POLLOUT, poll

STAGGER = 0.1
"""Seconds until the next address is tried beside one that does not answer.

RFC 8305, section 8, recommends 250 ms and allows 100 ms; within a Region a handshake takes about
2 ms (guess).
"""

LATELY = 30.0
"""Seconds for which an address that was silent is tried last (guess)."""

USER_TIMEOUT = 1.0
"""Seconds after which the kernel gives up bytes that are not acknowledged (tcp(7))."""

LINGER = (1, 0)
"""On, for 0 seconds: closing a socket, or the end of its process, drops what the kernel has not
got rid of, instead of sending it until it is acknowledged (socket(7)).

Without it a request that was sent into a cut link arrived 13 s and 45 s later, when the link was
healed, although its process had been killed.
"""

OPTIONS: tuple[tuple[int, int, int | bytes], ...] = (
    (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", *LINGER)),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(USER_TIMEOUT * 1000)),
)
"""What every socket has before it connects."""

_Found = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]
Option = tuple[int, int, int | bytes]


@dataclass(slots=True)
class _Attempt:
    sock: socket.socket
    found: _Found
    since: float

    @property
    def address(self) -> str:
        return str(self.found[1][0])


class AddressBook:
    """The addresses of one endpoint, and which were silent lately. Safe for several threads."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host.strip("[]"), port
        self._lock = threading.Lock()
        self._known: tuple[_Found, ...] = ()
        self._asked: threading.Event | None = None
        """Set when DNS has answered what it is being asked."""
        self._failed: OSError | None = None
        self._turn = 0
        self._silent: dict[str, float] = {}

    @property
    def several(self) -> bool:
        """Whether there is more than one address, as far as is known."""
        return len({where[0] for _, where in self._known}) > 1

    def silent(self, address: str) -> None:
        """Tell that what was sent there was not acknowledged."""
        self._silent[address] = time.monotonic()

    def heard(self, address: str) -> None:
        """Tell that it answers."""
        self._silent.pop(address, None)

    def silent_since(self, address: str, then: float) -> bool:
        """Tell whether it was silent after a time (monotonic seconds)."""
        return self._silent.get(address, -1.0) > then

    def connect(
        self,
        seconds: float,
        *,
        options: Iterable[Option] = (),
        source: tuple[str, int] | None = None,
        last: Collection[str] = (),
    ) -> tuple[socket.socket, str]:
        """Connect to whichever address answers first; give the socket and the address.

        One after the other is tried, `STAGGER` apart, and those that do not answer again, since
        behind one address there may be several servers (a ClusterIP). The next one has its turn
        at each call. DNS is waited for only as long as no earlier answer is known.

        Args:
            seconds: for all of it, DNS included.
            options: further socket options.
            source: where to connect from.
            last: addresses to be tried after all others.

        Raises:
            socket.gaierror: DNS gives no address.
            TimeoutError: nobody answers.
            OSError: every address refuses.
        """
        until = time.monotonic() + seconds
        found = self._ordered(self._resolved(seconds), last)
        race = _Race(found, (*OPTIONS, *options), source, until)
        try:
            won = race.run()
        finally:
            for silent in race.lost():
                self.silent(silent)
        sock, address = won.sock, won.address
        self.heard(address)
        return sock, address

    def _ordered(self, found: tuple[_Found, ...], last: Collection[str]) -> list[_Found]:
        with self._lock:
            self._turn += 1
            first = self._turn % len(found)
        lately = time.monotonic() - LATELY

        def rank(one: _Found) -> tuple[bool, bool]:
            address = str(one[1][0])
            return address in last, self.silent_since(address, lately)

        return sorted((*found[first:], *found[:first]), key=rank)

    def _resolved(self, seconds: float) -> tuple[_Found, ...]:
        try:
            return self._ask(socket.AI_NUMERICHOST)
        except socket.gaierror:
            pass  # a name
        with self._lock:
            asked = self._asked
            if asked is None:
                # getaddrinfo takes as long as resolv.conf says, and can't be interrupted.
                asked, self._failed = threading.Event(), None
                self._asked = asked
                threading.Thread(
                    target=self._answer, args=(asked,), name="dns", daemon=True
                ).start()
        asked.wait(min(seconds, STAGGER) if self._known else seconds)
        if self._known:
            return self._known
        said = (socket.EAI_AGAIN, f"no answer from DNS within {seconds:g} s")
        raise socket.gaierror(*(said if self._failed is None else self._failed.args))

    def _answer(self, asked: threading.Event) -> None:
        try:
            self._known = self._ask(0)
        except (OSError, UnicodeError) as error:
            failed = error if isinstance(error, OSError) else None
            self._failed = failed or socket.gaierror(socket.EAI_NONAME, str(error))
        finally:
            with self._lock:
                self._asked = None
            asked.set()

    def _ask(self, flags: int) -> tuple[_Found, ...]:
        answers = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=flags)
        return tuple(dict.fromkeys((family, where) for family, _, _, _, where in answers))  # type: ignore[misc]


class _Race:
    """Attempts to connect, side by side."""

    def __init__(
        self,
        found: Iterable[_Found],
        options: Iterable[Option],
        source: tuple[str, int] | None,
        until: float,
    ) -> None:
        self._all = list(found)
        self._todo = deque(self._all)
        self._options, self._source, self._until = tuple(options), source, until
        self._under_way: dict[int, _Attempt] = {}
        self._poll = poll()
        self._refused: OSError | None = None
        self._lost: list[str] = []

    def run(self) -> _Attempt:
        """Give the first that is connected; close the others."""
        try:
            while True:
                won = self._begin_next()
                now = time.monotonic()
                if won is None and now < self._until:
                    due = min(now + STAGGER, self._until)
                    won = self._first(due)
                if won is not None:
                    self._lost += [a for a in self._waiting(STAGGER) if a != won.address]
                    return won
                if not self._todo and not self._under_way:
                    raise self._refused or OSError(errno.EHOSTUNREACH, "no address")
                if time.monotonic() >= self._until:
                    self._lost += self._waiting(0.0)
                    raise TimeoutError("no address answers")
        finally:
            for attempt in self._under_way.values():
                attempt.sock.close()

    def lost(self) -> list[str]:
        """Give the addresses that did not answer."""
        return self._lost

    def _waiting(self, least: float) -> list[str]:
        now = time.monotonic()
        return [a.address for a in self._under_way.values() if now - a.since >= least]

    def _begin_next(self) -> _Attempt | None:
        """Begin with the next address that does not refuse at once."""
        if not self._todo:
            self._todo += self._all
        while self._todo:
            attempt = self._begin(self._todo.popleft())
            if attempt is None:
                continue
            self._under_way[attempt.sock.fileno()] = attempt
            self._poll.register(attempt.sock, POLLOUT | POLLERR | POLLHUP)
            return self._first(0.0)
        return None

    def _begin(self, found: _Found) -> _Attempt | None:
        family, where = found
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as refused:
            self._strike(found, refused)
            return None
        try:
            for option in self._options:
                sock.setsockopt(*option)
            if self._source:
                sock.bind(self._source)
            sock.settimeout(0.0)
            sock.connect(where)
        except BlockingIOError:
            pass  # under way
        except OSError as refused:
            sock.close()
            self._strike(found, refused)
            return None
        return _Attempt(sock=sock, found=found, since=time.monotonic())

    def _strike(self, found: _Found, refused: OSError) -> None:
        self._refused = refused
        self._all = [f for f in self._all if f != found]

    def _first(self, due: float) -> _Attempt | None:
        """Wait until then for one that is connected; None also as soon as one refuses."""
        if not self._under_way:
            return None
        left = max(0.0, due - time.monotonic())
        for number, _ in self._poll.poll(left * 1000):
            self._poll.unregister(number)
            attempt = self._under_way.pop(number)
            error = attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not error:
                return attempt
            attempt.sock.close()
            self._strike(attempt.found, OSError(error, os.strerror(error)))
        return None
