"""The `Tasks` and `Clock` ports on this machine: threads, and its clocks."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from vipmanager.ports import Condition

T = TypeVar("T")


class Threads:
    """Each piece of work on a thread of its own, which does not keep the process alive."""

    def start(self, name: str, work: Callable[[], T]) -> "_Thread[T]":
        """Begin some work."""
        return _Thread(name, work)

    def condition(self) -> Condition:
        """Make a condition."""
        return threading.Condition()


class _Thread(Generic[T]):
    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self._work = work
        self._given: list[T] = []
        self._raised: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def result(self) -> T:
        self._thread.join()
        if self._raised is not None:
            raise self._raised
        return self._given[0]

    def _run(self) -> None:
        try:
            self._given.append(self._work())
        except Exception as error:  # noqa: BLE001 - raised again by result()
            self._raised = error


class SystemClock:
    """This machine's time."""

    def now(self) -> float:
        """Give monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Give seconds since 1970."""
        return time.time()
