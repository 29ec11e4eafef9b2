"""The image: what is in it, and that it does its work in a pod with the manifest's rights alone."""

import errno
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from agent_fixtures import converged
from vipmanager import __version__
from vipmanager_lab.cni import PLUGINS
from vipmanager_lab.container import Container, Image, ImageError, prepare
from vipmanager_lab.process import Process
from vipmanager_lab.shipped import Shipped, only_address
from vipmanager_lab.world import World

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "image"
MANIFESTS = ROOT / "deploy" / "manifests" / "base"
BIN = Path(sys.executable).parent
SAMPLE = ("/bin/sh", "-c", "/app/script.sh")
NET_ADMIN = 1 << 12
UNCHECKED_HASH = 0b01
"""The flags of a .pyc that is never compared with its source (PEP 552)."""
SHOW_RIGHTS = """
import errno, json, os
status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines())
def attempt(path):
    try:
        open(path, "w")
    except OSError as error:
        return errno.errorcode[error.errno]
print(json.dumps({
    "event": "rights", "pid": os.getpid(), "status": status,
    "write": [attempt("/x"), attempt("/etc/passwd"), attempt("/proc/sys/net/ipv4/ip_forward")],
}))
"""


@pytest.fixture(scope="module")
def shipped() -> Shipped:
    """The image of these sources: `make test-deploy` builds it, as the sandbox is offline."""
    check = subprocess.run(
        [ROOT / "scripts" / "image", "--check"], capture_output=True, text=True, check=False
    )
    why = check.stderr.strip()
    if not (PLUGINS / "host-local").exists():
        why = f"no {PLUGINS}: install containernetworking-plugins"
    if why and os.environ.get("VIPMANAGER_TEST_DEPLOY") == "1":
        pytest.fail(why)
    if why:
        pytest.skip(why)
    return Shipped.read(FOLDER, MANIFESTS)


@pytest.fixture(scope="module")
def files(shipped: Shipped) -> list[Path]:
    root = shipped.image.rootfs
    return sorted(path.relative_to(root) for path in root.rglob("*"))


@pytest.fixture
def world(shipped: Shipped) -> Iterator[World]:
    with World() as world:
        world.reach_from_outside(shipped.peers())
        yield world


class Stage:
    """A pod attached by the shipped definitions, and the shipped container in it."""

    def __init__(self, world: World, shipped: Shipped, mode: str, pattern: int = 1) -> None:
        self.world = world
        self.image = shipped.image
        self.container = shipped.container(mode)
        networks = shipped.networks(pattern)
        self.floating = [str(only_address(one.definition)) for one in networks]
        self.pod = world.start_pod("pod", "a", networks)
        self.config = shipped.config() | world.environment | {"LogFormat": "json"}
        if pattern == 2:
            self.config["SubnetBasedLoopbacks"] = "True"

    def run(self, stream: str = "stderr", **changed: Any) -> Process:  # noqa: ANN401 - any field
        """Start the container; `changed` are fields in which it differs from the manifest."""
        self.bundle = prepare(self.image, replace(self.container, **changed), self.config)
        return self.world.run(self.pod, self.bundle.run(), stream=stream)

    def python(self, code: str, stream: str = "stdout", **changed: Any) -> Process:  # noqa: ANN401 - as above
        return self.run(stream, command=("/usr/bin/python3",), args=("-c", code), **changed)

    def right(self) -> bool:
        enis = self.world.nodes["a"].secondary
        return all(
            self.world.targets(self.world.destination(address)) == {eni}
            for address, eni in zip(self.floating, enis, strict=True)
        )

    def answers(self) -> None:
        self.world.application(self.pod, self.floating)
        prober = self.world.probe(self.floating)
        for floating in self.floating:
            bare = floating.partition("/")[0]
            prober.wait_for(lambda r, a=bare: r["event"] == "answered" and r["address"] == a)  # type: ignore[misc]
        prober.close()


# --- what is in it -----------------------------------------------------------------------------


