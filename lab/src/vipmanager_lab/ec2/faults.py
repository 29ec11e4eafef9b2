"""What goes wrong between the agent and EC2: latency, throttling, refusals, broken answers."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

from vipmanager_lab.ec2.errors import ApiError, throttled
from vipmanager_lab.ec2.query import Parameters
from vipmanager_lab.faults import Break, Hang, NetworkFaults, TokenBucket, Unreachable

__all__ = ["Break", "Fail", "Faults", "Forget", "Hang", "TokenBucket", "Unreachable"]

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
    "DescribeManagedPrefixLists": (100, 20),
    # Unfiltered and unpaginated calls have a smaller bucket.
    UNFILTERED: (50, 10),
    # In no special list, so plain mutating actions; each has its own bucket.
    "CreateRoute": (50, 5),
    "ReplaceRoute": (50, 5),
    "DeleteRoute": (50, 5),
    "CreateRouteTable": (50, 5),
    "DeleteRouteTable": (50, 5),
    # Not listed either: GUESS that they are plain mutating actions too.
    "CreateManagedPrefixList": (50, 5),
    "ModifyManagedPrefixList": (50, 5),
    "DeleteManagedPrefixList": (50, 5),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Refuse the call; nothing is applied."""

    code: str
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Answer a route write with success, and apply nothing.

    Whoever reads afterwards sees what a write leaves that somebody else undid at once.
    """


Fault = Fail | Hang | Break | Forget
Impairment = Literal["fail", "throttle", "hang"]
"""How describes end in a Region that loses a zone: InternalError, RequestLimitExceeded, never.

Source: AWS's own account of me-central-1, March 2026, and cilium#45686, karpenter-provider-aws
PR#9031: errors and throttling for hours, and calls that hang.
"""
IMPAIRED_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """Describes answer as it was `seconds`, or `writes` changes, ago."""

    seconds: float = 0.0
    writes: int = 0


class Faults(NetworkFaults[Fault]):
    """What the network does, and what EC2 does: throttling, refusals, stale reads."""

    def _reset(self) -> None:
        super()._reset()
        self._buckets: dict[str, TokenBucket] = {}
        self._denied: set[tuple[str, str | None]] = set()
        self._staleness: Staleness | None = None
        self._impaired: tuple[Impairment, float] | None = None

    # Throttling

    def throttle(self, action: str, burst: float, refill: float) -> None:
        """Give an action a full bucket of `burst` calls that gains `refill` a second."""
        with self._changed:
            self._buckets[action] = TokenBucket(burst, refill, time.monotonic())

    def ec2_buckets(self) -> None:
        """EC2's own buckets, full."""
        for action, (burst, refill) in EC2_BUCKETS.items():
            self.throttle(action, burst, refill)

    def unthrottle(self) -> None:
        """Let every call through again."""
        with self._changed:
            self._buckets.clear()

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

    def impair(self, how: Impairment | None, *, seconds: float = IMPAIRED_SECONDS) -> None:
        """Let every describe end so, for so long; route writes work. None ends it."""
        with self._changed:
            self._impaired = (how, time.monotonic() + seconds) if how else None
        if how is None:
            self.release_hangs()

    def strike(self, action: str) -> Fault | None:
        """The fault planned for this call, which uses it up; else what befalls every describe."""
        planned = super().strike(action)
        if planned is not None or not action.startswith("Describe"):
            return planned
        with self._changed:
            how, until = self._impaired or (None, 0.0)
        left = until - time.monotonic()
        if how is None or left <= 0:
            return None
        match how:
            case "fail":
                text = "An internal error has occurred"
                return Fail(code="InternalError", status=500, message=text)
            case "throttle":
                refused = throttled()
                return Fail(code=refused.code, status=refused.status, message=refused.message)
            case "hang":
                return Hang(seconds=left)

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
