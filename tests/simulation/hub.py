"""Virtual time: everything that happens, in one order, and work that waits for it.

One OS thread. Work of the product runs in greenlets and moves when its time has come; what a run
does is a function of its seed alone. A caller outside of any work (a test) drives time itself
while it waits.
"""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any, Generic, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

T = TypeVar("T")

NEVER = float("inf")
TURNS = 400_000
"""Things that happen in one run, after which it is taken for one that never ends."""


class Endless(AssertionError):
    """Something goes on and on without time passing, or far too often."""


class Fiber(greenlet):
    """Some work of one process."""

    def __init__(self, hub: "Hub", process: "Process | None", body: Callable[[], None]) -> None:
        super().__init__(body, hub.main)
        self.process = process
        self.turn = 0


class Hub:
    """The clock of the world, and what is due."""

    def __init__(self, seed: int = 0) -> None:
        self.now = 0.0
        self.luck = Random(seed)  # noqa: S311 - a seed shall give the same again
        self.main = getcurrent()
        self._queue: list[tuple[float, int, Any, Any]] = []
        self._order = 0
        self._turns = 0
        self.turns = TURNS
        """So many are too many; a world of hundreds of agents takes more."""
        self._main_turn = 0

    def at(self, when: float, do: Callable[..., object], *args: object) -> None:
        """Let something happen; it must not wait."""
        self._order += 1
        heapq.heappush(self._queue, (when, self._order, do, args))

    def after(self, seconds: float, do: Callable[..., object], *args: object) -> None:
        """Let something happen in a while."""
        self.at(self.now + seconds, do, *args)

    def spawn(self, process: "Process | None", body: Callable[[], None]) -> Fiber:
        """Let work begin now."""
        fiber = Fiber(self, process, body)
        self._push(self.now, fiber)
        return fiber

    def run(self, until: float, done: Callable[[], object] | None = None) -> bool:
        """Let time pass until then; True as soon as something is so."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            self._step()
            if done is not None and done():
                return True
        self.now = max(self.now, until)
        return False

    def _step(self) -> None:
        self._turns += 1
        if self._turns > self.turns:
            raise Endless(f"still busy at {self.now:.3f} s after {self.turns} turns")
        when, _, do, args = heapq.heappop(self._queue)
        self.now = max(self.now, when)
        if args.__class__ is tuple:
            do(*args)
        elif do.turn == args and not do.dead:
            process = do.process
            if process is None or process.admits(do):
                do.turn += 1
                do.switch()

    def sleep(self, seconds: float) -> None:
        """Wait, whatever else arrives meanwhile."""
        until = self.now + seconds
        while self.now < until:
            self.block(until)

    def block(self, until: float) -> None:
        """Wait until then, or until `wake`."""
        fiber = getcurrent()
        if not isinstance(fiber, Fiber):
            self._block_main(until)
            return
        if until < NEVER:
            self._push(until, fiber)
        self.main.switch()

    def wake(self, fiber: object) -> None:
        """End a wait."""
        if isinstance(fiber, Fiber):
            self._push(self.now, fiber)
        else:
            self._main_turn += 1

    def current(self) -> object:
        """Give who runs: what `wake` takes."""
        return getcurrent()

    def push_again(self, fiber: Fiber) -> None:
        """Let work go on that was held up."""
        self._push(self.now, fiber)

    def _push(self, when: float, fiber: Fiber) -> None:
        self._order += 1
        heapq.heappush(self._queue, (when, self._order, fiber, fiber.turn))

    def _block_main(self, until: float) -> None:
        turn = self._main_turn
        while self._main_turn == turn and self._queue and self._queue[0][0] <= until:
            self._step()
        if self._main_turn == turn:
            assert until < NEVER, "nothing will ever happen again"
            self.now = max(self.now, until)


class Condition:
    """The `Condition` port in virtual time."""

    def __init__(self, hub: Hub, process: "Process") -> None:
        self._hub, self._process = hub, process
        self._owner: object = None
        self._depth = 0
        self._entering: list[object] = []
        self._waiting: list[object] = []

    def __enter__(self) -> object:
        me = getcurrent()
        if self._owner is not me:
            self._take(me)
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth:
            self._give_back()

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        found = predicate()
        if found or (timeout is not None and timeout <= 0):
            return found
        host, hub = self._process.host, self._hub
        until = None if timeout is None else host.now() + timeout
        while not found:
            real = NEVER if until is None else host.real(until)
            if real <= hub.now:
                break
            depth, self._depth = self._depth, 0
            self._give_back()
            me = getcurrent()
            self._waiting.append(me)
            hub.block(real)
            if me in self._waiting:
                self._waiting.remove(me)
            self._take(me)
            self._depth = depth
            found = predicate()
        return found

    def notify_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._hub.wake(each)

    def _take(self, me: object) -> None:
        while self._owner is not None and not self._process.dead:
            self._entering.append(me)
            self._hub.block(NEVER)
        self._owner = me

    def _give_back(self) -> None:
        self._owner = None
        if self._entering:
            entering, self._entering = self._entering, []
            for each in entering:
                self._hub.wake(each)


class Task(Generic[T]):
    """The `Task` port in virtual time."""

    def __init__(self, hub: Hub, process: "Process", work: Callable[[], T]) -> None:
        self._work = work
        self._over = Condition(hub, process)
        self._ended = False
        self._given: list[T] = []
        self._raised: Exception | None = None
        self.fiber = hub.spawn(process, self._run)

    def result(self) -> T:
        with self._over:
            self._over.wait_for(lambda: self._ended)
        if self._raised is not None:
            raise self._raised
        return self._given[0]

    def _run(self) -> None:
        try:
            self._given.append(self._work())
        except Exception as error:  # noqa: BLE001 - raised again by result()
            self._raised = error
        finally:
            self._ended = True
            self._over.notify_all()


class Host:
    """A machine's clocks."""

    def __init__(self, hub: Hub, name: str, *, rate: float = 1.0, offset: float = 0.0) -> None:
        self._hub, self.name = hub, name
        self.rate, self.offset = rate, offset
        self.skew = 0.0
        """Seconds that its wall clock is ahead."""

    def now(self) -> float:
        """Give its monotonic seconds."""
        return self.offset + self._hub.now * self.rate

    def wall(self) -> float:
        """Give what it takes for seconds since 1970."""
        return 1.8e9 + self._hub.now + self.skew

    def real(self, local: float) -> float:
        """Give when its monotonic clock will show a time."""
        return (local - self.offset) / self.rate + 1e-9


