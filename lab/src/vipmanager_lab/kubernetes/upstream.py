"""A real API server behind the lab's endpoint: the same faults come before it as before our own."""

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import urllib3

from vipmanager_lab.kube.api import Asked
from vipmanager_lab.kube.status import StatusError
from vipmanager_lab.kubernetes.api import Trust
from vipmanager_lab.server import Delivery, HttpAnswer, HttpRequest

_NOT_PASSED: Final = {"host", "connection", "content-length", "transfer-encoding"}
_NOT_ANSWERED: Final = {"connection", "content-length", "transfer-encoding", "date"}
_SECONDS = 60.0
_PIECE = 65536
_GONE: Final = HttpAnswer(delivery=Delivery.CLOSED)


class Upstream:
    """Passes each request on, with its token, and the answer back.

    An API server that is away closes the connection of who calls it, as a load balancer in front
    of it does.
    """

    def __init__(self, url: str, authority: Path) -> None:
        """Connect to nothing yet.

        Args:
            url: such as https://127.0.0.1:6443.
            authority: who signed its certificate, PEM.
        """
        where = urlsplit(url)
        self._host, self._port = where.hostname or "", where.port
        self._trust = Trust(authority)
        self._pool = urllib3.HTTPSConnectionPool(
            self._host, self._port, ssl_context=self._trust.context, maxsize=32, retries=False
        )
        self._lock = threading.Lock()
        self._watches: dict[
            http.client.HTTPSConnection, tuple[http.client.HTTPResponse, Callable[[], bool]]
        ] = {}
        """The answer of each, and whether it is broken."""

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()
        with self._lock:
            for one, (answer, _) in self._watches.items():
                _shut(one)
                answer.close()
                one.close()

    def perform(
        self,
        request: HttpRequest,
        asked: Asked | StatusError,  # noqa: ARG002 - it is the API server's to understand
        broken: Callable[[], bool],
    ) -> HttpAnswer:
        """Answer a request; see `endpoint.Backend`."""
        self._trust.renew()
        target = request.path + ("?" + request.query if request.query else "")
        headers = {k: v for k, v in request.headers.items() if k not in _NOT_PASSED}
        try:
            if request.method == "GET" and "watch=" in request.query:
                return self._watch(target, headers, broken)
            answer = self._pool.urlopen(
                request.method,
                target,
                body=request.body or None,
                headers=headers,
                timeout=_SECONDS,
                redirect=False,
                decode_content=False,
            )
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError):
            return _GONE
        told = {k: v for k, v in answer.headers.items() if k.lower() not in _NOT_ANSWERED}
        return HttpAnswer(status=answer.status, body=answer.data, headers=told)

    def wake(self) -> None:
        """Make every watch look whether it is broken."""
        with self._lock:
            for one, (_, broken) in self._watches.items():
                if broken():
                    _shut(one)

    def _watch(
        self, target: str, headers: dict[str, str], broken: Callable[[], bool]
    ) -> HttpAnswer:
        """Begin a watch, on a connection of its own."""
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._trust.context
        )
        try:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        told = {k: v for k, v in answer.getheaders() if k.lower() not in _NOT_ANSWERED}
        if answer.status != HTTPStatus.OK:
            with contextlib.closing(connection):
                return HttpAnswer(status=answer.status, body=answer.read(), headers=told)
        with self._lock:
            self._watches[connection] = answer, broken
        return HttpAnswer(
            status=answer.status, headers=told, pieces=self._pieces(connection, answer, broken)
        )

    def _pieces(
        self,
        connection: http.client.HTTPSConnection,
        answer: http.client.HTTPResponse,
        broken: Callable[[], bool],
    ) -> Iterator[bytes]:
        """Give what a watch tells, as it comes.

        Raises:
            ConnectionResetError: it broke off, or was broken.
        """
        try:
            while piece := answer.read1(_PIECE):
                yield piece
            if broken():
                raise ConnectionResetError
        except (http.client.HTTPException, OSError) as error:
            raise ConnectionResetError from error
        finally:
            with self._lock:
                del self._watches[connection]
            answer.close()
            connection.close()


def _shut(connection: http.client.HTTPSConnection) -> None:
    """Wake whoever reads from a connection."""
    with contextlib.suppress(OSError):
        connection.sock.shutdown(socket.SHUT_RDWR)