def test_the_entrypoint_is_vipmanager_and_the_labels_say_what_it_is(shipped: Shipped) -> None:
    assert shipped.image.entrypoint == ("vipmanager",)
    labels = {
        k.removeprefix("org.opencontainers.image."): v for k, v in shipped.image.labels.items()
    }
    assert labels["title"] == "vipmanager"
    assert labels["version"] == __version__
    assert labels["licenses"] == "MIT-0"
    assert {"description", "revision", "base.name"} <= labels.keys()


def test_nothing_of_the_building_machine_is_in_it(shipped: Shipped, files: list[Path]) -> None:
    assert set(shipped.image.environment) == {"PATH", "LANG", "SSL_CERT_FILE"}
    top = {str(file) for file in files if len(file.parts) == 1}
    links = {"bin", "lib", "lib64", "sbin"}
    assert top - links == {"dev", "etc", "proc", "sys", "usr", "var"}
    etc = {file.parts[1] for file in files if file.parts[0] == "etc" and len(file.parts) == 2}
    assert etc == {"group", "hosts", "iproute2", "nsswitch.conf", "os-release", "passwd", "ssl"}
    assert (shipped.image.rootfs / "etc" / "hosts").read_bytes() == b""


def test_there_is_no_shell_and_nothing_to_run_but_ip_python_and_the_agent(
    shipped: Shipped, files: list[Path]
) -> None:
    programs = {str(file) for file in files if file.parent.name in {"bin", "sbin"}}
    assert programs == {
        "usr/bin/ip",
        "usr/bin/python3",
        "usr/bin/python3.11",
        "usr/local/bin/vipmanager",
        "usr/sbin/ip",
    }
    shells = {"sh", "ash", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "pip"}
    assert not [f for f in files if f.name in shells and (shipped.image.rootfs / f).is_file()]


def test_the_lab_is_not_in_it(files: list[Path]) -> None:
    lab = {"cryptography", "matplotlib", "moto", "vipmanager_lab", "werkzeug", "yaml"}
    assert not [file for file in files if lab & set(file.parts)]


def test_scanners_find_the_debian_packages_and_their_licences(shipped: Shipped) -> None:
    packages = {p.name for p in (shipped.image.rootfs / "var/lib/dpkg/status.d").iterdir()}
    assert {"iproute2", "libc6", "libssl3", "libpython3.11-stdlib", "ca-certificates"} <= packages
    for package in packages:
        assert (shipped.image.rootfs / "usr/share/doc" / package / "copyright").is_file(), package


def test_every_module_is_compiled_and_its_bytecode_is_never_checked(
    shipped: Shipped, files: list[Path]
) -> None:
    sources = [file for file in files if file.suffix == ".py"]
    assert sources
    for source in sources:
        compiled = shipped.image.rootfs / importlib.util.cache_from_source(str(source))
        (flags,) = struct.unpack_from("<I", compiled.read_bytes(), 4)
        assert flags == UNCHECKED_HASH, source


