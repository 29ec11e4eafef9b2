"""Work beside the loop that nobody waits for: a bug in it ends the agent, and is not lost."""

from collections.abc import Callable


def ends_on_a_bug(
    work: Callable[[], None], failed: Callable[[Exception], None]
) -> Callable[[], None]:
    """Give the same work, whose bug is told.

    Args:
        work: handles every `Failure` itself.
        failed: takes what it raises all the same.
    """

    def run() -> None:
        try:
            work()
        except Exception as bug:  # noqa: BLE001 - whatever it is, it has to end the agent
            failed(bug)

    return run
