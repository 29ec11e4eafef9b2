"""The HTTPS endpoint: a request through the network, authentication and RBAC to the store."""

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from socket import socket
from typing import Final

from vipmanager.lab.closing import Closing
from vipmanager.lab.faults import Break, Hang, Unreachable
from vipmanager.lab.kube import api
from vipmanager.lab.kube.access import Access
from vipmanager.lab.kube.faults import Faults, Refuse
from vipmanager.lab.kube.status import StatusError
from vipmanager.lab.kube.store import Store
from vipmanager.lab.kube.watch import Watch
from vipmanager.lab.server import Delivery, HttpAnswer, HttpRequest, Server

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


class Endpoint(Closing):
    """A Kubernetes API server on any number of sockets.

    Args:
        store: what is served.
        access: who may do what.
        faults: what goes wrong; None for nothing.
        tls: serve HTTPS with this context.
        bookmark_seconds: between the bookmarks of a watch; about a minute in a real cluster.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        faults: Faults | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        bookmark_seconds: float = 60.0,
    ) -> None:
        self.store, self.access = store, access
        self.faults = faults or Faults()
        self._bookmarks = bookmark_seconds
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
        self.store.wake()
        self._server.close()

    def break_watches(self) -> None:
        """End every watch in the middle, as a load balancer or a restarting API server does."""
        self._breaks += 1
        self.store.wake()

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
        asked: api.Asked | None = None
        try:
            asked = api.understand(http)
        except StatusError as unclear:
            refused = api.refusal(unclear)
        answer = self.faults.carry(
            http.source,
            lambda: self._strike(asked) if asked else refused,
            nothing=_NOTHING,
            closing=self._closing,
        )
        authorization = http.headers.get("authorization")
        call = Call(
            start=start,
            finish=time.monotonic(),
            action=asked.action if asked else f"{http.method} {http.path}",
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

    def _strike(self, asked: api.Asked) -> HttpAnswer:
        fault = self.faults.strike(asked.action)
        if fault is Break.RESET:
            return HttpAnswer(delivery=Delivery.RESET)
        if isinstance(fault, Hang):
            self.faults.hang(fault, self._closing.is_set)
            if self._closing.is_set():
                return _NOTHING
        try:
            if isinstance(fault, Refuse):
                answer = api.refusal(fault.error())
            else:
                answer = self._perform(asked)
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

    def _perform(self, asked: api.Asked) -> HttpAnswer:
        user = self.access.user(asked.http.headers.get("authorization"))
        self.access.check(user, asked.attributes)
        if asked.attributes.verb != "watch":
            return api.perform(self.store, asked)
        mine = self._breaks
        watch = Watch(
            self.store,
            asked,
            broken=lambda: self._closing.is_set() or self._breaks != mine,
            bookmarks=self._bookmarks,
        )
        return HttpAnswer(
            headers={"Content-Type": "application/json"},
            pieces=self._through_the_network(asked.http.source, watch),
        )

    def _through_the_network(self, source: str, watch: Watch) -> Iterator[bytes]:
        """Deliver a watch's lines with the network's delays, and late after a silent partition."""
        for lines in watch:
            delay = self.faults.delay()
            if delay:
                self._closing.wait(delay / 2)
            if self.faults.cut(source) is Unreachable.CLOSES:
                raise ConnectionResetError
            # TCP sends again until it gets through.
            self.faults.lost(source, self._closing)
            yield lines
