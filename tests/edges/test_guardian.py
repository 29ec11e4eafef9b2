"""What a command did is undone, whatever ends the command."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LONG = 60.0
"""Seconds that nothing here takes."""

COMMAND = """
import os, sys, time
from pathlib import Path
from vipmanager.edges.guardian import guarded

change, how = Path(sys.argv[1]), sys.argv[2]
command = os.getpid()

def undo():
    if how == "interrupted" and os.getpid() == command:
        print("undoing", flush=True)
        time.sleep(600)
    if how == "refused":
        raise OSError("the node does not answer")
    change.unlink(missing_ok=True)

with guarded(undo):
    change.touch()
    print("changed", flush=True)
    if how == "error":
        raise ValueError("in the middle")
    if how != "end" and how != "interrupted":
        time.sleep(600)
"""


@pytest.fixture
def change(tmp_path: Path) -> Path:
    return tmp_path / "change"


def begun(change: Path, how: str, *before: str) -> subprocess.Popen[str]:
    """Begin a command that made its change; its output ends when its child has ended too."""
    command = subprocess.Popen(
        [*before, sys.executable, "-c", COMMAND, str(change), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "changed\n"
    return command


def test_the_end_and_an_error_undo(change: Path) -> None:
    _, said = begun(change, "end").communicate(timeout=LONG)
    assert said == ""
    assert not change.exists()
    _, said = begun(change, "error").communicate(timeout=LONG)
    assert "ValueError: in the middle" in said
    assert not change.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_undoes_and_ends_the_command_as_shells_tell_it(
    change: Path, number: signal.Signals
) -> None:
    command = begun(change, "signal")
    assert change.exists()
    command.send_signal(number)
    _, said = command.communicate(timeout=LONG)
    assert (command.returncode, said) == (128 + number, "")
    assert not change.exists()


def test_a_killed_command_is_undone_by_its_child(change: Path) -> None:
    command = begun(change, "kill")
    command.kill()
    _, said = command.communicate(timeout=LONG)
    assert said == (
        "vipmanager: it was killed; what it changed is being undone\n"
        "vipmanager: what it changed is undone\n"
    )
    assert not change.exists()


def test_what_is_sent_to_the_whole_group_of_a_command_leaves_the_child(change: Path) -> None:
    command = begun(change, "kill", "setsid")
    os.killpg(command.pid, signal.SIGKILL)
    command.communicate(timeout=LONG)
    assert not change.exists()


def test_the_child_goes_on_where_a_signal_ends_the_undoing(change: Path) -> None:
    command = begun(change, "interrupted")
    assert command.stdout is not None
    assert command.stdout.readline() == "undoing\n"
    command.terminate()
    command.communicate(timeout=LONG)
    assert command.returncode == 128 + signal.SIGTERM
    assert not change.exists()


def test_what_cannot_be_undone_is_told_by_who_tried(change: Path) -> None:
    command = begun(change, "refused")
    command.terminate()
    _, said = command.communicate(timeout=LONG)
    assert "OSError: the node does not answer" in said
    assert "not all is undone" not in said
    command = begun(change, "refused")
    command.kill()
    _, said = command.communicate(timeout=LONG)
    assert said.endswith("vipmanager: not all is undone: the node does not answer\n")


def test_a_signal_that_was_ignored_stays_so(change: Path) -> None:
    command = begun(change, "nohup", "nohup")
    command.send_signal(signal.SIGHUP)
    command.terminate()
    command.communicate(timeout=LONG)
    assert command.returncode == 128 + signal.SIGTERM
    assert not change.exists()
