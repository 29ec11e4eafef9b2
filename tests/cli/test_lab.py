"""The lab at a prompt."""

import subprocess
import sys


def lab(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "vipmanager", "lab", "--latency-ms", "1"],
        input=script,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_pod_fails_over_on_command() -> None:
    done = lab("pod a\ninit\nshow\nfail a\npod b\ninit\nshow\nprobe 0.5\ncalls\nquit\n")
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.split("pod-2 in zone b")
    assert before.count("(zone a)") == 8
    assert after.count("(zone b)") == 8
    assert "8 ReplaceRoute" in after
    assert "192.168.0.1: " in after
    assert "192.168.0.1: 0 of" not in after


def test_a_mistake_is_said_in_one_line_and_the_rest_goes_on() -> None:
    done = lab("bogus\nsteal x\ninit\nshow\n")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "bogus: no such command; try `help bogus`"
    assert done.stderr.splitlines()[1].startswith("steal: ")
    assert done.stderr.splitlines()[2].startswith("init: there is no pod yet")
    assert done.stdout.count("none  none") == 4


def test_every_command_has_help() -> None:
    done = lab("help\nhelp steal\n")
    assert "Undocumented commands:\n======================\nEOF" not in done.stdout
    assert "steal NUMBER ZONE" in done.stdout
