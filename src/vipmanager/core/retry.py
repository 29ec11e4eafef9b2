"""How often and how fast: back-off with full jitter, and a token bucket that adapts."""

from dataclasses import dataclass, replace

from vipmanager.core.settings import Rate

SLOWEST = 0.5
"""Calls a second below which a throttled bucket does not sink."""

UNHURRIED = 30.0
"""Seconds between two attempts of what nobody waits for, at the most; ten times that where it is
refused."""

CALM = 1.0
"""Seconds that must pass between two reductions: calls already under way tell nothing new."""


def backoff(attempt: int, jitter: float, *, base: float = 0.1, cap: float = 10.0) -> float:
    """Give the seconds to wait before a retry: evenly drawn up to a doubling limit.

    Args:
        attempt: 0 for the first retry.
        jitter: 0..1, drawn by the caller.
        base: the first limit, seconds.
        cap: the last limit, seconds.
    """
    return jitter * min(cap, base * 2.0 ** min(attempt, 30))


def unhurried(attempt: int, chance: float, *, refused: bool) -> float:
    """Give the seconds to wait before a retry of what nobody waits for, such as an Event.

    A refusal is retried slowly, and never given up: an API server that starts refuses everything
    until its RBAC is loaded, and a Role may be granted later.

    Args:
        attempt: 0 for the first retry.
        chance: 0..1, drawn by the caller.
        refused: whether it was refused, and not only unanswered.
    """
    cap = UNHURRIED * (10 if refused else 1)
    return backoff(attempt, 0.5 + chance / 2, base=1.0, cap=cap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """EC2's token bucket as we believe it to be (EC2 "Request throttling").

    Additive increase, multiplicative decrease: the bucket is shared by all pods and tools of
    the account and Region, so what is left of it for us has to be found out.
    """

    limit: Rate
    rate: float
    tokens: float
    at: float
    reduced: float = float("-inf")
    refused: int = 0
    """Calls that EC2 throttled."""

    @classmethod
    def full(cls, limit: Rate, now: float) -> "Bucket":
        """Start with the whole burst."""
        return cls(limit=limit, rate=limit.refill, tokens=float(limit.burst), at=now)

    def take(self, now: float) -> tuple["Bucket", float]:
        """Reserve one call; give the seconds until it may be made."""
        bucket = self._filled(now)
        tokens = bucket.tokens - 1.0
        wait = 0.0 if tokens >= 0 else -tokens / bucket.rate
        return replace(bucket, tokens=tokens), wait

    def returned(self) -> "Bucket":
        """Take back a reservation that was not used."""
        return replace(self, tokens=min(float(self.limit.burst), self.tokens + 1.0))

    def throttled(self, now: float) -> "Bucket":
        """Learn that EC2 refused a call: the bucket is empty, and others draw on it."""
        bucket = replace(self._filled(now), refused=self.refused + 1)
        if now - self.reduced < CALM:
            return bucket
        return replace(
            bucket,
            rate=max(min(SLOWEST, bucket.limit.refill), bucket.rate * 0.7),
            tokens=min(bucket.tokens, 0.0),
            reduced=now,
        )

    def accepted(self) -> "Bucket":
        """Learn that EC2 took a call."""
        return replace(self, rate=min(self.limit.refill, self.rate + self.limit.refill / 20))

    def left(self, now: float) -> float:
        """Give the calls that may be made at once."""
        return max(0.0, self._filled(now).tokens)

    def until(self, calls: int, now: float) -> float:
        """Give the seconds until it has let so many more calls go."""
        return max(0.0, (calls - self._filled(now).tokens) / self.rate)

    def _filled(self, now: float) -> "Bucket":
        grown = self.tokens + max(0.0, now - self.at) * self.rate
        return replace(self, tokens=min(float(self.limit.burst), grown), at=now)
