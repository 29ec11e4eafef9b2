"""The application's health, for the rule that waits for it and the election that acts on it."""

from collections.abc import Callable

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.healthcheck import AppHealth
from vipmanager.core.settings import Settings


class Gate:
    """Says what keeps the pod from taking anything over; open where no check is configured."""

    def __init__(self, settings: Settings) -> None:
        self._listeners: list[Callable[[bool], None]] = []
        self._checks = None
        if settings.health_check is not None:
            from vipmanager.edges.healthcheck import Checks  # noqa: PLC0415 - where it is needed

            self._checks = Checks(
                settings.health_check,
                interval=settings.health_interval,
                rise=settings.health_rise,
                fall=settings.health_fall,
                changed=self._changed,
            )

    @property
    def open(self) -> bool:
        """Whether the application is known to be well."""
        return self._checks is None or self._checks.pulse.health is AppHealth.HEALTHY

    def listen(self, heard: Callable[[bool], None]) -> None:
        """Tell each change of health, on the thread of the checks; before `start`."""
        self._listeners.append(heard)

    def start(self) -> None:
        """Check from now on."""
        if self._checks is not None:
            self._checks.start()

    def __call__(self) -> Finding | None:
        """Give what is wrong now."""
        if self._checks is None or self.open:
            return None
        return find(Condition.UNHEALTHY, "HealthCheck", why=self._checks.pulse.why)

    def _changed(self, health: AppHealth, _why: str) -> None:
        for heard in self._listeners:
            heard(health is AppHealth.HEALTHY)
