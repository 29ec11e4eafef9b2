"""How every command introduces itself."""

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name
"""Where commands are added."""


def add_command(
    commands: Commands, name: str, *, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    """Add a command; description and examples are shown as they are written."""
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_output(options: "argparse._ActionsContainer") -> None:
    """Add `--output`; docs/schema describes the JSON."""
    options.add_argument(
        "--output", choices=("text", "json"), default="text", help="for people or for programs"
    )
