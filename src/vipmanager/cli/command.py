"""How every command introduces itself."""

import argparse
import re
import shutil
import sys
from typing import Any, TextIO, TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name
"""Where commands are added."""

EXAMPLE = "  "
"""A line that begins so is a command to type."""


_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


class HelpFormatter(argparse.HelpFormatter):
    """Breaks lines between words, and a command to type so that it can still be typed."""

    def _format_usage(self, *usage: Any, **more: Any) -> str:  # noqa: ANN401 - argparse's own
        whole = " ".join(super()._format_usage(*usage, **more).split())
        return "\n  ".join(_broken(whole, self._width - len(EXAMPLE))) + "\n\n"

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _broken(" ".join(text.split()), width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip("\n").split("\n\n")
        return "\n\n".join(
            "\n".join(indent + line for line in _filled(each, width - len(indent)))
            for each in paragraphs
        )


def _filled(paragraph: str, width: int) -> list[str]:
    """Fill what is prose, and keep each command on lines of its own."""
    lines: list[str] = []
    prose: list[str] = []
    for line in paragraph.split("\n"):
        if line.startswith(EXAMPLE):
            lines += [*_broken(" ".join(prose), width), *_command(line, width)]
            prose = []
        else:
            prose.append(line)
    return lines + _broken(" ".join(prose), width)


def _command(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    # What stands between quotes is one word.
    whole = _QUOTED.sub(lambda found: found[0].replace(" ", "\0"), line.strip())
    first, *rest = (
        each.replace("\0", " ") for each in _broken(whole, width - len(EXAMPLE) * 2 - 2)
    )
    lines = [EXAMPLE + first, *(EXAMPLE * 2 + each for each in rest)]
    return [f"{each} \\" for each in lines[:-1]] + lines[-1:]


def _broken(text: str, width: int) -> list[str]:
    import textwrap  # noqa: PLC0415 - an agent prints no help

    return textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)


def add_command(
    commands: Commands, name: str, *, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """Add a command; lines of the examples that are set in are commands to type."""
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=examples,
        formatter_class=HelpFormatter,
    )


def complain(command: str, said: str) -> None:
    """Say on standard error what is wrong: one line, which a terminal breaks between words."""
    _print(f"vipmanager {command}: {said}", sys.stderr)


def tell(said: str) -> None:
    """Say on standard output how it went, in the same way."""
    for line in said.splitlines():
        _print(line, sys.stdout)


def _print(line: str, to: TextIO) -> None:
    if to.isatty():
        line = "\n".join(_broken(line, shutil.get_terminal_size().columns))
    print(line, file=to)


def add_output(options: "argparse._ActionsContainer") -> None:
    """Add `--output`; docs/schema describes the JSON."""
    options.add_argument(
        "--output", choices=("text", "json"), default="text", help="for people or for programs"
    )
