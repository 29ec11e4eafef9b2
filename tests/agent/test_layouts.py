"""Pods as the VPC CNI lays them out, with real packets: IPv6 clusters, egress, a second card."""

import urllib.request
from collections.abc import Callable

import pytest

from agent_fixtures import Stage, Typed, converged
from standby_fixtures import standing, watched
from vipmanager_lab.vpc_cni import Layout
from vipmanager_lab.world import World

BESIDE = {Layout.EGRESS: "v6if0", Layout.IPV6: "v4if0", Layout.TWO_CARDS: "mNicIf1"}
"""What is left alone, by layout."""
LAYOUTS = [*BESIDE, Layout.DUAL]
PORT = "9876"


def ready(stage: Stage, pod: str) -> bool:
    """Ask as kubelet does: from the node, at the pod's address."""
    address = str(stage.world.address(pod))
    url = f"http://{f'[{address}]' if ':' in address else address}:{PORT}/readyz"
    node = stage.world.network.host("a").netns

    def ask() -> int:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)

    return node.call(ask) == 200


@pytest.mark.parametrize("told", [True, False], ids=["POD_IPS", "untold"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_an_initcontainer_ends_and_the_client_is_answered(
    make_world: Callable[..., World], layout: Layout, *, told: bool
) -> None:
    stage = Stage(make_world(layout=layout))
    pod = stage.pod()
    config = {"POD_IPS": stage.world.pod_ips("pod")} if told else {}
    agent = stage.init(pod, LogLevel="debug", **config)
    assert agent.wait() == 0, agent.text
    assert stage.points_at("a")
    stage.world.application(pod, stage.floating)
    stage.answers()
    aside = [r["names"] for r in agent.records if r["event"] == "aside"]
    assert aside == ([[BESIDE[layout]]] if layout in BESIDE else [])
    own = {stage.world.address("pod").version}
    own |= {4, 6} if layout is Layout.DUAL else set()
    for version in (4, 6):
        kept = "lookup 8601" in pod.run(["ip", f"-{version}", "rule"])
        assert kept is (version in own)
    doctor = Typed(stage, pod, "doctor", "--output", "json", **config)
    found = doctor.document("doctor")
    states = {c["check"]: c["state"] for c in found["checks"]}
    assert {k for k, v in states.items() if v in {"error", "warning"}} == set(), doctor.out


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_sidecar_is_ready_where_kubelet_asks(
    make_world: Callable[..., World], layout: Layout
) -> None:
    stage = Stage(make_world(layout=layout))
    pod = stage.pod()
    stage.sidecar(pod, HTTPPort=PORT).wait_for(converged)
    assert ready(stage, "pod")
    stage.world.application(pod, stage.floating)
    stage.answers()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_standby_is_ready_and_takes_over_when_the_node_is_lost(layout: Layout) -> None:
    with standing({"HTTPPort": PORT, "LeaseSeconds": "60"}, layout=layout) as group:
        _, standby = group.pair()
        with watched(group) as client:
            seen = client.seen
            group.world.fail_zone("a")
            # By heartbeats alone: the Lease lasts for a minute.
            standby.await_takeover()
            client.await_answers(since=seen)
        assert group.points_at("b")
