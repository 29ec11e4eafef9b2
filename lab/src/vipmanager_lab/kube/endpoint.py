"""The HTTPS endpoint: a request through the network to whoever answers it, and back.

Behind it stands the lab's own API (`stored.py`) or a real one (`lab/kubernetes/upstream.py`): what
goes wrong on the way, how long that takes and what is remembered of it is the same for both.
"""

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from socket import socket
from typing import Final, Protocol

from vipmanager_lab.closing import Closing
from vipmanager_lab.faults import Break, Hang, Unreachable
from vipmanager_lab.kube import api
from vipmanager_lab.kube.faults import Faults, Refuse
from vipmanager_lab.kube.status import StatusError
from vipmanager_lab.server import Delivery, HttpAnswer, HttpRequest, Server

_NOTHING: Final = HttpAnswer(delivery=Delivery.CLOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that arrived, answered or not; a watch when it began."""

    start: float
    """Monotonic seconds when the request had been read."""
    finish: float
    """Monotonic seconds when the answer was ready to leave."""
    action: str
    """Verb and resource, such as `update leases`; the method and path where it has none."""
    status: int | None
    """None where no whole answer left."""
    source: str
    path: str
    query: str
    token: str | None
    """The bearer token that came with it."""


class Backend(Protocol):
    """Who answers."""

    def perform(
        self, http: HttpRequest, asked: api.Asked | StatusError, broken: Callable[[], bool]
    ) -> HttpAnswer:
        """Answer a request; a watch in pieces.

        Args:
            http: the request.
            asked: the same, understood; or why it is not, by what the lab's own API serves.
            broken: tells whether a watch shall end in the middle; asked after `wake`.

        Raises:
            StatusError: it is refused.
        """
        ...

    def wake(self) -> None:
        """Make every watch look whether it is broken."""
        ...


class Endpoint(Closing):
    """A Kubernetes API server on any number of sockets.

    Args:
        backend: who answers; it has to be closed after the endpoint.
        faults: what goes wrong; None for nothing.
        tls: serve HTTPS with this context.
    """

    def __init__(
        self,
        backend: Backend,
        faults: Faults | None = None,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._backend = backend
        self.faults = faults or Faults()
        self._closing = threading.Event()
        self._called = threading.Condition()
        self._calls: list[Call] = []
        self._breaks = 0
        self._server = Server(self._respond, name="lab-kube", tls=tls)

    def listen(self, listener: socket) -> None:
        """Serve a bound socket, such as one opened in another network namespace."""
        self._server.listen(listener)

    def close(self) -> None:
        """End every connection, watch, hang and thread, within a second."""
        self._closing.set()
        self.faults.wake()
        self._backend.wake()
        self._server.close()

    def break_watches(self) -> None:
        """End every watch in the middle, as a load balancer or a restarting API server does."""
        self._breaks += 1
        self._backend.wake()

    def silence(self, *, keep: int = 0) -> None:
        """Let whatever arrives on the connections of now vanish, but for the `keep` newest."""
        self._server.silence(keep=keep)

    # The log

    @property
    def connections(self) -> int:
        """Connections accepted so far."""
        return self._server.accepted

    @property
    def calls(self) -> list[Call]:
        """Every call so far, in the order in which they finished."""
        with self._called:
            return list(self._calls)

    def calls_of(self, action: str) -> list[Call]:
        """The calls of one action."""
        return [call for call in self.calls if call.action == action]

    def counts(self) -> Counter[str]:
        """How many calls each action got."""
        return Counter(call.action for call in self.calls)

    def await_calls(
        self, wanted: Callable[[list[Call]], bool], *, seconds: float = 20.0
    ) -> list[Call]:
        """Wait until the calls so far are as wanted.

        Raises:
            TimeoutError: they did not become so.
        """
        with self._called:
            if not self._called.wait_for(lambda: wanted(self._calls), seconds):
                raise TimeoutError(f"after {seconds} s there were only {self._calls}")
            return list(self._calls)

    # One request

    def _respond(self, http: HttpRequest) -> HttpAnswer:
        start = time.monotonic()
        asked: api.Asked | StatusError
        try:
            asked = api.understand(http)
            action = asked.action
        except StatusError as unclear:
            asked, action = unclear, f"{http.method} {http.path}"
        answer = self.faults.carry(
            http.source,
            lambda: self._strike(http, asked, action),
            action=action,
            nothing=_NOTHING,
            closing=self._closing,
        )
        authorization = http.headers.get("authorization")
        call = Call(
            start=start,
            finish=time.monotonic(),
            action=action,
            status=answer.status if answer.delivery is Delivery.WHOLE else None,
            source=http.source,
            path=http.path,
            query=http.query,
            token=authorization.partition(" ")[2] if authorization else None,
        )
        with self._called:
            self._calls.append(call)
            self._called.notify_all()
        return answer

    def _strike(self, http: HttpRequest, asked: api.Asked | StatusError, action: str) -> HttpAnswer:
        fault = self.faults.strike(action)
        if fault is Break.RESET:
            return HttpAnswer(delivery=Delivery.RESET)
        if isinstance(fault, Hang):
            self.faults.hang(fault, self._closing.is_set)
            if self._closing.is_set():
                return _NOTHING
        try:
            if isinstance(fault, Refuse):
                answer = api.refusal(fault.error(), plain=fault.plain)
            else:
                answer = self._perform(http, asked)
        except StatusError as refused:
            answer = api.refusal(refused)
        except Exception as bug:  # noqa: BLE001 - as the API server's panic handler does
            answer = api.refusal(StatusError(500, "InternalError", f"Internal error: {bug!r}"))
        if fault is Break.LOST or (fault is Break.TRUNCATED and answer.pieces is not None):
            return HttpAnswer(delivery=Delivery.RESET)
        if fault is Break.TRUNCATED:
            return HttpAnswer(
                status=answer.status,
                body=answer.body,
                headers=answer.headers,
                delivery=Delivery.TRUNCATED,
            )
        return answer

    def _perform(self, http: HttpRequest, asked: api.Asked | StatusError) -> HttpAnswer:
        mine = self._breaks
        answer = self._backend.perform(
            http, asked, lambda: self._closing.is_set() or self._breaks != mine
        )
        if answer.pieces is None:
            return answer
        return replace(answer, pieces=self._through_the_network(http.source, answer.pieces))

    def _through_the_network(self, source: str, watch: Iterable[bytes]) -> Iterator[bytes]:
        """Deliver a watch's lines with the network's delays, and late after a silent partition."""
        for lines in watch:
            delay = self.faults.delay("watch event")
            if delay:
                self._closing.wait(delay / 2)
            if self.faults.cut(source) is Unreachable.CLOSES:
                raise ConnectionResetError
            # TCP sends again until it gets through.
            self.faults.lost(source, self._closing)
            yield lines
