"""A VPC in memory that lies, forgets and loses answers, and agents in it, in virtual time.

One thread: where an agent waits for an answer, everything that is due meanwhile happens inside
that wait, other agents' passes included. A schedule of minutes takes milliseconds.
"""

import heapq
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from vipmanager.core.actions import AddRoute, CloudAction, CreateRoute, KernelAction, ReplaceRoute
from vipmanager.core.failures import Failure, Throttled, Transient
from vipmanager.core.podnet import is_mark
from vipmanager.core.report import Done, Report
from vipmanager.core.schedule import next_look
from vipmanager.core.settings import Settings
from vipmanager.core.values import CloudState, Network, TargetKind
from vipmanager.edges.memory import MemoryCloud, MemoryKernel, MemoryMetadata
from vipmanager.engine.claims import Claims
from vipmanager.engine.observe import Observer
from vipmanager.engine.passes import NETLINK, Passes
from vipmanager.engine.wave import LIFETIME, Fence, Pace, Wave
from worlds import node, pod

RESYNC = 30.0
TURNS = 3000
"""Events after which a schedule is taken for one that never ends."""


class Crash(BaseException):
    """The process is gone, between one action and the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A route write that EC2 applied."""

    at: float
    zone: str
    action: CreateRoute | ReplaceRoute
    before: str | None
    """What the route pointed at."""
    gateway: bool
    """Whether that was no network interface."""


