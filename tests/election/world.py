"""Everything around the agents, in virtual time: a Lease store, EC2, a network, clocks.

One thread, one queue of things to come, one source of luck: a seed gives the same run for ever.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from vipmanager.core.election.record import generation_of
from vipmanager.core.election.values import ElectionSettings, Generation, Message
from vipmanager.core.lease import LeaseRecord

TIMEOUT = 0.5
"""Seconds after which an edge gives a call up."""
API = -1
"""The Kubernetes API, as an end of a path."""
EC2 = -2


@dataclass(slots=True, kw_only=True)
class Weather:
    """How good the world is now; faults make it worse for a while."""

    api: tuple[float, float] = (0.01, 0.03)
    """Least and greatest seconds of a Kubernetes call."""
    api_lost: float = 0.0
    """The share of calls whose request or answer is lost."""
    watch: tuple[float, float] = (0.002, 0.02)
    ec2: tuple[float, float] = (0.05, 0.1)
    ec2_lost: float = 0.0
    """The share of calls that get no answer; half of the writes among them land late."""
    stale: float = 0.0
    """Seconds that EC2's readings lag."""
    loss: float = 0.0
    """The share of lost datagrams."""
    delay: tuple[float, float] = (0.0005, 0.002)
    cut: dict[tuple[int, int], int] = field(default_factory=dict)
    """Paths that carry nothing, from and to, with how often they were cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquired:
    """An acquisition that the API accepted."""

    at: float
    by: str
    before: str | None
    why: str
    misled: bool
    """Whether heartbeats called an agent dead that was alive and awake."""


class World:
    """The truth."""

    def __init__(self, seed: int, settings: ElectionSettings, tables: int = 2) -> None:
        self.luck = Random(seed)  # noqa: S311 - a seed shall give the same again
        self.settings = settings
        self.now = 0.0
        self.weather = Weather()
        self.lease: LeaseRecord | None = None
        self.superseded: dict[Generation, float] = {}
        """When each generation came to its end."""
        self.holders: dict[Generation, str] = {}
        self.acquired: list[Acquired] = []
        self.routes: list[str] = [""] * tables
        """The pod that each table points at."""
        self.past: list[tuple[float, list[str]]] = []
        self.right_since = 0.0
        self.problems: list[str] = []
        self.trace: Callable[[str], None] | None = None
        self.hearers: dict[int, Callable[[LeaseRecord | None], None]] = {}
        self.receivers: dict[int, Callable[[Message, str], None]] = {}
        self.awake: Callable[[str], bool] = lambda _: False
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._version = 0
        self._told: dict[int, float] = {}

    def say(self, text: str) -> None:
        """Add a line to the trace."""
        if self.trace is not None:
            self.trace(f"{self.now:8.3f}  {text}")

    def at(self, when: float, do: Callable[..., None], *args: object) -> None:
        """Let something happen."""
        self._order += 1
        heapq.heappush(self._queue, (when, self._order, do, args))

    def run(self, until: float) -> None:
        """Let time pass."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            when, _, do, args = heapq.heappop(queue)
            self.now = when
            do(*args)
        self.now = until

    def draw(self, between: tuple[float, float]) -> float:
        """Draw a time."""
        low, high = between
        return low + (high - low) * self.luck.random()

    def open(self, one: int, other: int) -> bool:
        """Tell whether a path carries anything from one end to the other."""
        return (one, other) not in self.weather.cut

    def cut(self, one: int, other: int, seconds: float) -> None:
        """Cut a path in one direction."""
        cuts = self.weather.cut
        cuts[one, other] = cuts.get((one, other), 0) + 1
        self.at(self.now + seconds, self._mend, one, other)

    def _mend(self, one: int, other: int) -> None:
        cuts = self.weather.cut
        cuts[one, other] -= 1
        if not cuts[one, other]:
            del cuts[one, other]
        if one == API and other in self.hearers:
            self.at(self.now + 0.02, self._tell, other, self.lease)  # the watch lists anew

    # the Lease

    def put(self, record: LeaseRecord) -> LeaseRecord | None:
        """Compare and swap, or create; None for a conflict."""
        present = self.lease
        if present is None:
            if record.uid:
                return None
        elif (present.uid, present.resource_version) != (record.uid, record.resource_version):
            return None
        stored = replace(record, uid=record.uid or f"u{self._version + 1}")
        self._note(present, stored)
        return self.store(stored)

    def store(self, record: LeaseRecord | None) -> LeaseRecord | None:
        """Set the Lease, by whatever hand, and tell the watchers."""
        self._version += 1
        if record is not None:
            record = replace(record, resource_version=str(self._version))
        before, self.lease = self.lease, record
        if before is not None and (
            record is None
            or record.holder != before.holder
            or generation_of(record) != generation_of(before)
        ):
            self.superseded.setdefault(generation_of(before), self.now)
        for hearer in self.hearers:
            at = max(self.now + self.draw(self.weather.watch), self._told.get(hearer, 0.0))
            self._told[hearer] = at
            self.at(at, self._tell, hearer, record)
        return record

    def _tell(self, hearer: int, record: LeaseRecord | None) -> None:
        if self.open(API, hearer):
            self.hearers[hearer](record)

    def _note(self, before: LeaseRecord | None, record: LeaseRecord) -> None:
        if record.holder is None:
            return
        generation = generation_of(record)
        other = self.holders.setdefault(generation, record.holder)
        if other != record.holder:
            self.problems.append(f"{other} and {record.holder} both held generation {generation}")
        last = before.holder if before is not None else None
        if before is not None and generation == generation_of(before):
            return
        self.superseded.pop(generation, None)  # a hand may have counted back
        why = record.annotations.get("vipmanager/taken", "")
        again = last == record.holder
        misled = why == "silent" and last is not None and not again and self.awake(last)
        self.say(f"LEASE {record.holder} takes it from {last}: {why}{', misled' * misled}")
        self.acquired.append(
            Acquired(at=self.now, by=record.holder, before=last, why=why, misled=misled)
        )

    # the routes

    def point(self, table: int, pod: str) -> None:
        """Change a route."""
        if self.routes[table] != pod:
            self.say(f"ROUTE table {table}: {self.routes[table] or 'nothing'} -> {pod}")
            self.past.append((self.now, self.routes))
            self.routes = [pod if i == table else p for i, p in enumerate(self.routes)]
            self.right_since = self.now

    def shown(self) -> list[str]:
        """Give what a reading shows."""
        lag = self.weather.stale
        if lag:
            for until, routes in self.past:
                if until > self.now - lag:
                    return routes
        return self.routes

    # the network

    def send(self, one: int, other: int, message: Message) -> None:
        """Send a datagram."""
        weather = self.weather
        if other in self.receivers and not (weather.loss and self.luck.random() < weather.loss):
            at = self.now + self.draw(weather.delay)
            self.at(at, self._deliver, one, other, message)

    def _deliver(self, one: int, other: int, message: Message) -> None:
        if (one, other) not in self.weather.cut:
            self.receivers[other](message, str(one))
