"""Many cloud writes at once: bounded, paced by the bucket, each retried on its own."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from vipmanager.core.actions import CloudAction, RouteWrite, turned
from vipmanager.core.failures import Conflict, Failure, Throttled, TooLate, Transient
from vipmanager.core.progress import EVERY, Progress
from vipmanager.core.report import Done
from vipmanager.core.retry import Bucket, backoff
from vipmanager.core.settings import Rate
from vipmanager.core.values import Network, RouteTableId
from vipmanager.engine.jitter import JITTER
from vipmanager.ports import Clock, Condition, Inbox, Steering, Tasks

PARALLEL = 32
"""Calls under way at once."""

ATTEMPTS = 4
"""Tries of one write before it is left to the next pass, which reads first."""

STOPS = 0.2
"""Seconds after which a wave that waits for its calls sees that the program shall end."""

HANGS = 5.0
"""Seconds after its end in which a wave waits for calls under way: one's whole time-out."""

LIFETIME = 10.0
"""Seconds after which a wave starts no more writes: its reading has grown old."""


class Pace:
    """One bucket for each kind of call, as EC2 counts them, shared by all threads."""

    def __init__(self, limit: Rate, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, Bucket] = {}

    def take(self, kind: str) -> float:
        """Reserve a call; give the seconds until it may be made."""
        with self._lock:
            self._buckets[kind], wait = self._bucket(kind).take(self._clock.now())
            return wait

    def give_back(self, kind: str) -> None:
        """Return a reservation that was not used."""
        with self._lock:
            self._buckets[kind] = self._bucket(kind).returned()

    def throttled(self, kind: str) -> None:
        """Tell that EC2 refused the call."""
        with self._lock:
            self._buckets[kind] = self._bucket(kind).throttled(self._clock.now())

    def accepted(self, kind: str) -> None:
        """Tell that EC2 took the call."""
        with self._lock:
            self._buckets[kind] = self._bucket(kind).accepted()

    def until(self, calls: Mapping[str, int]) -> float:
        """Give the seconds until so many more calls of each kind may be made."""
        now = self._clock.now()
        with self._lock:
            return max((self._bucket(k).until(n, now) for k, n in calls.items()), default=0.0)

    def buckets(self) -> dict[str, Bucket]:
        """Give the bucket of each kind of call that was made."""
        with self._lock:
            return dict(self._buckets)

    def _bucket(self, kind: str) -> Bucket:
        return self._buckets.get(kind) or Bucket.full(self._limit, self._clock.now())


class Fence:
    """The `Fence` port: until when writes may be sent, unless revoked before. For any thread."""

    def __init__(self, until: float, clock: Clock) -> None:
        """Stand until then (monotonic seconds of the clock)."""
        self._until, self._clock = until, clock
        self._revoked = False

    def revoke(self) -> None:
        """End it now."""
        self._revoked = True

    @property
    def left(self) -> float:
        """Seconds until it ends by itself; negative afterwards."""
        return self._until - self._clock.now()

    def stands(self) -> bool:
        """Tell whether a write may be sent now."""
        return self.left > 0.0 and not self._revoked


