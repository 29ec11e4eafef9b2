"""How `vipmanager yield`, `claim` and `status` reach the agent that runs in the same pod.

A Unix socket in the abstract namespace belongs to the pod's network namespace (unix(7)), so it
needs no writable file system and no port. Only processes that the agent can see may use it: to a
container that shares the network but not the process namespace, the kernel shows process id 0
(SO_PEERCRED, unix(7); pid_namespaces(7)).
"""

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from typing import Any

from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.order import Order

ADDRESS = "\0vipmanager"

TIMEOUT = 20.0
"""Seconds for an answer: longer than an order may take to be obeyed."""

_CREDENTIALS = struct.Struct("3i")
_LONGEST = 1024


class NoAgent(Permanent):
    """No sidecar runs in this pod."""


class Control:
    """The agent's end: serves until the process ends."""

    def __init__(
        self, *, obey: Callable[[Order], object], status: Callable[[], Mapping[str, object]]
    ) -> None:
        """Listen at once.

        Raises:
            Permanent: another agent listens in this pod.
        """
        self._obey = obey
        self._status = status
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(ADDRESS)
        except OSError as error:
            raise Permanent(
                f"another vipmanager runs in this pod ({error.strerror})",
                "run one sidecar for all of the pod's interfaces",
            ) from error
        self._socket.listen(8)
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(TIMEOUT)
            try:
                connection.sendall(json.dumps(self._reply(connection)).encode())
            except OSError:
                return  # the asker went away

    def _reply(self, connection: socket.socket) -> Mapping[str, object]:
        asked = connection.recv(_LONGEST).decode(errors="replace").strip()
        credentials = connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
        )
        if _CREDENTIALS.unpack(credentials)[0] == 0:
            return {"error": "only the agent's own container may ask"}
        if asked == "status":
            return self._status()
        try:
            self._obey(Order[asked.upper()])
        except KeyError:
            return {"error": f"unknown order {asked!r}: status, yield or claim"}
        except Failure as failure:
            return {"error": failure.what, "hint": failure.hint}
        return self._status()


def ask(question: str) -> Mapping[str, Any]:
    """Ask the agent of this pod for its `status`, or to `yield` or `claim`; give its status.

    Raises:
        NoAgent: none runs in this pod.
        Permanent: it refuses.
        Transient: it does not answer in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(ADDRESS)
            connection.sendall(question.encode())
            connection.shutdown(socket.SHUT_WR)
            answer = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
        except ConnectionRefusedError as error:
            raise NoAgent(
                "no vipmanager sidecar runs in this pod",
                "ask in its container: kubectl exec POD -c vipmanager -- vipmanager ...",
            ) from error
        except (OSError, ValueError) as error:
            raise Transient(f"the agent does not answer: {error}", "try again") from error
    if "error" in answer:
        raise Permanent(f"the agent says: {answer['error']}", answer.get("hint", ""))
    return dict(answer)
