"""The two lives of the agent: until it is right, or for as long as the pod lives."""

from enum import Enum

from vipmanager.core.report import Report
from vipmanager.core.retry import Bucket
from vipmanager.core.schedule import Noise, Share, next_look
from vipmanager.core.settings import Rate, Settings
from vipmanager.engine.jitter import JITTER
from vipmanager.engine.reconciler import NETLINK, Reconciler
from vipmanager.ports import Clock, Inbox, Reporter

READ_BACK = 3
"""Readings that fail in a row until a pod whose routes are written does not wait for one."""

WAKES = Rate(burst=10, refill=0.2)
"""Passes for changes in the pod, then a second: an attachment makes a few, a program that fights
over one of our routes would make twenty a second."""


class Ending(Enum):
    """Why a life ended."""

    CONVERGED = "everything was right when read back"
    UNVERIFIED = "everything was written, and EC2 can't be read to verify it"
    DRY_RUN = "what would be done is said"
    LASTING = "what is left needs a person"
    DEADLINE = "the deadline passed"
    STOPPED = "asked to stop"


class Loop:
    """Runs passes until its life ends."""

    def __init__(
        self,
        settings: Settings,
        *,
        reconciler: Reconciler,
        inbox: Inbox,
        clock: Clock,
        reporter: Reporter,
    ) -> None:
        self._settings = settings
        self._reconciler = reconciler
        self._inbox = inbox
        self._clock = clock
        self._reporter = reporter
        self._share = Share()
        self._noise = Noise()
        self._wakes = Bucket.full(WAKES, clock.now())
        self._due = clock.now()
        """When a pass reads the cloud again, if nothing wakes the loop before."""

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
            patient = attempt < READ_BACK
            if report.unverified and not patient:
                return Ending.UNVERIFIED, report
            if self._settings.dry_run and not (report.waiting and patient):
                return Ending.DRY_RUN, report  # it must not hold the pod up
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
            if not report.upkeep:
                attempt = 0 if report.changed or report.clean else attempt + 1
                self._due = self._clock.now() + self._delay(report, attempt)
            reasons = self._rest(max(0.0, self._due - self._clock.now()))
        return Ending.STOPPED

    def _pass(self, reasons: tuple[str, ...]) -> Report:
        report = self._reconciler.run(reasons)
        self._reporter.report(report)
        self._share = self._share.after(report)
        return report

    def _delay(self, report: Report, attempt: int) -> float:
        jitter = JITTER.random()
        resync = self._settings.resync
        return next_look(report, attempt=attempt, jitter=jitter, resync=resync, share=self._share)

    def _rest(self, seconds: float) -> tuple[str, ...]:
        """Sleep until time is over, or something that concerns us arrives."""
        end = self._clock.now() + seconds
        while True:
            reasons = self._inbox.wait(max(0.0, end - self._clock.now()))
            if not reasons:
                return ("read back",) if seconds == 0 else ("resync",)
            if reasons == (NETLINK,):
                reasons = self._heed(end)
            if reasons:
                return reasons

    def _heed(self, end: float) -> tuple[str, ...]:
        """Look whether a change in the pod concerns us; give the reasons of a pass, if one is due.

        Looks have pauses between them that grow while they find nothing, and so have passes while
        they find something again and again: a program that changes routes many times a second
        costs little of the processor, and of EC2's bucket.
        """
        now = self._clock.now()
        self._noise = self._noise.calmed(now)
        reasons = self._wait(self._noise.look - now, end)
        if reasons:
            return reasons
        if not self._reconciler.kernel_changed():
            self._noise = self._noise.after_look(self._clock.now())
            return ()
        self._wakes, pause = self._wakes.take(self._clock.now())
        return (NETLINK, *self._wait(pause, end))

    def _wait(self, seconds: float, end: float) -> tuple[str, ...]:
        """Sleep, whatever happens in the pod; give what ended it early."""
        left = min(seconds, end - self._clock.now())
        if left <= 0:
            return ()
        return tuple(r for r in self._inbox.wait(left, but=NETLINK) if r != NETLINK)


def _hopeless(report: Report) -> bool:
    """Tell whether the pod, IMDS or EC2 could not even be read, for a lasting reason."""
    return not report.observed and not report.waiting
