import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from vipmanager_lab.kubernetes.kubelet import environment
from vipmanager_lab.kubernetes.kubelet.environment import ConfigError, expand, variables
from vipmanager_lab.kubernetes.kubelet.images import ImageError, command, repository, usual

POD: Mapping[str, Any] = {
    "metadata": {
        "name": "p",
        "namespace": "n",
        "uid": "u",
        "labels": {"app": 'a"b', "z": "1"},
        "annotations": {"note": "x"},
    },
    "spec": {"nodeName": "node-a", "serviceAccountName": "sa"},
    "status": {"podIP": "10.0.1.100", "hostIP": "10.0.1.10"},
}


@dataclass(frozen=True)
class Known:
    maps: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict)

    def config_map(self, name: str) -> Mapping[str, Any] | None:
        return self.maps.get(name)

    def secret(self, name: str) -> Mapping[str, Any] | None:
        return self.secrets.get(name)


SOURCES = Known(
    maps={"cm": {"data": {"A": "1", "B": "2"}}},
    secrets={"se": {"data": {"key": base64.b64encode(b"k").decode()}}},
)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)-$(B)", "1-$(B)"),
        ("$$(A)", "$(A)"),
        ("$A $(", "$A $("),
        ("$$$(A)", "$1"),
    ],
)
def test_known_names_are_expanded(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


def test_own_variables_override_those_of_config_maps_and_see_those_before() -> None:
    container = {
        "envFrom": [
            {"configMapRef": {"name": "cm"}},
            {"prefix": "S_", "secretRef": {"name": "se"}},
            {"configMapRef": {"name": "none", "optional": True}},
        ],
        "env": [
            {"name": "B", "value": "$(A)$(GIVEN)$(C)"},
            {"name": "C", "valueFrom": {"secretKeyRef": {"name": "se", "key": "key"}}},
            {
                "name": "D",
                "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "no", "optional": True}},
            },
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
    }
    assert variables(POD, container, SOURCES, {"GIVEN": "g", "A": "given"}) == {
        "GIVEN": "g",
        "A": "1",
        "B": "1g$(C)",
        "S_key": "k",
        "C": "k",
        "IP": "10.0.1.100",
    }


@pytest.mark.parametrize(
    "container",
    [
        {"envFrom": [{"configMapRef": {"name": "none"}}]},
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "se", "key": "no"}}}]},
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.no"}}}]},
    ],
)
def test_what_is_missing_is_an_error(container: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigError):
        variables(POD, container, SOURCES, {})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.uid", "u"),
        ("metadata.labels['app']", 'a"b'),
        ("metadata.annotations['none']", ""),
        ("metadata.labels", 'app="a\\"b"\nz="1"'),
        ("spec.nodeName", "node-a"),
        ("status.hostIP", "10.0.1.10"),
    ],
)
def test_the_downward_api_tells_of_the_pod(path: str, value: str) -> None:
    assert environment.field(POD, path) == value


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("vipmanager", "vipmanager"),
        ("host:5000/a/vipmanager:0.1.0", "host:5000/a/vipmanager"),
        ("host:5000/vipmanager@sha256:abc", "host:5000/vipmanager"),
    ],
)
def test_an_image_is_known_by_its_repository(image: str, name: str) -> None:
    assert repository(image) == name
    assert usual(image).entrypoint[1:] == ("-m", "vipmanager")


def test_a_command_takes_the_place_of_the_entrypoint() -> None:
    ours = usual("vipmanager:1")
    assert command("vipmanager:1", ours, (), ("run",))[1:] == ("-m", "vipmanager", "run")
    assert command("vipmanager:1", ours, ("vipmanager", "yield"), ())[1:3] == ("-m", "vipmanager")
    assert command("busybox", usual("busybox"), ("sh",), ("-c", "x")) == ("sh", "-c", "x")


def test_an_unknown_image_needs_a_command() -> None:
    with pytest.raises(ImageError, match="nginx:1"):
        command("nginx:1", usual("nginx:1"), (), ("-g",))
