"""Plays schedules against the real agent, several worlds side by side."""

import heapq
import itertools
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chaos.checks import oversized, sins, unsettled, writes
from chaos.clock import LIBRARY
from chaos.container import Footprint
from chaos.draw import schedule
from chaos.faults import Blows
from chaos.schedule import ClockStep, Fault, Kind, Schedule
from chaos.stage import Stage
from vipmanager_lab.world import World

TICK = 0.05
WORLDS = 6
"""Worlds side by side in one process."""

BOUND = {Kind.SIDECAR: 30.0, Kind.STARTUP: 25.0, Kind.INIT: 25.0, Kind.PAIR: 75.0}
"""Seconds from the last fault to everything right: a drift is looked at for up to 10 s, a second
one for up to 20, and the calls of a wave may hang for as long as it lives."""

QUIET = 1.0
"""Seconds of rest at the end, in which everything is right and nothing is written."""

SHRINK = 8.0
"""Seconds in which threads of calls that hang come to their end."""

_building = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a schedule went."""

    plan: Schedule
    problems: tuple[str, ...]
    seconds: float
    log: tuple[str, ...]

    def __str__(self) -> str:
        """Give all that is needed to understand and to repeat it."""
        return "\n".join(
            (
                str(self.plan),
                "problems:",
                *(f"  {p}" for p in self.problems),
                "what the agent said:",
                *self.log,
                f"again: make chaos SEED={self.plan.seed} N=1",
            )
        )


def play(plan: Schedule) -> Outcome:
    """Play one schedule."""
    began = time.monotonic()
    with _building:  # the parts of a world are made faster one after the other
        world = World(tables=plan.tables)
    with world, tempfile.TemporaryDirectory() as folder:
        stage = Stage(plan, world, Path(folder))
        try:
            problems = _Play(stage).run()
        except Exception:  # noqa: BLE001 - with its seed it can be repeated
            problems = ["the suite itself broke:", *traceback.format_exc().splitlines()]
        log = [line for c in stage.containers.values() for line in c.log()]
    return Outcome(
        plan=plan,
        problems=tuple(dict.fromkeys(problems)),
        seconds=time.monotonic() - began,
        log=tuple(log),
    )


def play_seeds(seeds: Iterable[int], *, worlds: int = WORLDS) -> Iterator[Outcome]:
    """Play many; outcomes come in the order of the seeds."""
    with ThreadPoolExecutor(worlds) as threads:
        yield from threads.map(lambda seed: play(schedule(seed)), seeds)


def missing() -> str | None:
    """Say what the schedules have to leave out on this machine."""
    if LIBRARY is None:
        return "the wall clock is not stepped: install the Debian package faketime"
    return None


class _Play:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._blows = Blows(stage)
        self._containers = list(stage.containers.values())
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], object]]] = []

    def run(self) -> list[str]:
        """Play it to the end; give what was wrong."""
        stage = self._stage
        strikes = [s for s in stage.plan.strikes if LIBRARY or not isinstance(s.fault, ClockStep)]
        for strike in strikes:
            if strike.at < 0:
                undo = self._blows.strike(strike.fault)
                if strike.until is not None:
                    self._push(strike.until, undo)
        before = stage.foreign()
        for container in self._containers:
            container.start()
        baseline: Footprint | None = None
        if stage.plan.warm:
            left = self._wait(BOUND[stage.plan.kind])
            if left:
                return ["before any fault:", *left]
            baseline = self._containers[0].footprint()
        for strike in strikes:
            if strike.at >= 0:
                self._push(strike.at, self._strike(strike.fault, strike.until))
        self._pass_time()
        stage.heal()
        left = self._wait(BOUND[stage.plan.kind])
        if not left:
            left = self._too_big(baseline)
        return [*left, *sins(stage, before)]

    def _push(self, at: float, do: Callable[[], object]) -> None:
        heapq.heappush(self._due, (at, next(self._order), do))

    def _strike(self, fault: Fault, until: float | None) -> Callable[[], None]:
        def strike() -> None:
            undo = self._blows.strike(fault)
            if until is not None:
                self._push(until, undo)

        return strike

    def _pass_time(self) -> None:
        """Let every fault strike and be undone."""
        began = time.monotonic()
        while self._due:
            self._tend()
            left = self._due[0][0] - (time.monotonic() - began)
            if left > 0:
                time.sleep(min(left, TICK))
                continue
            heapq.heappop(self._due)[2]()

    def _tend(self) -> None:
        for container in self._containers:
            container.tend()

    def _wait(self, seconds: float) -> list[str]:
        """Wait until everything is right and nobody writes any more; give what is not so."""
        deadline = time.monotonic() + seconds
        written, since = -1, time.monotonic()
        while True:
            self._tend()
            left = list(unsettled(self._stage))
            if left or writes(self._stage) != written:
                written, since = writes(self._stage), time.monotonic()
                left = left or ["somebody writes"]
            over = all(c.ended for c in self._containers)
            quiet = not left and time.monotonic() - since >= QUIET
            if quiet or over or time.monotonic() > deadline:
                return left if not over else list(unsettled(self._stage))
            time.sleep(TICK)

    def _too_big(self, baseline: Footprint | None) -> list[str]:
        deadline = time.monotonic() + SHRINK
        while True:
            self._tend()
            running = [c for c in self._containers if c.alive]
            same = None if any(c.kills for c in running) else baseline
            left = [text for c in running for text in oversized(c.footprint(), same)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(TICK)
