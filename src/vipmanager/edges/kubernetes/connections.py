"""Kept-alive connections: two are kept warm, and one that fell silent is left."""

import http.client
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import Timeout

from vipmanager.core.failures import Transient
from vipmanager.edges.kubernetes.answers import Answer, Request
from vipmanager.edges.wire.connection import Call, Silent, calling
from vipmanager.edges.wire.pool import plain

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

WARM = 2
"""Connections that are kept ready: where one leads into a lost zone, the other may lead elsewhere.
"""
TRIES = 3
"""Connections that one call may find silent."""
KEPT = 8
"""Idle connections at the most."""

FAULTS = (OSError, HTTPError, http.client.HTTPException, Silent, ValueError)
"""What a connection raises; a token that is no header is a ValueError."""


class Connections:
    """To the API at one address. Safe to call from several threads at once.

    Whom it trusts is read again when ca.crt changes, and where TLS fails. No proxy is used: the
    API is the pod's own cluster's.
    """

    def __init__(self, host: str, port: int, authority: Path, *, connect: float) -> None:
        """Connect to nobody yet.

        Args:
            host: where the API is.
            port: its port.
            authority: the file with whom to trust.
            connect: seconds to connect, part of a call's own.
        """
        self._host, self._port, self._authority = host, port, authority
        self._connect = connect
        self._lock = threading.Lock()
        self._pool: Any = None
        self._trusted: object = None
        self._last: frozenset[str] = frozenset()
        """Where the last call went: the next one goes elsewhere, so that no connection rots."""
        self._calls = self._under_way = 0
        self._warming = False

    def ask(
        self,
        request: Request,
        headers: Mapping[str, str],
        seconds: float,
        apart: set[str] | None = None,
    ) -> Answer:
        """Make a call, and once more elsewhere where nobody acknowledges it.

        Args:
            request: what is asked.
            headers: that the request does not have itself.
            seconds: for all of it.
            apart: addresses to which the same request is on its way; this one's is added.

        Raises:
            Transient: there is no answer.
        """
        with self._lock:
            self._calls += 1
            self._under_way += 1
        try:
            return self._ask(request, headers, seconds, apart)
        finally:
            with self._lock:
                self._under_way -= 1
            self._keep_spare()

    def _ask(
        self,
        request: Request,
        headers: Mapping[str, str],
        seconds: float,
        apart: set[str] | None,
    ) -> Answer:
        until = time.monotonic() + seconds
        apart = set(self._last) if apart is None else apart
        before = frozenset(apart)
        for left in reversed(range(TRIES)):
            try:
                response = self._send(
                    request,
                    headers,
                    Call(apart=apart),
                    Timeout(connect=self._connect, total=max(0.01, until - time.monotonic())),
                )
                body = response.data
            except Silent as error:
                if not left or time.monotonic() >= until:
                    raise self._unreached(request, error, seconds) from error
            except FAULTS as error:
                raise self._unreached(request, error, seconds) from error
            else:
                self._last = frozenset(apart - before) or before
                return _answer(response, body)
        raise AssertionError  # the last try returns or raises

    def stream(
        self, request: Request, headers: Mapping[str, str], quiet: float
    ) -> Iterator[Answer | bytes]:
        """Make a call, and give its answer line by line, each within so many seconds.

        A refusal is given whole.

        Raises:
            Transient: there is no answer, or it broke off.
        """
        response: BaseHTTPResponse | None = None
        try:
            response = self._send(
                request,
                headers,
                Call(stream=True),
                Timeout(connect=self._connect, read=quiet),
                preload_content=False,
            )
            if response.status != http.HTTPStatus.OK:
                yield _answer(response, response.read())
                return
            rest = b""
            for piece in response.stream():
                *lines, rest = (rest + piece).split(b"\n")
                yield from filter(bytes.strip, lines)
            if rest.strip():
                yield rest
        except FAULTS as error:
            raise self._unreached(request, error, quiet) from error
        finally:
            if response is not None:
                response.close()

    def close(self) -> None:
        """Close every connection that is idle."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    @property
    def ready(self) -> int:
        """How many connections wait for a call."""
        with self._lock:
            return len(self._pool.ready()) if self._pool is not None else 0

    def _send(
        self,
        request: Request,
        headers: Mapping[str, str],
        call: Call,
        timeout: Timeout,
        *,
        preload_content: bool = True,
    ) -> "BaseHTTPResponse":
        with calling(call):
            response: BaseHTTPResponse = self._trusting().urlopen(
                request.method,
                request.target,
                body=request.content,
                headers={**headers, **request.headers},
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=preload_content,
            )
        return response

    def _trusting(self) -> Any:  # noqa: ANN401 - a pool, whose class is made at run time
        """Give the connections to whom ca.crt names now."""
        with self._lock:
            stat = self._authority.stat()
            seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if self._pool is None or self._trusted != seen:
                context = _context(self._authority)
                before, self._trusted = self._pool, seen
                self._pool = plain()["https"](
                    self._host,
                    self._port,
                    maxsize=KEPT,
                    timeout=Timeout(connect=self._connect),
                    ssl_context=context,
                )
                if before is not None:
                    before.close()
            return self._pool

    def _keep_spare(self) -> None:
        """Have a second connection ready, beside; a single call needs none."""
        with self._lock:
            pool = self._pool
            if self._warming or self._calls == 1 or pool is None:
                return
            if self._under_way + len(pool.ready()) >= WARM:
                return
            self._warming = True
        threading.Thread(target=self._warm, args=(pool,), name="kube", daemon=True).start()

    def _warm(self, pool: Any) -> None:  # noqa: ANN401
        try:
            pool.spare(same=True)
        except FAULTS:
            pass  # the next call tries again
        finally:
            self._warming = False

    def _unreached(self, request: Request, error: Exception, seconds: float) -> Transient:
        """Make a failure of what a connection raised."""
        cause = error.__cause__ if isinstance(error, HTTPError) and error.__cause__ else error
        if isinstance(cause, ssl.SSLError | SSLError):
            self.close()  # with whom it trusts
            return Transient(
                f"{request}: no answer: TLS failed ({cause})",
                f"{self._authority} is read again; it has to name who signed the API's certificate",
            )
        match error:
            case ConnectTimeoutError():
                said = f"no connection within {self._connect:g} s"
            case ReadTimeoutError() | TimeoutError():
                said = f"no answer within {seconds:g} s"
            case ProtocolError():
                said = f"no answer, the connection broke off ({error.args[-1]})"
            case Silent():
                said = f"no answer ({error})"
            case ValueError() if not isinstance(error, OSError):
                said = f"not sent ({error})"
            case _:
                said = f"no answer ({type(cause).__name__}: {cause})"
        return Transient(
            f"{request}: {said}",
            "it is tried again; check the route to the API and NetworkPolicies if it lasts",
        )


def _answer(response: "BaseHTTPResponse", body: bytes) -> Answer:
    wait = response.headers.get("Retry-After")
    return Answer(status=response.status, body=body, retry_after=wait)


def _context(authority: Path) -> ssl.SSLContext:
    """Verify as client-go does.

    That is without what Python's default context demands of a cluster's own certificates since
    3.13 (VERIFY_X509_STRICT: an Authority Key Identifier, for one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(authority)
    return context