class Process:
    """A process: the `Clock` and `Tasks` ports, and all its work, which dies and stops with it."""

    def __init__(self, hub: Hub, host: Host) -> None:
        self.hub, self.host = hub, host
        self.dead = False
        self._stops = 0
        self._held_up: list[Fiber] = []
        self._fibers: list[Fiber] = []

    @property
    def stopped(self) -> bool:
        """Whether it stands still."""
        return self._stops > 0

    def now(self) -> float:
        return self.host.offset + self.hub.now * self.host.rate

    def wall(self) -> float:
        return self.host.wall()

    def start(self, name: str, work: Callable[[], T]) -> Task[T]:  # noqa: ARG002 - the port
        task = Task(self.hub, self, work)
        self._remember(task.fiber)
        return task

    def condition(self) -> Condition:
        return Condition(self.hub, self)

    def call(self, do: Callable[..., object], *args: object) -> None:
        """Let something from outside arrive in it."""
        if not self.dead:
            self._remember(self.hub.spawn(self, lambda: self._do(do, args)))

    def admits(self, fiber: Fiber) -> bool:
        """Tell whether its work moves now; keep it for later while it stands still."""
        if self._stops:
            self._held_up.append(fiber)
            return False
        return not self.dead

    def stop(self) -> None:
        """SIGSTOP."""
        self._stops += 1

    def cont(self) -> None:
        """SIGCONT."""
        self._stops -= 1
        if not self._stops:
            held, self._held_up = self._held_up, []
            for fiber in dict.fromkeys(held):
                self.hub.push_again(fiber)

    def kill(self) -> None:
        """SIGKILL: nothing of it moves any more. Not to be called by its own work."""
        self.dead = True
        fibers, self._fibers = self._fibers, []
        for fiber in fibers:
            if not fiber.dead:
                fiber.throw(GreenletExit)

    def _do(self, do: Callable[..., object], args: tuple[object, ...]) -> None:
        do(*args)

    def _remember(self, fiber: Fiber) -> None:
        self._fibers.append(fiber)
        if len(self._fibers) > 64:
            self._fibers = [f for f in self._fibers if not f.dead]
