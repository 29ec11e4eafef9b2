"""How commands enter the lab's sandbox, and what they say where there is none."""

import sys
from collections.abc import Callable

from vipmanager_lab import sandbox
from vipmanager_lab.kubernetes.assets import AssetsError, ProcessError

_STOPPED = 130
"""Exit code after Ctrl-C, as shells have it: 128 and the signal's number."""


def in_sandbox(command: str, work: Callable[[], int]) -> int:
    """Run this command line in a sandbox; there, do the work and give its exit code.

    Args:
        command: its name, for what goes wrong.
        work: what it does.
    """
    try:
        if not sandbox.inside():
            sandbox.enter([sys.executable, "-m", "vipmanager", *sys.argv[1:]])
        return work()
    except KeyboardInterrupt:
        print(f"vipmanager {command}: stopped", file=sys.stderr)
        return _STOPPED
    except (sandbox.SandboxError, AssetsError, ProcessError) as error:
        print(f"vipmanager {command}: {error}", file=sys.stderr)
    return 1
