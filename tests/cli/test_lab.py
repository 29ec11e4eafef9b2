"""The lab at a prompt: a script in a pipe, and a person at a terminal."""

import errno
import re
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pty_terminal import Typist, plain
from vipmanager_lab.breakage.api import WORLD_FAULTS
from vipmanager_lab.breakage.pods import POD_FAULTS

LAB = [sys.executable, "-m", "vipmanager", "lab", "--latency-ms", "1"]
PAGE = Path(__file__).parents[2] / "docs" / "lab.md"
PATIENCE = 90.0


def lab(script: str, *, columns: str = "80") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["env", f"COLUMNS={columns}", *LAB],
        input=script,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def output(done: "subprocess.CompletedProcess[str]") -> list[str]:
    """Give what commands printed, without the commands."""
    return [line for line in done.stdout.splitlines() if not line.startswith("lab> ")]


class Script:
    """A lab in a pipe that is told one command after the other."""

    def __init__(self) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            ["env", "COLUMNS=1000", *LAB],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._count = 0

    def tell(self, line: str) -> str:
        """Give a command; give what the lab printed of it, but for what is over."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._count += 1
        self.process.stdin.write(f"{line}\n# {self._count}\n")
        self.process.stdin.flush()
        said: list[str] = []
        for printed in self.process.stdout:
            # What happens meanwhile is told behind a prompt that waits; the words then stand alone.
            words = printed.removeprefix("lab> ")
            if words == f"# {self._count}\n":
                return "".join(said).removeprefix(f"lab> {line}\n")
            if not words.startswith("resolved "):
                said.append(printed)
        raise AssertionError(f"the lab ended at {line}:\n{''.join(said)}")

    def until(self, line: str, pattern: str) -> str:
        """Give a command until its output has a pattern."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, said := self.tell(line)):
            assert time.monotonic() < deadline, f"{line} without {pattern}:\n{said}"
        return said


@pytest.fixture(scope="module")
def script() -> Iterator[Script]:
    running = Script()
    try:
        running.tell("pod a")
        running.tell("sidecar")
        yield running
    finally:
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert running.process.wait(60) == 0
        assert running.process.stdout is not None
        running.process.stdout.close()


def between(marker: str) -> list[str]:
    """Give the lines of the lab's page between two markers."""
    _, _, rest = PAGE.read_text().partition(f"<!-- {marker} -->\n")
    return rest.partition(f"<!-- end of {marker} -->")[0].splitlines()


def test_the_page_has_every_fault_and_its_walk_goes_as_typed() -> None:
    named = [row.split(" | ")[0].strip("| `") for row in between("faults")[2:]]
    rows = [fault.usage for fault in (*WORLD_FAULTS, *POD_FAULTS)]
    assert sorted(name.replace("\\|", "|") for name in named) == sorted(rows)
    done = lab("\n".join(line.strip() for line in between("walk")))
    assert done.returncode == 0, done.stderr
    assert "healed: steal" in done.stdout
    assert "192.168.0.1: 0 of" not in done.stdout
    assert output(done)[-1] == "nothing is broken"


def test_a_pod_fails_over_on_command() -> None:
    done = lab("pod a\ninit\nshow\nfail a\npod b\ninit\nshow\nprobe 0.5\ncalls\nquit\n")
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.split("pod-2 in zone b")
    assert before.count("(zone a)") == 8
    assert after.count("(zone b)") == 8
    assert "8 ReplaceRoute" in after
    assert "192.168.0.1: " in after
    assert "192.168.0.1: 0 of" not in after


