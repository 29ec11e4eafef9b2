"""Calls of a service over kept-alive connections, as the edges make them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from simulation.hub import NEVER, Hub, Process
from simulation.network import Network, Parcel
from vipmanager.core.failures import Failure, TooLate, Transient
from vipmanager.edges.aws.credentials import PATIENCE
from vipmanager.edges.aws.ec2 import IMPATIENT
from vipmanager.edges.wire import connection, dial
from vipmanager.ports import Fence

T = TypeVar("T")

HANDSHAKE = 0.004
"""Seconds to open a connection within the Region."""


class Hung(Exception):
    """The server does not answer this call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """What an edge asks of its sockets: by default as `edges.wire` has it."""

    linger: bool = dial.LINGER == (1, 0)
    """Whether a closed socket takes back what its machine has not got rid of."""
    user_timeout: float = dial.USER_TIMEOUT
    """Seconds after which the kernel gives up what is not acknowledged."""
    stagger: float = dial.STAGGER
    """Seconds until the next address is tried beside one that does not answer."""
    lately: float = dial.LATELY
    """Seconds for which an address that was silent is tried last."""
    silent: float = connection.SILENT
    """Seconds after which a request that is not acknowledged is made again elsewhere."""
    whole: bool = True
    """Whether the time-out is for the whole answer, and not between two bytes of it."""


SHIPPED = Sockets()


@dataclass(slots=True, kw_only=True)
class Service:
    """An API with an address in each zone."""

    name: str
    zones: str
    connect: float
    """Seconds until it is given up to connect, whatever the number of addresses."""
    timeout: float
    """Seconds for the whole answer until a call is given up."""
    addresses: bool
    """Whether a client knows them: behind the one of a ClusterIP, each attempt is a draw."""
    latency: tuple[float, float]
    """Least and greatest seconds of a call."""
    lost: float = 0.0
    """The share of calls whose request or answer is lost."""
    stall: tuple[float, float] = (0.0, 0.0)
    """Between the connecting and the sending: a busy processor, DNS, TLS."""
    held_up: dict[str, float] = field(default_factory=dict)
    """Seconds that new credentials take, for writes alone, by node: they are due."""
    endless: set[str] = field(default_factory=set)
    """Nodes whose answers never end: the server sends a byte now and then."""


@dataclass(slots=True)
class _Connection:
    end: str
    address: str
    """What the client knows of that."""
    born: float
    heard: float
    """When the other end gave a sign of life."""


class _Silent(Exception):
    """What was sent is not acknowledged."""


class _GivenUp(Transient):
    """It is still not acknowledged."""


class _Call(Generic[T]):
    """A request on its way, and its answer."""

    def __init__(
        self,
        network: Network,
        service: Service,
        end: str,
        seconds: float,
        perform: Callable[[float], T],
    ) -> None:
        self._network, self._service, self._end = network, service, end
        self._seconds, self._perform = seconds, perform
        luck = network.hub.luck
        self._gone = bool(service.lost) and luck.random() < service.lost
        self._never = self._gone and luck.random() < 0.5
        """Whether it is the request that is lost, and not the answer."""
        self._waits = network.hub.current()
        self.back = ""
        self.given: list[T] = []
        self.failure: Failure | None = None

    @property
    def over(self) -> bool:
        """Whether the answer is there."""
        return bool(self.given) or self.failure is not None

    def arrived(self, left: float) -> None:
        """Be served."""
        if self._never:
            return
        try:
            given = self._perform(left)
        except Failure as failure:
            self._answer(partial(setattr, self, "failure", failure))
        except Hung:
            return
        else:
            self._answer(lambda: self.given.append(given))

    def _answer(self, take: Callable[[], None]) -> None:
        def answered(_left: float) -> None:
            take()
            self._network.hub.wake(self._waits)

        if not self._gone:
            self._network.send(self._end, self.back, self._seconds / 2, answered)


def _drawn(hub: Hub, between: tuple[float, float]) -> float:
    low, high = between
    return low + (high - low) * hub.luck.random()


