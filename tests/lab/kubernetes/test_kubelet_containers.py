import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from vipmanager_lab.kubernetes.kubelet.containers import Command, Container, RunError
from vipmanager_lab.netns import Netns

ENVIRONMENT = {"PATH": os.environ["PATH"], "A": "1"}
Run = Callable[..., Container]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    started: list[Container] = []
    with Netns("kubelet", f"t{os.getpid()}") as netns:

        def start(script: str, *, mounts: Sequence[Any] = (), **more: Any) -> Container:  # noqa: ANN401
            argv = ["/bin/sh", "-c", script]
            command = Command(argv=argv, environment=ENVIRONMENT, mounts=mounts)
            one = Container(netns, tmp_path, command, **more)
            started.append(one)
            return one

        yield start
        for one in started:
            one.close()
    assert not [*tmp_path.glob("run-*")]


def test_a_container_is_process_1_with_its_own_environment_alone(run: Run) -> None:
    one = run("echo $$ $A $HOME; echo error >&2; exit 3")
    assert one.wait(10)
    found = one.ended()
    assert found is not None
    assert (found.code, found.reason, [*one.lines]) == (3, "Error", ["1 1", "error"])


@pytest.mark.parametrize("target", ["/no/such/folder", "/etc/no/such", "/var/run/secrets/x"])
def test_a_volume_is_mounted_anywhere_and_leaves_nothing(
    run: Run, tmp_path: Path, target: str
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "key").write_text("k")
    mount = {"source": str(volume), "target": target, "read_only": True}
    one = run("exec sleep 60", mounts=[mount])
    looks = f"touch {target}/new 2>&- || echo refused; cat {target}/key"
    assert one.execute(["sh", "-c", looks], seconds=10).output == "refused\nk"
    one.signal(signal.SIGKILL)
    assert one.wait(10)
    assert not Path(target).exists()


def test_a_program_that_is_not_there_is_a_start_error(tmp_path: Path) -> None:
    with Netns("kubelet", "missing") as netns:
        missing = Command(argv=["no-such-program"], environment=ENVIRONMENT)
        one = Container(netns, tmp_path, missing)
        assert one.wait(10)
        found = one.ended()
        one.close()
    assert found is not None
    assert (found.code, found.reason) == (128, "StartError")
    assert "no-such-program" in found.message


def test_process_1_ignores_a_signal_that_it_does_not_handle(run: Run) -> None:
    one = run("exec sleep 60")
    one.signal(signal.SIGTERM)
    assert not one.wait(0.3)
    one.signal(signal.SIGKILL)
    assert one.wait(10)
    found = one.ended()
    assert found is not None
    assert found.code == 137


def test_what_it_started_ends_with_it(run: Run) -> None:
    one = run("sleep 60 & sleep 60 & trap 'exit 0' TERM; echo up; wait")
    one.process.wait_for(lambda record: record["text"] == "up")
    one.signal(signal.SIGTERM)
    assert one.wait(10)
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"sleep\x0060" in _read(p)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_command_in_it_has_its_namespaces_and_ends_in_time(run: Run) -> None:
    one = run("exec sleep 60")
    done = one.execute(["/bin/sh", "-c", "cat /proc/1/cmdline; exit 4"], seconds=10)
    assert (done.code, done.output) == (4, "sleep\x0060\x00")
    with pytest.raises(RunError, match="no end within 0"):
        one.execute(["sleep", "60"], seconds=0.2)


def test_its_json_lines_are_records(run: Run) -> None:
    heard: list[dict[str, Any]] = []
    one = run("""echo '{"event": "x", "text": "y"}'; echo plain""", heard=heard.append)
    assert one.wait(10)
    assert heard == [{"event": "x", "text": "y"}, {"event": "text", "text": "plain"}]
    assert [*one.lines] == ['{"event": "x", "text": "y"}', "plain"]
