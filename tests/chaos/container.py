"""A container that kubelet starts again, whatever ends it."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vipmanager_lab.netns import Netns
from vipmanager_lab.process import Process
from vipmanager_lab.world import World

AGAIN = 0.3
"""Seconds before an initContainer that failed is started again; kubelet waits longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a process holds."""

    kilobytes: int
    threads: int
    descriptors: int


class Container:
    """The agent's container in one pod, with all lives of its process."""

    def __init__(
        self,
        world: World,
        pod: Netns,
        config: Mapping[str, str],
        *,
        zone: str,
        argv: Sequence[str] | None = None,
    ) -> None:
        self.pod = pod
        self.zone = zone
        self.lives: list[Process] = []
        self.spans: list[tuple[float, float]] = []
        """When each life began and ended, monotonic seconds."""
        self.problems: list[str] = []
        self.kills = 0
        self.ended = False
        """Whether an initContainer has exited 0."""
        self.paused = False
        self._init = config.get("RunAsSidecar") != "True"
        self._due: float | None = None
        self._start: Callable[[], Process] = lambda: world.agent(pod, config, argv=argv)

    @property
    def process(self) -> Process:
        """The last life."""
        return self.lives[-1]

    @property
    def alive(self) -> bool:
        """Whether a process is there that nobody paused."""
        return bool(self.lives) and self.process.running and not self.paused

    def start(self) -> None:
        """Begin a life."""
        self._due = None
        self.paused = False
        self.lives.append(self._start())
        self.spans.append((self.process.started, float("inf")))

    def kill(self, restart: float) -> None:
        """SIGKILL; a process that is over stays over."""
        if self.ended or not self.process.running:
            return
        self.process.signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1
        self._over(restart)

    def pause(self, *, on: bool) -> None:
        """SIGSTOP or SIGCONT."""
        if self.process.running:
            self.process.signal(signal.SIGSTOP if on else signal.SIGCONT)
            self.paused = on

    def tend(self) -> None:
        """Do what kubelet does: see what ended, and start it again when it is time."""
        if self._due is not None:
            if time.monotonic() >= self._due:
                self.start()
        elif not self.ended and not self.process.running:
            code = self.process.wait()
            if self._init and code == 0:
                self.ended = True
            elif not self._init or code != 1:
                self.problems.append(f"the agent in zone {self.zone} ended with {code}")
            self._over(AGAIN)

    def _over(self, restart: float) -> None:
        self.spans[-1] = (self.spans[-1][0], time.monotonic())
        self._due = None if self.ended else time.monotonic() + restart

    def footprint(self) -> Footprint:
        """Measure the process that runs now."""
        proc = Path("/proc", str(self.process.pid))
        status = dict(
            line.split(":", 1) for line in (proc / "status").read_text("ascii").splitlines()
        )
        return Footprint(
            kilobytes=int(status.get("VmRSS", "0").split()[0]),  # absent where it just ended
            threads=int(status["Threads"]),
            descriptors=len(os.listdir(proc / "fd")) if "VmRSS" in status else 0,  # noqa: PTH208
        )

    def log(self) -> list[str]:
        """Give everything that all lives said, a line each."""
        lines: list[str] = []
        for number, life in enumerate(self.lives, start=1):
            lines.append(f"zone {self.zone}, life {number}:")
            lines += [
                f"  {r.get('monotonic', 0) - self.spans[0][0]:7.3f} {r.get('level', '')!s:<7} "
                f"{r.get('text', '')}"
                for r in life.records
            ]
        return lines
