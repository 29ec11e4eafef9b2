"""One process of the control plane: started, paused, killed, started again."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from vipmanager_lab.closing import Closing
from vipmanager_lab.kubernetes.assets import ProcessError

_LOOK = 0.02
_TAIL = 2000
_ENDS = 10.0
"""Seconds for an end that was asked for."""


class Component(Closing):
    """A program with a log file; the same command each time it starts."""

    def __init__(self, name: str, log: Path, *, ready: Callable[[], bool]) -> None:
        """Start nothing yet.

        Args:
            name: for people, and of the log file.
            log: the folder for its log.
            ready: tells whether it serves; it may raise OSError.
        """
        self.name, self.log = name, log / f"{name}.log"
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        self.argv: Sequence[str] = ()
        """Its command; a change counts from the next start on."""

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            ProcessError: it does not run.
        """
        if self._process is None or self._process.poll() is not None:
            raise ProcessError(f"{self.name} does not run: {self.tail()}")
        return self._process.pid

    @property
    def crashed(self) -> bool:
        """Whether it has ended, and nobody stopped it."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start it, if it does not run; `await_ready` waits."""
        if self._process is not None and self._process.poll() is None:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.argv, stdout=log, stderr=log)

    def await_ready(self, seconds: float) -> None:
        """Wait until it serves.

        Raises:
            ProcessError: it ended, or does not serve in time.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            _ = self.pid
            with contextlib.suppress(OSError):
                if self._ready():
                    return
            time.sleep(_LOOK)
        raise ProcessError(f"{self.name} does not serve after {seconds:g} s: {self.tail()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal, and wait for the end; one that does not obey is killed."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
        try:
            self._process.wait(_ENDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Kill it at once."""
        self.stop(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it without its noticing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it; what it held is thrown away with it."""
        self.kill()

    def tail(self) -> str:
        """Give the end of its log."""
        with contextlib.suppress(FileNotFoundError):
            return self.log.read_text(errors="replace")[-_TAIL:].strip()
        return "it has no log"

    def _signal(self, number: signal.Signals) -> None:
        _ = self.pid
        assert self._process is not None  # noqa: S101 - `pid` has looked
        self._process.send_signal(number)
