"""Every component, in a kustomization of one's own as the guides say: it does what it promises."""

from pathlib import Path

import pytest

from clusters import NAMESPACE
from deploy.rendered import MANIFESTS, SIDECARS
from kubernetes.shipped.installed import DEPLOYMENT, NONVPC, Site, mine, settled
from vipmanager_lab.kubernetes.plane import await_true


def label(site: Site) -> dict[str, str | None]:
    """Give the label of the role, by pod."""
    return {
        one["metadata"]["name"]: one["metadata"]["labels"].get("vipmanager/role")
        for one in site.living()
    }


def deleted(site: Site, folder: Path) -> None:
    site.kubectl("delete", "-k", str(folder))
    await_true("nothing is left", site.is_empty)
    assert not site.grants()
    assert not site.warnings()


def test_every_component_is_tested_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    names = {folder.name for folder in (MANIFESTS / "components").iterdir()}
    elsewhere = {"sidecar", "initContainer", "beside"}  # by overlays, and in test_adopt.py
    assert {name for name in names - elsewhere if f'"{name}"' not in text} == set()


ALONE = """\
- op: replace
  path: /spec/template/spec/initContainers/0/env/1
  value: {name: LeaderElection, value: "False"}
"""
"""Without a Lease, as the README of the manifests says."""


@pytest.mark.parametrize("overlay", ["nonvpc-initContainer", "nonvpc-native-sidecar"])
def test_without_a_lease_events_are_posted_on_the_pod_and_pods_may_be_listed(
    site: Site, tmp_path: Path, overlay: str
) -> None:
    patches = [{"target": {"kind": "Deployment"}, "patch": ALONE}]
    folder = mine(
        tmp_path,
        overlay,
        components=["events", "pods"],
        patches=patches if overlay.endswith("sidecar") else [],
    )
    site.apply(folder)
    site.rollout()
    for address in NONVPC:
        moved = f"FloatingIPMoved: {address} now points at"
        await_true(moved, lambda m=moved: any(m in one for one in site.events("Normal")))  # type: ignore[misc]
    who = f"--as=system:serviceaccount:{NAMESPACE}:vipmanager"
    assert site.kubectl("auth", "can-i", "list", "pods", who).strip() == "yes"
    deleted(site, folder)


@pytest.mark.parametrize("mode", SIDECARS)
def test_a_standby_with_a_key_and_role_labels_hears_its_holder(
    site: Site, tmp_path: Path, mode: str
) -> None:
    parts = ["standby", "heartbeat-key", "role-label", "cordon", "events"]
    folder = mine(tmp_path, f"nonvpc-{mode}", components=parts)
    site.apply(folder)
    (first, *_) = [one["metadata"]["name"] for one in site.pods()]
    await_true(
        "an Event tells that the Secret is missing",
        lambda: any("vipmanager-heartbeat" in one for one in site.events("Warning")),
    )
    key = "--from-literal=key=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    site.kubectl("create", "secret", "generic", "vipmanager-heartbeat", key)
    site.rollout()
    names = site.await_ready(2)
    assert first in names

    def roles() -> dict[str, str]:
        """What the labels have to be: on a busy machine the holder may be another by now."""
        holder = site.holder()
        return {name: "holder" if name == holder else "standby" for name in names}

    await_true("the labels tell the roles", lambda: label(site) == roles(), seconds=60)
    holder = site.holder()
    (standby,) = set(names) - {holder}
    heard = "HEARTBEAT_NEVER_UP"
    assert not any(heard in line for name in names for line in site.logs(name))
    site.await_steered(NONVPC, site.zone(str(holder)))
    # The node is cordoned: its pod leaves while nothing is lost.
    site.kubectl("cordon", f"node-{site.zone(str(holder))}")
    settled(site.holder, standby)
    site.await_steered(NONVPC, site.zone(standby))
    settled(lambda: label(site), {holder: "standby", standby: "holder"})
    assert sorted(names) == site.ready()
    site.kubectl("delete", "secret", "vipmanager-heartbeat")
    site.kubectl("delete", "-k", str(folder))
    await_true("nothing is left", site.is_empty)
    assert not site.grants()
    assert {one.split(":")[0] for one in site.warnings()} <= {"FailedMount"}


def test_the_subject_of_the_cluster_role_is_in_the_namespace_of_the_kustomization(
    site: Site, tmp_path: Path
) -> None:
    folder = mine(tmp_path, "nonvpc-standby", components=["cordon"])
    site.apply(folder)
    who = f"system:serviceaccount:{NAMESPACE}:vipmanager"
    assert site.kubectl("auth", "can-i", "get", "nodes", f"--as={who}").strip() == "yes"
    site.rollout(DEPLOYMENT)
    deleted(site, folder)
    told = site.joined.kubectl("auth", "can-i", "get", "nodes", f"--as={who}")
    assert told.stdout.strip() == "no"