def test_hadolint_has_nothing_to_say() -> None:
    dockerfile = ROOT / "deploy" / "image" / "Dockerfile"
    done = subprocess.run(
        [BIN / "hadolint", dockerfile], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


# --- in a pod ----------------------------------------------------------------------------------


def _rights(process: Process) -> Mapping[str, Any]:
    record = process.wait_for(lambda r: r["event"] == "rights")
    assert process.wait() == 0
    return record


def test_it_has_net_admin_and_nothing_else(world: World, shipped: Shipped) -> None:
    stage = Stage(world, shipped, "sidecar")
    rights = _rights(stage.python(SHOW_RIGHTS))
    status = rights["status"]
    for own in ("CapEff", "CapPrm", "CapBnd"):
        assert int(status[own], 16) == NET_ADMIN, own
    for inherited in ("CapInh", "CapAmb"):
        assert int(status[inherited], 16) == 0, inherited
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert rights["pid"] == 1
    assert rights["write"] == [errno.errorcode[errno.EROFS]] * 3


def test_another_user_than_root_would_have_no_capability(world: World, shipped: Shipped) -> None:
    stage = Stage(world, shipped, "sidecar")
    assert int(_rights(stage.python(SHOW_RIGHTS, user=65534))["status"]["CapEff"], 16) == 0


@pytest.mark.parametrize("pattern", [1, 2])
def test_as_initcontainer_it_exits_0_with_every_route_right(
    world: World, shipped: Shipped, pattern: int
) -> None:
    stage = Stage(world, shipped, "init", pattern)
    agent = stage.run()
    assert agent.wait() == 0, agent.text
    assert stage.right()
    stage.answers()


def test_as_sidecar_it_converges_obeys_prestop_and_ends_on_sigterm_within_the_grace(
    world: World, shipped: Shipped
) -> None:
    stage = Stage(world, shipped, "sidecar")
    agent = stage.run()
    agent.wait_for(converged)
    assert stage.right()
    stage.answers()
    (deployment,) = yaml.safe_load_all((MANIFESTS / "deployment-sidecar.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    (hook,) = (c["lifecycle"]["preStop"]["exec"] for c in pod["containers"] if "lifecycle" in c)
    order = world.run(stage.pod, stage.bundle.execute(*hook["command"]), stream="stderr")
    assert order.wait() == 0, order.text
    agent.signal(signal.SIGTERM)
    assert agent.wait(pod["terminationGracePeriodSeconds"]) == 0
    assert any("SIGTERM" in text for text in agent.text)


def test_the_sample_s_arguments_still_work(world: World, shipped: Shipped) -> None:
    stage = Stage(world, shipped, "init")
    agent = stage.run(args=SAMPLE)
    assert agent.wait() == 0, agent.text
    assert stage.right()


def test_asked_for_the_demo_it_says_what_is_missing(world: World, shipped: Shipped) -> None:
    agent = Stage(world, shipped, "init").run(args=("demo",))
    assert agent.wait() == 2
    (said,) = agent.text
    assert "vipmanager demo: it comes with vipmanager-lab" in said


def test_starting_the_agent_compiles_no_module(world: World, shipped: Shipped) -> None:
    stage = Stage(world, shipped, "init")
    agent = stage.run(command=("/usr/bin/python3", "-v", "-m", "vipmanager"))
    assert agent.wait() == 0, agent.text[-5:]
    told = "# code object from "
    said = [r["text"] for r in agent.records if r["event"] == "text"]
    loaded = [line.removeprefix(told).strip("'") for line in said if line.startswith(told)]
    assert any("botocore" in one for one in loaded)
    assert {Path(one).suffix for one in loaded} == {".pyc"}


def test_killing_a_pod_ends_its_containers(world: World, shipped: Shipped) -> None:
    stage = Stage(world, shipped, "sidecar")
    stage.run().wait_for(converged)
    stage.pod.kill()
    assert not subprocess.check_output(["ip", "netns", "pids", stage.pod.full_name])


@pytest.mark.usefixtures("shipped")
def test_the_demo_runs_from_the_image_and_the_manifests() -> None:
    demo = [sys.executable, "-m", "vipmanager", "demo", "--image", str(FOLDER)]
    manifests = ["--manifests", str(MANIFESTS), "--output", "json"]
    done = subprocess.run(
        [*demo, *manifests, "--pattern", "2", "--mode", "sidecar"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (outcome,) = json.loads(done.stdout)["outcomes"]
    assert outcome["outages"].keys() == {"10.0.254.1", "10.0.254.17"}
    assert outcome["answered"]
    assert any("LogFormat" in event["text"] for event in outcome["events"])


# --- without an image --------------------------------------------------------------------------


def test_the_sample_s_arguments_mean_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vipmanager", *SAMPLE],
        env={**os.environ, "UseSBR": "perhaps"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "UseSBR='perhaps': expected True or False" in done.stderr


def test_the_demo_says_that_the_shipped_attachments_are_ipv4() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vipmanager", "demo", "--image", str(FOLDER), "--ipv6"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "IPv4: drop --ipv6" in done.stderr


def test_a_folder_without_an_image_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"{tmp_path}: no image .* run scripts/image"):
        Image.read(tmp_path)


def test_a_manifest_that_keeps_capabilities_is_refused(tmp_path: Path) -> None:
    kept = (MANIFESTS / "deployment-sidecar.yaml").read_text().replace("drop: [ALL]", "drop: []")
    (tmp_path / "kept.yaml").write_text(kept)
    with pytest.raises(ImageError, match=r"vipmanager: expected capabilities\.drop: \[ALL\]"):
        Container.read(tmp_path / "kept.yaml", "vipmanager")
