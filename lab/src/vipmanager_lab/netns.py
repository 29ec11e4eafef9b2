"""Network namespaces: make one, run and open things in it, remove it."""

import contextlib
import ctypes
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

from vipmanager_lab.closing import Closing

Family = Literal[4, 6]
IPV4: Family = 4
IPV6: Family = 6
_T = TypeVar("_T")
_CLONE_NEWNET = 0x40000000  # setns(2)
_SIOCGIFFLAGS, _IFF_RUNNING = 0x8913, 0x40  # netdevice(7)
_LINK_SECONDS = 5.0
_libc = ctypes.CDLL(None, use_errno=True)


class NetnsError(Exception):
    """A command in a namespace failed; the text carries the command's own message."""


class BatchError(NetnsError):
    """A line of an `ip` batch failed; those after it did not run."""

    def __init__(self, message: str, *, applied: int) -> None:
        """Keep the number of lines that were applied before the one that failed."""
        super().__init__(message)
        self.applied = applied


class Netns(Closing):
    """A network namespace, named `PREFIX-NAME` for `ip netns`; removed by `close`."""

    def __init__(self, prefix: str, name: str) -> None:
        """Make the namespace with `lo` up.

        Raises:
            NetnsError: the name is taken, or namespaces are not permitted.
        """
        self.name = name
        self.full_name = f"{prefix}-{name}"
        _run(["ip", "netns", "add", self.full_name])
        self._fd = os.open(f"/run/netns/{self.full_name}", os.O_RDONLY | os.O_CLOEXEC)
        self._processes: list[subprocess.Popen[bytes]] = []
        self.ip_batch(["link set lo up"])

    def call(self, function: Callable[[], _T]) -> _T:
        """Run `function` inside the namespace and return what it returns.

        setns(2) moves one thread, so a thread that lives for this call does it; sockets that it
        opens and processes that it starts stay in the namespace.
        """
        future: Future[_T] = Future()

        def visit() -> None:
            try:
                if _libc.setns(self._fd, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), self.full_name)  # noqa: TRY301
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - raised again by result()
                future.set_exception(error)

        visitor = threading.Thread(target=visit, name=f"in {self.full_name}")
        visitor.start()
        visitor.join()
        return future.result()

    def run(self, argv: Sequence[str], *, text: str = "") -> str:
        """Run a command with `text` as its input; return its output.

        Raises:
            NetnsError: the command exited with another code than 0.
        """
        return self.call(lambda: _run(argv, text=text))

    def popen(
        self,
        argv: Sequence[str],
        *,
        stdin: int | IO[Any] | None = None,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        env: Mapping[str, str] | None = None,
        background: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a command; `close` kills it if it still runs.

        A terminal's Ctrl-C is not for one in the background.
        """
        group = 0 if background else None
        process = self.call(
            lambda: subprocess.Popen(
                argv, stdin=stdin, stdout=stdout, stderr=stderr, env=env, process_group=group
            )
        )
        self._processes = [one for one in self._processes if one.returncode is None]
        self._processes.append(process)
        return process

    def socket(
        self,
        family: socket.AddressFamily = socket.AF_INET,
        kind: socket.SocketKind = socket.SOCK_STREAM,
    ) -> socket.socket:
        """Open a socket that lives in the namespace, for use by any thread."""
        return self.call(lambda: socket.socket(family, kind))

    def sysctl(self, values: Mapping[str, str | int]) -> None:
        """Set kernel parameters; keys are paths below /proc/sys/net (`ipv4/ip_forward`).

        Raises:
            NetnsError: there is no such parameter, or it takes no such value.
        """

        def write() -> None:
            for key, value in values.items():
                try:
                    Path("/proc/sys/net", key).write_text(str(value), encoding="ascii")
                except OSError as error:
                    message = f"{self.full_name}: sysctl {key} = {value}: {error.strerror}"
                    raise NetnsError(message) from error

        self.call(write)

    def wait_running(self, *interfaces: str) -> None:
        """Wait until interfaces that were set up carry packets.

        The end of a veth that was up before its peer drops what is sent through it until a
        worker of the kernel has seen the carrier; IFF_RUNNING tells (netdevice(7)). The end
        that came up last carries at once, and may be flagged a second later.

        Raises:
            NetnsError: an interface does not exist, or does not run within 5 s.
        """
        deadline = time.monotonic() + _LINK_SECONDS
        with self.socket(kind=socket.SOCK_DGRAM) as control:
            for interface in interfaces:
                while not _is_running(control, interface):
                    if time.monotonic() > deadline:
                        raise NetnsError(f"{self.full_name}: {interface} does not come up")
                    time.sleep(0.001)

    def ip_batch(self, lines: Iterable[str], *, family: Family | None = None) -> None:
        """Run `ip` commands, given without the word `ip`, in one process; stop at the first error.

        Raises:
            BatchError: with the line, `ip`'s message and how many lines were applied.
        """
        batch = list(lines)
        if not batch:
            return
        options = [] if family is None else [f"-{family}"]
        try:
            self.run(["ip", *options, "-batch", "-"], text="\n".join(batch) + "\n")
        except NetnsError as error:
            failed = re.search(r"Command failed -:(\d+)", str(error))
            applied = int(failed[1]) - 1 if failed else 0
            raise BatchError(
                f"{self.full_name}: ip {batch[applied]}: {error}", applied=applied
            ) from error

    def ip_json(self, *arguments: str) -> Any:  # noqa: ANN401 - what `ip -j` prints
        """Run `ip -j` with the arguments; return what it printed, parsed."""
        return json.loads(self.run(["ip", "-j", *arguments]) or "[]")

    def kill(self) -> None:
        """Kill every process here, and wait for the end of those started with `popen`."""
        for process in self._processes:
            process.kill()
        # And what those started: a container outlives its runtime.
        while pids := _run(["ip", "netns", "pids", self.full_name]).split():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._processes.clear()

    def close(self) -> None:
        """Kill what runs here, then remove the namespace; once is enough."""
        if self._fd < 0:
            return
        self.kill()
        os.close(self._fd)
        self._fd = -1
        _run(["ip", "netns", "del", self.full_name])


def _is_running(control: socket.socket, interface: str) -> bool:
    request = struct.pack("16sH22x", interface.encode(), 0)
    try:
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, request)
    except OSError as error:
        raise NetnsError(f"{interface}: {error.strerror}") from error
    flags: int = struct.unpack_from("H", answer, 16)[0]
    return bool(flags & _IFF_RUNNING)


def _run(argv: Sequence[str], *, text: str = "") -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        message = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise NetnsError(f"{' '.join(argv)}: {message}")
    return done.stdout
