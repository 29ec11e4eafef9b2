"""What the chart renders, in a cluster: installed, rolled out, seen to serve, and gone again."""

from pathlib import Path
from typing import Any

import pytest

from deploy.rendered import CHART_MODES, MODES, PATTERNS, chart, pattern_values
from kubernetes.shipped.installed import Site, floating
from vipmanager_lab.kubernetes.plane import await_true

STANDBY = {"standby": {"enabled": True}}
SETS: dict[str, dict[str, Any]] = {
    **{
        f"{pattern}-{mode}": {**pattern_values(pattern), "mode": CHART_MODES[mode]}
        for pattern in PATTERNS
        for mode in MODES
    },
    "nonvpc-standby": STANDBY,
    "vpc-standby": {**pattern_values("vpc"), **STANDBY},
    "nonvpc-sidecar-standby": {"mode": "sidecar", **STANDBY},
    "nonvpc-without-a-lease": {"leaderElection": False, "config": {"KubernetesEvents": True}},
    "nonvpc-standby-with-everything": {
        **STANDBY,
        "config": {
            "LeaseName": "amf",
            "RoleLabel": True,
            "KubernetesEvents": True,
            "HandOverOn": "cordon",
            "HeartbeatMs": 200,
            "HealthCheck": "exec:true",
        },
    },
}


@pytest.mark.parametrize("name", SETS)
def test_a_release_rolls_out_serves_and_leaves_nothing(
    site: Site, tmp_path: Path, name: str
) -> None:
    values, addresses = SETS[name], floating(name)
    many = 2 if "standby" in values else 1
    file = site.apply_objects(tmp_path, chart(values))
    site.rollout()
    names = site.await_ready(many)
    serving = names[0]
    if many == 2 or name.endswith("sidecar"):
        lease = values.get("config", {}).get("LeaseName", "vipmanager")
        serving = str(site.holder(lease))
    assert serving in names
    assert site.await_steered(addresses) == site.zone(serving)
    site.answers(addresses)
    site.kubectl("delete", "-f", str(file))
    await_true("nothing is left", site.is_empty)
    assert not site.grants()
    assert not site.warnings()
