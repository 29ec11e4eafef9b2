"""An address that the application itself moves between running pods, as VRRP does."""

from agent_fixtures import Stage, Typed, wait_until
from vipmanager_lab.netns import Netns


def carry(pod: Netns, stage: Stage, verb: str) -> None:
    """Give a pod the addresses that move, or take them from it."""
    pod.ip_batch(
        [f"addr {verb} {floating} dev net{n}" for n, floating in enumerate(stage.floating, 1)]
    )


def test_the_routes_follow_addresses_from_one_running_pod_to_the_other_and_back(
    stage: Stage,
) -> None:
    pods = {zone: stage.pod(zone, name=f"pod-{zone}") for zone in "ab"}
    carry(pods["b"], stage, "del")
    for pod in pods.values():
        stage.sidecar(pod, ResyncSeconds="3600")  # no reading but for the events
        stage.world.application(pod, stage.floating)
    wait_until(lambda: stage.points_at("a"))
    for old, new in ("ab", "ba"):
        carry(pods[old], stage, "del")
        carry(pods[new], stage, "add")
        wait_until(lambda zone=new: stage.points_at(zone))  # type: ignore[misc]
        stage.answers()
    assert stage.world.endpoint.counts()["DeleteRoute"] == 0
    wait_until(lambda: Typed(stage, pods["a"], "status").out.startswith("READY: 2 of 2"))
    # Who has none of them is not ready, and misses nothing.
    without = Typed(stage, pods["b"], "status").out
    assert without.startswith("NOT READY")
    assert "has an address to steer" in without
    assert [line for line in without.splitlines() if line.startswith("lost")] == []
