from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from vipmanager_lab.kubernetes.kubelet.spec import ACCEPTED, HANDLED, LEFT_OUT, unknown

MANIFESTS = Path(__file__).parents[3] / "deploy" / "manifests"


def pod_specs() -> Iterator[Any]:
    for path in sorted(MANIFESTS.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document.get("kind") == "Deployment":
                yield pytest.param(document["spec"]["template"]["spec"], id=path.name)


@pytest.mark.parametrize("spec", list(pod_specs()))
def test_every_shipped_manifest_is_understood(spec: dict[str, Any]) -> None:
    assert unknown(spec) == ()


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"containers": [{"name": "a"}, {"name": "b", "tty": True}]}, "containers[1].tty"),
        (
            {"initContainers": [{"volumeMounts": [{"subPath": "a"}]}]},
            "initContainers[0].volumeMounts[0].subPath",
        ),
        (
            {"containers": [{"livenessProbe": {"grpc": {"port": 1}}}]},
            "containers[0].livenessProbe.grpc",
        ),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "volumes[0].hostPath"),
        ({"tomorrow": {"field": 1}}, "tomorrow"),
    ],
)
def test_a_field_that_is_not_known_is_named(spec: dict[str, Any], field: str) -> None:
    (refusal,) = unknown(spec)
    assert refusal.startswith(f"{field}: ")


def test_what_says_nothing_is_not_used() -> None:
    assert unknown({"hostNetwork": False, "hostAliases": [], "dnsConfig": {}, "new": None}) == ()


def test_no_field_is_in_two_tables() -> None:
    assert not HANDLED & ACCEPTED.keys()
    assert not HANDLED & LEFT_OUT.keys()
    assert not ACCEPTED.keys() & LEFT_OUT.keys()


@pytest.mark.parametrize("mode", ["nativeSidecar", "sidecar", "initContainer"])
def test_what_the_chart_renders_is_understood(mode: str) -> None:
    rendered = pytest.importorskip("deploy.rendered", reason="the tools of deploy are missing")
    standby = {} if mode == "initContainer" else {"keySecret": "key", "enabled": True}
    everything = rendered.chart({"mode": mode, "standby": standby})
    found = [d for d in everything if d["kind"] == "Deployment"]
    assert found
    assert [unknown(one["spec"]["template"]["spec"]) for one in found] == [()]
