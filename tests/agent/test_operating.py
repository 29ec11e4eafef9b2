"""`plan`, `status` and `cleanup`, typed in a pod and outside of one."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from staging import Stage, converged
from vipmanager.lab.netns import Netns
from vipmanager.lab.world import World


class Typed:
    """What a command printed, and its exit code."""

    def __init__(self, stage: Stage, where: Netns, *words: str, **config: str) -> None:
        environment = stage.world._environment({**stage.config, **config})  # noqa: SLF001
        process = where.popen(
            [sys.executable, "-m", "vipmanager", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = process.communicate(timeout=60)
        self.code, self.out, self.err = process.returncode, out.decode(), err.decode()

    @property
    def document(self) -> Mapping[str, Any]:
        return json.loads(self.out)  # type: ignore[no-any-return]


def said(records: list[dict[str, Any]]) -> set[str]:
    """The changes that an agent logged, without their reasons and durations."""
    return {r["text"].partition(" (")[0] for r in records if r["event"] in {"write", "kernel"}}


@pytest.mark.parametrize("pattern", [1, 2])
def test_run_does_exactly_what_plan_showed_and_a_second_plan_is_empty(
    world: World, pattern: int
) -> None:
    stage = Stage(world, pattern=pattern)
    pod = stage.pod()
    first = Typed(stage, pod, "plan", "--output", "json")
    assert first.code == 2, first.err
    assert stage.world.writes() == 0
    agent = stage.init(pod)
    assert agent.wait() == 0
    assert said(agent.records) == {c["text"].partition(" (")[0] for c in first.document["changes"]}
    second = Typed(stage, pod, "plan", "--output", "json")
    assert (second.code, second.document["changes"]) == (0, [])
    assert first.document["after"] == second.document["after"]


def test_plan_outside_of_a_pod_shows_the_vpcs_changes_alone(stage: Stage) -> None:
    eni = stage.enis("a")[0]
    stage.pod()
    asked = ("--vpc", stage.world.vpc, "--floating-ip", "192.168.0.1", "--eni", eni)
    typed = Typed(stage, stage.world.client, "plan", *asked, AWS_REGION="eu-central-1")
    assert typed.code == 2, typed.err
    assert f"192.168.0.1/32 in {stage.world.client_table}: none -> {eni}" in typed.out
    assert "ip route" not in typed.out


def test_status_names_target_zone_and_age_and_ends_with_0_when_all_is_right(stage: Stage) -> None:
    pod = stage.pod()
    before = Typed(stage, pod, "status")
    assert before.code == 1
    assert "No sidecar runs in this pod." in before.out
    stage.sidecar(pod).wait_for(converged)
    typed = Typed(stage, pod, "status", "--output", "json")
    assert typed.code == 0, typed.out
    for route in typed.document["routes"]:
        assert route["zone"] == "eu-central-1a"
        assert route["verdict"] == "right"
        assert route["since"] is not None
    assert typed.document["agent"]["ready"] is True
    assert any("lookup" in rule for rule in typed.document["pod"]["rules"])


def test_status_of_a_vpc_shows_orphans_of_dead_enis(stage: Stage) -> None:
    pod = stage.pod()
    assert stage.init(pod).wait() == 0
    stage.world.account.detach(stage.enis("a")[0])
    typed = Typed(
        stage,
        stage.world.client,
        *("status", "--vpc", stage.world.vpc, "--output", "json"),
        AWS_REGION="eu-central-1",
    )
    states = {(r["destination"], r["state"]) for r in typed.document["routes"]}
    assert states == {("192.168.0.1/32", "orphan"), ("192.168.0.2/32", "live")}
    assert typed.code == 1


def test_cleanup_removes_what_is_ours_and_the_sidecar_does_not_put_it_back(stage: Stage) -> None:
    pod = stage.pod()
    agent = stage.sidecar(pod)
    agent.wait_for(converged)
    asked = Typed(stage, pod, "cleanup")
    assert asked.code == 1
    assert "--yes" in asked.err
    assert stage.points_at("a")
    done = Typed(stage, pod, "cleanup", "--yes")
    assert done.code == 0, done.err
    assert "Nothing of ours is left." in done.out
    for destination in stage.destinations():
        assert stage.world.targets(destination) == {None}
    writes = stage.world.writes()
    agent.wait_for(lambda r: "yielded" in r["text"])
    assert stage.world.writes() == writes
    assert "proto 86" not in pod.run(["ip", "route", "show", "table", "all"])


def test_cleanup_leaves_alone_what_another_live_eni_holds(make_world: Callable[..., World]) -> None:
    stage = Stage(make_world(tables=4))
    old = stage.pod("a", name="old")
    assert stage.init(old).wait() == 0
    assert stage.init(stage.pod("b", name="new")).wait() == 0
    done = Typed(stage, old, "cleanup", "--yes", "--orphans")
    assert done.code == 0, done.err
    assert "which lives: left alone" in done.out
    assert stage.points_at("b")


def test_cleanup_of_orphans_needs_no_pod(stage: Stage) -> None:
    pod = stage.pod()
    assert stage.init(pod).wait() == 0
    stage.world.kill_pod("pod")
    for eni in stage.enis("a"):
        stage.world.account.detach(eni)
    words = ("cleanup", "--yes", "--vpc", stage.world.vpc)
    named = ("--floating-ip", "192.168.0.1", "--floating-ip", "192.168.0.2")
    region = {"AWS_REGION": "eu-central-1"}
    kept = Typed(stage, stage.world.client, *words, *named, **region)
    assert kept.code == 0, kept.err
    assert "--orphans removes it" in kept.out
    assert stage.points_at("a")
    gone = Typed(stage, stage.world.client, *words, *named, "--orphans", **region)
    assert gone.code == 0, gone.err
    for destination in stage.destinations():
        assert stage.world.targets(destination) == {None}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plan", "--vpc", "vpc-1"], "outside of a pod, name each floating IP and its ENI"),
        (["plan", "--floating-ip", "192.168.0.1"], "--floating-ip and --eni need --vpc"),
        (["status", "--vpc", "vpc-1", "--floating-ip", "nonsense"], "such as 192.168.0.1"),
        (["cleanup", "--vpc", "vpc-1"], "name the floating IPs to clean up"),
        (["plan", "--VPCRTIds", "nonsense"], "route table ids such as rtb-"),
    ],
)
def test_bad_input_is_one_line_and_no_success(stage: Stage, words: list[str], message: str) -> None:
    typed = Typed(stage, stage.pod(), *words, AWS_REGION="eu-central-1")
    assert typed.code == 1
    assert message in typed.err
    assert len(typed.err.splitlines()) == 1
