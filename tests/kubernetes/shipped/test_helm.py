"""What users do with a release, by the real Helm: install, upgrade, roll back, uninstall."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.rendered import CHART, EXAMPLE, merged, pattern_values
from kubernetes.shipped.installed import DEPLOYMENT, NONVPC, Site, settled
from vipmanager_lab.control_plane import NAMESPACE
from vipmanager_lab.kubernetes.plane import ADMINS, await_true

BASE = merged(pattern_values("nonvpc"), EXAMPLE)
NAME = "vipmanager"


@dataclass(frozen=True)
class Helm:
    """The command, with its cluster."""

    site: Site
    folder: Path
    path: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        config = self.site.joined.plane.kubeconfig("admin", ADMINS)
        where = [f"--kubeconfig={config}", f"--namespace={NAMESPACE}"]
        homes = {f"HELM_{kind}_HOME": str(self.folder) for kind in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [self.path, *words, *where],
            env={**os.environ, **homes},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def __call__(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, f"helm {' '.join(words)}: {done.stderr}"
        return done.stdout

    def values(self, values: dict[str, Any]) -> str:
        """Write a file of values; give its name. JSON is YAML."""
        file = self.folder / "values.yaml"
        file.write_text(json.dumps(merged(BASE, values)))
        return f"--values={file}"

    def revision(self, name: str = NAME) -> int:
        (last,) = json.loads(self("history", name, "--max=1", "--output=json"))
        return int(last["revision"])


@pytest.fixture
def helm(site: Site, tmp_path: Path) -> Helm:
    found = shutil.which("helm")
    if found is None:
        if os.environ.get("VIPMANAGER_TEST_KUBERNETES"):
            pytest.fail("no helm on PATH: scripts/helm builds it")
        pytest.skip("no helm on PATH: scripts/helm builds it")
    return Helm(site, tmp_path, found)


def serves(site: Site, count: int) -> None:
    """Wait until so many pods are ready, and the floating IPs lead to the one that holds."""
    site.rollout()
    settled(lambda: len(site.pods()), count)
    site.await_ready(count)

    def steered() -> bool:
        holder = site.holder()
        return holder is not None and site.steered(NONVPC) == site.zone(holder)

    await_true("the floating IPs lead to the holder", steered)


def key(site: Site, name: str) -> str | None:
    """Give a key of the release's ConfigMap."""
    found = json.loads(site.kubectl("get", "configmap", "vipmanager-config", "-o", "json"))
    value: str | None = found["data"].get(name)
    return value


def test_a_release_is_upgraded_rolled_back_and_gone(helm: Helm, site: Site) -> None:
    helm("install", NAME, str(CHART), helm.values({}))
    serves(site, 1)
    assert "deployment/busybox-deployment" in helm("get", "notes", NAME)
    helm("upgrade", NAME, str(CHART), helm.values({"config": {"ResyncSeconds": 20}}))
    assert key(site, "ResyncSeconds") == "20"
    helm("upgrade", NAME, str(CHART), helm.values({"standby": {"enabled": True}}))
    serves(site, 2)
    assert key(site, "ResyncSeconds") is None
    helm("rollback", NAME, "1")
    serves(site, 1)
    helm("uninstall", NAME)
    await_true("nothing is left", site.is_empty)
    assert not site.grants()


def test_what_is_refused_changes_nothing(helm: Helm, site: Site) -> None:
    helm("install", NAME, str(CHART), helm.values({}))
    serves(site, 1)
    before = site.kubectl("get", "configmap,deployment,lease,role", "-o", "name"), helm.revision()
    for values, said in (
        ({"standby": {"enabled": True}, "leaderElection": False}, "standby"),
        ({"config": {"ResyncSecond": 20}}, "ResyncSecond"),
        ({"image": {"repository": ""}}, "image.repository"),
    ):
        refused = helm.run("upgrade", NAME, str(CHART), helm.values(values))
        assert refused.returncode != 0
        assert said in refused.stderr
    # The values of this release, given to another one.
    taken = {"fullnameOverride": NAME, "configMap": "vipmanager-config"}
    refused = helm.run("install", "other", str(CHART), helm.values(taken))
    assert refused.returncode != 0
    assert "vipmanager" in refused.stderr
    assert site.kubectl("get", DEPLOYMENT, "-o", "jsonpath={.status.readyReplicas}") == "1"
    after = site.kubectl("get", "configmap,deployment,lease,role", "-o", "name"), helm.revision()
    assert after == before
