"""A shell in which documents are typed: some of its programs are functions of the test."""

import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vipmanager_lab.closing import Closing

SECONDS = 120
"""For one block."""

_SHIM = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    words = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
    line.sendall(json.dumps([words, os.getcwd(), sys.stdin.read()]).encode())
    line.shutdown(socket.SHUT_WR)
    code, out, err = json.loads(b"".join(iter(lambda: line.recv(65536), b"")))
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a program prints, and its exit code."""

    code: int = 0
    out: str = ""
    err: str = ""


Program = Callable[[Sequence[str], Path, str], Answer]
"""Called with its words after its name, the working directory, and what was piped into it."""
Popen = Callable[[Sequence[str], Mapping[str, str], int, int], "subprocess.Popen[bytes]"]


def here(
    argv: Sequence[str], env: Mapping[str, str], stdin: int, stdout: int
) -> "subprocess.Popen[bytes]":
    """Start a process as it is."""
    return subprocess.Popen(argv, env=env, stdin=stdin, stdout=stdout, stderr=stdout)


class Terminal(Closing):
    """Bash, with everything that it has printed."""

    def __init__(
        self,
        folder: Path,
        programs: Mapping[str, Program],
        *,
        popen: Popen = here,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start it in a folder; `popen` decides in which namespace."""
        self._programs = programs
        self._listener = socket.socket(socket.AF_UNIX)
        address = folder / "line"
        self._listener.bind(str(address))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()
        shims = folder / "bin"
        shims.mkdir()
        for name in programs:
            shim = shims / name
            shim.write_text(_SHIM.format(python=sys.executable, address=str(address)))
            shim.chmod(0o755)
        self._typed: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        work = folder / "work"
        work.mkdir(exist_ok=True)
        env = {
            **(environment or {}),
            "PATH": f"{shims}:{os.environ['PATH']}",
            "HOME": str(folder),
        }
        keyboard, self._keys = os.pipe()
        screen, out = os.pipe()
        self._bash = popen(["bash", "--norc", "-c", _LOOP], env, keyboard, out)
        os.close(keyboard)
        os.close(out)
        threading.Thread(target=self._read, args=(screen,), daemon=True).start()
        self.type(f"cd {work}")

    def type(self, commands: str) -> str:
        """Type commands; give what they print.

        Raises:
            AssertionError: one of them failed, or takes too long.
        """
        os.write(self._keys, commands.encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        printed: list[str] = []
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not done:\n{commands}\n{''.join(printed)}") from None
            if line is None:
                raise AssertionError(f"failed:\n{commands}\nIt printed:\n{''.join(printed)}")
            if line == "\0\n":
                return "".join(printed)
            printed.append(line)

    def close(self) -> None:
        """End the shell."""
        os.close(self._keys)
        self._bash.kill()
        self._bash.wait()
        self._listener.close()

    def _read(self, screen: int) -> None:
        with os.fdopen(screen, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put(None)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _answer(self, line: socket.socket) -> None:
        with line:
            words, folder, piped = json.loads(b"".join(iter(lambda: line.recv(65536), b"")))
            try:
                answer = self._programs[words[0]](words[1:], Path(folder), piped)
            except Exception:  # noqa: BLE001 - the block that called it fails with the traceback
                answer = Answer(code=70, err=traceback.format_exc())
            line.sendall(json.dumps([answer.code, answer.out, answer.err]).encode())


# Each block is read up to a NUL and then run in this same shell, where the first failure ends it.
_LOOP = r"""
exec 3<&0 </dev/null
while IFS= read -r -d '' -u 3 block; do
    set -eu
    eval "$block"
    set +eu
    printf '\0\n'
done
"""
