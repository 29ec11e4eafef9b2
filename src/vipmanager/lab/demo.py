"""The demo's story: a pod with floating IPs, its zone fails, it starts in the other one."""

import itertools
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from vipmanager.lab.cni import Delegate
from vipmanager.lab.container import prepare
from vipmanager.lab.netns import Netns
from vipmanager.lab.process import Process
from vipmanager.lab.shipped import Shipped, only_address
from vipmanager.lab.world import TAG, World

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


def stories(
    *, pattern: int | None = None, mode: str | None = None, version: int | None = None
) -> Iterator[Story]:
    """Give every story that the choices leave."""
    for p, m, v in itertools.product((1, 2), ("init", "sidecar"), (4, 6)):
        if pattern in {None, p} and mode in {None, m} and version in {None, v}:
            yield Story(pattern=p, mode=m, version=v)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A line of the timeline."""

    at: float
    """Seconds since the story began."""
    text: str
    pointing: Mapping[str, str]
    """Where each floating IP points: a zone, `none`, or how the tables are split."""
    lost: Mapping[str, int]
    """Probes lost so far since the zone failed."""


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
    """Whether every floating IP answered again, from zone b."""
    failed_at: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cast:
    """Who plays: pods with these networks, and the agent that `agent` starts in one."""

    floating: tuple[str, ...]
    networks: tuple[str | Delegate, ...]
    agent: Callable[[Netns, Callable[[Mapping[str, Any]], None]], Process]
    notes: tuple[str, ...] = ()
    """Where the lab differs from what is shipped."""


@dataclass(slots=True)
class _Stage:
    """What the story has told so far."""

    world: World
    floating: tuple[str, ...]
    hear: Callable[[Event], None]
    began: float = field(default_factory=time.monotonic)
    events: list[Event] = field(default_factory=list)
    since: dict[str, int] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    counting: bool = False

    def tell(self, text: str, at: float | None = None) -> None:
        event = Event(
            at=(at or time.monotonic()) - self.began,
            text=text,
            pointing={_bare(f): self._points(f) for f in self.floating},
            lost={_bare(f): self.lost[_bare(f)] for f in self.floating},
        )
        self.events.append(event)
        self.hear(event)

    def _points(self, floating: str) -> str:
        owner = {e: n.zone for n in self.world.nodes.values() for e in n.secondary}
        destination = self.world.destination(floating)
        zones = Counter(
            owner.get(self.world.target(t, destination) or "", "none") for t in self.world.tables
        )
        if len(zones) == 1:
            return next(iter(zones))
        return " ".join(f"{zone}:{count}" for zone, count in sorted(zones.items()))

    def probed(self, record: Mapping[str, Any]) -> None:
        """Count what the prober lost since the zone failed."""
        address = record.get("address", "")
        match record.get("event"):
            case "lost":
                self.since[address] = record["sequence"]
            case "answered" if address in self.since and self.counting:
                self.lost[address] += record["sequence"] - self.since.pop(address)


def tell(
    story: Story,
    hear: Callable[[Event], None] = lambda _: None,
    *,
    shipped: Shipped | None = None,
) -> Outcome:
    """Play a story in a world of its own; `hear` is called with each event as it happens.

    With `shipped` the agent is the image, and pods and configuration are those of the manifests.

    Raises:
        AssertionError: the agent or a probe did not do what the story needs.
    """
    with World(latency=LATENCY) as world:
        cast = _from_shipped(story, world, shipped) if shipped else _from_checkout(story, world)
        floating = cast.floating
        stage = _Stage(world=world, floating=floating, hear=hear)
        for note in cast.notes:
            stage.tell(note)
        stage.tell(f"client in zone c probes {', '.join(map(_bare, floating))} every 5 ms")
        prober = world.probe(floating, heard=stage.probed)
        agent = _start(stage, story, cast, name="pod-1", zone="a")
        _await_answers(prober, floating, since=0)
        stage.tell("every floating IP answers from zone a")
        if story.mode == "sidecar":
            agent.wait_for(lambda r: r["event"] == "converged")
        world.endpoint.clear_calls()
        seen = len(prober.records)
        stage.counting = True
        world.fail_zone("a")
        failed = time.monotonic()
        stage.tell("zone a fails: no packet comes or goes", failed)
        agent = _start(stage, story, cast, name="pod-2", zone="b")
        answered = True
        try:
            _await_answers(prober, floating, since=seen)
            stage.tell("every floating IP answers from zone b")
        except AssertionError:
            answered = False
            stage.tell("not every floating IP answers")
        if answered and story.mode == "sidecar":
            agent.wait_for(lambda r: r["event"] == "converged")
        prober.signal(signal.SIGTERM)
        prober.wait()
        return _outcome(stage, story, prober, failed, answered=answered)


def _from_checkout(story: Story, world: World) -> _Cast:
    config = {
        "VPCRTTag": "=".join(TAG),
        "RunAsSidecar": str(story.mode == "sidecar"),
        "SubnetBasedLoopbacks": str(story.pattern == 2),  # noqa: PLR2004 - its name
        **world.peers(story.version),
    }
    floating = world.floating(pattern=story.pattern, version=story.version)
    return _Cast(
        floating=floating,
        networks=floating,
        agent=lambda pod, heard: world.agent(pod, config, heard=heard),
    )


def _from_shipped(story: Story, world: World, shipped: Shipped) -> _Cast:
    networks = shipped.networks(story.pattern)
    container = shipped.container(story.mode)
    lab = {**world.environment, "LogFormat": "json"}
    # What the overlays for pattern 2 change in the ConfigMap.
    pattern = {"SubnetBasedLoopbacks": "True"} if story.pattern == 2 else {}  # noqa: PLR2004
    config = shipped.config() | pattern | lab
    world.reach_from_outside(shipped.peers())
    notes = [f"beside the ConfigMap the lab sets {', '.join(lab)}"]
    if not world.network.ipvlan:
        notes.append("no ipvlan in this kernel: macvlan passthru in its place")
    return _Cast(
        floating=tuple(str(only_address(one.definition)) for one in networks),
        networks=tuple(networks),
        agent=lambda pod, heard: world.run(
            pod, prepare(shipped.image, container, config).run(), stream="stderr", heard=heard
        ),
        notes=tuple(notes),
    )


def _start(stage: _Stage, story: Story, cast: _Cast, *, name: str, zone: str) -> Process:
    """Start the pod, as kubelet does: an initContainer before the application."""
    world = stage.world
    pod = world.start_pod(name, zone, cast.networks)
    stage.tell(f"{name} starts in zone {zone}")
    agent = cast.agent(pod, lambda record: _heard(stage, record))
    if story.mode == "init":
        code = agent.wait()
        if code:
            raise AssertionError(f"the initContainer ended with {code}:\n" + "\n".join(agent.text))
        stage.tell("the initContainer has verified every route and exits 0")
    world.application(pod, stage.floating)
    return agent


def _heard(stage: _Stage, record: Mapping[str, Any]) -> None:
    if record.get("event") == "converged":
        stage.tell(f"agent: {record['text']}")


def _await_answers(prober: Process, floating: tuple[str, ...], *, since: int) -> None:
    for address in map(_bare, floating):
        prober.wait_for(partial(_answers, address), since=since)


def _answers(address: str, record: Mapping[str, Any]) -> bool:
    return bool(record["event"] == "answered" and record["address"] == address)


def _outcome(
    stage: _Stage, story: Story, prober: Process, failed: float, *, answered: bool
) -> Outcome:
    finals = {r["address"]: r for r in prober.records if r["event"] == "final"}
    after = {a: [g for g in f["gaps"] if _ends_after(g, failed)] for a, f in finals.items()}
    return Outcome(
        story=story,
        events=tuple(stage.events),
        outages={
            a: (gaps[-1]["until"] - gaps[0]["since"]) if gaps and gaps[-1]["until"] else None
            for a, gaps in after.items()
        },
        lost={a: sum(g["lost"] for g in gaps) for a, gaps in after.items()},
        probes={
            a: tuple(
                (g["since"] - stage.began, g["until"] and g["until"] - stage.began)
                for g in f["gaps"]
            )
            for a, f in finals.items()
        },
        calls=dict(sorted(stage.world.endpoint.counts().items())),
        answered=answered and _all_in(stage, "b"),
        failed_at=failed - stage.began,
        seconds=time.monotonic() - stage.began,
    )


def _ends_after(gap: Mapping[str, Any], moment: float) -> bool:
    return gap["until"] is None or gap["until"] > moment


def _all_in(stage: _Stage, zone: str) -> bool:
    enis = set(stage.world.nodes[zone].secondary)
    return all(stage.world.targets(stage.world.destination(f)) <= enis for f in stage.floating)


def _bare(floating: str) -> str:
    return floating.partition("/")[0]
