"""Commands in a terminal: a pseudo-terminal of so many columns, and all that they print."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

RED, GREEN = "\x1b[1;31m", "\x1b[32m"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def in_terminal(argv: Sequence[str], *, columns: int) -> tuple[int, str]:
    """Run a command; give its exit code and what it printed, control sequences included."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    outside = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "NO_COLOR"}}
    with subprocess.Popen(
        argv,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**outside, "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        printed = b""
        while data := _read(ours):
            printed += data
    os.close(ours)
    return process.returncode, printed.decode()


class Typist:
    """A person at a terminal, in which one command runs; `with` ends it."""

    def __init__(self, argv: Sequence[str], *, columns: int) -> None:
        self.printed = ""
        self._seen = 0
        pid, self._terminal = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm"
            os.execvp(argv[0], list(argv))  # noqa: S606 - the child is the command
        self._pid = pid
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._terminal)  # the command gets a SIGHUP, if it still runs

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._terminal, keys.encode())

    def expect(self, pattern: str, *, seconds: float = 60) -> None:
        """Wait until a pattern is printed after the last one."""
        deadline = time.monotonic() + seconds
        while not (found := re.compile(pattern).search(self.printed, self._seen)):
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, left))
            data = _read(self._terminal) if ready else b""
            assert data, f"no {pattern} in {self.printed[self._seen :]}"
            self.printed += data.decode(errors="replace")
        self._seen = found.end()

    def end(self) -> int:
        """Wait for the end; give the exit code."""
        while data := _read(self._terminal):
            self.printed += data.decode(errors="replace")
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the last process has closed its end
        return b""


def plain(screen: str) -> str:
    """Take control sequences out of what was printed."""
    return _CONTROL.sub("", screen)
