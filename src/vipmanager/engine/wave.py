"""Many cloud writes at once: bounded, paced by the bucket, each retried on its own."""

import threading
from collections import deque
from collections.abc import Sequence

from vipmanager.core.actions import CloudAction
from vipmanager.core.failures import Conflict, Failure, Throttled, Transient
from vipmanager.core.report import Done
from vipmanager.core.retry import Bucket, backoff
from vipmanager.core.settings import Rate
from vipmanager.engine.luck import LUCK
from vipmanager.ports import Clock, Cloud, Inbox, Tasks

PARALLEL = 32
"""Calls under way at once."""

ATTEMPTS = 4
"""Tries of one write before it is left to the next pass, which reads first."""

STOPS = 0.2
"""Seconds after which a wave that waits for its calls sees that the program shall end."""

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

    def buckets(self) -> dict[str, Bucket]:
        """Give the bucket of each kind of call that was made."""
        with self._lock:
            return dict(self._buckets)

    def _bucket(self, kind: str) -> Bucket:
        return self._buckets.get(kind) or Bucket.full(self._limit, self._clock.now())


class Fence:
    """Until when writes may be sent; it can be broken before, from any thread."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._broken = False

    def broken(self) -> None:
        """End it now."""
        self._broken = True

    def holds(self, at: float) -> bool:
        """Tell whether a write may be sent then (monotonic seconds)."""
        return at < self._until and not self._broken


class Wave:
    """Writes a list of actions in its order, several at a time."""

    def __init__(
        self, cloud: Cloud, *, pace: Pace, clock: Clock, tasks: Tasks, inbox: Inbox
    ) -> None:
        self._cloud = cloud
        self._pace = pace
        self._clock = clock
        self._tasks = tasks
        self._inbox = inbox

    def run(self, actions: Sequence[CloudAction], fence: Fence | None = None) -> tuple[Done, ...]:
        """Write all of them; give what was tried, in the order in which it ended.

        Args:
            actions: what to write.
            fence: until when; looked at before each call is sent. Default: `LIFETIME`.

        Returns at once when the program is asked to stop: calls under way are left to end
        on their own, with the client's short timeouts.
        """
        todo = deque(actions)
        done: list[Done] = []
        changed = self._tasks.condition()
        fence = fence or Fence(self._clock.now() + LIFETIME)
        running = min(PARALLEL, len(todo))

        def work() -> None:
            nonlocal running
            try:
                while not self._over(fence):
                    with changed:
                        if not todo:
                            return
                        action = todo.popleft()
                    outcome = self._write(action, fence)
                    if outcome is not None:
                        with changed:
                            done.append(outcome)
            finally:
                with changed:
                    running -= 1
                    changed.notify_all()

        workers = [self._tasks.start("wave", work) for _ in range(running)]
        with changed:
            while not changed.wait_for(lambda: not running, STOPS):
                if self._inbox.stopped:
                    return tuple(done)
        for worker in workers:
            worker.result()  # raises what was a bug
        return tuple(done)

    def _over(self, fence: Fence, *, ahead: float = 0.0) -> bool:
        """Tell whether a write that can be made in so many seconds comes too late."""
        return self._inbox.stopped or not fence.holds(self._clock.now() + ahead)

    def _write(self, action: CloudAction, fence: Fence) -> Done | None:
        """Try one write; None if the wave was over before it could be made."""
        kind = type(action).__name__
        failure: Failure | None = None
        started = self._clock.now()
        attempt = 0
        while attempt < ATTEMPTS:
            wait = self._pace.take(kind)
            late = self._over(fence, ahead=wait)
            if not late:
                self._inbox.pause(wait)
                late = self._over(fence)  # stopped, or held up, meanwhile
            if late:
                self._pace.give_back(kind)
                break
            called = self._clock.now()
            try:
                self._cloud.write(action)
            except Throttled as refused:
                failure = refused
                self._pace.throttled(kind)
            except Conflict as conflict:
                return self._done(action, called, conflict)
            except Transient as passing:
                failure = passing
                attempt += 1
                self._inbox.pause(backoff(attempt, LUCK.random()))
            except Failure as lasting:
                return self._done(action, called, lasting)
            else:
                self._pace.accepted(kind)
                return self._done(action, called, None)
        return self._done(action, started, failure) if failure is not None else None

    def _done(self, action: CloudAction, since: float, failure: Failure | None) -> Done:
        return Done(action=action, seconds=self._clock.now() - since, failure=failure)
