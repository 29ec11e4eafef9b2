"""What the demo's stories have in common: how they are told, and how they end."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vipmanager.lab.client import Client, bare
from vipmanager.lab.world import World

LATENCY = 0.08
"""Seconds that each EC2 call takes in the demo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One way to tell it."""

    pattern: int
    mode: str
    version: int

    def __str__(self) -> str:
        """Name it in a line."""
        return f"pattern {self.pattern}, {self.mode}, IPv{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of the timeline."""

    at: float
    """Seconds since the story began."""
    text: str
    pointing: Mapping[str, str]
    """Where each floating IP points: a zone, `none`, or how the tables are split."""
    lost: Mapping[str, int]
    """Probes lost so far since the blow."""


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
    failed_at: float
    seconds: float


@dataclass(slots=True)
class Telling:
    """What a story has told so far, and what its client sees."""

    world: World
    floating: tuple[str, ...]
    hear: Callable[[Event], None]
    began: float = field(default_factory=time.monotonic)
    events: list[Event] = field(default_factory=list)
    since: dict[str, int] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    counting: bool = False

    def tell(self, text: str, at: float | None = None) -> None:
        """Tell what happened, now or at a moment that has passed."""
        event = Event(
            at=(at or time.monotonic()) - self.began,
            text=text,
            pointing={bare(f): self._points(f) for f in self.floating},
            lost={bare(f): self.lost[bare(f)] for f in self.floating},
        )
        self.events.append(event)
        self.hear(event)

    def probe(self) -> Client:
        """Start the client's probes."""
        return Client(self.world, self.floating, heard=self._probed)

    def blow(self) -> None:
        """Count what is lost, and what EC2 is asked, from now on."""
        self.calm()
        self.world.endpoint.clear_calls()
        self.counting = True

    def calm(self) -> None:
        """Forget what was lost so far, and count nothing."""
        self.counting = False
        self.lost.clear()
        self.since.clear()

    def points_at(self, zone: str) -> bool:
        """Tell whether every route of every floating IP leads to a zone."""
        enis = set(self.world.nodes[zone].secondary)
        return all(self.world.targets(self.world.destination(f)) <= enis for f in self.floating)

    def outcome(self, story: Story, client: Client, *, struck: float, answered: bool) -> Outcome:
        """Sum up what the client saw since the blow, once it has ended."""
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
            failed_at=struck - self.began,
            seconds=time.monotonic() - self.began,
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
        """Count what the prober lost since the blow."""
        address = record.get("address", "")
        match record.get("event"):
            case "lost":
                self.since[address] = record["sequence"]
            case "answered" if address in self.since and self.counting:
                self.lost[address] += record["sequence"] - self.since.pop(address)


def _ends_after(gap: Mapping[str, Any], moment: float) -> bool:
    return gap["until"] is None or gap["until"] > moment


def _outage(gaps: list[Mapping[str, Any]]) -> float | None:
    """Give the seconds from the first gap's beginning to the last one's end."""
    if not gaps:
        return 0.0
    until: float | None = gaps[-1]["until"]
    return None if until is None else until - gaps[0]["since"]
