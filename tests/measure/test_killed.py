"""Whatever ends `measure`, and whenever, nothing is left in the account."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from measure.conftest import Lab

RUNS, BESIDE = 100, 10
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
CALLS = 36
"""That a run makes when nobody ends it, its removal included."""
LONG = 240.0


@dataclass
class End:
    """How a run is ended: with which signal, after so many calls, and so many seconds more."""

    number: signal.Signals
    calls: int
    after: float
    pid: int = 0
    due: float = float("inf")


class Runs:
    """Runs side by side."""

    def __init__(self, lab: Lab, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("runs.py")), "measure", *options],
            env={**os.environ, **lab.environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._rest = b""

    def begin(self, key: str) -> None:
        os.write(self._in, f"{key}\n".encode())

    def told(self) -> list[list[str]]:
        """Wait for a word, but not long; give what was said meanwhile."""
        if not select.select([self._out], [], [], 0.01)[0]:
            return []
        *lines, self._rest = (self._rest + os.read(self._out, 65536)).split(b"\n")
        return [line.decode().split(" ", 3) for line in lines]

    def close(self) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()


@pytest.fixture
def runs(lab: Lab) -> Iterator[Runs]:
    with contextlib.closing(Runs(lab, "--vpc", lab.vpc, "--times", "2", "--rate", "5")) as runs:
        yield runs


@pytest.mark.slow
def test_a_hundred_runs_that_are_ended_at_random_moments_leave_nothing(
    lab: Lab, runs: Runs
) -> None:
    draw = random.Random(1)  # noqa: S311 - repeatable
    waiting = {
        f"AKIARUN{n:03}": End(draw.choice(SIGNALS), draw.randrange(CALLS), draw.uniform(0, 0.1))
        for n in range(RUNS)
    }
    running: dict[str, End] = {}
    ended: dict[str, str] = {}
    until = time.monotonic() + LONG
    while waiting or running:
        assert time.monotonic() < until, ended
        while waiting and len(running) < BESIDE:
            key, end = waiting.popitem()
            running[key] = end
            runs.begin(key)
        for word, key, number, *last in runs.told():
            if word == "began":
                running[key].pid = int(number)
            else:
                ended[key] = f"{running.pop(key).number.name} {number} {' '.join(last)}"
        _end_whose_time_has_come(lab, running)
    assert lab.now() == lab.before, ended
    whole = Counter(ended.values())
    assert whole["SIGKILL -9 vipmanager: what it changed is undone"] >= RUNS / 4, whole
    stopped = "vipmanager measure: stopped; what it made is removed"
    assert whole[f"SIGTERM 143 {stopped}"] >= RUNS / 20, whole
    assert whole[f"SIGINT 130 {stopped}"] >= RUNS / 20, whole
    assert lab.endpoint.counts()["CreateRouteTable"] >= RUNS / 2, whole


def _end_whose_time_has_come(lab: Lab, running: dict[str, End]) -> None:
    made = Counter(call.access_key for call in lab.endpoint.calls)
    now = time.monotonic()
    for key, end in running.items():
        if end.pid and made[key] >= end.calls:
            end.due = min(end.due, now + end.after)
        if end.due <= now:
            with contextlib.suppress(ProcessLookupError):
                os.kill(end.pid, end.number)
            end.pid, end.due = 0, float("inf")
