"""DryRun: a week beside another tool. Everything is told, and nothing is written."""

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial

import pytest

from agent_fixtures import Stage, Typed, converged, wait_until
from vipmanager_lab.control_plane import NAMESPACE, ControlPlane
from vipmanager_lab.kube.kinds import LEASES
from vipmanager_lab.netns import Netns
from vipmanager_lab.world import World

PORT = "9876"
BOTH = {"192.168.0.1/32", "192.168.0.2/32"}


def network(pod: Netns) -> list[str]:
    """Give what an agent may change in a pod; the kernel adds IPv6 routes of its own later."""
    routes = ("-4", "route", "show", "table", "all")
    asked = [("rule",), ("-6", "rule"), routes, ("-6", *routes[1:], "proto", "86")]
    return [pod.run(["ip", *words]) for words in asked]


def would_steer(record: Mapping[str, object], destination: str | None = None) -> bool:
    about = destination is None or record["subject"] == destination
    return record.get("condition") == "WOULD_STEER" and about


def http(stage: Stage, path: str) -> tuple[int, str]:
    """Ask the agent's port from its node, as kubelet and Prometheus do."""
    url = f"http://{stage.world.address('pod')}:{PORT}{path}"

    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    return stage.world.network.host("a").netns.call(ask)


def other_tool(stage: Stage, zone: str) -> None:
    """Steer every floating IP to a zone, as the tool does that steers today."""
    for destination, eni in zip(stage.destinations(), stage.enis(zone), strict=True):
        for table in stage.world.tables:
            stage.world.account.put_route(table, destination, eni)


def test_a_week_beside_another_tool_tells_every_difference_and_changes_nothing(
    stage: Stage,
) -> None:
    pod = stage.pod()
    before = network(pod)
    agent = stage.sidecar(pod, DryRun="True", HTTPPort=PORT)
    for destination in BOTH:
        agent.wait_for(partial(would_steer, destination=destination))
    code, text = http(stage, "/readyz")
    assert (code, "DryRun" in text) == (200, True)
    other_tool(stage, "a")
    agent.wait_for(converged)
    assert 'vipmanager_findings{condition="DRY_RUN"' in http(stage, "/metrics")[1]
    assert "WOULD_STEER" not in http(stage, "/metrics")[1]
    assert not [text for text in agent.text if text.startswith("ip ")]
    stage.world.account.drop_route(stage.world.tables[0], "192.168.0.1/32")
    one = f"192.168.0.1/32 would be pointed at {stage.enis('a')[0]} in 1 of 4 route tables"
    agent.wait_for(lambda r: one in str(r["text"]))
    assert 'vipmanager_routes{state="wrong"} 1.0' in http(stage, "/metrics")[1]
    assert stage.world.writes() == 0
    assert network(pod) == before


@pytest.mark.parametrize("broken", [False, True], ids=["EC2 answers", "EC2 denies"])
def test_an_init_container_says_what_it_would_do_and_lets_the_pod_start(
    stage: Stage, *, broken: bool
) -> None:
    if broken:
        stage.world.faults.deny("DescribeRouteTables")
    pod = stage.pod()
    before = network(pod)
    agent = stage.init(pod, DryRun="True")
    assert agent.wait() == 0, agent.text
    assert broken or {r["subject"] for r in agent.records if would_steer(r)} == BOTH
    assert any("DryRun" in text for text in agent.text)
    assert stage.world.writes() == 0
    assert network(pod) == before


def test_who_holds_nothing_can_neither_claim_nor_clean_up_and_has_yielded(stage: Stage) -> None:
    pod = stage.pod()
    stage.sidecar(pod, DryRun="True").wait_for(would_steer)
    yielded = Typed(stage, pod, "yield")
    assert (yielded.code, yielded.err) == (0, "")  # preStop
    assert yielded.out == "Nothing to yield: DryRun is on, and this pod holds nothing.\n"
    claimed = Typed(stage, pod, "claim")
    assert claimed.code == 1
    assert "DryRun is on: this agent takes nothing; set DryRun=False first" in claimed.err
    other_tool(stage, "a")
    cleaned = Typed(stage, pod, "cleanup", "--yes", DryRun="True")
    assert cleaned.code == 1
    assert "DryRun is on: nothing is deleted" in cleaned.err
    assert stage.points_at("a")


def test_doctor_does_not_ask_for_what_a_dry_run_does_not_do(stage: Stage) -> None:
    pod = stage.pod()
    config = {"DryRun": "True", "RunAsSidecar": "True", "LeaderElection": "True"}
    config |= {"POD_NAME": "app-0", "POD_NAMESPACE": NAMESPACE, "POD_UID": "1"}
    stage.init(pod, **config).wait_for(would_steer)
    found = Typed(stage, pod, "doctor", "--output", "json", **config).document("doctor")
    states = {c["check"]: c["state"] for c in found["checks"]}
    assert {k for k, v in states.items() if v in {"error", "warning"}} == set()
    assert {states[k] for k in ("pod-routes", "routes", "lease", "fitness")} == {"skipped"}


def test_a_candidate_takes_no_part_in_the_election(make_world: Callable[..., World]) -> None:
    stage = Stage(make_world())
    plane = ControlPlane(stage.world)
    try:
        environment = plane.create_pod("app-0") | {"LeaderElection": "True"}
        agent = stage.sidecar(stage.pod(), DryRun="True", **environment)
        agent.wait_for(would_steer)
        other_tool(stage, "a")
        agent.wait_for(converged)
        assert plane.cluster.store.list(LEASES, NAMESPACE)[1] == []
        assert stage.world.writes() == 0
    finally:
        plane.close()


def test_plan_tells_what_would_be_written_without_it(stage: Stage) -> None:
    planned = Typed(stage, stage.pod(), "plan", "--output", "json", DryRun="True")
    assert planned.code == 2
    assert all(destination in str(planned.document("plan")) for destination in BOTH)


def test_status_says_first_that_nothing_is_written(stage: Stage) -> None:
    pod = stage.pod()
    stage.sidecar(pod, DryRun="True").wait_for(would_steer)
    shown = Typed(stage, pod, "status", COLUMNS="80")
    assert shown.out.startswith("DRY RUN: ")
    assert shown.code == 1  # there is a difference
    other_tool(stage, "a")
    wait_until(lambda: Typed(stage, pod, "status").code == 0)
