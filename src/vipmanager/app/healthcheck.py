"""The application's health check, as the settings ask for it."""

from collections.abc import Callable

from vipmanager.core.settings import Settings
from vipmanager.engine.checks import Checks
from vipmanager.ports import Clock, Tasks


def checks(
    settings: Settings, clock: Clock, tasks: Tasks, failed: Callable[[Exception], None]
) -> Checks | None:
    """Give the checks, not started yet; None where none is configured.

    Args:
        settings: what the operator asked for.
        clock: monotonic time.
        tasks: where the checks run.
        failed: takes a bug, which has ended the checks.
    """
    check = settings.health_check
    if check is None:
        return None
    from vipmanager.edges.healthcheck import examine  # noqa: PLC0415 - where it is needed

    return Checks(
        lambda timeout: examine(check, timeout=timeout),
        interval=settings.health_interval,
        rise=settings.health_rise,
        fall=settings.health_fall,
        clock=clock,
        tasks=tasks,
        failed=failed,
    )
