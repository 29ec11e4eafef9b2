"""Commands that other distributions add to `vipmanager`, by an entry point for each."""

from typing import TYPE_CHECKING

from vipmanager import __version__
from vipmanager.cli.command import Commands

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_GROUP = "vipmanager.commands"
"""Each entry point of it is a function that adds the command of its name."""

_LAB = ("demo", "lab")
"""What vipmanager-lab adds: asked for without it, a command says where it is."""


class CommandError(Exception):
    """A command that is not here, or does not load."""

    def __init__(self, command: str, said: str) -> None:
        super().__init__(said)
        self.command = command


def add(commands: Commands, named: str) -> None:
    """Add the command that is named, or all if it is none of these.

    Raises:
        CommandError: it is one of the lab's, which is not installed; or it does not load.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - an agent starts without it

    found = {point.name: point for point in entry_points(group=_GROUP)}
    if named in _LAB and named not in found:
        raise CommandError(
            named,
            f"it comes with vipmanager-lab {__version__}, which is not installed: run "
            "`pip install . ./lab` in a clone of vipmanager",
        )
    for name in [named] if named in found else sorted(found):
        _add(commands, found[name])


def _add(commands: Commands, point: "EntryPoint") -> None:
    try:
        point.load()(commands)
    except (AttributeError, ImportError) as error:
        whose = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        raise CommandError(
            point.name,
            f"{whose} does not load ({error}): install the one that goes with "
            f"vipmanager {__version__}, or uninstall it",
        ) from error
