"""How an agent ends: what signals, the loop and the threads beside it share."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

from vipmanager.edges.logs import Log
from vipmanager.engine.inbox import Inbox
from vipmanager.engine.threads import Threads

OK, FAILED = 0, 1
"""Exit codes."""

GRACE = 0.5
"""Seconds for the loop to end after a signal; calls under way are left to their own end."""
FAREWELL = 5.0
"""Seconds for the Lease to be released after a signal: a call or two that take their time."""


class Lifecycle:
    """What a signal and the loop share: how the agent ends."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.inbox = Inbox(Threads())
        self.code: int | None = None
        self._over = False
        self._awoken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(self._awoken, True)
        self.hand_over: Callable[[Callable[[], None]], None] | None = None
        """Hands over first, where there is a Lease; calls back when nothing is held."""
        self._bug: Exception | None = None

    def obey_signals(self) -> None:
        """Take SIGTERM and SIGINT from now on; for the main thread.

        A pod gets SIGTERM, and as process 1 no signal has a default action. The kernel may give a
        signal to any thread, and only the main one runs handlers: the descriptor wakes it.
        """
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self.stop)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def await_end(self) -> None:
        """Sleep until `finish`; handlers run meanwhile."""
        while not self._over:
            os.read(self._awoken, 64)

    def finish(self) -> None:
        """Let the process end, from any thread."""
        self._over = True
        with contextlib.suppress(BlockingIOError):  # full: it is awake already
            os.write(self._wake, b"\0")

    def stop(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        self.log.line("info", "stopping", f"{signal.Signals(number).name}: stopping")
        if self.hand_over is None:
            self.end()
            return
        self.hand_over(self.end)
        threading.Timer(FAREWELL, self.end).start()

    def end(self) -> None:
        """End the loop."""
        self.inbox.stop()
        threading.Timer(GRACE, self.finish).start()

    def fail(self, bug: Exception) -> None:
        """End because of a bug in a thread beside the loop."""
        self._bug = bug
        self.inbox.stop()

    def raise_bug(self) -> None:
        """Raise the bug that ended the loop, if one did."""
        if self._bug is not None:
            raise self._bug
