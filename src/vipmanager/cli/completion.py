"""`vipmanager completion`: what a shell needs to complete commands and flags."""

import argparse

from vipmanager.cli.command import Commands, add_command

_EPILOG = """\
examples:
  vipmanager completion bash > /etc/bash_completion.d/vipmanager
  vipmanager completion zsh > "${fpath[1]}/_vipmanager"
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "completion",
        summary="print the completion script of a shell",
        description="Print the script with which a shell completes commands and flags.",
        examples=_EPILOG,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab  # noqa: PLC0415 - of use in this command alone

    from vipmanager.cli import main  # noqa: PLC0415 - it imports the commands

    print(shtab.complete(main.parser(), shell=arguments.shell))
    return 0
