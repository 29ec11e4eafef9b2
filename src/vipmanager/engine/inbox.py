"""Where reasons to look again arrive, and where the loop sleeps."""

import threading
import time


class Inbox:
    """Reasons from watchers and signals; one reader."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reasons: list[str] = []
        self._stop = threading.Event()

    def put(self, reason: str) -> None:
        """Leave a reason; a reason already waiting is not repeated."""
        with self._changed:
            if reason not in self._reasons:
                self._reasons.append(reason)
            self._changed.notify_all()

    def stop(self) -> None:
        """Ask the program to end."""
        self._stop.set()
        self.put("asked to stop")

    @property
    def stopped(self) -> bool:
        """Whether the program was asked to end."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> tuple[str, ...]:
        """Sleep until there is a reason or time is over; take all reasons."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._reasons:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            taken = tuple(self._reasons)
            self._reasons.clear()
        return taken

    def pause(self, seconds: float) -> None:
        """Sleep, whatever arrives; only a stop ends it early."""
        self._stop.wait(seconds)


class SystemClock:
    """Monotonic time of this machine."""

    def now(self) -> float:
        """Give monotonic seconds."""
        return time.monotonic()
