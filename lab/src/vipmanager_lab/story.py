"""What the demo's stories have in common: how they are told, and how they end."""

import enum
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from vipmanager_lab.client import Client, bare
from vipmanager_lab.world import World

_COUNT_MS = 20
_CALM = 0.5
_ANEW: Mapping[str, float] = {"sent": 0, "answered": 0, "lost": 0, "outage": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One way to tell it."""

    pattern: int
    mode: str
    version: int

    def __str__(self) -> str:
        """Name it in a line."""
        return f"pattern {self.pattern}, {self.mode}, IPv{self.version}"


class Answering(enum.Enum):
    """What the client gets from a floating IP."""

    WAITING = "no answer yet"
    """It never answered."""
    ANSWERED = "ANSWERED"
    LOST = "LOST"
    AGAIN = "ANSWERED AGAIN"
    """It was lost since the failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the client sees of one floating IP, and where it leads."""

    answering: Answering
    zone: str
    """Where its routes lead: a zone, `none`, or how the tables are split."""
    sent: int
    """Probes since the failure, or since it first answered."""
    answered: int
    lost: int
    outage: float
    """Seconds without an answer since the failure, so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the client sees at a moment."""

    since: float | None
    """Seconds since the failure; None before it."""
    seen: Mapping[str, Seen]
    """By floating IP; empty while no client probes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of the timeline."""

    at: float
    """Seconds since the story began."""
    text: str
    pointing: Mapping[str, str]
    """Where each floating IP points: a zone, `none`, or how the tables are split."""
    lost: Mapping[str, int]
    """Probes lost so far since the failure."""
    answered: Mapping[str, bool]
    """Whether the client gets answers from each floating IP; empty while no client probes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a story ended."""

    story: Story
    events: tuple[Event, ...]
    outages: Mapping[str, float | None]
    """Seconds for which the client had no answer from a floating IP; None for no end."""
    lost: Mapping[str, int]
    probes: Mapping[str, tuple[tuple[float, float | None], ...]]
    """The gaps of each floating IP: seconds since the story began."""
    calls: Mapping[str, int]
    """EC2 calls made for the failover, by action."""
    answered: bool
    """Whether every floating IP answered again, from the other zone."""
    answered_at: float
    """Seconds since the story began, as the next two: when every floating IP answered first."""
    failed_at: float
    seconds: float


class Audience(Protocol):
    """Who is told a story; called from several threads."""

    def event(self, event: Event, sight: Sight) -> None:
        """Take what happened, and what the client saw at that moment."""
        ...

    def watch(self, sight: Sight) -> None:
        """Take what the client sees, many times a second."""
        ...


class Nobody:
    """An audience that is not there."""

    def event(self, event: Event, sight: Sight) -> None:
        """Take it."""

    def watch(self, sight: Sight) -> None:
        """Take it."""


@dataclass(slots=True)
class Telling:
    """What a story has told so far, and what its client sees."""

    world: World
    floating: tuple[str, ...]
    audience: Audience
    began: float = field(default_factory=time.monotonic)
    events: list[Event] = field(default_factory=list)
    _client: Client | None = None
    _counts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By floating IP: the newest count of the prober."""
    _first: float | None = None
    """When every floating IP had answered once."""
    _struck: float | None = None
    """When the failure began."""
    _dead: float = 0.0
    """No probe that was sent before this moment says that the failure is over."""

    def tell(self, text: str, at: float | None = None) -> None:
        """Tell what happened, now or at a moment that has passed."""
        now = at or time.monotonic()
        sight = self.sight(now)
        event = Event(
            at=now - self.began,
            text=text,
            pointing={bare(f): self._points(f) for f in self.floating},
            lost=dict.fromkeys(map(bare, self.floating), 0)
            | {a: s.lost for a, s in sight.seen.items() if sight.since is not None},
            answered={a: _is_up(s) for a, s in sight.seen.items()},
        )
        self.events.append(event)
        self.audience.event(event, sight)

    def sight(self, now: float) -> Sight:
        """Give what the client sees."""
        return Sight(
            since=None if self._struck is None else max(0.0, now - self._struck),
            seen={bare(f): self._seen(f) for f in self.floating} if self._client else {},
        )

    def probe(self) -> Client:
        """Start the client's probes; wait with `await_answers` for the first answers."""
        self._counts.clear()
        self._first, self._struck, self._dead = None, None, 0.0
        client = Client(self.world, self.floating, count_ms=_COUNT_MS, heard=self._probed)
        self._client = client
        return client

    def await_answers(self, *, seconds: float = 20) -> None:
        """Wait until every floating IP answers, after the failure if there was one.

        Raises:
            AssertionError: one does not.
        """
        client = self._probing()
        client.await_counted(newer=self._dead, seconds=seconds)
        if self._first is None:
            self._first = time.monotonic()
            client.count_anew()

    def calm(self) -> bool:
        """Let the client probe for a while, so that it is seen; tell whether it is answered."""
        try:
            self._probing().await_counted(newer=time.monotonic() + _CALM)
        except AssertionError:
            return False
        return True

    def strike(self, blow: Callable[[], object], text: str, *, deadly: bool = True) -> float:
        """Let something fail, and count what is lost, and what EC2 is asked, from then on.

        Args:
            blow: does it.
            text: what is told of it, right before.
            deadly: whether no floating IP answers from then on, until the client says so.

        Returns:
            When it began, by the monotonic clock.
        """
        self._probing().count_anew()
        self.world.endpoint.clear_calls()
        self._dead = float("inf") if deadly else 0.0
        self._struck = time.monotonic()
        self.tell(text, self._struck)
        self._struck = struck = time.monotonic()
        blow()
        if deadly:
            self._dead = time.monotonic()
        return struck

    def rest(self) -> None:
        """Show nothing of the client, which has ended."""
        self._client = self._struck = None

    def points_at(self, zone: str) -> bool:
        """Tell whether every route of every floating IP leads to a zone."""
        enis = set(self.world.nodes[zone].secondary)
        return all(self.world.targets(self.world.destination(f)) <= enis for f in self.floating)

    def outcome(self, story: Story, client: Client, *, struck: float, answered: bool) -> Outcome:
        """Sum up what the client saw since the failure, once it has ended."""
        finals = client.finals()
        after = {a: [g for g in f["gaps"] if _ends_after(g, struck)] for a, f in finals.items()}
        return Outcome(
            story=story,
            events=tuple(self.events),
            outages={a: _outage(gaps) for a, gaps in after.items()},
            lost={a: sum(g["lost"] for g in gaps) for a, gaps in after.items()},
            probes={
                a: tuple(
                    (g["since"] - self.began, g["until"] and g["until"] - self.began)
                    for g in f["gaps"]
                )
                for a, f in finals.items()
            },
            calls=dict(sorted(self.world.endpoint.counts().items())),
            answered=answered,
            answered_at=(self._first or struck) - self.began,
            failed_at=struck - self.began,
            seconds=time.monotonic() - self.began,
        )

    def _probing(self) -> Client:
        if self._client is None:
            raise RuntimeError("no client probes yet")
        return self._client

    def _seen(self, floating: str) -> Seen:
        count = self._counts.get(bare(floating), {})
        alive = bool(count.get("up")) and count.get("newest", 0.0) > self._dead
        lost = count.get("lost", 0)
        if alive:
            over = lost and self._struck is not None
            answering = Answering.AGAIN if over else Answering.ANSWERED
        else:
            answering = Answering.LOST if self._first is not None else Answering.WAITING
        return Seen(
            answering=answering,
            zone=self._points(floating),
            sent=count.get("sent", 0),
            answered=count.get("answered", 0),
            lost=lost,
            outage=count.get("outage", 0.0),
        )

    def _points(self, floating: str) -> str:
        owner = {e: n.zone for n in self.world.nodes.values() for e in n.secondary}
        destination = self.world.destination(floating)
        zones = Counter(
            owner.get(self.world.target(t, destination) or "", "none") for t in self.world.tables
        )
        if len(zones) == 1:
            return next(iter(zones))
        return " ".join(f"{zone}:{count}" for zone, count in sorted(zones.items()))

    def _probed(self, record: Mapping[str, Any]) -> None:
        """Take a record of the prober."""
        match record.get("event"):
            case "counting":
                for address, count in self._counts.items():
                    self._counts[address] = {**count, **_ANEW}
            case "count":
                self._counts[record["address"]] = record
                if record["address"] == bare(self.floating[-1]):
                    self.audience.watch(self.sight(time.monotonic()))


def _is_up(seen: Seen) -> bool:
    return seen.answering in {Answering.ANSWERED, Answering.AGAIN}


def _ends_after(gap: Mapping[str, Any], moment: float) -> bool:
    return gap["until"] is None or gap["until"] > moment


def _outage(gaps: list[Mapping[str, Any]]) -> float | None:
    """Give the seconds from the first gap's beginning to the last one's end."""
    if not gaps:
        return 0.0
    until: float | None = gaps[-1]["until"]
    return None if until is None else until - gaps[0]["since"]
