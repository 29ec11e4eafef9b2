"""Paths that carry, lose or hold up what is sent, and calls over kept-alive connections."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

from simulation.hub import NEVER, Hub, Process
from vipmanager.core.failures import Failure, Transient

T = TypeVar("T")

BACKED_OFF = 30.0
"""Seconds at the most from a path's mending to the next time that a kernel sends again."""
HANDSHAKE = 0.004
"""Seconds to open a connection within the Region."""


@dataclass(eq=False, slots=True)
class Parcel:
    """Bytes of a connection, in the kernel that sends them until they are acknowledged."""

    source: str
    target: str
    since: float
    arrive: Callable[[float], None]
    """Takes when they left."""
    seconds: float
    dropped: bool = False


class Network:
    """Who reaches whom. Ends are nodes, and services as `ec2@a`: the address in a zone."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.zone_of: dict[str, str] = {}
        self._closed: dict[object, int] = {}
        """Ends, pairs of ends and names of zones, with how often each was closed."""
        self._held: list[Parcel] = []
        self.loss = 0.0
        """The share of lost datagrams."""
        self.delay = (0.0005, 0.002)
        self.prefer: dict[str, str] = {}
        """To which zone a process's first connection to a service leads."""
        self.holds = True
        """Whether kernels keep what a closed path did not carry, and send it again."""
        self._silenced: dict[str, float] = {}
        """Nodes of which the connections from before a time are dead."""
        self.sent: list[Callable[[str, str], None]] = []
        """Hear of each request, before it is on its way."""

    def end(self, name: str, zone: str) -> str:
        """Make an end known."""
        self.zone_of[name] = zone
        return name

    def open(self, one: str, other: str) -> bool:
        """Tell whether anything gets from one end to the other."""
        closed = self._closed
        if not closed:
            return True
        if one in closed or other in closed or (one, other) in closed:
            return False
        zones = {self.zone_of[one], self.zone_of[other]}
        return len(zones) == 1 or not any(("zone", z) in closed for z in zones)

    def close(self, what: object) -> None:
        """Close an end, a pair in one direction, or `("zone", name)`."""
        self._closed[what] = self._closed.get(what, 0) + 1

    def mend(self, what: object) -> None:
        """Undo it; kernels send again what was not acknowledged, when their timers say so."""
        left = self._closed.get(what, 0) - 1
        if left > 0:
            self._closed[what] = left
            return
        self._closed.pop(what, None)
        held, self._held = self._held, []
        for parcel in held:
            if not self.open(parcel.source, parcel.target):
                self._held.append(parcel)
                continue
            waited = min(BACKED_OFF, self.hub.now - parcel.since)
            self.hub.after(waited * self.hub.luck.random(), self._again, parcel)

    def silence(self, node: str) -> None:
        """Let a node's connections of now carry nothing any more, without a sign."""
        self._silenced[node] = self.hub.now

    def silent(self, node: str, born: float) -> bool:
        """Tell whether a connection that was made then is dead."""
        return bool(self._silenced) and born <= self._silenced.get(node, -1.0)

    def forget(self, node: str) -> None:
        """Lose what a machine had not sent: it is gone, with its kernel."""
        self._held = [p for p in self._held if p.source != node]

    def send(
        self, source: str, target: str, seconds: float, arrive: Callable[[float], None]
    ) -> Parcel:
        """Send bytes of a connection; they arrive once the path carries them."""
        parcel = Parcel(source, target, self.hub.now, arrive, seconds)
        self._again(parcel)
        return parcel

    def _again(self, parcel: Parcel) -> None:
        if parcel.dropped:
            return
        if self.open(parcel.source, parcel.target):
            left = self.hub.now
            self.hub.after(parcel.seconds, self._arrive, parcel, left)
        elif self.holds:
            self._held.append(parcel)

    def _arrive(self, parcel: Parcel, left: float) -> None:
        if self.open(parcel.source, parcel.target):
            parcel.dropped = True  # acknowledged: no longer the sender's to take back
            parcel.arrive(left)
        else:
            self._again(parcel)

    def datagram(self, source: str, target: str, arrive: Callable[[], None]) -> None:
        """Send something that may be lost."""
        hub = self.hub
        if self.open(source, target) and not (self.loss and hub.luck.random() < self.loss):
            low, high = self.delay
            hub.after(
                low + (high - low) * hub.luck.random(), self._datagram, source, target, arrive
            )

    def _datagram(self, source: str, target: str, arrive: Callable[[], None]) -> None:
        if self.open(source, target):
            arrive()


