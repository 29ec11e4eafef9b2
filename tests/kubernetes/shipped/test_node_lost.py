"""A node is lost without a word: what a client waits for, with a standby and without one.

Kubernetes' own times are shortened here. VIPMANAGER_TEST_NODE_LOSS=1 waits for the real ones once,
and tells the figure (`pytest -s`).
"""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from clusters import plane
from deploy.rendered import MANIFESTS
from kubernetes.shipped.installed import NONVPC, SPACE, Site, Watch, images, needed, say
from vipmanager_lab.kubernetes.joined import Joined, is_ready
from vipmanager_lab.kubernetes.kubelet import Timing
from vipmanager_lab.kubernetes.plane import await_true
from vipmanager_lab.world import World

OVERLAYS = MANIFESTS / "overlays"
OTHER = {"a": "b", "b": "a"}
QUICK = ("--node-monitor-period=1s", "--node-monitor-grace-period=5s")
DEFAULTS = "VIPMANAGER_TEST_NODE_LOSS"
LEASE = 5.0
"""LeaseSeconds."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Site]:
    """One that finds a dead node soon."""
    needed()
    plane().control_with(*QUICK)
    timing = Timing(lease=1.0)
    with World() as world, Joined(world, plane(), images=images, timing=timing) as joined:
        world.reach_from_outside(["10.10.10.48", "192.168.1.204"])
        yield Site(joined)
    plane().control_with()


def installed(site: Site, overlay: str) -> tuple[str, str]:
    """Apply an overlay, and wait until a pod steers; give it and its zone."""
    site.apply(OVERLAYS / overlay)
    site.rollout()
    site.await_ready(2 if overlay.endswith("standby") else 1)
    holder = str(site.holder())
    return holder, site.await_steered(NONVPC, site.zone(holder))


def found(site: Site, pod: str) -> Mapping[str, Any]:
    return site.joined.plane.admin.get(f"{SPACE}/pods/{pod}")


def is_evicted(site: Site, pod: str) -> bool:
    return "deletionTimestamp" in found(site, pod)["metadata"]


def is_not_ready(site: Site, zone: str) -> bool:
    return not is_ready(site.joined.plane.admin.get(f"/api/v1/nodes/node-{zone}"))


def test_with_a_standby_a_client_is_answered_by_the_other_zone_at_once(site: Site) -> None:
    holder, zone = installed(site, "nonvpc-standby")
    with Watch(site, NONVPC, interval_ms=10) as watch:
        watch.answered()
        since = time.monotonic()
        site.joined.lose(zone)
        site.await_steered(NONVPC, OTHER[zone])
        taker = site.holder()
        assert taker is not None
        assert taker != holder
        watch.answered(since=since)
        # Kubernetes learns of it later, and can't replace the lost pod: there is no third node.
        await_true(
            "the lost pod is evicted",
            lambda: "deletionTimestamp" in found(site, holder)["metadata"],
        )
        await_true("a new pod waits", lambda: len(site.pods()) == 3)
        outage = watch.outage()
    say(f"a node is lost, with a standby: {outage:.2f} s")
    assert outage < LEASE + 1
    assert site.holder() == taker
    site.joined.regain(zone)
    site.await_ready(2)
    assert site.holder() == taker, "nothing moves back"


def test_the_loss_of_the_standby_s_node_moves_nothing(site: Site) -> None:
    holder, zone = installed(site, "nonvpc-standby")
    with Watch(site, NONVPC) as watch:
        watch.answered()
        writes = site.joined.world.writes()
        site.joined.lose(OTHER[zone])
        await_true("it is seen", lambda: is_not_ready(site, OTHER[zone]))
        await_true("a new pod waits", lambda: len(site.pods()) == 3)
        assert watch.outage() < 1
    assert (site.holder(), site.joined.world.writes()) == (holder, writes)


@pytest.mark.parametrize("overlay", ["nonvpc-native-sidecar", "nonvpc-sidecar"])
def test_without_a_standby_the_pod_is_replaced_in_the_other_zone(site: Site, overlay: str) -> None:
    outage, took = lost(site, overlay, seconds=60)
    say(f"{overlay} is lost, with {' '.join(QUICK)}: {outage:.1f} s: {took}")
    assert outage < 40


def lost(site: Site, overlay: str, *, seconds: float) -> tuple[float, dict[str, float]]:
    """Lose the only pod's node, and get the pod back; give the outage, and when was what."""
    old, zone = installed(site, overlay)
    took: dict[str, float] = {}
    with Watch(site, NONVPC) as watch:
        watch.answered()
        since = time.monotonic()

        def note(what: str) -> None:
            took[what] = round(time.monotonic() - since, 1)

        site.joined.lose(zone)
        await_true("it is seen", lambda: is_not_ready(site, zone), seconds=seconds)
        note("not ready")
        await_true("a pod replaces it", lambda: bool(others(site, old)), seconds=30)
        note("replaced")
        await_true("it runs", lambda: bool(started(site, old)), seconds=30)
        note("started")
        site.await_steered(NONVPC, OTHER[zone], seconds=30)
        note("steered")
        watch.answered(since=since, seconds=30)
        outage = watch.outage()
    # The lost pod stays until somebody says that its node is off, or deletes it.
    assert is_evicted(site, old)
    (new,) = site.ready()
    assert site.holder() == new
    shown = site.kubectl("get", "pod", old)
    assert "Terminating" in shown
    writes = site.joined.world.writes()
    site.kubectl("delete", "pod", old, "--grace-period=0", "--force")
    assert site.await_ready(1) == [new]
    site.joined.regain(zone)
    assert (site.holder(), site.joined.world.writes()) == (new, writes)
    return outage, took


def others(site: Site, old: str) -> list[Mapping[str, Any]]:
    return [one for one in site.living() if one["metadata"]["name"] != old]


def started(site: Site, old: str) -> list[str]:
    """Name the containers of the new pod that run."""
    return [
        each["name"]
        for one in others(site, old)
        for kind in ("initContainerStatuses", "containerStatuses")
        for each in one["status"].get(kind, ())
        if "running" in each["state"]
    ]


@pytest.mark.skipif(DEFAULTS not in os.environ, reason=f"takes a minute: set {DEFAULTS}=1")
def test_with_the_defaults_of_kubernetes_it_takes_about_a_minute(site: Site) -> None:
    plane().control_with()
    try:
        outage, took = lost(site, "nonvpc-native-sidecar", seconds=90)
    finally:
        plane().control_with(*QUICK)
    say(f"a node is lost, with the defaults: {outage:.1f} s: {took}")
    assert 45 < outage < 80
