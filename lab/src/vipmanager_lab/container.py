"""A container in a pod of the lab: a real OCI runtime, the built image, the manifest's rights.

`crun` starts the process as a node's runtime does: process 1 with the image as its root file
system, the manifest's capabilities, and the pod's network namespace, in which `crun` is started.
There are no volumes and no cgroups, so memory and CPU limits have no effect.
"""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from vipmanager_lab.seccomp import runtime_default

_NODEV = ["nosuid", "noexec", "nodev"]
_MOUNTS = (
    {"destination": "/proc", "type": "proc", "source": "proc", "options": _NODEV},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
    {  # as kubelet does
        "destination": "/etc/hosts",
        "type": "bind",
        "source": "/etc/hosts",
        "options": ["bind", "ro"],
    },
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*_NODEV, "ro"]},
)
# Kubernetes' defaults: pkg/securitycontext/util.go.
_MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
# A sandbox has no cgroups to give out; an empty folder lets crun do without, on any kernel.
_WITHOUT_CGROUPS = 'mount -t tmpfs none /sys/fs/cgroup && exec "$@"'


class ImageError(Exception):
    """There is no image, or a manifest has no such container; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A built image: its root file system, and what its configuration says."""

    rootfs: Path
    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> "Image":
        """Read what `scripts/image` left in a folder.

        Raises:
            ImageError: it is not there.
        """
        try:
            text = (folder / "config.json").read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise ImageError(f"{folder}: no image is built there: run scripts/image") from error
        config = json.loads(text)["OCIv1"]["config"]
        return cls(
            rootfs=(folder / "rootfs").resolve(),
            entrypoint=tuple(config["Entrypoint"]),
            environment=dict(one.split("=", 1) for one in config["Env"]),
            labels=config["Labels"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What a manifest says of a container, as far as the runtime is told."""

    command: tuple[str, ...] = ()
    """Instead of the image's entrypoint."""
    args: tuple[str, ...] = ()
    user: int = 0
    capabilities: tuple[str, ...] = ()
    """All others are dropped."""
    escalation: bool = True
    read_only: bool = False
    seccomp: bool = False
    """Whether the runtime's default profile applies."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The container's own variables: not a ConfigMap's, nor what a cluster tells of the pod."""

    @classmethod
    def read(cls, manifest: Path, name: str) -> "Container":
        """Read a container or initContainer of the Deployment in a file.

        Raises:
            ImageError: the file has no such container, or the container keeps capabilities.
        """
        (deployment,) = yaml.safe_load_all(manifest.read_text(encoding="utf-8"))
        pod = deployment["spec"]["template"]["spec"]
        every = [*pod.get("initContainers", ()), *pod["containers"]]
        found = next((one for one in every if one["name"] == name), None)
        if found is None:
            raise ImageError(f"{manifest}: expected a container {name}")
        rights = pod.get("securityContext", {}) | found["securityContext"]
        capabilities = rights["capabilities"]
        if capabilities["drop"] != ["ALL"]:
            raise ImageError(f"{manifest}: container {name}: expected capabilities.drop: [ALL]")
        return cls(
            command=tuple(found.get("command", ())),
            args=tuple(found.get("args", ())),
            user=rights["runAsUser"],
            capabilities=tuple(f"CAP_{one}" for one in capabilities["add"]),
            escalation=rights["allowPrivilegeEscalation"],
            read_only=rights["readOnlyRootFilesystem"],
            seccomp=rights["seccompProfile"]["type"] == "RuntimeDefault",
            environment={e["name"]: e["value"] for e in found.get("env", ()) if "value" in e},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A container that is ready to run, once; its commands belong in the pod's namespace."""

    folder: Path

    def run(self) -> list[str]:
        """Give the command whose standard streams, exit code and signals are the container's."""
        return self._runtime("run", "--bundle", str(self.folder), self.folder.name)

    def execute(self, *words: str) -> list[str]:
        """Give the command that runs one more process in it, as a probe or a preStop hook does."""
        return self._runtime("exec", self.folder.name, *words)

    def _runtime(self, *words: str) -> list[str]:
        without = ["unshare", "--mount", "sh", "-c", _WITHOUT_CGROUPS, "crun"]
        # With the bundle, in the sandbox's own /run: a container that is killed leaves nothing.
        root = str(self.folder / "state")
        return [*without, "crun", "--root", root, "--cgroup-manager", "disabled", *words]


def prepare(image: Image, container: Container, environment: Mapping[str, str]) -> Bundle:
    """Write the runtime's configuration.

    `environment` is the ConfigMap's part, which the manifest's own variables override.
    """
    folder = Path(tempfile.mkdtemp(prefix="container-", dir="/run"))
    variables = {**image.environment, **environment, **container.environment}
    config = _config(image, container, variables)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return Bundle(folder=folder)


def _config(image: Image, container: Container, environment: Mapping[str, str]) -> dict[str, Any]:
    """Give the configuration in the terms of the OCI runtime specification, 1.0.2."""
    rights = list(container.capabilities)
    namespaces = ("pid", "mount", "ipc", "uts")
    linux: dict[str, Any] = {
        "namespaces": [{"type": one} for one in namespaces],
        "maskedPaths": _MASKED,
        "readonlyPaths": _READ_ONLY,
    }
    if container.seccomp:
        linux["seccomp"] = runtime_default(rights)
    return {
        "ociVersion": "1.0.2",
        "process": {
            "args": [*(container.command or image.entrypoint), *container.args],
            "cwd": "/",
            "env": [f"{key}={value}" for key, value in environment.items()],
            "user": {"uid": container.user, "gid": 0},
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), rights),
            "noNewPrivileges": not container.escalation,
        },
        "root": {"path": str(image.rootfs), "readonly": container.read_only},
        "mounts": _MOUNTS,
        "linux": linux,
    }
