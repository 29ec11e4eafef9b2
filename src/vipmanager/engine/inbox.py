"""Where reasons to look again arrive, and where the loop sleeps."""

import threading
from collections.abc import Callable

from vipmanager.ports import Tasks


class Wish:
    """An order on its way: obeyed by whoever takes it, unless nobody waits for it any more."""

    def __init__(self, waits: Callable[[], bool]) -> None:
        """Begin; `waits` tells whether its asker is still there."""
        self._waits = waits
        self._lock = threading.Lock()
        self._taken = self._void = False

    def take(self) -> bool:
        """Tell whether it is to be obeyed; asked right before, and again by the next who obeys."""
        with self._lock:
            self._void = self._void or not (self._taken or self._waits())
            self._taken = not self._void
            return self._taken

    def withdraw(self) -> bool:
        """Give it up; False where it is being obeyed already."""
        with self._lock:
            self._void = not self._taken
            return self._void


class Inbox:
    """Reasons from watchers and signals; one reader."""

    def __init__(self, tasks: Tasks) -> None:
        self._changed = tasks.condition()
        self._reasons: list[str] = []
        self._wishes: dict[str, list[Wish]] = {}
        """Behind reasons that are orders."""
        self._stopped = False

    def put(self, reason: str, wish: Wish | None = None) -> None:
        """Leave a reason; a reason already waiting is not repeated.

        Args:
            reason: to look again.
            wish: the order that the reason is.
        """
        with self._changed:
            if wish is not None:
                self._wishes.setdefault(reason, []).append(wish)
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

    def wait(self, seconds: float, *, but: str = "") -> tuple[str, ...]:
        """Sleep until there is a reason or time is over; take all that still count.

        Args:
            seconds: to sleep at the most.
            but: a reason that does not end the sleep by itself.
        """
        with self._changed:
            self._changed.wait_for(lambda: set(self._reasons) - {but}, seconds)
            taken = tuple(r for r in self._reasons if self._counts(r))
            self._reasons.clear()
            self._wishes.clear()
        return taken

    def _counts(self, reason: str) -> bool:
        taken = [wish.take() for wish in self._wishes.get(reason, ())]
        return not taken or any(taken)

    def pause(self, seconds: float) -> None:
        """Sleep, whatever arrives; only a stop ends it early."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, seconds)
