"""The settings' keys as flags, laid over the environment; a new key needs no change here."""

import argparse
import os

from vipmanager.core.settings import Mode, Settings
from vipmanager.edges.aws.environment import mistakes
from vipmanager.edges.settings import KEYS, SettingsError, kubelet, load


def add_keys(parser: argparse.ArgumentParser, *, listed: bool = False) -> None:
    """Add a flag for each key.

    Args:
        parser: of one command.
        listed: whether its help names each, or points to the command whose help does.
    """
    group = parser.add_argument_group(
        "settings",
        "Keys of the ConfigMap, read from the environment; a flag overrides one."
        if listed
        else "The keys of the ConfigMap are read from the environment, and each is a flag too, as "
        "in --VPCRTTag role=vip. All of them: vipmanager run --help",
    )
    group.add_argument(
        "--peers",
        action="append",
        default=[],
        metavar="N=LIST",
        help="Intf<N>Peers: hosts and networks that talk to the N-th interface"
        if listed
        else argparse.SUPPRESS,
    )
    for key in KEYS:
        meaning = f"{key.meaning.replace('%', '%%')} [{key.default or 'none'}]"
        group.add_argument(
            f"--{key.name}", metavar="VALUE", help=meaning if listed else argparse.SUPPRESS
        )


def settings(
    arguments: argparse.Namespace, *, foreign: bool = True
) -> tuple[Settings, dict[str, str]]:
    """Give the settings, and the environment that they were made of.

    Args:
        arguments: of the command line.
        foreign: whether the variables of AWS's SDK and of kubelet have to be right as well.

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
    problems: list[str] = []
    try:
        wanted = load(environ)
    except SettingsError as error:
        problems += error.problems
    if foreign:
        # A sidecar outlives its files: one that is not there yet is waited for.
        lives = not problems and wanted.mode is Mode.SIDECAR
        problems += (*mistakes(environ, tokens=not lives), *kubelet(environ))
    if problems:
        raise SettingsError(problems)
    return wanted, environ
