"""When to look again."""

from dataclasses import dataclass

from vipmanager.core.findings import Kind
from vipmanager.core.report import Report
from vipmanager.core.retry import backoff

LESS, MORE, LEAST = 0.7, 0.001, 1 / 16
"""What is left of an agent's share after a refusal, what it takes back with each reading, and what
it always keeps.

Many agents share EC2's bucket. A part of the share is given up at each refusal and a little taken
back at each success, as TCP does it: all end with the same, and few are refused. Among 700 agents
at rest 0.8 % of the readings are (0.001 in the mean for each loss of 0.3 of a share of 0.43).
"""


SOON = 4
"""Readings that are tried again soon after one that failed: a connection may be dead."""


@dataclass(frozen=True, slots=True)
class Share:
    """How often an agent with nothing wrong reads EC2: a share of once in `ResyncSeconds`."""

    left: float = 1.0
    """0..1."""

    def after(self, report: Report) -> "Share":
        """Give the share after one more report."""
        if report.unverified and report.throttled:
            return Share(max(LEAST, self.left * LESS))
        return Share(min(1.0, self.left + MORE)) if report.whole and report.fresh else self


FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5
"""Seconds between two looks at the pod that find nothing of ours changed; one takes 5 ms."""
CALM = 2.0
"""Seconds without such a look after which the next change is looked at as at first."""


@dataclass(frozen=True, slots=True)
class Noise:
    """How much happens in the pod that does not concern us."""

    look: float = float("-inf")
    """When to look next, monotonic seconds."""
    pause: float = 0.0

    def after_look(self, now: float) -> "Noise":
        """Give it after a look that found nothing."""
        pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self.pause))
        return Noise(look=now + pause, pause=pause)

    def calmed(self, now: float) -> "Noise":
        """Give it at the next change."""
        return Noise() if now >= self.look + CALM else self


def next_look(
    report: Report, *, attempt: int, jitter: float, resync: float, share: Share = Share()
) -> float:
    """Give the seconds until the next pass, if nothing wakes the loop before.

    Args:
        report: of the pass that ended.
        attempt: passes in a row that changed nothing and were not clean.
        jitter: 0..1, drawn by the caller.
        resync: seconds between readings when all is well; spread by a quarter either way, so
            that many pods do not read in step.
        share: of the readings that EC2 bears.
    """
    if report.changed:
        return 0.0  # read back
    delay = resync * (0.75 + 0.5 * jitter) / share.left
    if report.unverified and (report.throttled or attempt > SOON):
        return delay  # nothing is known to be wrong: EC2 is not asked more often than at rest
    passing = [f for f in report.of_kind(Kind.WAITING) if not f.condition.value.timed]
    if passing or not report.observed:
        delay = min(delay, backoff(attempt, jitter))
    return delay if report.recheck is None else min(delay, report.recheck)
