"""Where reasons to look again arrive, and where the loop sleeps."""

from vipmanager.ports import Tasks


class Inbox:
    """Reasons from watchers and signals; one reader."""

    def __init__(self, tasks: Tasks) -> None:
        self._changed = tasks.condition()
        self._reasons: list[str] = []
        self._stopped = False

    def put(self, reason: str) -> None:
        """Leave a reason; a reason already waiting is not repeated."""
        with self._changed:
            if reason not in self._reasons:
                self._reasons.append(reason)
            self._changed.notify_all()

    def stop(self) -> None:
        """Ask the program to end."""
        self._stopped = True
        self.put("asked to stop")

    @property
    def stopped(self) -> bool:
        """Whether the program was asked to end."""
        return self._stopped

    def wait(self, seconds: float) -> tuple[str, ...]:
        """Sleep until there is a reason or time is over; take all reasons."""
        with self._changed:
            self._changed.wait_for(lambda: self._reasons, seconds)
            taken = tuple(self._reasons)
            self._reasons.clear()
        return taken

    def pause(self, seconds: float) -> None:
        """Sleep, whatever arrives; only a stop ends it early."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)