class Hung(Exception):
    """The server does not answer this call."""


@dataclass(slots=True, kw_only=True)
class Service:
    """An API with an address in each zone."""

    name: str
    zones: str
    connect: float
    """Seconds until a connection that is not answered is given up."""
    timeout: float
    """Seconds without a byte until a call is given up."""
    addresses: bool
    """Whether a client tries the next address where one does not answer."""
    latency: tuple[float, float]
    """Least and greatest seconds of a call."""
    lost: float = 0.0
    """The share of calls whose request or answer is lost."""
    linger: bool = False
    """Whether a closed socket takes back what it had not sent (SO_LINGER 0)."""
    stall: tuple[float, float] = (0.0, 0.0)
    """Between the decision to send and the sending: a busy processor, credentials, TLS."""
    held_up: dict[str, float] = field(default_factory=dict)
    """The same for writes alone, by node: whoever needs new credentials waits for them."""
    endless: set[str] = field(default_factory=set)
    """Nodes whose calls never end: the server sends a byte now and then."""


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
    """One process's calls of one service."""

    def __init__(self, network: Network, service: Service, process: Process) -> None:
        self._network, self._service = network, service
        self._node = process.host.name
        self._idle: list[tuple[str, float]] = []
        """Connections that wait for a call: where they lead, and since when."""
        self.calls = 0

    def call(
        self,
        perform: Callable[[float], T],
        *,
        kind: str,
        latency: tuple[float, float] | None = None,
    ) -> T:
        """Make a call: `perform` is done by the server, and takes when the bytes left."""
        hub, service = self._network.hub, self._service
        self.calls += 1
        end, born = self._connection()
        if service.stall[1]:
            hub.sleep(_drawn(hub, service.stall))
        if kind == "write" and service.held_up:
            hub.sleep(service.held_up.get(self._node, 0.0))
        seconds = _drawn(hub, latency or service.latency)
        call = _Call(self._network, service, end, seconds, perform)
        call.back = self._node
        deadline = NEVER if self._node in service.endless else hub.now + service.timeout
        for hears in self._network.sent:
            hears(self._node, kind)
        parcel = None
        if not self._network.silent(self._node, born):
            parcel = self._network.send(self._node, end, seconds / 2, call.arrived)
        try:
            while not call.over and hub.now < deadline:
                hub.block(deadline)
        finally:
            if parcel is not None and not call.over and service.linger:
                parcel.dropped = True
        if call.failure is None and not call.given:
            raise Transient(f"{service.name}: no answer within {service.timeout:g} s")
        self._idle.append((end, born))
        if call.failure is not None:
            raise call.failure
        return call.given[0]

    def _connection(self) -> tuple[str, float]:
        network, service, hub = self._network, self._service, self._network.hub
        if self._idle:
            return self._idle.pop()
        zones = list(service.zones)
        hub.luck.shuffle(zones)
        first = network.prefer.get(service.name) if self.calls == 1 else None
        if first is not None:
            zones.sort(key=lambda z: z != first)
        for zone in zones if service.addresses else zones[:1]:
            end = f"{service.name}@{zone}"
            if network.open(self._node, end) and network.open(end, self._node):
                hub.sleep(HANDSHAKE)
                return end, hub.now
            hub.sleep(service.connect)
        raise Transient(f"{service.name}: no connection within {service.connect:g} s")
