"""A pod whose application is not well takes nothing from one whose application is."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from agent_fixtures import Stage, Typed, converged, wait_until
from vipmanager_lab.netns import Netns
from vipmanager_lab.process import Process
from vipmanager_lab.world import World

PORT = "7000"
CHECK = {"HealthCheck": f"tcp://127.0.0.1:{PORT}", "HealthIntervalMs": "100"}


def serve(stage: Stage, pod: Netns) -> Process:
    """Start an application that listens."""
    argv = [sys.executable, "-m", "http.server", PORT, "--bind", "127.0.0.1"]
    return stage.world.run(pod, argv, stream="stderr")


def test_a_pod_claims_as_soon_as_its_application_is_well(stage: Stage) -> None:
    pod = stage.pod()
    agent = stage.sidecar(pod, ResyncSeconds="3600", **CHECK)
    agent.wait_for(lambda r: "has not passed its health check" in r["text"])
    assert stage.world.writes() == 0
    serve(stage, pod)
    agent.wait_for(converged)
    assert stage.points_at("a")


def test_a_crash_looping_pod_takes_nothing_from_the_pod_that_serves(
    make_world: Callable[..., World],
) -> None:
    stage = Stage(make_world(tables=4))
    old = stage.pod("a", name="old")
    serve(stage, old)
    holder = stage.sidecar(old, **CHECK)
    holder.wait_for(converged)
    new = stage.pod("b", name="new")
    sick = stage.sidecar(new, **CHECK)
    sick.wait_for(lambda r: "has not passed its health check" in r["text"])
    reads = stage.world.endpoint.counts()["DescribeRouteTables"]
    wait_until(lambda: stage.world.endpoint.counts()["DescribeRouteTables"] > reads + 10)
    assert stage.points_at("a")
    serve(stage, new)
    sick.wait_for(converged)
    assert stage.points_at("b")


def test_an_application_that_falls_ill_keeps_what_it_holds_and_is_unready(stage: Stage) -> None:
    pod = stage.pod()
    application = serve(stage, pod)
    agent = stage.sidecar(pod, **CHECK)
    agent.wait_for(converged)
    application.close()
    agent.wait_for(lambda r: "has not passed its health check" in r["text"])
    stage.world.account.drop_route(stage.world.tables[0], "192.168.0.1/32")
    wait_until(lambda: stage.points_at("a"))


def test_plan_status_and_doctor_know_that_a_sick_application_holds_its_pod_back(
    stage: Stage,
) -> None:
    pod = stage.pod()

    def typed(command: str) -> Mapping[str, Any]:
        config = {**CHECK, "RunAsSidecar": "True"}
        return Typed(stage, pod, command, "--output", "json", **config).document(command)

    plan = typed("plan")
    assert not [c for c in plan["changes"] if c["where"] == "vpc"]
    assert {f["condition"] for f in plan["findings"]} == {"UNHEALTHY"}
    routes = typed("status")["routes"]
    assert {r["verdict"] for r in routes} == {"wait"}
    checks = {c["check"]: c["state"] for c in typed("doctor")["checks"]}
    assert checks["application"] == "warning"
    serve(stage, pod)
    changes = typed("plan")["changes"]
    assert [c for c in changes if c["where"] == "vpc"]
