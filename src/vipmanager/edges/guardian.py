"""Undoes what a command did for a while, also when the command is killed.

`kill -9` leaves a process no time for anything, so a child of it stands by: it waits at a pipe
whose other end only the command has. The kernel closes that end when the command is gone, however
it went. What ends the child too is left to the next run: the end of its container (the kernel
kills what process 1 leaves, pid_namespaces(7)), or of its machine.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a command that can still undo by itself."""

_DONE = b"."
"""What the command sends when nothing is left to undo."""


@contextlib.contextmanager
def guarded(undo: Callable[[], None]) -> Iterator[None]:
    """Undo at the end of the block, whatever ends it: return, error, signal or kill.

    A signal of SIGNALS raises SystemExit in the block; one that comes during `undo` leaves the rest
    to the child. What goes wrong in `undo` is raised here, and told on standard error by the child.
    For the main thread, before there are other threads or connections: the child is a fork.

    Args:
        undo: ends within a bounded time; undoes what it finds, since it may run twice; knows in
            the child only what was known before the block, and makes its own connections.
    """
    with contextlib.ExitStack() as after:
        # A signal before the child is ready would be for both.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        after.callback(signal.pthread_sigmask, signal.SIG_SETMASK, mask)
        child, end = _stand_by(undo, mask)
        after.callback(os.close, end)
        for each in SIGNALS:
            before = signal.getsignal(each)
            if before is not signal.SIG_IGN:  # as with nohup, or in a script's background
                after.callback(signal.signal, each, before)
                signal.signal(each, _ended)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            yield
        finally:
            try:
                undo()
            except Exception:
                _let_go(child, end)
                raise
            _let_go(child, end)


def _let_go(child: int, end: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # somebody ended it
        os.write(end, _DONE)
    os.waitpid(child, 0)


def _ended(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # as a shell tells it


def _stand_by(undo: Callable[[], None], mask: Iterable[int]) -> tuple[int, int]:
    """Fork the child, and wait until it stands by.

    Gives its id, and the end of the pipe that keeps it waiting.
    """
    waits, end = os.pipe()
    heard, ready = os.pipe()
    child = os.fork()
    if child:
        os.close(waits)
        os.close(ready)
        with os.fdopen(heard, "rb") as stands_by:
            stands_by.read()
        return child, end
    code = 1
    try:
        os.close(end)
        os.close(heard)
        code = _child(undo, waits, ready, mask)
    finally:
        os._exit(code)


def _child(undo: Callable[[], None], waits: int, ready: int, mask: Iterable[int]) -> int:
    os.setsid()  # what a terminal or a shell sends to the command is not for the child
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(nowhere, stream)
    os.close(ready)
    if os.read(waits, 1) == _DONE:
        return 0
    _say("it was killed; what it changed is being undone")
    try:
        undo()
    except Exception as error:  # noqa: BLE001 - nobody is left to raise it to
        _say(f"not all is undone: {error}")
        return 1
    _say("what it changed is undone")
    return 0


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # who read it may be gone
        os.write(2, f"vipmanager: {line}\n".encode())
