"""What goes wrong between a client and any API of the lab: slowness, planned faults, partitions."""

import enum
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from vipmanager_lab.latency import Even, Latency

F = TypeVar("F")
T = TypeVar("T")


class TokenBucket:
    """A throttle: `burst` calls at once, then `refill` a second."""

    def __init__(self, burst: float, refill: float, now: float) -> None:
        self._burst, self._refill = burst, refill
        self._tokens, self._at = burst, now

    def take(self, now: float) -> bool:
        """Spend a token at the monotonic time `now`; False means throttled."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._refill)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Hold the call, unapplied, until `release_hangs()` or for `seconds`; then go on as usual.

    A client that gave up meanwhile has a write in flight that still lands.
    """

    seconds: float | None = None


class Break(enum.Enum):
    """An answer that does not arrive whole."""

    RESET = "reset"
    """The connection is reset before anything is applied."""
    LOST = "lost"
    """The call is applied, then the connection is reset without an answer."""
    TRUNCATED = "truncated"
    """The call is applied, then the connection closes halfway through the answer."""


class Unreachable(enum.Enum):
    """How an endpoint that cannot be reached behaves."""

    CLOSES = "closes"
    """It accepts connections and closes them."""
    SILENT = "silent"
    """It accepts connections and never answers; nothing is applied."""


@dataclass(slots=True, kw_only=True)
class _Planned(Generic[F]):
    action: str | None
    fault: F
    after: int
    times: int


class NetworkFaults(Generic[F]):
    """Everything that can be set to go wrong, at any moment and from any thread.

    Args:
        seed: makes the latencies repeatable.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._changed = threading.Condition()
        self._random = random.Random(seed)  # noqa: S311 repeatable on purpose
        self._hanging = 0
        self._releases = 0
        self._reset()

    def _reset(self) -> None:
        self._latency = Even(0.0, 0.0)
        self._pace: Mapping[str, Latency] = {}
        self._planned: list[_Planned[F]] = []
        self._unreachable: Unreachable | None = None
        self._partitions: dict[str, Unreachable] = {}
        self._releases += 1

    def clear(self) -> None:
        """Back to an endpoint without faults; calls that hang go on."""
        with self._changed:
            self._reset()
            self._changed.notify_all()

    # Slowness

    @property
    def latency(self) -> float:
        """Seconds added to every call, half before it is applied and half after."""
        return self._latency.least

    @latency.setter
    def latency(self, seconds: float) -> None:
        with self._changed:
            self._latency = Even(seconds, seconds + self.jitter)

    @property
    def jitter(self) -> float:
        """Up to this many seconds more, evenly distributed."""
        return self._latency.most - self._latency.least

    @jitter.setter
    def jitter(self, seconds: float) -> None:
        with self._changed:
            self._latency = Even(self.latency, self.latency + seconds)

    @property
    def pace(self) -> Mapping[str, Latency]:
        """Latencies by action, with `*` and `?`: the first that matches, instead of `latency`."""
        return self._pace

    @pace.setter
    def pace(self, pace: Mapping[str, Latency]) -> None:
        with self._changed:
            self._pace = dict(pace)

    def delay(self, action: str) -> float:
        """Draw the seconds that the next call takes."""
        with self._changed:
            found = (one for name, one in self._pace.items() if fnmatchcase(action, name))
            return next(found, self._latency).draw(self._random)

    # Planned faults

    def inject(self, action: str | None, fault: F, *, times: int = 1, after: int = 0) -> None:
        """Strike the next `times` calls of an action (None: any), after letting some pass.

        `*` and `?` in the action match as in file names.
        """
        with self._changed:
            self._planned.append(_Planned(action=action, fault=fault, after=after, times=times))

    def strike(self, action: str) -> F | None:
        """The fault planned for this call, which uses it up."""
        with self._changed:
            for plan in self._planned:
                if plan.action is not None and not fnmatchcase(action, plan.action):
                    continue
                if plan.after > 0:
                    plan.after -= 1
                    continue
                plan.times -= 1
                if plan.times == 0:
                    self._planned.remove(plan)
                return plan.fault
        return None

    # Hangs and partitions

    @property
    def unreachable(self) -> Unreachable | None:
        """Whether the endpoint is cut off, and how that looks."""
        return self._unreachable

    @unreachable.setter
    def unreachable(self, how: Unreachable | None) -> None:
        with self._changed:
            self._unreachable = how
            self._changed.notify_all()

    def partition(self, source: str, how: Unreachable | None = Unreachable.SILENT) -> None:
        """Cut off whoever calls from this address; None heals it."""
        with self._changed:
            self._partitions.pop(source, None)
            if how is not None:
                self._partitions[source] = how
            self._changed.notify_all()

    def cut(self, source: str) -> Unreachable | None:
        """Whether and how this address is cut off at the moment."""
        return self._partitions.get(source) or self._unreachable

    def release_hangs(self) -> None:
        """Let every call that hangs go on."""
        with self._changed:
            self._releases += 1
            self._changed.notify_all()

    def wake(self) -> None:
        """Make waiting calls look again whether their endpoint is closed."""
        with self._changed:
            self._changed.notify_all()

    def hang(self, fault: Hang, closed: Callable[[], bool]) -> None:
        """Wait out a hang, at most until the endpoint closes."""
        with self._changed:
            mine = self._releases
            self._hanging += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._releases != mine or closed(), fault.seconds)
            self._hanging -= 1

    def await_hang(self, calls: int = 1, *, seconds: float = 20.0) -> None:
        """Wait until so many calls hang.

        Raises:
            TimeoutError: they did not.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._hanging >= calls, seconds):
                raise TimeoutError(f"{self._hanging} of {calls} calls hang after {seconds} s")

    def lost(self, source: str, closing: threading.Event) -> bool:
        """Whether a message is lost in a partition; a silent one keeps its sender waiting."""
        how = self.cut(source)
        if how is Unreachable.SILENT:
            with self._changed:
                self._changed.wait_for(
                    lambda: self.cut(source) is not Unreachable.SILENT or closing.is_set()
                )
        return how is not None

    def carry(
        self,
        source: str,
        answer: Callable[[], T],
        *,
        action: str,
        nothing: T,
        closing: threading.Event,
    ) -> T:
        """Bring a call through the network and its answer back, or give `nothing`."""
        delay = self.delay(action)
        if delay:
            closing.wait(delay / 2)
        if self.lost(source, closing):
            return nothing
        result = answer()
        if delay:
            closing.wait(delay / 2)
        # A partition can begin between the write and its answer.
        return nothing if self.lost(source, closing) else result
