"""What all passes together did: the counts behind /metrics."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from types import MappingProxyType
from typing import TypeVar

from vipmanager.core.actions import (
    CreateRoute,
    DeleteRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
    RouteWrite,
)
from vipmanager.core.election.role import Role
from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled
from vipmanager.core.report import Done, Report

T = TypeVar("T")

PASS_BOUNDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
CALL_BOUNDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
FAILOVER_BOUNDS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of histogram buckets, seconds."""

PASSES = ("clean", "unclean", "unread")
WRITES = tuple(a.__name__ for a in (CreateRoute, ReplaceRoute, DisableSourceDestCheck))
"""The writes of an agent; `cleanup` alone deletes routes."""
RESULTS = ("ok", "throttled", "conflict", "failed", "refused")
"""Labels of counters: each begins at 0, so that its first increase is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Durations by upper bound; the last count is of those above all bounds."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0
    """Seconds, all durations together."""

    @classmethod
    def empty(cls, bounds: tuple[float, ...]) -> "Histogram":
        """Start with nothing."""
        return cls(bounds=bounds, counts=(0,) * (len(bounds) + 1))

    def with_one(self, seconds: float) -> "Histogram":
        """Add a duration."""
        counts = list(self.counts)
        counts[bisect_left(self.bounds, seconds)] += 1
        return replace(self, counts=tuple(counts), total=self.total + seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failover:
    """From the first look that found something wrong to the one that read all of it right."""

    seconds: float
    writes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How far the way back to all right is; it begins with the agent itself."""

    began: float | None
    """Monotonic seconds; None while all is right."""
    writes: int = 0

    def after(self, report: Report, now: float) -> tuple["Recovery", Failover | None]:
        """Give the recovery after one more pass, and the failover that it ended."""
        if not report.observed:
            return self, None
        if report.role in {Role.STANDBY, Role.RELIEVED}:
            return Recovery(began=None), None  # nothing is to be right here
        if report.yields:
            # Nothing is on its way back until somebody claims, or the rival dies.
            return Recovery(began=now), None
        writes = self.writes + sum(d.failure is None and is_write(d) for d in report.done)
        if not report.clean:
            began = now - report.seconds if self.began is None else self.began
            return Recovery(began=began, writes=writes), None
        if self.began is None:
            return self, None
        return Recovery(began=None), Failover(seconds=now - self.began, writes=writes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The counts after some passes."""

    recovery: Recovery
    passes: Mapping[str, int] = field(default_factory=lambda: _zero(PASSES))
    """By outcome: clean, unclean, unread."""
    writes: Mapping[tuple[str, str], int] = field(
        default_factory=lambda: _zero(product(WRITES, RESULTS))
    )
    """By action and result."""
    repairs: int = 0
    good_at: float | None = None
    """Monotonic seconds of the last clean pass."""
    passing: Histogram = field(default_factory=lambda: Histogram.empty(PASS_BOUNDS))
    failovers: Histogram = field(default_factory=lambda: Histogram.empty(FAILOVER_BOUNDS))

    def after(self, report: Report, now: float) -> "Tally":
        """Give the counts after one more pass."""
        recovery, failover = self.recovery.after(report, now)
        ended = "clean" if report.clean else "unclean" if report.observed else "unread"
        moved = failover is not None and failover.writes > 0
        return Tally(
            recovery=recovery,
            passes=_added(self.passes, [ended]),
            writes=_added(self.writes, [_result(d) for d in report.done if is_write(d)]),
            repairs=self.repairs + sum(_is_repair(d) for d in report.done),
            good_at=now if report.clean else self.good_at,
            passing=self.passing.with_one(report.seconds),
            failovers=self.failovers.with_one(failover.seconds)
            if failover is not None and moved
            else self.failovers,
        )


def is_write(done: Done) -> bool:
    """Tell a cloud write from a kernel action."""
    return isinstance(done.action, RouteWrite | DeleteRoute | DisableSourceDestCheck)


def _is_repair(done: Done) -> bool:
    return isinstance(done.action, RouteWrite) and done.action.repair and done.failure is None


def _result(done: Done) -> tuple[str, str]:
    return type(done.action).__name__, outcome(done.failure)


def outcome(failure: Failure | None) -> str:
    """Say in one of `RESULTS` what became of a call."""
    match failure:
        case None:
            return "ok"
        case Throttled():
            return "throttled"
        case Conflict():
            return "conflict"
        case Permanent():
            return "refused"
        case _:
            return "failed"


def _zero(keys: Iterable[T]) -> Mapping[T, int]:
    return MappingProxyType(dict.fromkeys(keys, 0))


def _added(counts: Mapping[T, int], keys: list[T]) -> Mapping[T, int]:
    total = dict(counts)
    for key in keys:
        total[key] = total.get(key, 0) + 1
    return MappingProxyType(total)
