"""Two groups in one namespace, each with floating IPs of its own: neither touches the other's."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.rendered import DEPLOY, MANIFESTS, chart
from kubernetes.shipped.installed import DEPLOYMENT, NONVPC, Site, mine, settled
from vipmanager_lab.kubernetes.plane import await_true

PAGE = DEPLOY.parent / "docs" / "standby.md"
SECOND = ("192.168.0.3/32", "192.168.0.4/32")


def of_the_page() -> dict[str, Any]:
    """Give what the guide puts into the second group's kustomization."""
    blocks = re.findall(r"(?ms)^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
    (found,) = (one for one in map(yaml.safe_load, blocks) if "namePrefix" in one)
    return dict(found)


def of_the_chart() -> dict[str, Any]:
    def network(number: int, address: str) -> dict[str, Any]:
        ranges = {"subnet": "192.168.0.0/29", "address": address, "gateway": "192.168.0.6"}
        return {"name": f"amf-nad-if{number}", "master": f"eth{number}", "ranges": [ranges]}

    return {
        "configMap": "amf-vipmanager-config",
        "config": {"LeaseName": "amf-vipmanager", "KubernetesEvents": True},
        "serviceAccount": {"name": "amf-vipmanager"},
        "networks": [network(n, a[:-3]) for n, a in enumerate(SECOND, start=1)],
        "example": {"name": "amf-busybox-deployment", "app": "amf"},
    }


@pytest.fixture(params=["kustomization", "chart"])
def two(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Site:
    """Both groups, rolled out; the lab's stand-in for ipvlan takes one pod for each ENI."""
    if request.param == "chart":
        site.apply_objects(tmp_path, chart({"config": {"KubernetesEvents": True}}))
    else:
        site.apply(MANIFESTS / "overlays" / "nonvpc-native-sidecar")
    site.rollout()
    site.kubectl("cordon", f"node-{site.zone(site.await_ready()[0])}")
    if request.param == "chart":
        site.apply_objects(tmp_path, chart(of_the_chart()))
    else:
        site.apply(mine(tmp_path, "nonvpc-native-sidecar", **of_the_page()))
    site.rollout("deployment/amf-busybox-deployment")
    return site


def test_each_group_steers_its_own_and_is_drained_and_deleted_alone(two: Site) -> None:
    first = str(two.holder())

    def lead() -> bool:
        second = two.holder("amf-vipmanager")
        return (
            second is not None
            and two.steered(NONVPC) == two.zone(first)
            and two.steered(SECOND) == two.zone(second)
        )

    await_true("each leads to its holder", lead)
    two.answers(NONVPC)
    two.answers(SECOND)
    second = str(two.holder("amf-vipmanager"))
    node = f"node-{two.zone(second)}"
    words = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s")
    assert f"pod/{second} evicted" in two.kubectl("drain", node, *words)
    two.kubectl("uncordon", node)
    two.rollout("deployment/amf-busybox-deployment")
    await_true("each leads to its holder", lead)
    two.kubectl("delete", "deployment/amf-busybox-deployment")
    settled(lambda: len(two.pods("app=amf")), 0)
    assert two.ready() == [first]
    assert two.holder() == first


def test_a_prefix_alone_is_followed_by_the_lease_its_role_and_the_key(
    site: Site, tmp_path: Path
) -> None:
    annotation = of_the_page()["patches"][0]
    folder = mine(tmp_path, "nonvpc-standby", namePrefix="amf-", patches=[annotation])
    site.apply(folder)
    site.rollout(DEPLOYMENT.replace("/", "/amf-"))
    site.await_ready(2)
    holder = str(site.holder("amf-vipmanager"))
    assert site.await_steered(NONVPC) == site.zone(holder)
    site.kubectl("delete", "-k", str(folder))
    await_true("nothing is left", site.is_empty)
    assert not site.warnings()
