"""The chart's drill, in a cluster: the Job ends well, the holder has changed, nothing is left."""

from pathlib import Path
from typing import Any

import pytest

from deploy.rendered import chart
from kubernetes.shipped.installed import NONVPC, Site, settled
from vipmanager_lab.kubernetes.plane import await_true

JOB = "vipmanager-drill"
STANDBY: dict[str, Any] = {
    "standby": {"enabled": True},
    # The Job's pod is no peer of the floating IPs' interfaces.
    "config": {"UseSBR": True},
}


@pytest.mark.parametrize("cause", ["deleteHolder", "drainNode"])
def test_a_drill_moves_the_floating_ips_and_leaves_nothing(
    site: Site, tmp_path: Path, cause: str
) -> None:
    site.apply_objects(tmp_path, chart(STANDBY))
    site.rollout()
    site.await_ready(2)
    await_true("somebody holds", lambda: site.holder() is not None)
    old = str(site.holder())
    site.await_steered(NONVPC, site.zone(old))
    node = f"node-{site.zone(old)}"
    addresses = [address.partition("/")[0] for address in NONVPC]
    drill = {"enabled": True, "addresses": addresses, "atMost": "20s"}
    drill[cause] = node if cause == "drainNode" else True
    file = site.apply_objects(tmp_path, chart({**STANDBY, "drill": drill}))
    settled(lambda: ended(site), "Complete", seconds=120)
    assert site.holder() not in {None, old}
    (pod,) = site.pods(f"job-name={JOB}")
    said = site.logs(pod["metadata"]["name"], "drill")
    assert said[-1].startswith("WITHIN THE LIMIT: "), said
    assert (pod["spec"]["nodeName"] != node) or cause == "deleteHolder"
    found = site.joined.plane.admin.get(f"/api/v1/nodes/{node}")
    assert not found["spec"].get("unschedulable")
    assert "vipmanager/drill" not in (found["metadata"].get("annotations") or {})
    site.await_ready(2)
    site.kubectl("delete", "-f", str(file))
    await_true("nothing is left", site.is_empty)
    assert not site.grants()


def ended(site: Site) -> str:
    """Tell how the Job has ended; empty while it runs."""
    where = f"/apis/batch/v1/namespaces/telco/jobs/{JOB}"
    told = site.joined.plane.admin.get(where).get("status", {}).get("conditions", ())
    types = [one["type"] for one in told if one["status"] == "True"]
    return next((one for one in types if one in {"Complete", "Failed"}), "")
