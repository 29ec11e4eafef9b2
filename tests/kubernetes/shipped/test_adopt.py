"""vipmanager beside an application that is not ours, in a cluster, as docs/adopt.md says."""

from pathlib import Path

import pytest

from deploy.adopted import NAME, WAYS
from kubernetes.shipped.installed import NONVPC, Site
from vipmanager_lab.kubernetes.plane import await_true

SELECTOR = f"app={NAME}"


@pytest.mark.parametrize("way", WAYS)
def test_it_serves_moves_and_leaves_nothing(site: Site, tmp_path: Path, way: str) -> None:
    file = site.apply_objects(tmp_path, WAYS[way](tmp_path / "files"))
    site.rollout(f"deployment/{NAME}")
    (before,) = site.await_ready(selector=SELECTOR)
    zone = site.await_steered(NONVPC, site.zone(before))
    site.answers(NONVPC)
    site.kubectl("cordon", f"node-{zone}")
    site.kubectl("delete", "pod", before, "--wait=false")
    site.rollout(f"deployment/{NAME}")
    (after,) = site.await_ready(selector=SELECTOR)
    assert site.await_steered(NONVPC, site.zone(after)) != zone
    site.answers(NONVPC)
    site.kubectl("delete", "-f", str(file))
    await_true("nothing is left", site.is_empty)
    assert not site.warnings()
