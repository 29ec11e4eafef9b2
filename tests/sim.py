"""Agents in virtual time: several loops over worlds in memory, and nobody ever waits.

Each agent's loop has a thread, and one thread moves at a time: the one whose time has come. What
happens is therefore a function of the world and of the seed of `random`.
"""

import heapq
import itertools
import random
import threading
from collections.abc import Callable, Sequence

from vipmanager.core.actions import CloudAction, CreateRoute, ReplaceRoute
from vipmanager.core.findings import Finding
from vipmanager.core.health import Health
from vipmanager.core.report import Done, Report
from vipmanager.core.settings import Settings
from vipmanager.core.values import CloudState, EniId, Network, RouteTableId
from vipmanager.edges.memory import MemoryCloud, MemoryKernel, MemoryMetadata
from vipmanager.engine.claims import Claims
from vipmanager.engine.loop import Ending, Loop
from vipmanager.engine.observe import Observer
from vipmanager.engine.passes import Passes
from vipmanager.engine.wave import Fence, Pace, Wave
from worlds import node, pod

TURNS = 20_000
"""Turns after which a simulation is taken for one that never ends."""


AT_ONCE = 3
"""Writes that a slow wave makes without a pause."""


class Killed(BaseException):
    """The process is gone, between one step and the next."""


class Task:
    """A thread that moves when it is told to."""

    def __init__(self, sim: "Sim", body: Callable[[], None]) -> None:
        self.sim = sim
        self.turn = 0
        self.over = False
        self.killed = False
        self.error: BaseException | None = None
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._body = body
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def resume(self) -> None:
        """Let it move until it sleeps again."""
        self.turn += 1
        self._go.release()
        self._back.acquire()
        if self.over:
            self._thread.join()
        if self.error is not None:
            raise self.error

    def sleep(self, seconds: float) -> None:
        """Called from its own thread: let the others move."""
        self.sim.push(self.sim.now + seconds, self)
        self._back.release()
        self._go.acquire()
        if self.killed:
            raise Killed

    def _live(self) -> None:
        self._go.acquire()
        try:
            if not self.killed:
                self._body()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by resume()
            self.error = error
        finally:
            self.over = True
            self._back.release()


class Sim:
    """Virtual time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Task | Callable[[], None], int]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()
        self.tasks: list[Task] = []

    def push(self, when: float, task: Task) -> None:
        """Let a task move at a time, unless it has moved before."""
        heapq.heappush(self._queue, (when, next(self._order), task, task.turn))

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Let something happen at a time."""
        heapq.heappush(self._queue, (when, next(self._order), do, 0))

    def start(self, when: float, body: Callable[[], None]) -> Task:
        """Start a task at a time."""
        task = Task(self, body)
        self.tasks.append(task)
        self.push(when, task)
        return task

    def spend(self, seconds: float) -> None:
        """Let time pass inside one step; from any thread."""
        with self._lock:
            self.now += seconds

    def run(self, until: float) -> None:
        """Let everything happen that is due until then."""
        for _ in range(TURNS):
            if not self._queue or self._queue[0][0] > until:
                self.now = max(self.now, until)
                return
            when, _, what, turn = heapq.heappop(self._queue)
            self.now = max(self.now, when)
            if not isinstance(what, Task):
                what()
            elif what.turn == turn and not what.over:
                what.resume()
        raise AssertionError(f"still busy at {self.now:.3f} s after {TURNS} turns")

    def end(self) -> None:
        """Kill what still lives."""
        for task in self.tasks:
            if not task.over:
                task.killed = True
                task.resume()


class SimInbox:
    """The `Inbox` port in virtual time."""

    def __init__(self, sim: Sim) -> None:
        self._sim = sim
        self.task: Task | None = None
        self._reasons: list[str] = []
        self.stopped = False
        self._waiting = False

    def put(self, reason: str) -> None:
        self._reasons.append(reason)
        if self._waiting and self.task is not None:
            self._sim.push(self._sim.now, self.task)

    def stop(self) -> None:
        self.stopped = True
        self.put("asked to stop")

    def wait(self, seconds: float) -> tuple[str, ...]:
        assert self.task is not None
        if not self._reasons:
            self._waiting = True
            self.task.sleep(seconds)
            self._waiting = False
        taken = tuple(self._reasons)
        self._reasons.clear()
        return taken

    def pause(self, seconds: float) -> None:
        self._sim.spend(seconds)


