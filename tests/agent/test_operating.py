"""`plan`, `status` and `cleanup`, typed in a pod and outside of one."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from agent_fixtures import SCHEMAS, Stage, Typed, converged
from vipmanager_lab.world import World


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
    assert said(agent.records) == {
        c["text"].partition(" (")[0] for c in first.document("plan")["changes"]
    }
    second = Typed(stage, pod, "plan", "--output", "json")
    assert (second.code, second.document("plan")["changes"]) == (0, [])
    assert first.document("plan")["after"] == second.document("plan")["after"]


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
    document = typed.document("status")
    for route in document["routes"]:
        assert route["zone"] == "eu-central-1a"
        assert route["verdict"] == "right"
        assert route["since"] is not None
    assert document["agent"]["ready"] is True
    agent_schema = json.loads((SCHEMAS / "agent.json").read_text())
    jsonschema.validate(document["agent"], agent_schema)
    assert any("lookup" in rule for rule in document["pod"]["rules"])


MUTE = """
import socket
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind("\\0vipmanager")
    listener.listen()
    print("listening", flush=True)
    while True:
        listener.accept()[0].close()
"""


def test_status_tells_a_sidecar_that_does_not_answer_from_none(stage: Stage) -> None:
    pod = stage.pod()
    assert stage.init(pod).wait() == 0
    mute = pod.popen([sys.executable, "-c", MUTE], stdout=subprocess.PIPE)
    assert mute.stdout is not None
    assert mute.stdout.readline() == b"listening\n"
    typed = Typed(stage, pod, "status")
    assert typed.out.startswith("NO ANSWER: the agent does not answer")
    assert "the agent does not answer" in typed.out
    assert "No sidecar" not in typed.out
    told = Typed(stage, pod, "status", "--output", "json").document("status")
    assert (typed.code, told["agent"]) == (1, None)
    assert [(f["kind"], f["subject"]) for f in told["findings"]] == [("waiting", "sidecar")]
    mute.kill()
    mute.communicate()
    assert Typed(stage, pod, "status").code == 0


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
    states = {(r["destination"], r["state"]) for r in typed.document("status-vpc")["routes"]}
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


def test_cleanup_tells_programs_what_it_deleted(stage: Stage) -> None:
    pod = stage.pod()
    assert stage.init(pod).wait() == 0
    done = Typed(stage, pod, "cleanup", "--yes", "--output", "json").document("cleanup")
    assert any(text.endswith("-> none") for text in done["deleted"])
    assert (done["left"], done["failures"]) == ([], [])


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


def test_a_narrow_terminal_folds_and_loses_nothing(stage: Stage) -> None:
    pod = stage.pod()
    assert stage.init(pod).wait() == 0
    ui = ["script", "-qec", f"{sys.executable} -m vipmanager status", "/dev/null"]
    environment = {
        **stage.world.container_environment(stage.config),
        "COLUMNS": "60",
        "TERM": "xterm",
    }
    process = pod.popen(ui, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=60)
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.decode())
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 60
    folded = "".join(text.split())
    assert stage.enis("a")[0] in folded or stage.enis("a")[0][:8] in folded


def test_a_reader_that_goes_away_is_no_traceback(stage: Stage) -> None:
    pod = stage.pod()
    read, write = os.pipe()
    os.close(read)
    process = pod.popen(
        [sys.executable, "-m", "vipmanager", "status"],
        env=stage.world.container_environment(stage.config),
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert err == b""
    assert process.returncode == 1


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


def test_watch_in_a_pipe_is_a_line_for_each_change_at_once(stage: Stage) -> None:
    pod = stage.pod()
    stage.sidecar(pod).wait_for(converged)
    watching = pod.popen(
        [sys.executable, "-m", "vipmanager", "status", "--watch", "0.2"],
        env=stage.world.container_environment(stage.config),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert watching.stdout is not None
    lines = (line.decode() for line in watching.stdout)
    first = next(lines)
    assert re.match(r"\d\d:\d\d:\d\d  READY: 2 of 2 floating IPs, 8 of 8 routes point", first)
    stage.world.account.put_route(stage.world.tables[0], "192.168.0.1/32", stage.enis("b")[0])
    changed = next(line for line in lines if "READY, but 1 of 2 floating IPs" in line)
    assert f"new: 192.168.0.1/32 in {stage.world.tables[0]} leads to" in changed
    over = next(line for line in lines if "READY: 2 of 2" in line)
    assert "over: 192.168.0.1/32 in " in over
    watching.kill()
    watching.communicate()


def test_outside_of_a_pod_it_is_said_what_to_type(stage: Stage) -> None:
    for command in ("status", "plan", "cleanup"):
        typed = Typed(stage, stage.world.client, command)
        assert typed.code == 1
        assert typed.err.startswith(f"vipmanager {command}: this is no pod; use --vpc: ")
        assert len(typed.err.splitlines()) == 1
