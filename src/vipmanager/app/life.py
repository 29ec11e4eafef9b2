"""How an agent ends: what signals, the loop and the threads beside it share."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

from vipmanager.edges.logs import Log
from vipmanager.engine.inbox import Inbox

OK, FAILED = 0, 1
"""Exit codes."""

GRACE = 0.5
"""Seconds for the loop to end after a signal; calls under way are left to their own end."""
FAREWELL = 5.0
"""Seconds for the Lease to be released after a signal: a call or two that take their time."""


class Life:
    """What a signal and the loop share: how the agent ends."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.inbox = Inbox()
        self.over = threading.Event()
        self.code: int | None = None
        self.leave: Callable[[Callable[[], None]], None] | None = None
        """Hands over first, where there is a Lease; calls back when nothing is held."""
        self._bug: Exception | None = None

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        self.log.line("info", "stopping", f"{signal.Signals(number).name}: stopping")
        if self.leave is None:
            self.end()
            return
        self.leave(self.end)
        threading.Timer(FAREWELL, self.end).start()

    def end(self) -> None:
        """End the loop."""
        self.inbox.stop()
        threading.Timer(GRACE, self.over.set).start()

    def fail(self, bug: Exception) -> None:
        """End because of a bug in a thread beside the loop."""
        self._bug = bug
        self.inbox.stop()

    def raise_bug(self) -> None:
        """Raise the bug that ended the loop, if one did."""
        if self._bug is not None:
            raise self._bug