class Vpc:
    """The truth, its past, and what is wrong with the way to it."""

    def __init__(self, state: CloudState, luck: Random) -> None:
        self.now = 0.0
        self.luck = luck
        self.past: list[tuple[float, CloudState]] = [(float("-inf"), state)]
        self.writes: list[Write] = []
        self.lag = 0.0
        self.latency = 0.0
        self.away = False
        self.throttled = 0.0
        """The share of calls that are throttled."""
        self.next_writes: list[str] = []
        """What happens to the next writes: `refused`, `lost`, `late` or `forgotten`."""
        self.under_way = 0
        """Writes that nobody waits for any more, and that still land."""
        self.landed_late = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._turns = 0

    @property
    def state(self) -> CloudState:
        """The truth of now."""
        return self.past[-1][1]

    def change(self, state: CloudState) -> None:
        """Let the truth be another from now on."""
        self.past.append((self.now, state))

    def shown(self) -> CloudState:
        """Give what a reading shows."""
        if not self.lag:
            return self.state
        return next(s for at, s in reversed(self.past) if at <= self.now - self.lag)

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Let something happen."""
        heapq.heappush(self._queue, (max(when, self.now), next(self._order), do))

    def elapse(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due in it."""
        self.run(self.now + seconds)

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass until then; True if `done` before."""
        while self._queue and self._queue[0][0] <= until:
            self._turns += 1
            if self._turns > TURNS:
                raise AssertionError(f"still busy at {self.now:.1f} s")
            when, _, do = heapq.heappop(self._queue)
            self.now = max(self.now, when)
            do()
            if done():
                return True
        self.now = max(self.now, until)
        return False


class Window(MemoryCloud):
    """The `Cloud` port of one agent over the shared VPC."""

    def __init__(self, vpc: Vpc, agent: "Agent") -> None:
        self._vpc = vpc
        self._agent = agent
        super().__init__(vpc.state)

    @property
    def state(self) -> CloudState:
        """The truth."""
        return self._vpc.state

    @state.setter
    def state(self, state: CloudState) -> None:
        if state is not self._vpc.state:
            self._vpc.change(state)

    def _read(self) -> CloudState:
        self._agent.wait(self._vpc.latency)
        if self._vpc.away or self._vpc.luck.random() < self._vpc.throttled / 4:
            raise Transient("no answer to a reading")
        return self._vpc.shown()

    def write(self, action: CloudAction) -> None:
        """Make a call that may go wrong in any way."""
        vpc = self._vpc
        self._agent.wait(vpc.latency / 2)
        if vpc.away:
            raise Transient("no answer")
        if vpc.luck.random() < vpc.throttled:
            raise Throttled("RequestLimitExceeded")
        what = vpc.next_writes.pop(0) if vpc.next_writes else ""
        if what == "refused":
            raise Transient("InternalError")
        if what == "late":
            vpc.under_way += 1
            vpc.at(vpc.now + vpc.luck.uniform(0.5, 4), lambda: self._land_late(action))
            raise Transient("timed out")
        if what != "forgotten" or not isinstance(action, CreateRoute):
            self._land(action)
        self._agent.wait(vpc.latency / 2)
        if what == "lost":
            raise Transient("reset without an answer")

    def _land_late(self, action: CloudAction) -> None:
        self._vpc.under_way -= 1
        self._vpc.landed_late += 1
        try:
            self._land(action)
        except Failure:
            return  # nobody hears of it

    def _land(self, action: CloudAction) -> None:
        assert isinstance(action, CreateRoute | ReplaceRoute)
        table = next((t for t in self.state.tables if t.id == action.table), None)
        before = table.route_to(action.destination) if table is not None else None
        super().write(action)
        self._vpc.writes.append(
            Write(
                at=self._vpc.now,
                zone=self._agent.zone,
                action=action,
                before=before.target.id if before is not None else None,
                gateway=before is not None and before.target.kind is not TargetKind.ENI,
            )
        )


class _Observer(Observer):
    """Reads one thing after the other."""

    def _start(self, call: Callable[..., Any], *args: object) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(call(*args))
        except Failure as failure:
            future.set_exception(failure)
        return future


class _Wave(Wave):
    """Writes one route after the other, in the thread of the pass."""

    def run(self, actions: Sequence[CloudAction], fence: Fence | None = None) -> tuple[Done, ...]:
        fence = fence or Fence(self._clock.now() + LIFETIME)
        outcomes = (self._write(a, fence) for a in actions if not self._over(fence))
        return tuple(o for o in outcomes if o is not None)


class Agent:
    """A sidecar's container in one pod: a process that crashes and starts again."""

    def __init__(self, vpc: Vpc, zone: str, settings: Settings) -> None:
        self.vpc = vpc
        self.zone = zone
        self.settings = settings
        self.kernel = MemoryKernel(pod(zone))
        self.kernel.refuse = self._kernel_write
        self.metadata = MemoryMetadata(node(zone))
        self.reports: list[Report] = []
        self.marked: list[tuple[float, Network]] = []
        """When each mark was set; the time is that of the pass' beginning."""
        self.unmarked_starts = 0
        self.stopped = False
        """Be the `Inbox` port: never asked to stop."""
        self._doomed = False
        self._stalled = 0.0
        self._busy = False
        self._woken = False
        self._life = 0
        self._attempt = 0
        self._began = 0.0
        self._passes: Passes | None = None

    def now(self) -> float:
        """Be the `Clock` port."""
        return self.vpc.now

    def put(self, reason: str) -> None:
        """Be the `Inbox` port."""

    def pause(self, seconds: float) -> None:
        """Be the `Inbox` port: sleep."""
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        """Let others move; end here if the process was killed meanwhile."""
        seconds += self._stalled
        self._stalled = 0.0
        if seconds:
            self.vpc.elapse(seconds)
        if self._doomed:
            raise Crash

    def start(self) -> None:
        """Begin a life that remembers nothing but what the kernel does."""
        self._doomed, self._attempt, self._woken = False, 0, False
        self._life += 1
        if not any(r.table == 8600 for r in self.kernel.state.routes):
            self.unmarked_starts += 1
        window = Window(self.vpc, self)
        wave = _Wave(window, pace=Pace(self.settings.rate, self), clock=self, inbox=self)  # type: ignore[arg-type]
        observer = _Observer(self.kernel, self.metadata, window, self.settings)
        self._passes = Passes(
            self.settings,
            observer=observer,
            kernel=self.kernel,
            rule=Claims(observer=observer, wave=wave, clock=self),
            clock=self,
        )
        self._look(0.0, "start")

    def kill(self, restart: float) -> None:
        """SIGKILL, and a new life a while later."""
        if self._passes is None:
            return
        self._passes, self._doomed = None, self._busy
        self._life += 1
        self.vpc.at(self.vpc.now + restart, self._restart)

    def stall(self, seconds: float) -> None:
        """SIGSTOP at the next thing it does."""
        self._stalled = seconds

    def netlink(self) -> None:
        """Tell of a change in the pod."""
        if self._busy:
            self._woken = True
        elif self._passes is not None and self._passes.stirred():
            self._look(0.0, NETLINK)

    def _restart(self) -> None:
        if self._busy:  # its last call has not returned yet
            self.vpc.at(self.vpc.now + 0.1, self._restart)
        else:
            self.start()

    def _look(self, delay: float, reason: str) -> None:
        self._life += 1
        life = self._life
        self.vpc.at(self.vpc.now + delay, lambda: self._pass(reason, life))

    def _pass(self, reason: str, life: int) -> None:
        passes = self._passes
        if life != self._life or passes is None or self._busy:
            return
        self._busy = True
        self._began = self.vpc.now
        try:
            self.wait(0.0)
            report = passes.run((reason,))
        except Crash:
            return
        finally:
            self._busy = self._doomed = False
        if self._passes is not passes:
            return
        self.reports.append(report)
        self._attempt = 0 if report.changed or report.clean else self._attempt + 1
        delay = next_look(report, attempt=self._attempt, luck=self.vpc.luck.random(), resync=RESYNC)
        woken, self._woken = self._woken, False
        if woken and passes.stirred():
            self._look(0.0, NETLINK)
        else:
            self._look(delay, "read back" if delay == 0 else "resync")

    def _kernel_write(self, action: KernelAction) -> Failure | None:
        self.wait(0.0)
        if is_mark(action) and isinstance(action, AddRoute):
            self.marked.append((self._began, action.route.destination))
        return None


def without_routes(state: CloudState, tables: set[int], destination: Network) -> CloudState:
    """Delete a route from some tables, by their place."""
    return replace(
        state,
        tables=tuple(
            replace(t, routes=tuple(r for r in t.routes if r.destination != destination))
            if i in tables
            else t
            for i, t in enumerate(state.tables)
        ),
    )
