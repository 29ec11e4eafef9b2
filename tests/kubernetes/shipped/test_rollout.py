"""What users do with a running Deployment: scale, drain, restart, upgrade, undo, delete."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deploy.rendered import MANIFESTS
from kubernetes.shipped.installed import DEPLOYMENT, NONVPC, Site, Watch, settled
from vipmanager_lab.kubernetes.plane import await_true

OVERLAYS = MANIFESTS / "overlays"
HAND_OVER = 3.0
"""Seconds that a client may wait in a hand-over, on a machine that does much else."""
RESTART = 30.0
"""Where the next pod has to start."""


def installed(site: Site, overlay: str) -> list[str]:
    """Apply an overlay, and wait until its pods are ready and one of them steers."""
    site.apply(OVERLAYS / overlay)
    site.rollout()
    names = site.await_ready(2 if overlay.endswith("standby") else 1)
    settled(lambda: site.steered(NONVPC), site.zone(str(site.holder())))
    return names


@contextmanager
def served(site: Site, longest: float = HAND_OVER) -> Iterator[None]:
    """Let a client ask meanwhile, and wait for no answer longer than that."""
    with Watch(site, NONVPC) as watch:
        watch.answered()
        yield
        assert watch.outage() <= longest


def reasons(site: Site) -> set[str]:
    """Name the reasons of the Warnings."""
    return {one.split(":")[0] for one in site.warnings()}


def holds(site: Site, names: list[str]) -> str:
    """Wait until one of these pods holds the Lease, and the floating IPs lead to it."""

    def seen() -> bool:
        holder = site.holder()
        return holder in names and site.steered(NONVPC) == site.zone(str(holder))

    await_true(f"one of {names} steers", seen)
    return str(site.holder())


@pytest.mark.parametrize(
    ("overlay", "counts"), [("nonvpc-native-sidecar", (2, 1)), ("nonvpc-standby", (1, 2))]
)
def test_scaling_up_moves_nothing_and_scaling_down_leaves_the_rest_serving(
    site: Site, overlay: str, counts: tuple[int, int]
) -> None:
    before = installed(site, overlay)
    with served(site):
        for many in counts:
            holder, writes = site.holder(), site.joined.world.writes()
            site.kubectl("scale", DEPLOYMENT, f"--replicas={many}")
            after = site.await_ready(many)
            holds(site, after)
            if many > len(before):
                assert site.holder() == holder
                assert site.joined.world.writes() == writes
            before = after
    assert not site.warnings()


@pytest.mark.parametrize(
    ("overlay", "longest"), [("nonvpc-standby", HAND_OVER), ("nonvpc-native-sidecar", RESTART)]
)
def test_a_drain_is_let_through_and_the_floating_ips_move(
    site: Site, overlay: str, longest: float
) -> None:
    installed(site, overlay)
    old = str(site.holder())
    node = f"node-{site.zone(old)}"
    with served(site, longest):
        told = site.kubectl(
            "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s"
        )
        assert f"pod/{old} evicted" in told
        await_true("another pod holds", lambda: site.holder() not in {None, old})
        new = holds(site, [str(site.holder())])
        assert f"node-{site.zone(new)}" != node
        site.kubectl("uncordon", node)
        site.await_ready(2 if overlay.endswith("standby") else 1)
        assert site.holder() == new
    assert reasons(site) <= {"FailedScheduling"}  # as long as the node is drained


def test_a_second_drain_waits_for_the_only_pod_that_is_left(site: Site) -> None:
    installed(site, "nonvpc-standby")
    words = ("--ignore-daemonsets", "--delete-emptydir-data")
    with served(site):
        site.kubectl("drain", "node-a", *words, "--timeout=60s")
        settled(lambda: site.steered(NONVPC), "b")
        refused = site.joined.kubectl("drain", "node-b", *words, "--timeout=3s")
        assert refused.returncode
        assert "disruption budget" in refused.stderr
        assert site.steered(NONVPC) == "b"


def test_a_restarted_standby_rolls_while_a_pod_holds(site: Site) -> None:
    old = installed(site, "nonvpc-standby")
    with served(site):
        site.kubectl("rollout", "restart", DEPLOYMENT)
        site.rollout()
        new = site.await_ready(2)
        assert not set(new) & set(old)
        holds(site, new)
    assert reasons(site) <= {"FailedScheduling"}  # until the old pod has left its node


def test_another_image_rolls_out_and_is_undone(site: Site) -> None:
    installed(site, "nonvpc-standby")
    image = "jsonpath={.spec.template.spec.initContainers[0].image}"
    shipped = site.kubectl("get", DEPLOYMENT, "-o", image)
    with served(site):
        site.kubectl("set", "image", DEPLOYMENT, "vipmanager=example.com/vipmanager:0.2.0")
        site.rollout()
        holds(site, site.await_ready(2))
        site.kubectl("rollout", "undo", DEPLOYMENT)
        site.rollout()
        holds(site, site.await_ready(2))
    assert site.kubectl("get", DEPLOYMENT, "-o", image) == shipped


def crashes(site: Site) -> bool:
    """Tell whether the agent of some pod ends again and again."""
    return any(
        one["restartCount"] >= 1 and not one["ready"]
        for pod in site.living()
        for one in pod["status"].get("initContainerStatuses", ())
    )


def test_an_upgrade_that_fails_stops_with_a_pod_that_serves_and_is_undone(site: Site) -> None:
    installed(site, "nonvpc-standby")
    with served(site):
        site.kubectl("set", "env", DEPLOYMENT, "-c", "vipmanager", "LeaseSeconds=soon")
        await_true("the new pod crashes", lambda: crashes(site))
        stuck = site.joined.kubectl("rollout", "status", DEPLOYMENT, "--timeout=2s")
        assert stuck.returncode
        (running,) = site.ready()
        assert holds(site, [running]) == running
        site.kubectl("rollout", "undo", DEPLOYMENT)
        site.rollout()
        assert running in site.await_ready(2)
        assert site.holder() == running


def test_a_bad_config_map_stops_a_rollout_and_a_good_one_mends_it_by_itself(site: Site) -> None:
    installed(site, "nonvpc-standby")
    with served(site):
        bad = '{"data": {"Intf1Peers": "nonsense"}}'
        site.kubectl("patch", "configmap", "vipmanager-config", "--type=merge", f"--patch={bad}")
        site.kubectl("rollout", "restart", DEPLOYMENT)
        await_true("the new pod crashes", lambda: crashes(site))
        (running,) = site.ready()
        assert holds(site, [running]) == running
        site.apply(OVERLAYS / "nonvpc-standby")
        site.rollout()
        holds(site, site.await_ready(2))


def test_a_pod_that_is_deleted_by_force_is_replaced_and_steers_again(site: Site) -> None:
    (old,) = installed(site, "nonvpc-native-sidecar")
    with served(site, RESTART):
        site.kubectl("delete", "pod", old, "--grace-period=0", "--force")
        (new,) = site.await_ready()
        assert new != old
        assert holds(site, [new]) == new
        site.answers(NONVPC)


def test_a_holder_that_is_deleted_by_force_is_relieved_by_its_standby(site: Site) -> None:
    names = installed(site, "nonvpc-standby")
    old = str(site.holder())
    (standby,) = set(names) - {old}
    with served(site, 6 + HAND_OVER):
        site.kubectl("delete", "pod", old, "--grace-period=0", "--force")
        settled(site.holder, standby)
        site.await_ready(2)
        assert holds(site, [standby]) == standby


@pytest.mark.parametrize("overlay", ["nonvpc-native-sidecar", "nonvpc-standby"])
def test_what_is_deleted_in_the_middle_of_a_rollout_leaves_nothing(
    site: Site, overlay: str
) -> None:
    folder = OVERLAYS / overlay
    site.apply(folder)
    await_true("a pod is there", lambda: bool(site.pods()))
    site.kubectl("delete", "-k", str(folder))
    await_true("nothing is left", site.is_empty)
    installed(site, overlay)
    site.kubectl("rollout", "restart", DEPLOYMENT)
    site.kubectl("delete", "-k", str(folder))
    await_true("nothing is left", site.is_empty)
