"""What is measured, in which order, and which budget each figure has."""

import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from arena import Arena, Sample, certificate, scratch
from subjects import Subject

from vipmanager_lab.world import World

AGENT = Subject(name="vipmanager run", kind="agent")
FLOOR = Subject(name="floor", kind="floor")
RAW = Subject(name="raw floor", kind="raw floor")

RATIO = 1.3
"""Times the floor, for 10 and 50 tables (design, budgets)."""
BUDGET = {(10, 2), (50, 2)}
"""The tables and floating IPs that the budget is for."""
BUCKET_RATIO = 1.1
"""Times what EC2's token bucket allows."""
BURST, REFILL = 50, 5
"""EC2's bucket of a route action (EC2 "Request throttling")."""
REST_CPU = 0.002
REST_MEMORY = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    where: str
    """How EC2 is reached, and what limits it."""
    what: str
    tables: int
    floating: int
    subject: str
    seconds: float
    ratio: float | None
    """To the floor of the same line, or to what the bucket allows; the median of the pairs."""
    limit: float | None
    writes: int
    expected: int
    reads: int
    memory: int
    cpu: float
    runs: int

    @property
    def missed(self) -> bool:
        """Whether a budget is missed."""
        over = self.limit is not None and self.ratio is not None and self.ratio > self.limit
        return over or (self.subject == AGENT.name and self.writes != self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure."""

    latency: float
    runs: int
    peers: tuple[Subject, ...]
    tables: tuple[int, ...] = (2, 10, 50)
    floating: tuple[int, ...] = (2,)
    bucket_tables: tuple[int, ...] = (100,)
    rest_seconds: float = 45.0
    """Long enough for a reading, which comes every 22 to 38 s."""


def measure(options: Options) -> Iterator[Row]:
    """Give every row as it is known."""
    for tables in options.tables:
        with World(
            tables=tables, latency=options.latency, interfaces=max(2, *options.floating)
        ) as world:
            arena = Arena(world, scratch())
            arena.run(AGENT, arena.job("cold start"))  # warms the page cache and the endpoint
            for floating in options.floating:
                for what in ("cold start", "failover", "correct world"):
                    yield from _compare(arena, "HTTP", what, floating, options)
    yield from _over_tls(options)
    for tables in options.bucket_tables:
        with World(tables=tables, latency=options.latency) as world:
            world.faults.ec2_buckets()
            arena = Arena(world, scratch())
            for what in ("cold start", "failover"):
                yield _against_bucket(arena, what)


def _over_tls(options: Options) -> Iterator[Row]:
    folder = scratch()
    tls = certificate(folder)
    with World(tables=10, latency=options.latency, tls=tls, idle_seconds=0.5) as world:
        arena = Arena(world, folder)
        arena.run(AGENT, arena.job("cold start"))
        yield from _compare(arena, "TLS, idle close", "failover", 2, options)


def _compare(arena: Arena, where: str, what: str, floating: int, options: Options) -> Iterator[Row]:
    """Let the subjects take turns, so that a drift of the machine meets them alike."""
    tables = len(arena.world.tables)
    nothing = what == "correct world"
    fast = (AGENT,) if nothing else (RAW, FLOOR, AGENT)
    samples: dict[Subject, list[Sample]] = {s: [] for s in fast}
    for _ in range(options.runs):
        for subject in fast:
            samples[subject].append(arena.run(subject, arena.job(what, floating=floating)))
    if not nothing:
        for peer in options.peers:
            if tables <= peer.most_tables and (peer.creates or what == "failover"):
                samples[peer] = [
                    arena.run(peer, arena.job(what, floating=floating)) for _ in range(peer.runs)
                ]
    floors = samples.get(FLOOR, [])
    expected = 0 if nothing else tables * floating
    for subject, mine in samples.items():
        pairs = [m.seconds / f.seconds for m, f in zip(mine, floors, strict=False)]
        judged = (
            where == "HTTP" and not nothing and subject is AGENT and (tables, floating) in BUDGET
        )
        yield Row(
            where=where,
            what=what,
            tables=tables,
            floating=floating,
            subject=subject.name,
            seconds=statistics.median(s.seconds for s in mine),
            ratio=statistics.median(pairs) if pairs else None,
            limit=RATIO if judged else None,
            expected=expected,
            runs=len(mine),
            **_costs(mine),
        )


def _against_bucket(arena: Arena, what: str) -> Row:
    sample = arena.run(AGENT, arena.job(what, rate=f"{BURST}/{REFILL}"))
    expected = 2 * len(arena.world.tables)
    allowed = (expected - BURST) / REFILL
    return Row(
        where="HTTP, EC2's buckets",
        what=what,
        tables=len(arena.world.tables),
        floating=2,
        subject=AGENT.name,
        seconds=sample.seconds,
        ratio=sample.seconds / allowed,
        limit=BUCKET_RATIO,
        expected=expected,
        runs=1,
        **_costs([sample]),
    )


def _costs(samples: Sequence[Sample]) -> "_Costs":
    last = samples[-1]
    writes = {s.writes for s in samples}
    return {
        "writes": last.writes if len(writes) == 1 else -1,
        "reads": sum(last.calls.values()) - last.writes,
        "memory": max(s.memory for s in samples),
        "cpu": statistics.median(s.cpu for s in samples),
    }


class _Costs(TypedDict):
    writes: int
    reads: int
    memory: int
    cpu: float


def sidecar(options: Options) -> dict[str, float]:
    """Measure a sidecar: at rest, and from an event to its route."""
    with World(tables=10, latency=options.latency) as world:
        arena = Arena(world, scratch())
        events = arena.event(max(options.runs, 3))
        rest = arena.rest(options.rest_seconds)
    return {
        **rest,
        "event to last route": statistics.median(events),
        "event in calls": statistics.median(events) / options.latency,
    }


def peers(folder: str | None, extra: Sequence[str]) -> tuple[Subject, ...]:
    """Give the peers: those installed in a folder, and NAME=COMMAND ones."""
    found: list[Subject] = []
    if folder is not None:
        found = [
            Subject(
                name="aws ec2 replace-route, in a loop",
                kind="aws loop",
                command=f"{folder}/bin/aws",
                most_tables=10,
                runs=1,
            ),
            Subject(
                name="Pacemaker aws-vpc-move-ip",
                kind="pacemaker",
                command=folder,
                most_tables=10,
                runs=1,
                creates=False,
            ),
        ]
    for text in extra:
        name, equals, command = text.partition("=")
        if not equals or not command:
            sys.exit(f"--peer {text}: expected NAME=COMMAND")
        found.append(Subject(name=name, kind="peer", command=command, most_tables=50, runs=3))
    return tuple(found)


def full(options: Options) -> Options:
    """Widen to everything."""
    return replace(
        options,
        tables=(1, 2, 10, 50, 100, 200),
        floating=(1, 2, 8),
        bucket_tables=(50, 100, 200),
    )
