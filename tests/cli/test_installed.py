"""Two distributions: what the wheel of each holds, and what the command says with one or both."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from vipmanager import __version__

ROOT = Path(__file__).parents[2]
LAB = ROOT / "lab"
AGENT_COMMANDS = {
    "run",
    "plan",
    "status",
    "doctor",
    "drill",
    "cleanup",
    "measure",
    "yield",
    "claim",
    "completion",
}
LAB_COMMANDS = {"demo", "lab"}


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels as they ship, by the name of their package."""
    folder = tmp_path_factory.mktemp("wheels")
    for place in (ROOT, LAB):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
    return {wheel.name.partition("-")[0]: wheel for wheel in folder.iterdir()}


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as content:
        return set(content.namelist())


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as content:
        (name,) = (n for n in content.namelist() if n.endswith(".dist-info/METADATA"))
        return message_from_string(content.read(name).decode())


class Environment:
    """Packages apart from those of the tests: what both need from others, and these wheels."""

    def __init__(self, folder: Path, *wheels: Path) -> None:
        folder.mkdir()
        for each in Path(sysconfig.get_path("purelib")).iterdir():
            if "vipmanager" not in each.name:
                (folder / each.name).symlink_to(each)
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as content:
                content.extractall(folder)
        self._folder = folder

    def add(self, command: str, target: str) -> None:
        """Add a distribution with one command."""
        info = self._folder / "other-7.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 7\n")
        (info / "entry_points.txt").write_text(f"[vipmanager.commands]\n{command} = {target}\n")

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        # -S: without the packages of the tests, and their editable vipmanager.
        return subprocess.run(
            [sys.executable, "-S", "-m", "vipmanager", *words],
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(self._folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def listed(self) -> set[str]:
        lines = self.run("--help").stdout.splitlines()
        known = AGENT_COMMANDS | LAB_COMMANDS
        return known & {(line.split() or [""])[0] for line in lines if line.startswith("    ")}


@pytest.fixture
def agent_alone(tmp_path: Path, wheels: dict[str, Path]) -> Environment:
    return Environment(tmp_path / "packages", wheels["vipmanager"])


@pytest.fixture
def both(tmp_path: Path, wheels: dict[str, Path]) -> Environment:
    return Environment(tmp_path / "packages", *wheels.values())


def test_the_agents_wheel_holds_the_agent_only(wheels: dict[str, Path]) -> None:
    places = {name.partition("/")[0] for name in names(wheels["vipmanager"])}
    assert places == {"vipmanager", f"vipmanager-{__version__}.dist-info"}
    needed = set(metadata(wheels["vipmanager"]).get_all("Requires-Dist", []))
    assert not [n for n in needed if n.startswith(("moto", "cryptography", "matplotlib"))]


def test_the_labs_wheel_holds_every_file_of_the_lab(wheels: dict[str, Path]) -> None:
    source = LAB / "src"
    files = {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    info = f"vipmanager_lab-{__version__}.dist-info"
    wheel = names(wheels["vipmanager_lab"])
    assert {name for name in wheel if not name.startswith(info)} == files
    assert f"{info}/licenses/LICENSE" in wheel


def test_the_lab_has_the_agents_version_and_needs_just_that(wheels: dict[str, Path]) -> None:
    told = metadata(wheels["vipmanager_lab"])
    assert told["Version"] == __version__
    assert f"vipmanager=={__version__}" in told.get_all("Requires-Dist", [])


def test_without_the_lab_its_commands_are_not_listed(agent_alone: Environment) -> None:
    assert agent_alone.listed() == AGENT_COMMANDS
    assert agent_alone.run("completion", "bash").returncode == 0


@pytest.mark.parametrize("words", ["demo", "lab", "--debug demo --pattern 1", "demo --help"])
def test_without_the_lab_its_commands_say_what_to_install(
    agent_alone: Environment, words: str
) -> None:
    done = agent_alone.run(*words.split())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"comes with vipmanager-lab {__version__}, which is not installed" in done.stderr
    assert "`pip install . ./lab`" in done.stderr


def test_the_lab_adds_its_commands(both: Environment) -> None:
    assert both.listed() == AGENT_COMMANDS | LAB_COMMANDS
    assert "--pattern" in both.run("demo", "--help").stdout
    assert "--tables" in both.run("lab", "--help").stdout
    assert "demo" in both.run("completion", "bash").stdout


def test_a_distribution_that_does_not_load_is_named_and_no_agent_looks_for_it(
    agent_alone: Environment,
) -> None:
    agent_alone.add("other", "no_such_module:add")
    for words in (["other"], ["--help"]):
        done = agent_alone.run(*words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "vipmanager other: other 7 does not load (No module named" in done.stderr
    assert agent_alone.run("run", "--help").returncode == 0
