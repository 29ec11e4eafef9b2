"""Commands as health checks: how they end, and that nothing is left of them."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.healthcheck import parse
from vipmanager.edges.healthcheck import examine

TIME = 5.0
"""Seconds for a command that is expected to end by itself."""
SOON = 0.2
"""Seconds for one that is not."""


def test_a_command_is_well_by_its_exit_code() -> None:
    examine(parse("exec:true"), timeout=TIME)
    with pytest.raises(Transient, match="exited with 3"):
        examine(parse("exec:sh -c 'exit 3'"), timeout=TIME)
    with pytest.raises(Transient, match="ended by signal 9"):
        examine(parse("exec:sh -c 'kill -9 $$'"), timeout=TIME)


def test_a_command_gets_its_words_and_no_shell(tmp_path: Path) -> None:
    there = tmp_path / "a b; false"
    there.touch()
    examine(parse(f"exec:test -f '{there}'"), timeout=TIME)
    with pytest.raises(Transient):
        examine(parse(f"exec:test -f {there}"), timeout=TIME)


@pytest.mark.parametrize("command", ["/no/such/program", "/etc/passwd", "/"])
def test_a_command_that_can_not_be_run_needs_a_person(command: str) -> None:
    with pytest.raises(Permanent, match="agent's own container"):
        examine(parse(f"exec:{command}"), timeout=TIME)


BORN = """
import os, sys, threading
from vipmanager.core.failures import Failure
from vipmanager.core.healthcheck import parse
from vipmanager.edges.healthcheck import examine
try:
    examine(parse(sys.argv[1]), timeout=float(sys.argv[2]))
except Failure as failure:
    print(failure)
states = [open(f"/proc/{p}/stat").read().rpartition(")")[2].split() for p in os.listdir("/proc")
          if p.isdigit() and int(p) != 1]
print("left:", [s[0] for s in states])
"""


@pytest.mark.parametrize(
    ("command", "seconds", "said"),
    [
        ("sh -c 'sleep 100 & sleep 100'", "0.2", "did not answer within"),
        ("sh -c 'trap : TERM INT HUP; sleep 100; sleep 100'", "0.2", "did not answer within"),
        ("sh -c 'sleep 100 & exit 0'", "5", ""),
        ("sh -c 'sleep 100 & exit 4'", "5", "exited with 4"),
    ],
)
def test_nothing_is_left_of_a_command_not_even_zombies_under_process_1(
    command: str, seconds: str, said: str
) -> None:
    """The agent is process 1 of its container, and inherits what its children leave."""
    born = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
         sys.executable, "-c", BORN, f"exec:{command}", seconds],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert said in born.stdout
    assert "left: []" in born.stdout


def test_many_commands_leave_no_open_file() -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = opened()
    for command in ("true", "false", "/no/such/program", "sleep 100") * 5:
        with contextlib.suppress(Failure):
            examine(parse(f"exec:{command}"), timeout=SOON)
    assert opened() == before
