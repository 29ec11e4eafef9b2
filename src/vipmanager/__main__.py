"""Start of the program: `vipmanager`, or `python -m vipmanager`."""

import gc
import signal
import sys

# Start-up makes much and drops nothing, so collecting meanwhile is in vain: 40 ms of 340, measured
# with botocore 1.44.5. Whoever lives on switches it on again.
gc.disable()

# A container's first process has no default action for SIGTERM (pid_namespaces(7)): one that came
# before `Lifecycle` takes it would be lost, and the pod would live on for its grace period.
if "run" in sys.argv:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

from vipmanager.cli.main import main  # noqa: E402 - after the line above

if __name__ == "__main__":
    sys.exit(main())
