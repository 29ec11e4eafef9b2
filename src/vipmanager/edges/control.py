"""How `vipmanager yield`, `claim` and `status` reach the agent that runs in the same pod.

A Unix socket in the abstract namespace belongs to the pod's network namespace (unix(7)), so it
needs no writable file system and no port. It has no mode either: who asks is known by SO_PEERCRED.
To a container that shares the network but not the process namespace the kernel shows process id 0
(unix(7); pid_namespaces(7)); where all containers share one, the agent's own user and root may ask.

    status   ->                                    its answer
    yield    ->   heard   ->   do it   ->          its answer

An order counts from `do it` on, and only as long as its asker waits: an agent that was stopped does
not obey hours later what somebody gave up.
"""

import contextlib
import json
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from vipmanager.core.command import Command
from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.text import all_printable, printable
from vipmanager.edges.wire.listen import BACKLOG, Guest, Listener, Reply

ADDRESS = "\0vipmanager"

SOON: Final = 0.2
"""Seconds without an answer after which it is looked whether the agent is stopped."""
HEARING: Final = 1.0
"""Seconds for an agent to answer what it need not think about."""
OBEYING: Final = 40.0
"""Seconds for an order to be obeyed: longer than the agent itself waits for the Lease, and then for
a pass (`engine/status_store.py`)."""
ORDERS: Final = 4
"""Orders at a time."""

_CREDENTIALS = struct.Struct("3i")
_TIMEVAL = struct.Struct("ll")
_LONGEST = 1024
_HEARD, _DO_IT = b"heard\n", b"do it\n"
_STRANGER = ""


class NoAgent(Permanent):
    """No sidecar runs in this pod."""


class Hangs(Transient):
    """One runs, and does not answer."""


class Control:
    """The agent's end: serves until the process ends."""

    def __init__(
        self,
        *,
        obey: Callable[[Command, Callable[[], bool]], object],
        status: Callable[[], Mapping[str, object]],
    ) -> None:
        """Listen at once.

        Args:
            obey: obeys an order if its asker still waits, which the function beside it tells.
            status: what the agent knows of itself.

        Raises:
            Permanent: another agent listens in this pod.
        """
        self._obey = obey
        self._status = status
        self._busy = threading.BoundedSemaphore(ORDERS)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(ADDRESS)
        except OSError as error:
            raise Permanent(
                f"another vipmanager runs in this pod ({error.strerror})",
                "run one sidecar for all of the pod's interfaces",
            ) from error
        listening.listen(BACKLOG)
        Listener(
            listening,
            name="control",
            longest=_LONGEST,
            patience=HEARING,
            who=_asker,
            hear=self._hear,
            sorry=_refusal,
        )

    def _hear(self, guest: Guest) -> Reply | None:
        if guest.who == _STRANGER:
            return _refusal("only the agent's own container may ask")
        line, end, _ = guest.said.partition(b"\n")
        if not end and not guest.ended:
            return None
        asked = line.decode(errors="replace").strip()
        if asked == "status":
            return _text(self._status())
        try:
            order = Command[asked.upper()]
        except KeyError:
            return _refusal(f"unknown order {printable(asked, 40)!r}: status, yield or claim")
        return lambda connection: self._talk(order, connection)

    def _talk(self, order: Command, connection: socket.socket) -> None:
        """Obey, on a thread of its own."""
        with connection, contextlib.suppress(OSError):  # the asker may go away
            connection.settimeout(HEARING)
            if not self._busy.acquire(blocking=False):
                connection.sendall(_refusal(f"{ORDERS} orders are being obeyed", "try again"))
                return
            try:
                connection.sendall(_HEARD)
                if connection.recv(len(_DO_IT), socket.MSG_WAITALL) == _DO_IT:
                    connection.sendall(self._done(order, lambda: _waits(connection)))
            finally:
                self._busy.release()

    def _done(self, order: Command, waits: Callable[[], bool]) -> bytes:
        try:
            self._obey(order, waits)
        except Failure as failure:
            return _refusal(failure.what, failure.hint)
        return _text(self._status())


