"""One run of a container: its process, its output, commands in it, its end."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vipmanager_lab.kubernetes.kubelet import launch
from vipmanager_lab.netns import Netns
from vipmanager_lab.process import Process

LINES = 20_000
"""Of the output, the last so many lines are kept."""
_OUTPUT = 65536
"""Of a command's output, the first so many bytes are read."""
_START_SECONDS = 10.0
_LOOK = 0.002


class RunError(Exception):
    """A container's process is not there, or a command did not end in time; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command in a container ended."""

    code: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a container ended."""

    id: str
    code: int
    reason: str
    message: str
    started: datetime
    finished: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a container runs, and in which surroundings."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    """All of it."""
    mounts: Sequence[Mapping[str, Any]] = ()
    """As `launch` has them."""
    directory: str = "/"
    """Where it begins."""


class Container:
    """A running container; `close` ends it."""

    def __init__(
        self,
        netns: Netns,
        folder: Path,
        command: Command,
        *,
        lines: deque[str] | None = None,
        heard: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        """Start it.

        Args:
            netns: the pod's.
            folder: where a folder for the launcher is made.
            command: what it runs.
            lines: takes its output, also that of earlier runs.
            heard: takes every record that it prints, on a thread of its own.
        """
        self.id = f"lab://{uuid.uuid4().hex}"
        self.started = datetime.now(UTC)
        self.lines: deque[str] = deque(maxlen=LINES) if lines is None else lines
        self._heard = heard
        self._netns, self._environment = netns, dict(command.environment)
        self._ended: Ended | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
        (self._folder / "root").mkdir()
        config = {
            "argv": [*command.argv],
            "cwd": command.directory,
            "mounts": [*command.mounts],
        }
        (self._folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        launcher = [sys.executable, "-I", "-S", str(Path(launch.__file__)), str(self._folder)]
        self.process = Process(
            netns, launcher, env=command.environment, stream="stdout", heard=self._hear, keep=LINES
        )
        """The launcher's, whose records are the container's; the container's own is `pid`."""
        self._await_start()

    def _hear(self, record: dict[str, Any]) -> None:
        is_text = record.keys() == {"event", "text"} and record["event"] == "text"
        self.lines.append(record["text"] if is_text else json.dumps(record))
        self._heard(record)

    @property
    def pid(self) -> int:
        """The id of its process 1, in the lab.

        Raises:
            RunError: it has ended, or was not started.
        """
        if self.process.running:
            with contextlib.suppress(FileNotFoundError):
                return int((self._folder / "pid").read_text(encoding="ascii"))
        raise RunError("the container has ended")

    def _await_start(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self.process.running and not (self._folder / "pid").exists():
            if time.monotonic() > deadline:
                self.process.close()
                return
            time.sleep(_LOOK)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.running

    def signal(self, number: int) -> None:
        """Send its process 1 a signal; nothing where it has ended."""
        with contextlib.suppress(RunError, ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; tell whether it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(seconds, 0.0))
        return not self.process.running

    def ended(self, *, tail: bool = False) -> Ended | None:
        """Give how it ended; None while it runs.

        With `tail` the message of one that failed is the end of its output.
        """
        if self.process.running:
            return None
        if self._ended is None:
            code = self.process.wait()
            code = code if code >= 0 else 128 - code  # the launcher was killed as well
            failed = self._folder / "failed"
            reason, message = ("Error", "") if code else ("Completed", "")
            if failed.exists():
                reason, message = "StartError", failed.read_text(encoding="utf-8")
            elif code and tail:
                message = "\n".join([*self.lines][-20:])[-2048:]
            self._ended = Ended(
                id=self.id,
                code=code,
                reason=reason,
                message=message,
                started=self.started,
                finished=datetime.now(UTC),
            )
        return self._ended

    def execute(self, argv: Sequence[str], *, seconds: float) -> Done:
        """Run a command in it, as its process 1 has namespaces and environment.

        Raises:
            RunError: the container has ended, or the command does not end in time.
        """
        inside = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--", *argv]
        with tempfile.TemporaryFile() as output, open(os.devnull, "rb") as null:  # noqa: PTH123
            popen = self._netns.popen(
                inside, stdin=null, stdout=output, stderr=output, env=self._environment
            )
            try:
                code = popen.wait(seconds)
            except subprocess.TimeoutExpired as error:
                raise RunError(f"{argv[0]}: no end within {seconds:g} s") from error
            finally:
                _end(popen)
            output.seek(0)
            return Done(code=code, output=output.read(_OUTPUT).decode(errors="replace"))

    def close(self) -> None:
        """Kill it, if need be, and remove what the launcher had."""
        self.signal(signal.SIGKILL)
        self.process.close()
        self.ended()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder)


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(one) for one in text.split()]


def _end(popen: subprocess.Popen[bytes]) -> None:
    if popen.poll() is None:
        for child in _children(popen.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        popen.kill()
        popen.wait()
