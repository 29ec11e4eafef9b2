"""Many schedules on all processors."""

import gc
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from simulation.marks import Marks
from simulation.play import play
from simulation.rows import OPEN, unexplained
from simulation.schedule import drawn

BLOCK = 50
"""Schedules that a worker plays before it tells of them."""


@dataclass(slots=True, kw_only=True)
class Sum:
    """What some schedules came to."""

    played: int = 0
    failed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Problems, by the schedule's name."""
    marks: Marks = field(default_factory=Marks)
    virtual: float = 0.0
    """Virtual seconds."""
    seconds: float = 0.0
    """Of one processor."""

    def add(self, other: "Sum") -> None:
        """Take another sum in."""
        self.played += other.played
        self.failed |= other.failed
        self.marks += other.marks
        self.virtual += other.virtual
        self.seconds += other.seconds


def play_seeds(seeds: Iterable[int], still_open: frozenset[str] = OPEN) -> Sum:
    """Play some seeds here."""
    gc.disable()  # worlds are made of cycles, and are dropped whole: collected once a block
    found, began = Sum(), time.process_time()
    for seed in seeds:
        plan = drawn(seed, still_open)
        outcome = play(plan)
        found.played += 1
        found.virtual += outcome.seconds
        found.marks += outcome.marks
        problems = unexplained(plan, outcome.problems) if still_open else outcome.problems
        if problems:
            found.failed[plan.name] = problems
    gc.enable()
    gc.collect()
    found.seconds = time.process_time() - began
    return found


def play_many(first: int, count: int, *, still_open: frozenset[str] = OPEN) -> Iterator[Sum]:
    """Play many seeds on all processors; give the sum of each block."""
    blocks = [range(n, min(n + BLOCK, first + count)) for n in range(first, first + count, BLOCK)]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        yield from pool.map(play_seeds, blocks, [still_open] * len(blocks))
