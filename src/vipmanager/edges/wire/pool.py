"""Which connection a call takes, and a second one that is kept ready."""

from functools import cache
from queue import LifoQueue
from typing import TYPE_CHECKING, Any

from vipmanager.edges.wire.connection import Call, Wire, calling, current
from vipmanager.edges.wire.dial import AddressBook

if TYPE_CHECKING:
    from urllib3.connectionpool import HTTPConnectionPool as Base
else:
    Base = object


class Idle(LifoQueue[Any]):
    """Connections that wait for a call, the latest used first; those that are dead are dropped.

    `_get` is what queue.Queue has subclasses override; `queue` and `mutex` are its public parts.
    """

    def _get(self) -> Any:  # noqa: ANN401
        apart = current().apart
        good: list[int] = []
        for place in range(len(self.queue) - 1, -1, -1):
            waiting = self.queue[place]
            if waiting is None:
                continue
            if not waiting.usable:
                waiting.close()
                self.queue[place] = None
                continue
            good.append(place)
            if apart is None or waiting.address not in apart:
                break
        if not good:
            return self.queue.pop()
        chosen = self.queue[good[-1]]
        if apart is None:
            return self.queue.pop(good[-1])
        if chosen.address in apart and chosen.book.several:
            # All idle ones lead there; whoever has none may make one, elsewhere.
            return self.queue.pop(0) if self.queue[0] is None else None
        apart.add(chosen.address)
        return self.queue.pop(good[-1])

    def make_room(self) -> bool:
        """Take a place for a connection that is not there yet; False where there is none."""
        with self.mutex:
            room = None in self.queue
            if room:
                self.queue.remove(None)
            return room

    def ready(self) -> list[Wire]:
        """Give those that could be used."""
        with self.mutex:
            return [c for c in self.queue if c is not None and c.usable]


class Pool(Base):
    """What both kinds of pool, plain and TLS, do otherwise than urllib3's."""

    # urllib3 takes the class of its queue and of its connections, but has no public way to make a
    # connection as it makes them, nor to put one back: `_new_conn` and `_put_conn` are that.
    QueueCls = Idle
    _book: AddressBook | None = None

    def _new_conn(self) -> Any:  # noqa: ANN401
        made: Any = super()._new_conn()
        if self._book is None:
            self._book = AddressBook(made.host, made.port)  # a proxy's, where there is one
        made.book = self._book
        return made

    def ready(self) -> list[Wire]:
        """Give the connections that wait for a call and could be used."""
        idle: Any = self.pool
        return [] if idle is None else idle.ready()

    def spare(self, *, same: bool = False) -> None:
        """Connect to a second address, where there is one and no idle connection leads there.

        It costs no call. A server closes it some time later: to be repeated now and then.

        Args:
            same: connect a second time to the only address, too: behind a ClusterIP there are
                several servers, and kube-proxy draws one for each connection.

        Raises:
            HTTPError: it can't be reached.
        """
        idle: Any = self.pool
        if idle is None or self._book is None:
            return
        ready = idle.ready()
        there = {c.address for c in ready}
        enough = len(there) if self._book.several else len(ready) + (not same)
        if len(there) != 1 or enough > 1:
            return
        if not idle.make_room():
            return
        made = None
        try:
            with calling(Call(apart=there)):
                made = self._new_conn()
                made.timeout = self.timeout.connect_timeout
                made.connect()
        except BaseException:
            if made is not None:
                made.close()
            made = None
            raise
        finally:
            self._put_conn(made)


@cache
def plain() -> dict[str, type["Base"]]:
    """Give the pools for Kubernetes, by scheme."""
    from urllib3.connection import HTTPConnection, HTTPSConnection  # noqa: PLC0415 - slow
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool  # noqa: PLC0415

    return _pools(HTTPConnection, HTTPSConnection, HTTPConnectionPool, HTTPSConnectionPool)


@cache
def aws() -> dict[str, type["Base"]]:
    """Give the pools for botocore, by scheme."""
    from botocore.awsrequest import (  # noqa: PLC0415 - slow to import
        AWSHTTPConnection,
        AWSHTTPConnectionPool,
        AWSHTTPSConnection,
        AWSHTTPSConnectionPool,
    )

    return _pools(
        AWSHTTPConnection, AWSHTTPSConnection, AWSHTTPConnectionPool, AWSHTTPSConnectionPool
    )


def _pools(http: Any, https: Any, http_pool: Any, https_pool: Any) -> dict[str, type["Base"]]:  # noqa: ANN401
    def made(name: str, connection: Any, pool: Any) -> type["Base"]:  # noqa: ANN401
        wire = type(name, (Wire, connection), {})
        return type(f"{name}Pool", (Pool, pool), {"ConnectionCls": wire})

    return {"http": made("HTTP", http, http_pool), "https": made("HTTPS", https, https_pool)}
