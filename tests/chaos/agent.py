"""The agent's command line, able to sleep under libfaketime: `agent.py run ...`."""

import select
import sys
import time

from vipmanager.cli.main import main


def _sleep(seconds: float, /) -> None:
    """Sleep as `time.sleep` does.

    libfaketime 0.9.10 breaks `clock_nanosleep` with an absolute time on a monotonic clock that
    it leaves alone (EINVAL), which is how Python sleeps.
    """
    select.select([], [], [], seconds)


if __name__ == "__main__":
    time.sleep = _sleep  # type: ignore[assignment]
    sys.exit(main(sys.argv[1:]))
