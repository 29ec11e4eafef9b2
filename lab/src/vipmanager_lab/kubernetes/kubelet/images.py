"""What stands for images: nothing is pulled, and processes have the machine's files."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


class ImageError(Exception):
    """There is nothing to run; the text names the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What an image brings."""

    entrypoint: tuple[str, ...] = ()
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Programs that the image has and the machine has not, by name."""

    def resolve(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """Give a command as the machine runs it."""
        return (*self.commands[argv[0]], *argv[1:]) if argv[0] in self.commands else argv


Images = Callable[[str], Image]
"""Gives what stands for an image by its name, such as REGISTRY/NAME:TAG."""

_VIPMANAGER = (sys.executable, "-m", "vipmanager")


def repository(image: str) -> str:
    """Give an image's name without tag and digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def usual(image: str) -> Image:
    """Give vipmanager as it is checked out, and of any other image nothing but its name."""
    if repository(image).rpartition("/")[2] == "vipmanager":
        return Image(entrypoint=_VIPMANAGER, commands={"vipmanager": _VIPMANAGER})
    return Image()


def command(
    image: str, brought: Image, words: tuple[str, ...], args: tuple[str, ...]
) -> tuple[str, ...]:
    """Give what a container runs: `words` instead of the entrypoint, then its arguments.

    Raises:
        ImageError: the image has no entrypoint here, and the container no command.
    """
    argv = (*(words or brought.entrypoint), *args)
    if not (words or brought.entrypoint):
        raise ImageError(f"{image}: nothing stands for this image; give the container a command")
    return brought.resolve(argv)