class Client:
    """One process's calls of one service, as the edge makes them."""

    def __init__(
        self, network: Network, service: Service, process: Process, sockets: Sockets = SHIPPED
    ) -> None:
        self._network, self._service, self._sockets = network, service, sockets
        self._node = process.host.name
        self._idle: list[_Connection] = []
        """Connections that wait for a call, the latest used last."""
        self._silent: dict[str, float] = {}
        """When what was sent to an address was not acknowledged."""
        self._turn = 0
        self.calls = 0

    def call(
        self,
        perform: Callable[[float], T],
        *,
        kind: str,
        latency: tuple[float, float] | None = None,
        fence: Fence | None = None,
        apart: set[str] | None = None,
    ) -> T:
        """Make a call: `perform` is done by the server, and takes when the bytes left.

        What is silent is called again, elsewhere. The fence is looked at where the bytes
        leave. `apart` has the addresses to which the same request goes already.
        """
        seconds = _drawn(self._network.hub, latency or self._service.latency)
        one = partial(self._call, perform, kind, seconds, fence, apart)
        for _ in range(IMPATIENT):
            try:
                return one(patient=False)
            except _Silent:
                continue
        return one(patient=True)

    @property
    def ends(self) -> set[str]:
        """Where the connections lead that wait for a call."""
        return {c.end for c in self._usable()}

    def spare(self) -> None:
        """Connect to a second address, where no idle connection leads there."""
        there = self.ends
        if not self._service.addresses or len(there) != 1:
            return
        for end in self._ordered(there):
            if end not in there and self._reaches(end):
                self._idle.append(self._connected(end))
                return

    def _call(
        self,
        perform: Callable[[float], T],
        kind: str,
        seconds: float,
        fence: Fence | None,
        apart: set[str] | None,
        *,
        patient: bool,
    ) -> T:
        network, hub, service = self._network, self._network.hub, self._service
        self.calls += 1
        if kind == "write":
            self._credentials()
        connection = self._connection(apart)
        if service.stall[1]:
            hub.sleep(_drawn(hub, service.stall))
        if fence is not None and not fence.stands():
            raise TooLate(f"{service.name}: nothing was sent")
        call = _Call(network, service, connection.end, seconds, perform)
        call.back = self._node
        for hears in network.sent:
            hears(self._node, kind)
        parcel = None
        if not network.silent(self._node, connection.born):
            parcel = network.send(self._node, connection.end, seconds / 2, call.arrived)
        try:
            self._wait(call, parcel, patient=patient)
        except (_Silent, _GivenUp):
            self._silent[connection.address] = hub.now
            raise
        finally:
            if parcel is not None and not call.over and self._sockets.linger:
                parcel.dropped = True
        connection.heard = hub.now
        self._silent.pop(connection.address, None)
        self._idle.append(connection)
        if call.failure is not None:
            raise call.failure
        return call.given[0]

    def _wait(self, call: "_Call[T]", parcel: Parcel | None, *, patient: bool) -> None:
        """Wait for the answer, as long as it is known to be on its way."""
        hub, service = self._network.hub, self._service
        began = hub.now
        until = began + service.timeout
        if self._node in service.endless and not self._sockets.whole:
            until = NEVER
        look = began + (self._sockets.user_timeout if patient else self._sockets.silent)
        while not call.over and hub.now < look < until:
            hub.block(look)
        known = parcel is not None and self._network.acknowledged(parcel)
        if not call.over and look < until and not known:
            raise _GivenUp(f"{service.name}: not acknowledged") if patient else _Silent
        while not call.over and hub.now < until:
            hub.block(until)
        if not call.over:
            raise Transient(f"{service.name}: no answer within {service.timeout:g} s")

    def _credentials(self) -> None:
        """Have new ones, where they are due and there are none that are still good."""
        seconds = self._service.held_up.get(self._node, 0.0)
        if seconds:
            self._network.hub.sleep(min(seconds, PATIENCE))
        if seconds > PATIENCE:
            raise Transient(f"{self._service.name}: no credentials within {PATIENCE:g} s")

    def _usable(self) -> list[_Connection]:
        good = [c for c in self._idle if self._silent.get(c.address, -1.0) <= c.heard]
        self._idle = good
        return good

    def _connection(self, apart: set[str] | None) -> _Connection:
        idle = self._usable()
        elsewhere = [c for c in idle if c.address not in (apart or ())]
        if elsewhere:
            connection = elsewhere[-1]
        elif idle and not self._service.addresses:
            connection = idle[0]
        else:
            connection = self._dialled(apart or set())
        if connection in idle:
            idle.remove(connection)
        if apart is not None:
            apart.add(connection.address)
        return connection

    def _connected(self, end: str) -> _Connection:
        now, service = self._network.hub.now, self._service
        return _Connection(end, end if service.addresses else service.name, now, now)

    def _ordered(self, last: set[str]) -> list[str]:
        """Give the addresses in the order in which they are tried."""
        network, service, hub = self._network, self._service, self._network.hub
        ends = [f"{service.name}@{z}" for z in service.zones]
        if not service.addresses:
            hub.luck.shuffle(ends)
        else:
            self._turn = self._turn + 1 if self._turn else 1 + hub.luck.randrange(len(ends))
            first = self._turn % len(ends)
            ends = ends[first:] + ends[:first]
            lately = hub.now - self._sockets.lately
            ends.sort(key=lambda e: (e in last, self._silent.get(e, -1e9) > lately))
        preferred = f"{service.name}@{network.prefer.get(service.name)}"
        return sorted(ends, key=lambda e: e != preferred)

    def _reaches(self, end: str) -> bool:
        return self._network.open(self._node, end) and self._network.open(end, self._node)

    def _dialled(self, last: set[str]) -> _Connection:
        """Connect to whichever address answers first."""
        hub, service = self._network.hub, self._service
        until, tried = hub.now + service.connect, list[str]()
        while hub.now < until:
            for end in self._ordered(last):
                if self._reaches(end):
                    hub.sleep(HANDSHAKE)
                    made = self._connected(end)
                    if service.addresses:
                        self._silent.update(dict.fromkeys({*tried} - {end}, hub.now))
                    self._silent.pop(made.address, None)
                    return made
                tried.append(end)
                hub.sleep(min(self._sockets.stagger, max(0.0, until - hub.now)))
                if hub.now >= until:
                    break
        if service.addresses:
            self._silent.update(dict.fromkeys(tried, hub.now))
        raise Transient(f"{service.name}: no connection within {service.connect:g} s")
