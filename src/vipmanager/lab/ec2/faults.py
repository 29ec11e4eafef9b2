"""What goes wrong between the agent and EC2: latency, throttling, refusals, broken answers."""

import enum
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from vipmanager.lab.ec2.errors import ApiError, throttled
from vipmanager.lab.ec2.query import Parameters

UNFILTERED: Final = "DescribeNetworkInterfaces unfiltered"
"""The bucket of a DescribeNetworkInterfaces call without filters, ids or pages."""

EC2_BUCKETS: Final[Mapping[str, tuple[float, float]]] = {
    # action: (burst, refill per second), "Request throttling for the Amazon EC2 API".
    # Non-mutating actions.
    "DescribeRouteTables": (100, 20),
    "DescribeSubnets": (100, 20),
    "DescribeVpcs": (100, 20),
    "DescribeInstances": (100, 20),
    "DescribeNetworkInterfaces": (100, 20),
    # Unfiltered and unpaginated calls have a smaller bucket.
    UNFILTERED: (50, 10),
    # In no special list, so plain mutating actions; each has its own bucket.
    "CreateRoute": (50, 5),
    "ReplaceRoute": (50, 5),
    "DeleteRoute": (50, 5),
    # Actions with numbers of their own.
    "ModifyNetworkInterfaceAttribute": (100, 5),
    "CreateNetworkInterface": (100, 5),
    "AssignPrivateIpAddresses": (100, 5),
    "AssignIpv6Addresses": (100, 5),
    "CreateTags": (100, 10),
    "DeleteTags": (100, 10),
    "RunInstances": (5, 2),
    "TerminateInstances": (100, 5),
}


class TokenBucket:
    """EC2's throttle: `burst` calls at once, then `refill` a second."""

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
class Fail:
    """Refuse the call; nothing is applied."""

    code: str
    status: int
    message: str


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


@dataclass(frozen=True, slots=True)
class Forget:
    """Answer a route write with success, and apply nothing.

    Whoever reads afterwards sees what a write leaves that somebody else undid at once.
    """


Fault = Fail | Hang | Break | Forget


class Unreachable(enum.Enum):
    """How an endpoint that cannot be reached behaves."""

    CLOSES = "closes"
    """It accepts connections and closes them."""
    SILENT = "silent"
    """It accepts connections and never answers; nothing is applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """Describes answer as it was `seconds`, or `writes` changes, ago."""

    seconds: float = 0.0
    writes: int = 0


@dataclass(slots=True, kw_only=True)
class _Planned:
    action: str | None
    fault: Fault
    after: int
    times: int


class Faults:
    """Everything that can be set to go wrong, at any moment and from any thread.

    Args:
        seed: makes the jitter repeatable.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._changed = threading.Condition()
        self._random = random.Random(seed)  # noqa: S311 repeatable on purpose
        self._hanging = 0
        self._reset()

    def _reset(self) -> None:
        self._latency = (0.0, 0.0)
        self._buckets: dict[str, TokenBucket] = {}
        self._planned: list[_Planned] = []
        self._denied: set[tuple[str, str | None]] = set()
        self._unreachable: Unreachable | None = None
        self._staleness: Staleness | None = None
        self._releases = getattr(self, "_releases", 0) + 1

    def clear(self) -> None:
        """Back to an endpoint without faults; calls that hang go on."""
        with self._changed:
            self._reset()
            self._changed.notify_all()

    # Slowness

    @property
    def latency(self) -> float:
        """Seconds added to every call, half before it is applied and half after."""
        return self._latency[0]

    @latency.setter
    def latency(self, seconds: float) -> None:
        with self._changed:
            self._latency = (seconds, self._latency[1])

    @property
    def jitter(self) -> float:
        """Up to this many seconds more, evenly distributed."""
        return self._latency[1]

    @jitter.setter
    def jitter(self, seconds: float) -> None:
        with self._changed:
            self._latency = (self._latency[0], seconds)

    def delay(self) -> float:
        """The latency of the next call."""
        with self._changed:
            base, jitter = self._latency
            return base + (self._random.uniform(0, jitter) if jitter else 0.0)

    # Throttling

    def throttle(self, action: str, burst: float, refill: float) -> None:
        """Give an action a full bucket of `burst` calls that gains `refill` a second."""
        with self._changed:
            self._buckets[action] = TokenBucket(burst, refill, time.monotonic())

    def ec2_buckets(self) -> None:
        """EC2's own buckets, full."""
        for action, (burst, refill) in EC2_BUCKETS.items():
            self.throttle(action, burst, refill)

    def spend(self, action: str, parameters: Parameters) -> None:
        """Take a token for a call.

        Raises:
            ApiError: RequestLimitExceeded.
        """
        name = action
        if action == "DescribeNetworkInterfaces" and not _narrow(parameters):
            name = UNFILTERED
        with self._changed:
            bucket = self._buckets.get(name) or self._buckets.get(action)
            if bucket is not None and not bucket.take(time.monotonic()):
                raise throttled()

    # One-shot faults

    def inject(self, action: str | None, fault: Fault, *, times: int = 1, after: int = 0) -> None:
        """Strike the next `times` calls of an action (None: any), after letting some pass."""
        with self._changed:
            self._planned.append(_Planned(action=action, fault=fault, after=after, times=times))

    def fail_next(
        self,
        action: str | None,
        code: str,
        status: int = HTTPStatus.BAD_REQUEST,
        *,
        message: str = "A fault of the lab.",
        times: int = 1,
        after: int = 0,
    ) -> None:
        """Refuse the next `times` calls of an action with an error code and HTTP status."""
        fault = Fail(code=code, status=int(status), message=message)
        self.inject(action, fault, times=times, after=after)

    def strike(self, action: str) -> Fault | None:
        """The fault planned for this call, which uses it up."""
        with self._changed:
            for plan in self._planned:
                if plan.action not in {None, action}:
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

    def stay_silent(self, closed: Callable[[], bool]) -> None:
        """Wait until the endpoint is not silent any more, or closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._unreachable is not Unreachable.SILENT or closed())

    # Stale reads and permissions

    def stale_reads(self, *, seconds: float = 0.0, count: int = 0) -> None:
        """Let describes answer as it was that long, or that many changes, ago; 0 and 0 end it."""
        with self._changed:
            stale = Staleness(seconds=seconds, writes=count)
            self._staleness = stale if seconds or count else None

    @property
    def staleness(self) -> Staleness | None:
        """How far behind describes are."""
        return self._staleness

    def deny(self, action: str, resource_id: str | None = None) -> None:
        """Take away the permission for an action, on one resource or on all."""
        with self._changed:
            self._denied.add((action, resource_id))

    def allow(self, action: str, resource_id: str | None = None) -> None:
        """Give back what `deny` took away."""
        with self._changed:
            self._denied.discard((action, resource_id))

    def denied(self, action: str, resource_id: str | None) -> bool:
        """Whether a call is not permitted."""
        with self._changed:
            return not self._denied.isdisjoint({(action, None), (action, resource_id)})


def refusal(fault: Fail) -> ApiError:
    """A planned failure as the error to answer with."""
    return ApiError(fault.code, fault.message, fault.status)


def _narrow(parameters: Parameters) -> bool:
    return any(
        name.startswith(("Filter.", "NetworkInterfaceId.")) or name in {"MaxResults", "NextToken"}
        for name in parameters
    )
