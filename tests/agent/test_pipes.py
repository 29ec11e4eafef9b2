"""What is printed into a closed pipe, or a narrow terminal, ends nothing in a traceback."""

import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl

import pytest

from agent_fixtures import Stage, converged
from vipmanager_lab.netns import Netns
from vipmanager_lab.world import World

COMMANDS = [
    "status",
    "status --all",
    "status --output json",
    "status --watch 0.1",
    "plan",
    "plan --output json",
    "doctor",
    "doctor --output json",
    "cleanup",
    "claim",
    "claim --output json",
    "completion bash",
    "status --help",
    "--help",
    "--version",
]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    world = World()
    yield Stage(world)
    world.close()


@pytest.fixture(scope="module")
def pod(stage: Stage) -> Netns:
    pod = stage.pod()
    stage.sidecar(pod).wait_for(converged)
    return pod


def start(stage: Stage, pod: Netns, words: str, out: int, **more: str) -> "subprocess.Popen[bytes]":
    return pod.popen(
        [sys.executable, "-m", "vipmanager", *words.split()],
        env={**stage.world.container_environment(stage.config), **more},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("words", COMMANDS)
def test_a_reader_that_goes_away_ends_a_command_without_a_word(
    stage: Stage, pod: Netns, words: str
) -> None:
    read, write = os.pipe()
    os.close(read)
    process = start(stage, pod, words, write)
    os.close(write)
    _, said = process.communicate(timeout=60)
    assert said == b""
    assert process.returncode in {0, 1}


@pytest.mark.parametrize("columns", [1, 20, 40])
@pytest.mark.parametrize("words", ["status", "status --all", "plan", "doctor", "claim", "--help"])
def test_a_narrow_terminal_shows_it_all_the_same(
    stage: Stage, pod: Netns, words: str, columns: int
) -> None:
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = start(stage, pod, words, theirs, TERM="xterm")
    os.close(theirs)
    shown = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # EIO: the other side is closed
            break
        shown += more
    os.close(ours)
    _, said = process.communicate(timeout=60)
    assert said == b""
    assert process.returncode == 0
    assert shown.strip()
