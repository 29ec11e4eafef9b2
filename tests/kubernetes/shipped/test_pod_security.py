"""Pod Security: what a namespace must admit."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import NAMESPACE
from deploy.rendered import DEPLOY, MANIFESTS
from kubernetes.shipped.installed import DEPLOYMENT, Site
from vipmanager.core.failures import Permanent
from vipmanager.edges.kubernetes.kubectl import refusal
from vipmanager_lab.kubernetes.plane import await_true

ENFORCE = "pod-security.kubernetes.io/enforce"
PAGE = DEPLOY.parent / "docs" / "security.md"
REFUSED = 'violates PodSecurity "baseline:latest": non-default capabilities'


@pytest.fixture
def baseline(site: Site) -> Iterator[Site]:
    site.kubectl("label", "namespace", NAMESPACE, f"{ENFORCE}=baseline", "--overwrite")
    yield site
    site.kubectl("label", "namespace", NAMESPACE, f"{ENFORCE}-")


@pytest.mark.parametrize("overlay", ["nonvpc-native-sidecar", "nonvpc-sidecar"])
def test_baseline_warns_and_admits_no_pod_and_privileged_does(baseline: Site, overlay: str) -> None:
    folder: Path = MANIFESTS / "overlays" / overlay
    done = baseline.joined.kubectl("apply", "-k", str(folder))
    assert not done.returncode
    assert "Warning: would violate PodSecurity" in done.stderr
    assert "NET_ADMIN" in done.stderr
    await_true(
        "an Event tells why there is no pod",
        lambda: any(REFUSED in one for one in baseline.events("Warning")),
    )
    assert not baseline.pods()
    stuck = baseline.joined.kubectl("rollout", "status", DEPLOYMENT, "--timeout=1s")
    assert stuck.returncode
    baseline.kubectl("label", "namespace", NAMESPACE, f"{ENFORCE}=privileged", "--overwrite")
    baseline.kubectl("rollout", "restart", DEPLOYMENT)
    baseline.rollout()


def test_doctor_asks_from_outside_and_writes_nothing(baseline: Site) -> None:
    kubectl = baseline.joined.plane.kubectl()
    assert REFUSED in refusal(NAMESPACE, kubectl)
    baseline.kubectl("label", "namespace", NAMESPACE, f"{ENFORCE}=privileged", "--overwrite")
    assert not refusal(NAMESPACE, kubectl)
    assert not baseline.pods()
    with pytest.raises(Permanent, match="not found"):
        refusal("nowhere", kubectl)


def test_the_page_names_the_label_and_what_is_said_without_it() -> None:
    text = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
    assert f"{ENFORCE}=privileged" in text
    assert "FailedCreate" in text
