"""`vipmanager run`: the container's command."""

import argparse
import os
import sys
from typing import NoReturn

from vipmanager.app import agent
from vipmanager.cli.command import Commands, add_command, complain
from vipmanager.cli.keys import add_keys, settings
from vipmanager.edges.settings import SettingsError

_USAGE = 2

_DESCRIPTION = """\
Steer the pod's floating IPs to the ENIs under its interfaces.

Every setting is a key of the ConfigMap, in the environment; a flag overrides it.
"""

_EPILOG = """\
examples:
  VPCRTTag=role=vip Intf1Peers=10.10.10.48,10.0.0.0/24 vipmanager run
  vipmanager run --peers 1=10.10.10.48 --VPCRTTag role=vip --RunAsSidecar True
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "run",
        summary="steer the pod's floating IPs (the container's command)",
        description=_DESCRIPTION,
        examples=_EPILOG,
    )
    parser.usage = "vipmanager run [-h] [--peers N=LIST]... [--KEY VALUE]..."
    add_keys(parser, listed=True)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> NoReturn:
    """Run the agent and end the process."""
    try:
        wanted, environ = settings(arguments)
    except SettingsError as error:
        for problem in error.problems:
            complain("run", problem)
        sys.exit(_USAGE)
    code = agent.run(wanted, environ)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that still wait for an answer must not hold the pod up.
    os._exit(code)
