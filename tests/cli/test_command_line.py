"""The command line says what it can do, and what is wrong, without a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vipmanager import __version__
from vipmanager.edges.settings import KEYS

VIPMANAGER = [sys.executable, "-m", "vipmanager"]
SETTINGS = Path(__file__).parents[2] / "docs" / "settings.md"


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*VIPMANAGER, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_page_has_every_key_with_its_default_and_meaning() -> None:
    text = SETTINGS.read_text()
    table = text[text.index("<!-- keys -->") : text.index("<!-- end of keys -->")]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    expected = [
        f"| `{k.name}` | {f'`{k.default}`' if k.default else 'none'} | {k.meaning} |" for k in KEYS
    ]
    assert rows[0].startswith("| `Intf<N>Peers` |")
    assert rows[1:] == expected


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"vipmanager {__version__}\n"


def test_every_key_is_a_flag_with_its_meaning() -> None:
    text = " ".join(run("run", "--help").stdout.split())
    for key in KEYS:
        assert f"--{key.name} VALUE" in text
    assert "examples:" in text


@pytest.mark.parametrize("command", ["status", "plan", "doctor", "cleanup"])
def test_a_command_that_looks_points_to_the_settings_and_takes_them(command: str) -> None:
    text = " ".join(run(command, "--help").stdout.split())
    assert "vipmanager run --help" in text
    assert "--ResyncSeconds" not in text
    done = run(command, "--UseSBR", "perhaps")
    assert "UseSBR='perhaps': expected True or False" in done.stderr


@pytest.mark.parametrize("columns", ["40", "60", "80"])
@pytest.mark.parametrize("command", ["run", "status", "plan", "measure", "demo", "lab"])
def test_help_breaks_no_word_in_a_narrow_terminal(command: str, columns: str) -> None:
    def words(width: str) -> set[str]:
        done = subprocess.run(
            [*VIPMANAGER, command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "COLUMNS": width},
        )
        return set(done.stdout.split()) - {"\\"}

    assert words(columns) == words("400")


def test_a_flag_overrides_the_environment_and_is_checked_like_it() -> None:
    done = run("run", "--UseSBR", "perhaps", "--peers", "1=10.0.0.300")
    assert done.returncode == 2
    assert "UseSBR='perhaps': expected True or False" in done.stderr
    assert "Intf1Peers='10.0.0.300'" in done.stderr
    assert not done.stdout


def test_an_unknown_command_is_named() -> None:
    done = run("rnu")
    assert done.returncode == 2
    assert "rnu" in done.stderr
    assert "Traceback" not in done.stderr


def test_output_into_a_closed_pipe_is_no_traceback() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{' '.join(VIPMANAGER)} run --help | true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_accepts_its_completion_and_knows_every_command(shell: str) -> None:
    script = run("completion", shell).stdout
    for command in (
        "run",
        "plan",
        "status",
        "doctor",
        "drill",
        "cleanup",
        "measure",
        "yield",
        "claim",
        "demo",
    ):
        assert command in script
    if shell == "bash":
        ask = f'{script}\ncompgen -W "${{_shtab_vipmanager_subparsers[*]}}" -- cl'
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["cleanup", "claim"]


@pytest.mark.parametrize(
    "command", ["run", "plan", "status", "drill", "cleanup", "measure", "yield", "claim", "demo"]
)
def test_every_commands_help_has_an_example(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert "example" in done.stdout
