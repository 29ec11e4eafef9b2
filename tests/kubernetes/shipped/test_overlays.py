"""Every shipped overlay: applied either way, rolled out, seen to serve, deleted without a trace."""

import pytest

from deploy.rendered import MANIFESTS, OVERLAYS, STANDBYS
from kubernetes.shipped.installed import Site, floating
from vipmanager_lab.kubernetes.plane import await_true


@pytest.mark.parametrize("way", ["client", "server"])
@pytest.mark.parametrize("overlay", [*OVERLAYS, *STANDBYS])
def test_an_overlay_rolls_out_serves_and_is_deleted_without_a_trace(
    site: Site, overlay: str, way: str
) -> None:
    folder, addresses = MANIFESTS / "overlays" / overlay, floating(overlay)
    many = 2 if overlay in STANDBYS else 1
    site.apply(folder, *(["--server-side"] if way == "server" else []))
    site.rollout()
    names = site.await_ready(many)
    serving = names[0] if overlay.endswith("initContainer") else site.holder()
    assert serving in names
    assert site.await_steered(addresses) == site.zone(serving)
    site.answers(addresses)
    assert len({site.zone(one) for one in names}) == many
    if way == "client":  # either way it is deleted alike
        site.kubectl("delete", "-k", str(folder))
        await_true("nothing is left", site.is_empty)
    assert not site.warnings()
