"""Asks again and again whether AWS is about to take the instance away.

A Spot Instance has two minutes from the notice on, and AWS recommends to look every 5 seconds
(EC2 user guide, "Spot Instance interruption notices"). Where nothing can be learnt, nothing is
said: the end of an instance without notice is what heartbeats are for.
"""

import threading
from collections.abc import Callable

from vipmanager.core.failures import Failure
from vipmanager.core.notice import TerminationNotice

EVERY = 5.0
"""Seconds between two questions."""


class Notices:
    """Tells each notice once."""

    def __init__(
        self,
        *,
        read: Callable[[], tuple[TerminationNotice, ...]],
        heard: Callable[[TerminationNotice], None],
        every: float = EVERY,
    ) -> None:
        """Ask nothing yet.

        Args:
            read: gives the notices of now, or raises a `Failure`.
            heard: takes each notice when it first appears, on a thread of its own.
            every: seconds between two questions.
        """
        self._read, self._heard, self._every = read, heard, every
        self._closed = threading.Event()

    def start(self) -> None:
        """Ask at once, and then regularly until `close`."""
        threading.Thread(target=self._live, name="notices", daemon=True).start()

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

    def _live(self) -> None:
        told: set[TerminationNotice] = set()
        while not self._closed.is_set():
            for notice in self._ask():
                if notice not in told:
                    told.add(notice)
                    self._heard(notice)
            self._closed.wait(self._every)

    def _ask(self) -> tuple[TerminationNotice, ...]:
        try:
            return self._read()
        except Failure:
            return ()
