"""Heartbeats that are sealed with another key: found once, told once a minute at most.

Anybody can send them, from as many addresses and as often as he likes; each change of what is told
costs a log line, and a pass.
"""

from dataclasses import dataclass, replace

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.heartbeat import Count

MINUTE = 60.0
"""Seconds for which one sender is told, and for which it is told after the last such datagram."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forged:
    """What is told of them."""

    met: int = 0
    """How many there were."""
    last: float = float("-inf")
    """Monotonic seconds: when the last ones were noticed."""
    address: str = ""
    """Whose are told; empty for none."""
    since: float = float("-inf")

    def after(self, count: Count | None, now: float) -> "Forged":
        """Give it after a look at what the heartbeats met."""
        seen = self
        if count is not None and count.number > self.met:
            seen = replace(self, met=count.number, last=now)
        if count is None or now >= seen.last + MINUTE:
            return replace(seen, address="")
        if self.address and now < self.since + MINUTE:
            return seen
        return replace(seen, address=count.last.rpartition(":")[0], since=now)

    def findings(self) -> tuple[Finding, ...]:
        """Say it."""
        if not self.address:
            return ()
        return (find(Condition.HEARTBEAT_FORGED, "heartbeat", address=self.address),)
