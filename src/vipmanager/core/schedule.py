"""When to look again."""

from vipmanager.core.findings import Kind
from vipmanager.core.report import Report
from vipmanager.core.retry import backoff


def next_look(report: Report, *, attempt: int, luck: float, resync: float) -> float:
    """Give the seconds until the next pass, if nothing wakes the loop before.

    Args:
        report: of the pass that ended.
        attempt: passes in a row that changed nothing and were not clean.
        luck: 0..1, drawn by the caller.
        resync: seconds between readings when all is well; spread by a quarter either way, so
            that many pods do not read in step.
    """
    if report.changed:
        return 0.0  # read back
    delay = resync * (0.75 + 0.5 * luck)
    passing = [f for f in report.of_kind(Kind.WAITING) if not f.condition.timed]
    if passing or not report.observed:
        delay = min(delay, backoff(attempt, luck))
    return delay if report.recheck is None else min(delay, report.recheck)