def _asker(connection: socket.socket) -> str:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(credentials)
    return str(process) if process and user in {0, os.geteuid()} else _STRANGER


def _waits(connection: socket.socket) -> bool:
    """Tell whether the other end is still open."""
    poll = select.poll()
    poll.register(connection, 0)  # POLLHUP is always told
    return not poll.poll(0)


def _refusal(why: str, hint: str = "") -> bytes:
    return _text({"error": why, "hint": hint})


def _text(document: Mapping[str, object]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def ask(question: str) -> Mapping[str, Any]:
    """Ask the agent of this pod for its `status`, or to `yield` or `claim`; give its status.

    Raises:
        NoAgent: none runs in this pod.
        Hangs: one runs, and does not answer. It will not obey later.
        Permanent: it refuses.
        Transient: what answers is no agent.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            _connect(connection)
            connection.settimeout(HEARING)
            connection.sendall(question.encode() + b"\n")
            with connection.makefile("rb") as answers:
                _unless_stopped(connection)
                line = answers.readline(_LARGEST)
                if line == _HEARD:
                    connection.sendall(_DO_IT)
                    connection.settimeout(OBEYING)
                    line = answers.readline(_LARGEST)
            answer = _document(line)
        except TimeoutError as error:
            raise _hangs(connection) from error
        except (OSError, ValueError) as error:
            raise Transient(
                f"the agent does not answer: {error}",
                "it may be ending: try again; what it says: kubectl logs POD -c vipmanager",
            ) from error
    if "error" in answer:
        raise Permanent(f"the agent says: {answer['error']}", str(answer.get("hint", "")))
    return answer


def _unless_stopped(connection: socket.socket) -> None:
    """Wait for an answer to begin, a moment only where the agent can't give one."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    if not poll.poll(1000 * SOON) and _state(_process(connection)) in _STOPPED:
        raise TimeoutError


_LONGEST_TEXT = 16 * 1024
"""Characters of one text in it: a finding may name every table."""
_LARGEST = 16 * 1024 * 1024
"""Bytes of an answer that are read; one with 10,000 routes has 3 MB."""


def _connect(connection: socket.socket) -> None:
    # For a full queue a socket with a time-out of Python's would not wait at all (connect(2)).
    wait = _TIMEVAL.pack(int(HEARING), int(HEARING % 1 * 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)
    try:
        connection.connect(ADDRESS)
    except BlockingIOError as error:
        raise TimeoutError from error
    except ConnectionRefusedError as error:
        raise NoAgent(
            "no vipmanager sidecar runs in this pod",
            "ask in its container: kubectl exec POD -c vipmanager -- vipmanager ...",
        ) from error


def _document(line: bytes) -> dict[str, Any]:
    """Read an answer; any other than an agent's is a ValueError."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found.keys() & {"ready", "error"}:
        raise ValueError(printable(repr(line[:60])) if line else "it closed the connection")
    document: dict[str, Any] = all_printable(found, _LONGEST_TEXT)
    return document


def _hangs(connection: socket.socket) -> Hangs:
    """Say which process does not answer, and what may be done about it."""
    process = _process(connection)
    who = f"the agent (process {process})" if process else "the agent"
    state = _state(process)
    if state in _STOPPED:
        return Hangs(
            f"{who} hangs: it is stopped ({_STOPPED[state]}), and steers nothing",
            f"let it go on: kill -CONT {process}; or restart the pod: kubectl delete pod POD",
        )
    why = "it waits for the kernel" if state == "D" else "it does not answer"
    return Hangs(
        f"{who} hangs: {why}, and may steer nothing",
        "look for a node without CPU or memory; if it lasts, restart the pod: "
        "kubectl delete pod POD",
    )


_STOPPED = {"T": "SIGSTOP", "t": "by a debugger"}
"""What /proc/PID/stat tells of a process (proc(5))."""


def _process(connection: socket.socket) -> int:
    """Give the id of the process that listens; 0 where nobody was reached, or it is not seen."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process: int = _CREDENTIALS.unpack(credentials)[0]
    return process


def _state(process: int) -> str:
    try:
        stat = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[0]