def test_lines_of_two_threads_stay_whole() -> None:
    # The lab's own prompt, told many lines while pods say many more, as they do under load.
    program = textwrap.dedent("""\
        import sys, threading
        from vipmanager_lab.cli.prompt import Command, Prompt

        sys.setswitchinterval(1e-6)
        told = Command(usage="tell", says="a line", run=lambda words: print(*words))
        prompt = Prompt("", {"": [told]}, names=list)
        pods = [
            threading.Thread(target=lambda: [prompt.say("a pod's line") for _ in range(500)])
            for _ in range(3)
        ]
        for pod in pods:
            pod.start()
        prompt.loop()
    """)
    done = subprocess.run(
        ["env", "PYTHONUNBUFFERED=1", sys.executable, "-c", program],
        input="tell one line\n" * 500,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    expected = Counter({"a pod's line": 1500, "lab> tell one line": 500, "one line": 500})
    assert Counter(done.stdout.splitlines()) == expected


def test_a_mistake_is_said_in_one_line_and_the_rest_goes_on() -> None:
    mistakes = (
        "bogus",
        "steal x",
        "init",
        'in pod-1 "unfinished',
        "in nowhere true",
        "in client no-such-program",
        "wait long",
        "wait -1",
        "latency nan",
        "detach",
        "impair c",
        "impair a slow",
        "heal nothing",
        "use",
        "sh true",
        "ip \x00 \x1b[2J",
        "throttle -1",
        "deny Everything",
    )
    done = lab("\n".join([*mistakes, "show"]) + "\n")
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert len(said) == len(mistakes), done.stderr
    for mistake, line in zip(mistakes, said, strict=True):
        assert line.startswith(f"{mistake.split()[0]}: ")
        assert "help" in line
        assert "Error" not in line
    assert done.stdout.count("none  none") == 4


def test_text_that_is_no_utf_8_ends_nothing() -> None:
    done = subprocess.run(
        LAB, input=b"\xff\xfe\nshow\n", capture_output=True, timeout=100, check=False
    )
    assert done.stdout.count(b"none  none") == 4
    assert done.stderr.count(b"\n") == 1


def test_a_script_shows_each_command_before_what_it_prints() -> None:
    done = lab("# only said\nin client echo one\n\nin client false\nin client echo two\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "lab> # only said",
        "lab> in client echo one",
        "one",
        "lab> in client false",
        "(exit code 1)",
        "lab> in client echo two",
        "two",
    ]


def test_a_zone_is_lost_as_aws_loses_it_and_heals() -> None:
    call = "socket.socket().connect_ex(('198.18.0.1', 80))"
    look = f'in pod-1 python3 -c "import socket; socket.setdefaulttimeout(1); print({call})"\n'
    done = lab(f"pod b\nimpair a throttle\n{look}heal a\n{look}")
    assert done.returncode == 0, done.stderr
    lines = output(done)
    assert (lines[-3], lines[-1]) == (str(errno.EAGAIN), "0"), done.stdout


def test_help_has_every_command_in_sixty_columns() -> None:
    done = lab("help\nhelp steal\n", columns="60")
    assert max(map(len, output(done))) <= 60
    for command in ("detach", "steal", "deny", "impair", "throttle", "what", "heal", "undo"):
        assert re.search(rf"^  {command}\b", done.stdout, re.MULTILINE), done.stdout
    assert output(done)[-2].startswith("  steal [TABLE [ZONE]]")


def test_a_cordon_on_command_is_handed_over_on() -> None:
    standby = "standby HandOverOn=cordon,zonal-shift"
    begin = f"pod a\n{standby}\nwait 3\npod b\n{standby}\nwait 3\nshow\n"
    done = lab(f"{begin}cordon a\nwait 8\nshow\nuncordon a\nshift c\nheal\nwhat\nquit\n")
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.rsplit("this pod should leave where it runs: node node-a", 1)
    assert before.count("(zone a)") == 8
    assert after.count("(zone b)") == 8
    assert "healed: cordon a" in after
    assert "healed: shift c" in after
    assert output(done)[-1] == "nothing is broken"


@pytest.mark.parametrize(
    "command",
    [
        "vipmanager --version",
        "status",
        "status pod-1 --output json",
        "doctor",
        "plan",
        "ip route",
        "ping -c 1 -W 5 10.0.100.10",
        "sh ip rule | wc -l",
        "in pod-1 vipmanager plan --help",
        "in client ping -c 1 -W 5 192.168.0.1",
        "in node-a ip link",
        "in router ip rule",
    ],
)
def test_every_command_works_in_its_pods(script: Script, command: str) -> None:
    script.until(command, r"^(?![\s\S]*exit code)[\s\S]*\S")


def test_curl_reads_readyz_and_an_order_is_obeyed(script: Script) -> None:
    script.tell("sidecar HTTPPort=8080")
    script.until(r'curl -s -o /dev/null -w "%{http_code}\n" 10.0.1.100:8080/readyz', "200")
    assert "exit code" not in script.tell("yield")
    assert "exit code" not in script.tell("claim")
    script.until("status", r"^(?![\s\S]*exit code)[\s\S]*\S")


SEEN: tuple[tuple[str, str], ...] = (
    ("steal", r"points at eni-.* in 1 of 4 route tables"),
    ("deny; drop 2", r"UnauthorizedOperation|denie"),
    ("deny DescribeRouteTables", r"UnauthorizedOperation|denie"),
    ("throttle 0.1", r"RequestLimitExceeded|throttle"),
    ("cut", r"EC2 can't be read|EC2 has not answered"),
    ("impair b throttle", r"RequestLimitExceeded|throttle"),
    ("detach net1", r"NOT READY: 192\.168\.0\.1 is lost"),
    ("unlink net2", r"NOT READY: 192\.168\.0\.2 is lost"),
    ("down net1", r"NOT READY: 192\.168\.0\.1 is lost: net1 is down"),
    ("flush net1", r"NOT READY: 192\.168\.0\.1 is lost"),
    ("check net1", r"NOT READY: 192\.168\.0\.1 is lost: the source/dest check"),
    ("freeze", r"does not answer|HANG|hangs"),
    ("kill agent", r"No sidecar|no sidecar"),
    ("fail a", r"No sidecar|no sidecar"),
)
"""Faults, and what `status` says of each."""


@pytest.mark.parametrize(("fault", "seen"), SEEN)
def test_a_fault_by_name_is_seen_in_status_and_healed(
    script: Script, fault: str, seen: str
) -> None:
    well = r"(?m)^READY: (?![\s\S]*exit code)"
    script.until("status", well)
    faults = fault.split("; ")
    for one in faults:
        assert "undoes it" in script.tell(one)
    script.until("status", seen)
    if fault != "steal":  # which the agent repairs
        what, healed = script.tell("what"), script.tell("heal")
        for one in faults:
            assert f"{one}: " in what
            assert f"healed: {one}" in healed
    script.until("what", "nothing is broken")
    script.until("status", well)
    script.until("probe 0.2", r"^(?![\s\S]*: 0 of)")


def test_faults_are_undone_one_by_one_and_put_back_what_was_there(script: Script) -> None:
    script.until("what", "nothing is broken")
    before = script.tell("show")
    for line in ("latency 3", "stale 0.1", "deny 3", "steal 0 b"):
        assert "undoes it" in script.tell(line)
    assert "healed: steal 0 b" in script.tell("undo")
    assert script.tell("show") == before
    assert "healed: stale 0.1" in script.tell("heal stale")
    assert [line.split()[1] for line in script.tell("what").splitlines()] == ["latency", "deny"]
    assert len(script.tell("heal").splitlines()) == 2
    assert script.tell("what") == "nothing is broken\n"


def test_at_a_terminal_ctrl_c_ends_a_command_and_neither_the_lab_nor_its_agents() -> None:
    with Typist(LAB, columns=60) as typist:
        typist.expect("lab> ")
        typist.type("pod a\n")
        typist.expect("pod-1 in zone a")
        typist.type("sidecar\n")
        typist.expect("read back")
        for command, sign in (
            ("ping 10.0.100.10\n", "bytes from"),
            ("wait 600\n", "wait 600"),
            ("in pod-1 sleep 600\n", "sleep 600"),
        ):
            typist.type(command)
            typist.expect(sign)
            time.sleep(0.5)  # the command runs: nothing else tells it of `sleep`
            typist.type("\x03")
            typist.expect("lab> ")
        typist.type("half a line\x03")
        typist.expect("lab> ")
        typist.type("status\n")
        typist.expect("192.168.0.1")
        typist.expect("lab> ")
        typist.type("stat\t--help\n")
        typist.expect("vipmanager status")
        typist.expect("lab> ")
        typist.type("sh\n")
        typist.expect("pod-1# ")
        typist.type("vipmanager --version; exit\n")
        typist.expect(r"vipmanager \d")
        typist.expect("lab> ")
        typist.type("\x04")
        assert typist.end() == 0
    assert "no sidecar" not in plain(typist.printed).lower()
    assert "Traceback" not in typist.printed
