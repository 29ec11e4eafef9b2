"""A process in a namespace of the lab, with everything it prints."""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vipmanager_lab.netns import Netns

_STOPS, _LOOK = 5.0, 0.001
"""Seconds that the stop of a process may take, and between two looks."""


class Process:
    """A process in the world that prints JSON lines, all of which are kept."""

    def __init__(
        self,
        netns: Netns,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        stream: str,
        heard: Callable[[dict[str, Any]], None] = lambda _: None,
        keep: int = sys.maxsize,
    ) -> None:
        """Start it.

        Args:
            netns: where it runs.
            argv: its command.
            env: its environment, all of it.
            stream: `stdout` or `stderr`; the other one is lost.
            heard: takes every record, on a thread of its own.
            keep: so many records are kept, the first ones.
        """
        self.records: list[dict[str, Any]] = []
        self.text: list[str] = []
        self._heard, self._keep = heard, keep
        self._changed = threading.Condition()
        self._ended = False
        self.started = time.monotonic()
        read, write = os.pipe()
        with open(os.devnull, "wb") as null, os.fdopen(write, "wb") as writer:  # noqa: PTH123
            # A pipe on stdin ends the process with the lab, whatever becomes of the lab.
            self._stdin, held = os.pipe()
            outputs = {"stdout": null, "stderr": null} | {stream: writer}
            self._popen = netns.popen(argv, stdin=self._stdin, env=env, background=True, **outputs)
        os.close(self._stdin)
        self._held = held
        self._reader = threading.Thread(target=self._read, args=(read,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def _read(self, source: int) -> None:
        with os.fdopen(source, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    record = json.loads(line)
                except ValueError:
                    record = {"event": "text", "text": line.rstrip("\n")}
                if not isinstance(record, dict):
                    record = {"event": "text", "text": line.rstrip("\n")}
                with self._changed:
                    if len(self.records) < self._keep:
                        self.records.append(record)
                        self.text.append(str(record.get("text", "")))
                        self._changed.notify_all()
                self._heard(record)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], *, seconds: float = 20, since: int = 0
    ) -> dict[str, Any]:
        """Wait for a record from number `since` on.

        Raises:
            AssertionError: it did not come, or the process ended without it.
        """
        deadline = time.monotonic() + seconds
        seen = since
        with self._changed:
            while True:
                for record in self.records[seen:]:
                    if wanted(record):
                        return record
                seen = len(self.records)
                left = deadline - time.monotonic()
                if left <= 0 or self._ended:
                    why = "ended" if self._ended else f"said nothing for {seconds} s"
                    raise AssertionError(f"the process {why}; it said:\n" + "\n".join(self.text))
                self._changed.wait(left)

    def wait(self, seconds: float = 30) -> int:
        """Wait for the end and all output; give the exit code."""
        code = self._popen.wait(seconds)
        self._reader.join(5)
        return code

    def signal(self, number: int) -> None:
        """Send a signal; return once a process that is to stop stands still."""
        self._popen.send_signal(number)
        deadline = time.monotonic() + _STOPS
        while number == signal.SIGSTOP and self.running and time.monotonic() < deadline:
            # Each of its threads has to notice: until then it may do one thing more.
            if os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG) is not None:
                return
            time.sleep(_LOOK)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def close(self) -> None:
        """Kill it, if need be, and wait."""
        if self.running:
            self._kill()
        self.wait()
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def _kill(self) -> None:
        # A container runtime's child outlives it, and holds the pipe that we read.
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        with contextlib.suppress(OSError):
            for child in children.read_text(encoding="ascii").split():
                os.kill(int(child), signal.SIGKILL)
        self._popen.kill()
