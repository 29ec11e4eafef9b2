"""A namespace that allows no NET_ADMIN: what the documentation has an operator ask tells it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from vipmanager_lab.kubernetes.api import ApiError
from vipmanager_lab.kubernetes.plane import Plane

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy/manifests/base"
SIDECARS = ("deployment-initContainer", "deployment-native-sidecar", "deployment-sidecar")
ASKED = "kubectl apply --dry-run=server"
SPACES = "/api/v1/namespaces"


@pytest.fixture
def namespace(plane: Plane, request: pytest.FixtureRequest) -> str:
    level: str = request.param
    labels = {"pod-security.kubernetes.io/enforce": level}
    space = {"apiVersion": "v1", "kind": "Namespace"}
    metadata = {"name": level, "labels": labels}
    plane.admin.patch(f"{SPACES}/{level}", {**space, "metadata": metadata}, "apply")
    for account in ("default", "vipmanager-sa"):
        made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}}
        plane.admin.patch(f"{SPACES}/{level}/serviceaccounts/{account}", made, "apply")
    return level


def dry_run(plane: Plane, namespace: str, name: str) -> str:
    words = ASKED.split()[1:]
    command = plane.kubectl(*words, "-n", namespace, "-f", str(SHIPPED / f"{name}.yaml"))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr


def pod_of(name: str) -> dict[str, Any]:
    template = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())["spec"]["template"]
    spec = template["spec"] | {"serviceAccountName": "default"}
    return {"metadata": {"name": "app"}, "spec": spec}


@pytest.mark.parametrize("namespace", ["baseline", "restricted"], indirect=True)
@pytest.mark.parametrize("name", SIDECARS)
def test_a_dry_run_tells_that_no_pod_would_appear(plane: Plane, namespace: str, name: str) -> None:
    assert ASKED in (ROOT / "docs/deploy.md").read_text()
    said = dry_run(plane, namespace, name)
    assert f'would violate PodSecurity "{namespace}:latest"' in said
    assert "NET_ADMIN" in said
    with pytest.raises(ApiError, match="violates PodSecurity"):
        plane.admin.create(f"{SPACES}/{namespace}/pods", pod_of(name), dryRun="All")


@pytest.mark.parametrize("namespace", ["privileged"], indirect=True)
@pytest.mark.parametrize("name", SIDECARS)
def test_where_it_is_allowed_nothing_is_said(plane: Plane, namespace: str, name: str) -> None:
    assert "PodSecurity" not in dry_run(plane, namespace, name)
    plane.admin.create(f"{SPACES}/{namespace}/pods", pod_of(name), dryRun="All")