class SimClock:
    """The `Clock` port in virtual time."""

    def __init__(self, sim: Sim) -> None:
        self._sim = sim

    def now(self) -> float:
        return self._sim.now


class SlowWave(Wave):
    """A wave that takes its time, after the decision and between its writes: others may move."""

    gap: float = 0.0
    agent: "Agent"

    def run(self, actions: Sequence[CloudAction], fence: Fence | None = None) -> tuple[Done, ...]:
        if not self.gap or self.agent.task is None:
            return super().run(actions, fence)
        done: list[Done] = []
        for start in range(0, len(actions), AT_ONCE):
            self.agent.task.sleep(self.gap * random.random())  # noqa: S311 - jitter
            done += super().run(actions[start : start + AT_ONCE], fence)
        return tuple(done)


class LaggingCloud(MemoryCloud):
    """An EC2 whose readings show the state of a while ago; what it writes is never stale."""

    def __init__(self, state: CloudState, sim: Sim, lag: float) -> None:
        super().__init__(state)
        self._sim = sim
        self._lag = lag
        self._past = [(float("-inf"), state)]

    def write(self, action: CloudAction) -> None:
        super().write(action)
        self._past.append((self._sim.now, self.state))

    def _read(self) -> CloudState:
        super()._read()
        return next(s for at, s in reversed(self._past) if at <= self._sim.now - self._lag)


class Agent:
    """One container's life over the worlds that it is given."""

    def __init__(
        self,
        sim: Sim,
        cloud: MemoryCloud,
        *,
        zone: str = "a",
        settings: Settings | None = None,
        kernel: MemoryKernel | None = None,
        metadata: MemoryMetadata | None = None,
        gap: float = 0.0,
        gate: Callable[[], Finding | None] = lambda: None,
    ) -> None:
        self.sim = sim
        self.cloud = cloud
        self.kernel = kernel or MemoryKernel(pod(zone))
        self.metadata = metadata or MemoryMetadata(node(zone))
        self.inbox = SimInbox(sim)
        self.reports: list[Report] = []
        self.health = Health()
        self.ending: Ending | None = None
        self.task: Task | None = None
        settings = settings or Settings()
        clock = SimClock(sim)
        wave = SlowWave(cloud, pace=Pace(settings.rate, clock), clock=clock, inbox=self.inbox)
        wave.gap, wave.agent = gap, self
        observer = Observer(self.kernel, self.metadata, cloud, settings)
        self.passes = Passes(
            settings,
            observer=observer,
            kernel=self.kernel,
            rule=Claims(observer=observer, wave=wave, clock=clock, gate=gate),
            clock=clock,
        )
        self._loop = Loop(
            settings, passes=self.passes, inbox=self.inbox, clock=clock, reporter=self
        )

    def report(self, report: Report) -> None:
        """Be the `Reporter` port."""
        self.reports.append(report)
        self.health = self.health.after(report)

    @property
    def last(self) -> Report:
        """The last pass."""
        return self.reports[-1]

    def init(self, at: float = 0.0) -> "Agent":
        """Live as an initContainer."""

        def body() -> None:
            self.ending, _ = self._loop.init()

        return self._start(at, body)

    def sidecar(self, at: float = 0.0) -> "Agent":
        """Live as a sidecar."""

        def body() -> None:
            self.ending = self._loop.sidecar()

        return self._start(at, body)

    def kill(self) -> None:
        """End the process where it stands; its kernel and its cloud routes stay."""
        assert self.task is not None
        if not self.task.over:
            self.task.killed = True
            self.task.resume()

    def _start(self, at: float, body: Callable[[], None]) -> "Agent":
        self.task = self.inbox.task = self.sim.start(at, body)
        return self


def owners(cloud: MemoryCloud, destination: str) -> set[str]:
    """List what a destination points at, over all tables; "none" where there is no route."""
    found = set()
    for table in cloud.state.tables:
        route = next((r for r in table.routes if str(r.destination) == destination), None)
        found.add("none" if route is None else route.target.id)
    return found


def moves(cloud: MemoryCloud) -> dict[tuple[RouteTableId, Network], int]:
    """Count how often each route changed its owner."""
    last: dict[tuple[RouteTableId, Network], EniId] = {}
    count: dict[tuple[RouteTableId, Network], int] = {}
    for write in cloud.writes:
        if isinstance(write, CreateRoute | ReplaceRoute):
            key = write.table, write.destination
            count[key] = count.get(key, 0) + (last.get(key) != write.eni)
            last[key] = write.eni
    return count
