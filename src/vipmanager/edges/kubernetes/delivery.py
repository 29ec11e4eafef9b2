"""What nobody waits for: sent on a thread of its own, again and again, until the API takes it."""

import random
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from vipmanager.core.downward import PodReference
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.retry import unhurried

QUEUE = 64
"""Things that wait while the API is away; the oldest go first."""
REFUSALS = 3
"""Times that one thing is refused until one that waits has its turn: it may be this one's fault."""

T = TypeVar("T")
Say = Callable[[str, str, str], None]
"""Writes a log line: level, a word for machines, a sentence."""


class Delivery(Generic[T]):
    """Sends one thing after the other. Safe to be given things by several threads at once.

    Each is sent until it is taken, more slowly where it is refused: it may be allowed later. The
    log has one line when that has to wait, and one when it is right again. Only a bug ends it, or
    that nobody knows which pod this is: what is steered never depends on it.
    """

    def __init__(
        self,
        send: Callable[[PodReference, T], str],
        pod: Callable[[], PodReference],
        *,
        say: Say,
        about: str,
        one: str,
        more: str,
        latest: bool = False,
    ) -> None:
        """Start nothing yet.

        Args:
            send: sends a thing for this pod, or raises a `Failure`. It gives what the log says
                where that had to wait; nothing where there was nothing to send.
            pod: tells which pod this is; `Permanent` where nobody knows.
            say: writes the log.
            about: its word for machines.
            one: its words for a thing, with an article.
            more: its words for all of them.
            latest: whether another thing takes the place of one that is tried, at once.
        """
        self._send, self._pod, self._say = send, pod, say
        self._about, self._one, self._more, self._latest = about, one, more, latest
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, T] = {}
        self._busy = self._refused = self._ended = False
        self._attempt = 0
        """How many attempts failed since the API took something."""
        self._thread: threading.Thread | None = None

    def put(self, thing: T, key: Hashable = None) -> None:
        """Have a thing sent, in the place of one that waits under the same key; never blocks."""
        with self._changed:
            self._waiting.pop(key, None)
            self._waiting[key] = thing
            if len(self._waiting) > QUEUE:
                del self._waiting[next(iter(self._waiting))]
            if self._thread is None:
                self._thread = threading.Thread(target=self._live, name=self._about, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Wait until all is sent, so many seconds; False where it is not.

        What is refused is not waited for.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: self._ended or self._refused or not (self._waiting or self._busy), seconds
            )

    def _live(self) -> None:
        over = f"no {self._more} from now on"
        try:
            pod = self._pod()
            while True:
                self._deliver(pod, self._next())
        except Permanent as failure:
            self._say("warning", self._about, f"{over}: {failure}")
        except Exception as bug:  # noqa: BLE001 - steering goes on without it
            self._say("error", self._about, f"{over}: a bug: {bug!r}")
        finally:
            with self._changed:
                self._ended = True
                self._waiting.clear()
                self._changed.notify_all()

    def _next(self) -> T:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: bool(self._waiting))
            self._busy = True
            return self._waiting.pop(next(iter(self._waiting)))

    def _deliver(self, pod: PodReference, thing: T) -> None:
        """Send a thing until it is taken, or another one has its turn."""
        refusals = 0
        while True:
            try:
                right = self._send(pod, thing)
                break
            except Failure as failure:
                refusals += isinstance(failure, Permanent)
                if self._put_off(thing, failure) or (refusals >= REFUSALS and self._waiting):
                    return
        if right:
            if self._attempt:
                self._say("info", self._about, right)
            self._attempt, self._refused = 0, False

    def _put_off(self, thing: T, failure: Failure) -> bool:
        """Wait before the next attempt; True, at once, where another thing takes the place."""
        if self._attempt == 0:
            self._say("warning", self._about, f"{self._one} has to wait: {failure}")
        refused = isinstance(failure, Permanent)
        chance = random.random()  # noqa: S311 - jitter
        wait = unhurried(self._attempt, chance, refused=refused)
        self._attempt += 1
        with self._changed:
            self._refused = refused
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._replaced(thing), wait)

    def _replaced(self, thing: T) -> bool:
        return self._latest and any(other != thing for other in self._waiting.values())
