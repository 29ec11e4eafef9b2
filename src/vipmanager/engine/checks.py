"""The application's health: asked again and again, and what it keeps this pod from doing."""

from collections.abc import Callable

from vipmanager.core.failures import Failure
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.healthcheck import SLOWEST, AppHealth, HealthState
from vipmanager.engine.beside import ends_on_a_bug
from vipmanager.ports import Clock, Tasks

Changed = Callable[[AppHealth, str], None]


class Checks:
    """Makes one check again and again, and tells what the results amount to."""

    def __init__(
        self,
        examine: Callable[[float], None],
        *,
        interval: float,
        rise: int,
        fall: int,
        clock: Clock,
        tasks: Tasks,
        failed: Callable[[Exception], None],
    ) -> None:
        """Check nothing yet.

        Args:
            examine: makes one check within so many seconds; raises `Failure` where it fails.
            interval: seconds from one check's beginning to the next one's; also how long a check
                may take, up to `SLOWEST`.
            rise: passed checks in a row that make it healthy.
            fall: failed checks in a row that make it unhealthy.
            clock: monotonic time.
            tasks: where the checks run, beside everything else.
            failed: takes a bug, which has ended the checks.
        """
        self._examine = examine
        self._interval = interval
        self._rise, self._fall = rise, fall
        self._clock, self._tasks, self._failed = clock, tasks, failed
        self._changed: list[Changed] = []
        self._closing = tasks.condition()
        self._closed = False
        self.pulse = HealthState()
        """The state after the last check."""

    def listen(self, changed: Changed) -> None:
        """Tell each change of health and its reason, where the checks run; before `start`."""
        self._changed.append(changed)

    def start(self) -> None:
        """Check at once, and then regularly until `close`."""
        self._tasks.start("health", ends_on_a_bug(self._live, self._failed))

    def close(self) -> None:
        """Begin no further check, and tell nothing more."""
        with self._closing:
            self._closed = True
            self._closing.notify_all()

    def check(self) -> None:
        """Make one check, and tell what it changed."""
        pulse = self._look()
        if self._closed:
            return
        before, self.pulse = self.pulse, pulse
        if pulse.health is not before.health:
            for changed in self._changed:
                changed(pulse.health, pulse.why)

    def _live(self) -> None:
        while not self._closed:
            began = self._clock.now()
            self.check()
            left = began + self._interval - self._clock.now()
            with self._closing:
                self._closing.wait_for(lambda: self._closed, max(0.0, left))

    def _look(self) -> HealthState:
        try:
            self._examine(min(self._interval, SLOWEST))
        except Failure as failure:
            return self.pulse.failed(str(failure), fall=self._fall)
        return self.pulse.passed(rise=self._rise)


class Gate:
    """Says what keeps the pod from taking anything over; open where no check is configured."""

    def __init__(self, checks: Checks | None = None) -> None:
        self._checks = checks

    @property
    def open(self) -> bool:
        """Whether the application is known to be well."""
        return self._checks is None or self._checks.pulse.health is AppHealth.HEALTHY

    def listen(self, heard: Callable[[bool], None]) -> None:
        """Tell each change of health, where the checks run; before `start`."""
        if self._checks is not None:
            self._checks.listen(lambda health, _why: heard(health is AppHealth.HEALTHY))

    def start(self) -> None:
        """Check from now on."""
        if self._checks is not None:
            self._checks.start()

    def look(self) -> None:
        """Make one check now, for a program that makes no others."""
        if self._checks is not None:
            self._checks.check()

    def __call__(self) -> Finding | None:
        """Give what is wrong now."""
        if self._checks is None or self.open:
            return None
        return find(Condition.UNHEALTHY, "HealthCheck", why=self._checks.pulse.why)
