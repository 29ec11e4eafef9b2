"""Runs checks in parallel: each as soon as those before it are done."""

import queue
import threading
import time
from collections.abc import Sequence

from vipmanager.core.failures import Failure
from vipmanager.doctor.check import Check, Issue, Result, Seen, Severity
from vipmanager.doctor.readings import Readings

PATIENCE = 20.0
"""Seconds for one check; the calls that it makes end sooner by themselves."""

NOT_IN_A_POD = "not in a pod"


def examine(
    checks: Sequence[Check], readings: Readings, *, patience: float = PATIENCE
) -> tuple[Result, ...]:
    """Make all checks; give the results in the order of the checks.

    A check whose `after` failed is skipped, and named is the one at the root.
    """
    ended: queue.SimpleQueue[tuple[Check, Seen | Exception]] = queue.SimpleQueue()
    results: dict[str, Result] = {}
    deadlines: dict[str, float] = {}
    by_code = {c.code: c for c in checks}
    while len(results) < len(checks):
        for check in checks:
            if check.code in deadlines or not set(check.after) <= set(results):
                continue
            deadlines[check.code] = time.monotonic() + patience
            skipped = _skipped(check, results, readings)
            if skipped:
                results[check.code] = Result(check=check, skipped=skipped)
                continue
            # A daemon: a call that hangs must not hold the process up.
            arguments = (check, readings, ended)
            threading.Thread(target=_make, args=arguments, name=check.code, daemon=True).start()
        under_way = {c: d for c, d in deadlines.items() if c not in results}
        if not under_way:
            continue
        try:
            left = min(under_way.values()) - time.monotonic()
            check, seen = ended.get(timeout=max(left, 0.0))
        except queue.Empty:
            check = by_code[min(under_way, key=lambda code: under_way[code])]
            seen = Failure(f"no result after {patience:.0f} s", "look at what the others say")
        results.setdefault(check.code, Result(check=check, seen=_result(seen)))
    return tuple(results[c.code] for c in checks)


def _make(
    check: Check,
    readings: Readings,
    ended: "queue.SimpleQueue[tuple[Check, Seen | Exception]]",
) -> None:
    try:
        ended.put((check, check.examine(readings)))
    except Exception as error:  # noqa: BLE001 - raised again where the results are collected
        ended.put((check, error))


def _result(seen: Seen | Exception) -> Seen:
    if isinstance(seen, Failure):
        failed = Issue(severity=Severity.ERROR, what=seen.what, fix=seen.hint)
        return Seen(issues=(failed,))
    if isinstance(seen, Exception):
        raise seen
    return seen


def _skipped(check: Check, results: dict[str, Result], readings: Readings) -> str:
    if check.pod and not readings.pod:
        return NOT_IN_A_POD
    idle = check.idle(readings)
    if idle:
        return idle
    for code in check.after:
        before = results[code]
        if before.failed:
            return f"{code} failed"
        if before.skipped and before.skipped != NOT_IN_A_POD:
            return before.skipped
    return ""
