"""What the shipped manifests become: rendered by the engines that people use."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import helm_python as helm
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFESTS = DEPLOY / "manifests"
BASE = MANIFESTS / "base"
CHART = DEPLOY / "helm" / "vipmanager"

PATTERNS = ("nonvpc", "vpc")
MODES = ("native-sidecar", "sidecar", "initContainer")
SIDECARS = ("native-sidecar", "sidecar")
OVERLAYS = tuple(f"{pattern}-{mode}" for pattern in PATTERNS for mode in MODES)
STANDBYS = tuple(f"{pattern}-standby" for pattern in PATTERNS)
"""Overlays with two replicas."""
CHART_MODES = dict(zip(MODES, ("nativeSidecar", "sidecar", "initContainer"), strict=True))

KUBERNETES = ("1.29", "1.37")
"""The oldest that has native sidecars, and the newest whose schemas are here."""

Document = dict[str, Any]

REPOSITORY = "example.com/vipmanager"
EXAMPLE: Document = {
    "image": {"repository": REPOSITORY},
    "config": {"Intf1Peers": "10.10.10.48,10.0.0.0/24", "Intf2Peers": "192.168.1.204"},
    "example": {"name": "busybox-deployment", "app": "busybox"},
}
"""What makes of the chart's example the one of the overlays."""

DOWNWARD = {
    "metadata.name": "busybox-deployment-6d4b75cb6d-hznwp",
    "metadata.namespace": "telco",
    "metadata.uid": "4a8b1f0e-8f0c-4a26-9d3a-0b5f4c1d2e3f",
    "spec.nodeName": "ip-10-0-1-23.us-east-2.compute.internal",
    "status.podIPs": "10.0.1.100",
}
"""What kubelet fills in for a pod's own fields."""


def documents(path: Path) -> list[Document]:
    """Read every object of a YAML file."""
    return [d for d in yaml.safe_load_all(path.read_text(encoding="utf-8")) if d]


@cache
def overlay(name: str) -> tuple[Document, ...]:
    """Render a shipped overlay."""
    return kustomize(MANIFESTS / "overlays" / name)


def kustomize(folder: Path) -> tuple[Document, ...]:
    """Render a folder with `kubectl kustomize`."""
    done = subprocess.run(
        [_kubectl(), "kustomize", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert not done.returncode, done.stderr
    assert not done.stderr, f"a warning: {done.stderr}"
    return tuple(d for d in yaml.safe_load_all(done.stdout) if d)


def composed(folder: Path, name: str, **entries: object) -> tuple[Document, ...]:
    """Render an overlay of somebody's own in `deploy/mine`, over a shipped one.

    Args:
        folder: an empty one.
        name: of the shipped overlay.
        entries: of the kustomization, beside its resources.
    """
    whole = {"resources": [f"../manifests/overlays/{name}"], **entries}
    return own(folder, yaml.safe_dump(whole))


def own(folder: Path, kustomization: str, *objects: Document) -> tuple[Document, ...]:
    """Render a kustomization of somebody's own, in a folder beside the shipped ones.

    Args:
        folder: an empty one.
        kustomization: its text.
        objects: in `application.yaml` beside it.
    """
    shutil.copytree(MANIFESTS, folder / "manifests")
    mine = folder / "mine"
    mine.mkdir()
    (mine / "application.yaml").write_text(yaml.safe_dump_all(objects))
    (mine / "kustomization.yaml").write_text(kustomization)
    return kustomize(mine)


def components(*names: str) -> list[str]:
    """Name shipped components as an overlay in `deploy/mine` does."""
    return [f"../manifests/components/{name}" for name in names]


@cache
def _kubectl() -> str:
    beside = Path(sys.executable).parent / "kubectl"
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        without("kubectl is not installed")
    answer = subprocess.run(
        [found, "version", "--client", "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    version = json.loads(answer.stdout)["clientVersion"]
    if (int(version["major"]), int(version["minor"].rstrip("+"))) < (1, 21):
        without(f"{found} {version['gitVersion']} knows no components: 1.21 or later does")
    return found


def without(why: str) -> NoReturn:
    """Skip the test, or fail it where everything has to be there."""
    if os.environ.get("VIPMANAGER_TEST_DEPLOY") == "1":
        pytest.fail(why)
    pytest.skip(why)


def installed(
    values: Mapping[str, Any], *, path: Path = CHART, name: str = "vipmanager"
) -> tuple[Document, ...]:
    """Render a chart as `helm install` does, without its notes.

    Raises:
        helm.HelmError: Helm refuses the values or a template.
    """
    with helm.Chart.load(path) as loaded:
        rendered = loaded.render(dict(values), name=name, namespace="telco")
    manifests = [text for file, text in rendered.items() if not file.endswith("NOTES.txt")]
    return tuple(d for text in manifests for d in yaml.safe_load_all(text) if d)


def chart(
    values: Mapping[str, Any] | None = None, *, name: str = "vipmanager"
) -> tuple[Document, ...]:
    """Render the chart with its example, named as in the overlays, and with these values.

    Raises:
        helm.HelmError: Helm refuses the values or a template.
    """
    return installed(merged(pattern_values("nonvpc"), EXAMPLE, values or {}), name=name)


def merged(*layers: Mapping[str, Any]) -> Document:
    """Lay values over each other as Helm does: maps are merged, anything else is replaced."""
    whole: Document = {}
    for layer in layers:
        for key, value in layer.items():
            under = whole.get(key)
            if isinstance(under, dict) and isinstance(value, dict):
                whole[key] = merged(under, value)
            else:
                whole[key] = value
    return whole


def pattern_values(pattern: str) -> Document:
    """Give the chart's values of the example of a pattern."""
    return documents(CHART / f"values-{pattern}.yaml")[0]


def check_schemas(objects: Sequence[Document], version: str) -> None:
    """Check objects against Kubernetes' schemas, unknown fields included; not Multus' kind."""
    for each in objects:
        if each["kind"] != "NetworkAttachmentDefinition":
            kubernetes_validate.validate(each, version, strict=True)


def of_kind(objects: Sequence[Document], kind: str) -> list[Document]:
    """Pick the objects of a kind, by name."""
    return sorted((o for o in objects if o["kind"] == kind), key=lambda o: o["metadata"]["name"])


def only(objects: Sequence[Document], kind: str) -> Document:
    """Pick the one object of a kind."""
    (one,) = of_kind(objects, kind)
    return one


def pod(objects: Sequence[Document]) -> Document:
    """Give the pod template's spec of the one Deployment."""
    spec: Document = only(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def containers(spec: Document) -> Iterator[Document]:
    """Give every container of a pod."""
    yield from spec.get("initContainers", [])
    yield from spec["containers"]


def agent(spec: Document) -> Document:
    """Give vipmanager's container."""
    (one,) = (c for c in containers(spec) if c["name"] == "vipmanager")
    return one


def environment(objects: Sequence[Document]) -> dict[str, str]:
    """Give what the manifests set in vipmanager's container; `env` wins over `envFrom`."""
    container = agent(pod(objects))
    maps = {c["metadata"]["name"]: c["data"] for c in of_kind(objects, "ConfigMap")}
    merged: dict[str, str] = {}
    for source in container["envFrom"]:
        merged |= maps[source["configMapRef"]["name"]]
    return merged | {each["name"]: _value(each) for each in container["env"]}


def _value(variable: Document) -> str:
    if "value" in variable:
        return str(variable["value"])
    return DOWNWARD[variable["valueFrom"]["fieldRef"]["fieldPath"]]
