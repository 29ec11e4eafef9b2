"""The sandbox from outside: made anew within the one the tests run in."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from vipmanager_lab import sandbox

ENTER = "import sys; from vipmanager_lab import sandbox; sandbox.enter(sys.argv[1:])"
SOURCE = str(Path(sandbox.__file__).parents[1])
OUTSIDE = {**os.environ, "VIPMANAGER_SANDBOX": "elsewhere", "PYTHONPATH": SOURCE}
REPORT = """
import os, sys
from vipmanager_lab import sandbox
os.system("ip netns add one; ip -br link | cut -d' ' -f1; ls /run/netns")
print(sandbox.inside(), os.getcwd(), sys.stdin.read())
"""


def command(argv: Sequence[str], python: str = sys.executable) -> list[str]:
    return [python, "-c", ENTER, *argv]


def run(argv: Sequence[str], *, env: dict[str, str] = OUTSIDE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(argv), env=env, input="typed", capture_output=True, text=True, check=False
    )


def processes() -> set[int]:
    """Every process here, with those in namespaces below: they are seen from above."""
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def test_the_tests_themselves_run_inside() -> None:
    assert sandbox.inside()
    interfaces = {path.name for path in Path("/proc/sys/net/ipv4/conf").iterdir()}
    assert interfaces == {"all", "default", "lo"}


def test_output_input_and_place_are_handed_through() -> None:
    done = run([sys.executable, "-c", REPORT])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["lo", "one", "True", str(Path.cwd()), "typed"]


@pytest.mark.parametrize(
    ("program", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 128 + 15)]
)
def test_the_exit_code_is_handed_through(program: str, code: int) -> None:
    assert run(["sh", "-c", program]).returncode == code


@pytest.mark.parametrize(("chosen", "code"), [("names_and_addresses", 0), ("no_such", 5)])
def test_pytest_itself_enters_and_keeps_its_output_and_exit_code(chosen: str, code: int) -> None:
    outside = {key: value for key, value in OUTSIDE.items() if not key.startswith("PYTEST")}
    here = Path(__file__)
    chosen_tests = [str(here.with_name("test_render.py")), "-k", chosen]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *chosen_tests],
        env=outside,
        cwd=here.parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.count("deselected") >= 1
    assert done.stdout.count("test session starts") == 1


def test_a_program_that_does_not_exist_is_named() -> None:
    done = run(["/nowhere/program"])
    assert done.returncode == 127
    assert done.stderr == "/nowhere/program: No such file or directory\n"


def test_entering_twice_is_entering_once() -> None:
    where = ["readlink", "/proc/self/ns/pid"]
    here = run(where, env={**os.environ, "PYTHONPATH": SOURCE}).stdout
    assert here.strip() == str(Path("/proc/self/ns/pid").readlink())
    twice = run(["sh", "-c", '"$@"; readlink /proc/self/ns/pid', "sh", *command(where)])
    once, again = twice.stdout.split()
    assert once == again != here.strip()


@pytest.fixture
def started() -> Iterator[subprocess.Popen[str]]:
    """A sandbox whose program has made a namespace and a child, and waits."""
    program = "ip netns add one; sleep 1000 & echo ready; wait"
    # Whoever runs the tests may ignore signals (nohup, a background job), and that is inherited.
    heeding = ["env", "--default-signal", *command(["sh", "-c", program])]
    with subprocess.Popen(heeding, env=OUTSIDE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda n: n.name
)
def test_nothing_is_left_when_the_outer_process_is_ended(
    started: subprocess.Popen[str], number: signal.Signals
) -> None:
    family = {started.pid}
    while found := {pid for pid in processes() - family if _parent(pid) in family}:
        family |= found
    assert len(family) >= 5, "outer, unshare, init, sh, sleep"
    waiting = [os.pidfd_open(pid) for pid in family - {started.pid}]
    started.send_signal(number)
    assert started.stdout is not None
    assert started.stdout.read() == "", "every holder of the pipe is gone"
    for end in waiting:
        os.close(end)
    assert started.wait() == (-9 if number is signal.SIGKILL else 128 + number)


def _parent(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    return int(status.rpartition(")")[2].split()[1])


def test_a_user_without_privileges_can_enter() -> None:
    if Path("/proc/self/uid_map").read_text(encoding="ascii").split()[2] == "1":
        pytest.skip("the tests themselves run without privileges")
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    # the tests' own interpreter may lie in a home directory that is closed to others
    for python in (sys.executable, shutil.which("python3", path=os.defpath) or "python3"):
        trial = [*nobody, "env", python, "-c", "import vipmanager_lab.sandbox"]
        if subprocess.run(trial, env=OUTSIDE, check=False, capture_output=True).returncode == 0:
            break
    else:
        pytest.skip("no interpreter that everyone may run")
    program = [python, "-c", "import os; os.system('ip netns add one'); print(os.listdir('/run'))"]
    done = subprocess.run(
        [*nobody, *command(program, python)],
        env=OUTSIDE,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if "namespaces are not permitted" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    assert "netns" in done.stdout


@pytest.mark.parametrize("tool", ["unshare", "ip"])
def test_a_missing_tool_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tool: str
) -> None:
    for other in {"unshare", "ip"} - {tool}:
        (tmp_path / other).symlink_to(shutil.which(other) or "/")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("VIPMANAGER_SANDBOX", "elsewhere")
    with pytest.raises(sandbox.SandboxError, match=f"the lab needs `{tool}`: install"):
        sandbox.enter(["true"])


def test_forbidden_namespaces_are_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "unshare"
    fake.write_text(
        "#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("VIPMANAGER_SANDBOX", "elsewhere")
    with pytest.raises(sandbox.SandboxError, match=r"Operation not permitted.*run as root") as told:
        sandbox.enter(["true"])
    assert "\n" not in str(told.value)