class RouteWriter:
    """Writes a list of actions in its order, several at a time."""

    def __init__(
        self,
        steering: Steering,
        *,
        pace: Pace,
        clock: Clock,
        tasks: Tasks,
        inbox: Inbox,
        wrote: Callable[[CloudAction], None] = lambda _: None,
        told: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """Write nothing yet.

        Args:
            steering: makes each action so.
            pace: EC2's buckets.
            clock: monotonic time.
            tasks: where the calls run.
            inbox: says when the program shall end.
            wrote: takes each write that EC2 took, where its call ran.
            told: takes the progress of what lasts, every `EVERY` seconds.
        """
        self._steering = steering
        self._wrote = wrote
        self._told = told
        self._wave: _Wave | None = None
        self._rest: frozenset[Where] = frozenset()
        """Routes that the last wave left to the next one."""
        self._written: frozenset[Where] = frozenset()
        """Routes that it, and the waves that it went on with, have written."""
        self._said = float("-inf")
        """When progress was last told, or its first wave began."""
        self._pace = pace
        self._clock = clock
        self._tasks = tasks
        self._inbox = inbox

    def run(
        self, actions: Sequence[CloudAction], fence: Fence | None = None, *, turn: bool = False
    ) -> tuple[Done, ...]:
        """Write all of them; give what was tried, in the order in which it ended.

        Args:
            actions: what to write.
            fence: until when; looked at before each call, and last by the cloud, right before
                its bytes go out. Default: `LIFETIME`.
            turn: whether a route that has come to be, or has gone, since it was read is written
                all the same, once, without a look at it.

        Returns at once when the program is asked to stop: calls under way are left to end
        on their own, with the client's short timeouts. One that has not ended `HANGS` seconds
        after the fence has failed.
        """
        wave = self._begun(actions)
        elected, began = fence is not None, self._clock.now()
        fence = fence or Fence(began + LIFETIME, self._clock)
        work = partial(self._work, wave, fence, turn=turn)
        workers = [self._tasks.start("wave", work) for _ in range(wave.running)]
        ended = self._wait(wave, fence)
        self._ended(wave)
        done = wave.done
        if not ended and self._inbox.stopped:
            return tuple(done)
        if not ended:
            with wave.changed:
                hangs = [self._done(a, at, _hangs(a)) for a, at in wave.under_way.items()]
                return (*done, *hangs)
        for worker in workers:
            worker.result()  # raises what was a bug
        if actions and not done and not elected and not self._inbox.stopped:
            # Whoever decided it has to hear of it, or it would rest: all is still to be done.
            return (self._done(actions[0], began, _old(actions[0])),)
        return tuple(done)

    def _work(self, wave: "_Wave", fence: Fence, *, turn: bool) -> None:
        """Make one call after another, as one of the workers."""
        changed = wave.changed
        try:
            while not self._over(fence):
                with changed:
                    if not wave.todo:
                        return
                    action = wave.todo.popleft()
                    wave.under_way[action] = self._clock.now()
                outcome = self._write(action, fence, turn=turn)
                with changed:
                    del wave.under_way[action]
                    if outcome is not None:
                        wave.done.append(outcome)
        finally:
            with changed:
                wave.running -= 1
                changed.notify_all()

    def _wait(self, wave: "_Wave", fence: Fence) -> bool:
        """Wait until every call has ended, and tell how far they are; False where some have not."""
        while True:
            with wave.changed:
                if wave.changed.wait_for(lambda: not wave.running, STOPS):
                    return True
            if self._inbox.stopped or fence.left <= -HANGS:
                return False
            self._tell()

    @property
    def progress(self) -> Progress | None:
        """How far the routes under way are; None while none is written. Safe from any thread."""
        wave = self._wave
        return wave.progress(self._pace) if wave is not None else None

    def _begun(self, actions: Sequence[CloudAction]) -> "_Wave":
        routes = frozenset(_where(a) for a in actions if isinstance(a, RouteWrite))
        if not routes:  # of this pod's own ENIs, beside the routes of the election
            return _Wave(actions, frozenset(), self._tasks.condition())
        goes_on = self._rest and routes <= self._rest | self._written
        if not goes_on:
            self._said = self._clock.now()
        # A holder may write some once more.
        earlier = self._written - routes if goes_on else frozenset()
        wave = _Wave(actions, earlier, self._tasks.condition())
        self._wave = wave
        return wave

    def _ended(self, wave: "_Wave") -> None:
        if self._wave is wave:
            self._wave, self._rest, self._written = None, wave.rest, wave.written

    def _tell(self) -> None:
        now = self._clock.now()
        progress = self.progress if now - self._said >= EVERY else None
        if progress is not None:
            self._said = now
            self._told(progress)

    def _over(self, fence: Fence) -> bool:
        """Tell whether a write would come too late."""
        return self._inbox.stopped or not fence.stands()

    def _write(self, action: CloudAction, fence: Fence, *, turn: bool) -> Done | None:
        """Try one write; None if the wave was over before it could be made."""
        failure: Failure | None = None
        started = self._clock.now()
        attempt = 0
        while attempt < ATTEMPTS:
            kind = type(action).__name__
            wait = self._pace.take(kind)
            # A wave that waits for the bucket lasts as long as its fence: the next one is a call
            # of the Lease away.
            self._inbox.pause(min(wait, max(0.0, fence.left)))
            if self._over(fence):  # stopped, or held up, meanwhile
                self._pace.give_back(kind)
                break
            called = self._clock.now()
            try:
                self._steering.write(action, fence)
            except TooLate:
                self._pace.give_back(kind)
                break
            except Throttled as refused:
                failure = refused
                self._pace.throttled(kind)
            except Conflict as conflict:
                if not turn or not isinstance(action, RouteWrite):
                    return self._done(action, called, conflict)
                action, turn, failure = turned(action), False, conflict
            except Transient as passing:
                failure = passing
                attempt += 1
                self._inbox.pause(backoff(attempt, JITTER.random()))
            except Failure as lasting:
                return self._done(action, called, lasting)
            else:
                self._pace.accepted(kind)
                self._wrote(action)
                return self._done(action, called, None)
        return self._done(action, started, failure) if failure is not None else None

    def _done(self, action: CloudAction, since: float, failure: Failure | None) -> Done:
        return Done(action=action, seconds=self._clock.now() - since, failure=failure)


Where = tuple[RouteTableId, Network]
"""A route: its table and its destination."""


class _Wave:
    """One wave: what is to be written, what is under way and what is done."""

    def __init__(
        self, actions: Sequence[CloudAction], earlier: frozenset[Where], changed: Condition
    ) -> None:
        self.changed = changed
        """Guards the rest."""
        self.todo = deque(actions)
        self.done: list[Done] = []
        self.running = min(PARALLEL, len(actions))
        """Workers."""
        self.under_way: dict[CloudAction, float] = {}
        self._routes = frozenset(_where(a) for a in actions if isinstance(a, RouteWrite))
        self._earlier = earlier

    @property
    def rest(self) -> frozenset[Where]:
        """The routes that are not written."""
        return self._routes - self._fates(failed=False)

    @property
    def written(self) -> frozenset[Where]:
        """Those that are, with those of earlier waves."""
        return self._earlier | self._fates(failed=False)

    def progress(self, pace: Pace) -> Progress:
        with self.changed:
            waiting = Counter(type(a).__name__ for a in self.todo)
            # Their calls have been reserved.
            waiting.update({type(a).__name__: 0 for a in self.under_way})
            return Progress(
                written=len(self.written),
                failed=len(self._fates(failed=True)),
                total=len(self._earlier | self._routes),
                seconds=pace.until(waiting),
            )

    def _fates(self, *, failed: bool) -> frozenset[Where]:
        ends = ((d.action, d.failure is not None) for d in self.done)
        return frozenset(_where(a) for a, f in ends if f is failed and isinstance(a, RouteWrite))


def _where(write: RouteWrite) -> Where:
    return write.table, write.destination


def _old(action: CloudAction) -> TooLate:
    return TooLate(
        f"{action}: not made, since the reading that asks for it is older than {LIFETIME:g} s",
        "EC2 is read again",
    )


def _hangs(action: CloudAction) -> Transient:
    return Transient(
        f"{action}: EC2 has neither taken nor refused it", "the call is given up; it is made again"
    )
