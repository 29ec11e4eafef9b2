"""The command line: which command, which flags, and one clear line when something is wrong."""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from vipmanager import __version__
from vipmanager.cli import installed
from vipmanager.cli.command import HelpFormatter, complain
from vipmanager.core.failures import Failure
from vipmanager.core.text import printable
from vipmanager.edges.settings import SettingsError

FAILED = 1
"""Exit code of a command that could not do its work."""
UNUSABLE = 2
"""Exit code of a command line that can't be run, as argparse has it."""

_SAMPLE = ["/bin/sh", "-c", "/app/script.sh"]
"""The container's `args` in manifests of the AWS sample; there is no shell, and they mean `run`."""

_MODULES = {
    "run": "run",
    "plan": "plan",
    "status": "status",
    "doctor": "doctor",
    "drill": "drill",
    "cleanup": "cleanup",
    "measure": "measure",
    "yield": "orders",
    "claim": "orders",
    "completion": "completion",
}
"""The module of each command of the agent, in the order of the help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == _SAMPLE:
        words = ["run"]
    try:
        try:
            return _run(words)
        finally:
            sys.stdout.flush()  # here also what --help printed
    except BrokenPipeError:
        # The reader went away; what is left to flush has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(words: Sequence[str]) -> int:
    try:
        arguments = parser(words).parse_args(words)
    except installed.CommandError as error:
        complain(error.command, str(error))
        return UNUSABLE
    try:
        code: int = arguments.run(arguments)
    except BrokenPipeError:
        raise
    except Exception as error:
        if arguments.debug:
            raise
        for line in _lines(error):
            complain(arguments.command, line)
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
            first = printable(str(error).partition("\n")[0]) or type(error).__name__
            return [f"{first} (vipmanager --debug shows where)"]


def parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Build the parser of the command that the words name, or of all commands.

    A command starts without importing the others: the agent for a failover's sake, `yield` for a
    terminating pod's.
    """
    whole = argparse.ArgumentParser(
        prog="vipmanager",
        description="Keeps a floating IP reachable when its pod moves to another "
        "Availability Zone.",
        formatter_class=HelpFormatter,
    )
    whole.add_argument(
        "--debug", action="store_true", help="show the traceback of an unexpected error"
    )
    whole.add_argument("--version", action="version", version=f"vipmanager {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    named = next((word for word in words if not word.startswith("-")), "")
    modules = [_MODULES[named]] if named in _MODULES else dict.fromkeys(_MODULES.values())
    for module in modules:
        import_module(f"vipmanager.cli.{module}").add(commands)
    if named not in _MODULES:
        installed.add(commands, named)
    if named != "run":
        gc.enable()
    return whole
