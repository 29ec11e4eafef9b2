"""`vipmanager yield` and `claim`, typed in the container of a running sidecar."""

import sys
from collections.abc import Callable

import pytest

from agent_fixtures import Stage, Typed, converged, wait_until
from vipmanager_lab.world import World


def test_a_pod_that_yielded_loses_its_floating_ip_to_the_next_and_writes_nothing_more(
    make_world: Callable[..., World],
) -> None:
    stage = Stage(make_world(tables=4))
    old = stage.pod("a", name="old")
    agent = stage.sidecar(old)
    agent.wait_for(converged)
    ordered = Typed(stage, old, "yield")
    assert ordered.code == 0, ordered.err
    assert ordered.out.startswith('Yielded: this pod takes nothing until "vipmanager claim".')
    assert "Its routes stay until the next owner replaces them." in ordered.out
    stage.sidecar(stage.pod("b", name="new")).wait_for(converged)
    before = stage.world.writes()
    passes = stage.world.endpoint.counts()["DescribeRouteTables"]
    wait_until(lambda: stage.world.endpoint.counts()["DescribeRouteTables"] > passes + 12)
    assert stage.world.writes() == before
    assert stage.points_at("b")
    ordered = Typed(stage, old, "claim")
    assert ordered.code == 0, ordered.err
    assert ordered.out.startswith(("Claimed and verified: 8 of 8 ", "Claim accepted, not verified"))
    wait_until(lambda: stage.points_at("a"))


@pytest.mark.parametrize("order", ["yield", "claim"])
def test_an_order_without_an_agent_says_where_to_give_it(stage: Stage, order: str) -> None:
    ordered = Typed(stage, stage.pod("a"), order)
    assert ordered.code == 1
    assert "no vipmanager sidecar runs in this pod" in ordered.err
    assert "kubectl exec POD -c vipmanager" in ordered.err


def test_a_pod_that_is_deleted_while_its_agent_begins_yields_all_the_same(stage: Stage) -> None:
    pod = stage.pod("a")
    vipmanager = f"{sys.executable} -m vipmanager"
    both = f"{vipmanager} yield >/dev/null & exec {vipmanager} run"  # preStop, and process 1
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", both]
    agent = stage.world.agent(pod, {**stage.config, "RunAsSidecar": "True"}, argv=apart)
    agent.wait_for(lambda record: record.get("condition") == "YIELDED")


def test_a_container_that_shares_only_the_network_may_not_give_orders(stage: Stage) -> None:
    pod = stage.pod("a")
    apart = ["unshare", "--pid", "--fork", sys.executable, "-m", "vipmanager", "run"]
    agent = stage.world.agent(
        pod, {**stage.config, "RunAsSidecar": "True", "ResyncSeconds": "1"}, argv=apart
    )
    agent.wait_for(converged)
    ordered = Typed(stage, pod, "yield")
    assert ordered.code == 1
    assert "only the agent's own container may ask" in ordered.err
    assert stage.points_at("a")


def test_a_second_sidecar_in_one_pod_is_refused(stage: Stage) -> None:
    pod = stage.pod("a")
    stage.sidecar(pod).wait_for(converged)
    second = stage.sidecar(pod)
    assert second.wait() == 1
    assert any("another vipmanager runs in this pod" in text for text in second.text)
