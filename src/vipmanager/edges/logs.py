"""Log lines from reports: one line a change, nothing when nothing changes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO

from vipmanager.core.actions import ReplaceRoute, RouteWrite
from vipmanager.core.findings import Condition, Finding, Kind
from vipmanager.core.progress import Progress
from vipmanager.core.report import Done, Report
from vipmanager.core.tally import Recovery, is_write
from vipmanager.core.text import printable

if TYPE_CHECKING:  # an agent without a Lease starts sooner without it
    from vipmanager.core.role_status import RoleStatus

LONGEST = 16_384
"""Characters of a line: a container's log is split there (containerd, the default of
`max_container_log_line_size`)."""
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_OF_KIND = {
    Kind.SKIPPED: "info",
    Kind.DEGRADED: "warning",
    Kind.ASKED: "info",
    Kind.WAITING: "warning",
    Kind.REFUSED: "error",
    Kind.FAILED: "error",
}


class Log:
    """Writes lines; the only place that knows their form."""

    def __init__(
        self,
        *,
        as_json: bool,
        level: str,
        stream: TextIO | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._as_json = as_json
        self._least = LEVELS[level]
        self._stream = stream if stream is not None else sys.stderr
        self._wall = wall

    def shows(self, level: str) -> bool:
        """Tell whether lines of a level are written."""
        return LEVELS[level] >= self._least

    def line(self, level: str, event: str, text: str, **fields: object) -> None:
        """Write one line, at once.

        Args:
            level: debug, info, warning or error.
            event: a word for machines.
            text: a sentence for people.
            fields: more for machines; shown in JSON only.
        """
        if not self.shows(level):
            return
        text = printable(text, LONGEST)  # a line is one line, whatever a bug's text holds
        wall = datetime.fromtimestamp(self._wall(), UTC)
        at = wall.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if self._as_json:
            entry: dict[str, object] = {"time": at, "level": level, "event": event, "text": text}
            # CLOCK_MONOTONIC is one clock for all processes of a node: durations can be compared.
            entry |= {"monotonic": time.monotonic()} | {k: _plain(v) for k, v in fields.items()}
            line = json.dumps(entry)
        else:
            line = f"{at} {level.upper():<7} {text}"
        self._stream.write(f"{line}\n")  # in one piece: several threads write
        self._stream.flush()


class LogReporter:
    """Says what a pass changed, and each finding once when it comes and once when it goes."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._said: dict[Finding, None] = {}
        self._recovery = Recovery(began=time.monotonic())
        self._aside: tuple[str, ...] = ()

    def report(self, report: Report) -> None:
        """Take one pass's report."""
        for done in report.done if not report.dry_run else ():  # marks in memory
            self._done(done, report)
        self._findings(report)
        if report.whole and report.observed and report.aside != self._aside:
            self._aside = report.aside
            names = ", ".join(report.aside) or "none"
            self._log.line("debug", "aside", f"interfaces left alone: {names}", names=report.aside)
        self._recovery, over = self._recovery.after(report, time.monotonic())
        if over is not None:
            self._log.line(
                "info",
                "converged",
                f"RIGHT: {_count(len(report.floating), 'floating IP')}, "
                f"{_count(len(report.judged), 'route')}, read back after "
                f"{_count(over.writes, 'write')} in {over.seconds:.2f} s",
                writes=over.writes,
                routes=len(report.judged),
                seconds=round(over.seconds, 3),
            )
        self._log.line(
            "debug",
            "pass",
            f"pass {report.number} ({', '.join(report.reasons)}): {len(report.done)} actions, "
            f"{report.seconds * 1000:.0f} ms",
            number=report.number,
            reasons=report.reasons,
            seconds=report.seconds,
        )

    def progress(self, progress: Progress) -> None:
        """Say how far the routes are, while writing them lasts."""
        self._log.line(
            "info",
            "progress",
            str(progress),
            written=progress.written,
            failed=progress.failed,
            total=progress.total,
            left=round(progress.seconds, 1),
        )

    def _done(self, done: Done, report: Report) -> None:
        if done.failure is not None:
            return  # the finding says it, once
        milliseconds = done.seconds * 1000
        self._log.line(
            "info",
            "write" if is_write(done) else "kernel",
            f"{done.action} ({done.action.reason}; {milliseconds:.0f} ms)",
            **_fields(done),
            reasons=report.reasons,
            milliseconds=round(milliseconds, 1),
        )

    def _findings(self, report: Report) -> None:
        if not report.observed:
            # What was found before still stands for all we know.
            new = [f for f in report.findings if f not in self._said]
            self._said.update(dict.fromkeys(report.findings))
        else:
            new = [f for f in report.findings if f not in self._said]
            for gone in [f for f in self._said if f not in report.findings]:
                if gone.kind is not Kind.SKIPPED:
                    self._log.line(
                        "info", "cleared", f"no longer so: {gone.text}", subject=gone.subject
                    )
            self._said = dict.fromkeys(report.findings)
        for finding in new:
            self._log.line(
                _OF_KIND[finding.kind],
                _event(finding),
                str(finding),
                condition=finding.condition.name,
                subject=finding.subject,
            )


def log_role(log: Log, role_status: RoleStatus) -> None:
    """Say a change of role, or that a takeover is complete."""
    generation = role_status.generation.transitions if role_status.generation is not None else None
    if role_status.settled is None:
        log.line(
            "info",
            "role",
            str(role_status),
            role=role_status.role.value,
            cause=role_status.why,
            generation=generation,
        )
        return
    log.line(
        "info",
        "takeover",
        f"every route points here, read back {role_status.settled:.2f} s after the Lease was "
        "asked for",
        cause=role_status.why,
        generation=generation,
        seconds=round(role_status.settled, 3),
    )


def _event(finding: Finding) -> str:
    return "displaced" if finding.condition is Condition.DISPLACED else "finding"


def _fields(done: Done) -> dict[str, object]:
    action = done.action
    if not isinstance(action, RouteWrite):
        return {}
    before = action.before if isinstance(action, ReplaceRoute) else None
    return {
        "table": action.table,
        "destination": action.destination,
        "before": before,
        "after": action.eni,
        "reason": action.reason,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else str(value)
