"""Commands that a person runs in a namespace of the lab, with `vipmanager` on the PATH."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_BIN = Path("/run/vipmanager-lab")
"""In the sandbox's own /run."""
_TERMINAL = ("TERM", "COLUMNS", "LINES", "NO_COLOR", "HOME", "KUBECONFIG")
_GRACE = 2.0
"""Seconds that a command has to end after Ctrl-C."""


def execute(
    popen: Callable[..., subprocess.Popen[bytes]],
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    interactive: bool,
) -> int:
    """Run a command to its end with the caller's output; give its exit code as a shell does.

    Args:
        popen: starts it, as `subprocess.Popen` does, in the namespace where it shall run.
        argv: what.
        environment: of the pod's container, or what else it shall have.
        interactive: whether it may read from the caller's input, and has a terminal.

    Raises:
        ValueError: this machine has no such program.
    """
    _launcher()
    mine = {name: os.environ[name] for name in _TERMINAL if name in os.environ}
    paths = [str(_BIN), environment.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        process = popen(
            argv,
            stdin=None if interactive else subprocess.DEVNULL,
            env={**mine, **environment, "PATH": ":".join(paths)},
        )
    except FileNotFoundError as error:
        raise ValueError(f"this machine has no {argv[0]}") from error
    except PermissionError as error:
        raise ValueError(f"{argv[0]} is no program") from error
    try:
        code = process.wait()
    except KeyboardInterrupt:
        # A terminal's Ctrl-C is the command's as well.
        try:
            code = process.wait(_GRACE)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            process.kill()
            code = process.wait()
    return code if code >= 0 else 128 - code


def _launcher() -> None:
    """Put a program `vipmanager` there that is this one, however it is installed."""
    _BIN.mkdir(exist_ok=True)
    program = _BIN / "vipmanager"
    if not program.exists():
        text = f'#!/bin/sh\nexec "{sys.executable}" -m vipmanager "$@"\n'
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
