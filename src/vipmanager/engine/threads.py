"""The `Tasks` and `Clock` ports on this machine: threads, and its clocks."""

import itertools
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from vipmanager.ports import Condition

T = TypeVar("T")

IDLE = 4
"""Threads that wait for the next work: a pass reads three things at once."""


class Threads:
    """Each piece of work on a thread, which does not keep the process alive.

    Threads are used again, the oldest first: memory that one has used is seldom given back. They
    end once nobody has this any more.
    """

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        """From the oldest to the youngest."""
        self._made = itertools.count()
        self._lock = threading.Lock()
        weakref.finalize(self, _end, self._idle).atexit = False

    def start(self, name: str, work: Callable[[], T]) -> "_Task[T]":
        """Begin some work."""
        task = _Task(work)
        with self._lock:
            worker = self._idle.pop(0) if self._idle else None
        if worker is None:
            worker = _Worker(next(self._made), weakref.WeakMethod(self._keep))
            worker.start()
        worker.name = name
        worker.todo.put(task)
        return task

    def condition(self) -> Condition:
        """Make a condition."""
        return threading.Condition()

    def _keep(self, worker: "_Worker") -> None:
        with self._lock:
            self._idle[:] = sorted((*self._idle, worker), key=lambda w: w.number)
            youngest = self._idle.pop() if len(self._idle) > IDLE else None
        if youngest is not None:
            youngest.todo.put(None)


class _Worker(threading.Thread):
    """A thread that does one piece of work after the other."""

    def __init__(self, number: int, keep: "weakref.WeakMethod[Callable[[_Worker], None]]") -> None:
        super().__init__(daemon=True)
        self.number, self._keep = number, keep
        self.todo: queue.SimpleQueue[_Task[Any] | None] = queue.SimpleQueue()
        """None ends it."""

    def run(self) -> None:
        while (task := self.todo.get()) is not None:
            _perform(task)
            del task
            if (keep := self._keep()) is None:
                return
            keep(self)
            del keep


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.todo.put(None)


class _Task(Generic[T]):
    """Work, and what became of it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self.work: Callable[[], T] | None = work
        self.over = threading.Event()
        self.given: list[T] = []
        self.raised: Exception | None = None

    def result(self) -> T:
        self.over.wait()
        if self.raised is None:
            return self.given[0]
        try:
            raise self.raised
        finally:
            del self  # the failure's frames would keep the task, and the task the failure


def _perform(task: "_Task[Any]") -> None:
    work, task.work = task.work, None
    try:
        task.given.append(work())  # type: ignore[misc]
    except Exception as error:  # noqa: BLE001 - raised again by result()
        task.raised = error
    over = task.over
    del task, work  # as in `result`
    over.set()


class SystemClock:
    """This machine's time."""

    def now(self) -> float:
        """Give monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Give seconds since 1970."""
        return time.time()
