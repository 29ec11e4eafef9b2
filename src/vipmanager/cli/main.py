"""The command line: which command, which flags, and one clear line when something is wrong."""

import argparse
import gc
import os
import sys
from collections.abc import Sequence

from vipmanager import __version__
from vipmanager.cli import run
from vipmanager.core.failures import Failure
from vipmanager.edges.settings import SettingsError

FAILED = 1
"""Exit code of a command that could not do its work."""

_SAMPLE = ["/bin/sh", "-c", "/app/script.sh"]
"""The container's `args` in manifests of the AWS sample; there is no shell, and they mean `run`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == _SAMPLE:
        words = ["run"]
    parser = argparse.ArgumentParser(
        prog="vipmanager",
        description="Keeps a floating IP reachable when its pod moves to another "
        "Availability Zone.",
    )
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an unexpected error"
    )
    parser.add_argument("--version", action="version", version=f"vipmanager {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run.add(commands)
    _add_others(commands, words)
    arguments = parser.parse_args(words)
    try:
        code: int = arguments.run(arguments)
    except BrokenPipeError:
        # The reader went away; what is left to flush has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = FAILED
    except SettingsError as error:
        for problem in error.problems:
            print(f"vipmanager {arguments.command}: {problem}", file=sys.stderr)
        code = FAILED
    except Failure as failure:
        print(f"vipmanager {arguments.command}: {failure}", file=sys.stderr)
        code = FAILED
    except Exception as error:
        if arguments.debug:
            raise
        print(f"vipmanager {arguments.command}: {_one_line(error)}", file=sys.stderr)
        code = FAILED
    return code


def _one_line(error: Exception) -> str:
    first = str(error).partition("\n")[0] or type(error).__name__
    return f"{first} (vipmanager --debug shows where)"


def _add_others(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", argv: Sequence[str]
) -> None:
    """Add every other command; the agent starts without importing them."""
    if "run" in argv[:2]:
        return
    gc.enable()
    from vipmanager.cli import cleanup, demo, lab, orders, plan, status  # noqa: PLC0415

    for command in (plan, status, cleanup, orders, demo, lab):
        command.add(commands)
