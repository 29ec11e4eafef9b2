"""Paths that carry, lose or hold up what is sent."""

from collections.abc import Callable
from dataclasses import dataclass

from simulation.hub import Hub

BACKED_OFF = 30.0
"""Seconds at the most from a path's mending to the next time that a kernel sends again."""


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
    held: bool = False
    """Whether the sending machine has not got rid of it."""


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
        """To which zone connections to a service lead, as long as somebody answers there."""
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
        parcel.held = not self.open(parcel.source, parcel.target)
        if not parcel.held:
            left = self.hub.now
            self.hub.after(parcel.seconds, self._arrive, parcel, left)
        elif self.holds:
            self._held.append(parcel)

    def acknowledged(self, parcel: Parcel) -> bool:
        """Tell whether the sender's kernel knows, a round trip later, that the other has it."""
        return not parcel.held and self.open(parcel.target, parcel.source)

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
