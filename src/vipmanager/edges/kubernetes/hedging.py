"""One request, sent twice at once: the first that succeeds counts."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from vipmanager.core.failures import Conflict

T = TypeVar("T")


def first(calls: Sequence[Callable[[], T]], *, patience: float) -> T:
    """Make calls of which one can succeed, each on a thread of its own; give the first success.

    A conflict may be the success of its own twin, which is still on its way: that one is waited
    for, `patience` seconds.

    Raises:
        Conflict: one met it, and none succeeded by then.
        Exception: every call failed; what the first of them raised.
    """
    ended: queue.SimpleQueue[tuple[T, None] | tuple[None, Exception]] = queue.SimpleQueue()
    for call in calls:
        threading.Thread(target=_perform, args=(call, ended.put), name="twin", daemon=True).start()
    failures: list[Exception] = []
    until: float | None = None
    while len(failures) < len(calls):
        try:
            given = ended.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        if given[1] is None:
            return given[0]
        failures.append(given[1])
        if until is None and isinstance(given[1], Conflict):
            until = time.monotonic() + patience
    raise next((each for each in failures if isinstance(each, Conflict)), failures[0])


def _perform(
    call: Callable[[], T], ended: Callable[[tuple[T, None] | tuple[None, Exception]], None]
) -> None:
    try:
        given = call()
    except Exception as error:  # noqa: BLE001 - raised where it is waited for
        ended((None, error))
    else:
        ended((given, None))
