"""The two lives of the agent: until it is right, or for as long as the pod lives."""

from enum import Enum

from vipmanager.core.report import Report
from vipmanager.core.schedule import next_look
from vipmanager.core.settings import Settings
from vipmanager.engine.luck import LUCK
from vipmanager.engine.passes import NETLINK, Passes
from vipmanager.ports import Clock, Inbox, Reporter


class Ending(Enum):
    """Why a life ended."""

    CONVERGED = "everything was right when read back"
    LASTING = "what is left needs a person"
    DEADLINE = "the deadline passed"
    STOPPED = "asked to stop"


class Loop:
    """Runs passes until its life ends."""

    def __init__(
        self,
        settings: Settings,
        *,
        passes: Passes,
        inbox: Inbox,
        clock: Clock,
        reporter: Reporter,
    ) -> None:
        self._settings = settings
        self._passes = passes
        self._inbox = inbox
        self._clock = clock
        self._reporter = reporter

    def init(self) -> tuple[Ending, Report]:
        """Converge, verify by a second reading, end."""
        limit = self._settings.init_timeout
        deadline = self._clock.now() + limit if limit else float("inf")
        attempt = 0
        reasons: tuple[str, ...] = ("start",)
        while True:
            report = self._pass(reasons)
            if report.clean:
                return Ending.CONVERGED, report
            if report.settled or _hopeless(report):
                return Ending.LASTING, report
            if self._inbox.stopped:
                return Ending.STOPPED, report
            left = deadline - self._clock.now()
            if left <= 0:
                return Ending.DEADLINE, report
            attempt = 0 if report.changed else attempt + 1
            reasons = self._rest(min(self._delay(report, attempt), left))

    def sidecar(self) -> Ending:
        """Keep everything right until asked to stop."""
        attempt = 0
        reasons: tuple[str, ...] = ("start",)
        while not self._inbox.stopped:
            report = self._pass(reasons)
            attempt = 0 if report.changed or report.clean else attempt + 1
            reasons = self._rest(self._delay(report, attempt))
        return Ending.STOPPED

    def _pass(self, reasons: tuple[str, ...]) -> Report:
        report = self._passes.run(reasons)
        self._reporter.report(report)
        return report

    def _delay(self, report: Report, attempt: int) -> float:
        luck = LUCK.random()
        return next_look(report, attempt=attempt, luck=luck, resync=self._settings.resync)

    def _rest(self, seconds: float) -> tuple[str, ...]:
        """Sleep until time is over, or something else than our own echo arrives."""
        end = self._clock.now() + seconds
        while True:
            reasons = self._inbox.wait(max(0.0, end - self._clock.now()))
            if not reasons:
                return ("read back",) if seconds == 0 else ("resync",)
            if reasons != (NETLINK,) or self._passes.stirred():
                return reasons


def _hopeless(report: Report) -> bool:
    """Tell whether the worlds could not even be read, for a lasting reason."""
    return not report.observed and not report.waiting
