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
    arguments = _parser(words).parse_args(words)
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader went away; what is left to flush has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if arguments.debug:
            raise
        for line in _lines(error):
            print(f"vipmanager {arguments.command}: {line}", file=sys.stderr)
        return FAILED
    return code


def _lines(error: Exception) -> Sequence[str]:
    """Say what is wrong, one line for each problem."""
    match error:
        case SettingsError(problems=problems):
            return problems
        case Failure():
            return [str(error)]
        case _:
            first = str(error).partition("\n")[0] or type(error).__name__
            return [f"{first} (vipmanager --debug shows where)"]


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
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
    # The agent starts without importing what people use.
    if "run" not in words[:2]:
        gc.enable()
        from vipmanager.cli import (  # noqa: PLC0415
            cleanup,
            completion,
            demo,
            doctor,
            lab,
            orders,
            plan,
            status,
        )

        for command in (plan, status, doctor, cleanup, orders, demo, lab):
            command.add(commands)
        completion.add(commands, parser)
    return parser
