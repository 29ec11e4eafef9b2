"""The settings' keys as flags, laid over the environment."""

import argparse
import os

from vipmanager.core.settings import Settings
from vipmanager.edges.settings import KEYS, load


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each key."""
    group = parser.add_argument_group(
        "settings", "keys of the ConfigMap, read from the environment; a flag overrides one"
    )
    group.add_argument(
        "--peers",
        action="append",
        default=[],
        metavar="N=LIST",
        help="Intf<N>Peers: hosts and networks that talk to the N-th interface",
    )
    for key in KEYS:
        group.add_argument(
            f"--{key.name}",
            metavar="VALUE",
            help=f"{key.meaning.replace('%', '%%')} [{key.default or 'none'}]",
        )


def settings(arguments: argparse.Namespace) -> tuple[Settings, dict[str, str]]:
    """Give the settings, and the environment that they were made of.

    Raises:
        SettingsError: with every problem found.
    """
    environ = dict(os.environ)
    for peers in arguments.peers:
        number, _, networks = peers.partition("=")
        environ[f"Intf{number}Peers"] = networks
    for key in KEYS:
        value = getattr(arguments, key.name)
        if value is not None:
            environ[key.name] = value
    return load(environ), environ
