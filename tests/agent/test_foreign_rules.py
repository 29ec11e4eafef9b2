"""Rules of other programs that come between a floating IP and its clients."""

from collections.abc import Callable

import pytest

from agent_fixtures import Stage, Typed, converged
from vipmanager_lab.netns import Netns
from vipmanager_lab.world import World

SBR = ["route add default via 192.168.0.6 dev net1 table 100 onlink"]


@pytest.fixture
def stage(make_world: Callable[..., World]) -> Stage:
    return Stage(make_world())


def by_sbr(pod: Netns, stage: Stage, *more: str) -> str:
    """Set what the CNI plugin `sbr`, chained after ipvlan, sets for the first floating IP."""
    address = stage.floating[0].partition("/")[0]
    words = f"from {address} lookup 100" + "".join(f" {m}" for m in more)
    pod.ip_batch([*SBR, f"rule add {words}"])
    return address


def test_answers_of_a_pod_with_the_plugin_sbr_reach_their_clients(stage: Stage) -> None:
    pod = stage.pod()
    address = by_sbr(pod, stage)
    assert stage.init(pod).wait() == 0
    stage.world.application(pod, stage.floating)
    stage.answers()
    seen = Typed(stage, pod, "doctor")
    assert f"`from {address}/32 lookup 100 priority 32765`" in " ".join(seen.out.split())


def test_a_rule_that_comes_later_is_overtaken_by_a_sidecar(stage: Stage) -> None:
    pod = stage.pod()
    agent = stage.sidecar(pod, ResyncSeconds="3600")
    agent.wait_for(converged)
    stage.world.application(pod, stage.floating)
    # Without a priority the kernel puts it before the first rule there is, which is ours.
    address = by_sbr(pod, stage, "priority 32000")
    agent.wait_for(lambda r: r.get("condition") == "OVERTAKEN")
    stage.answers()
    pod.ip_batch([f"rule del from {address} lookup 100 priority 32000"])
    agent.wait_for(lambda r: r["event"] == "kernel" and "rule del" in str(r["text"]))
    stage.answers()


def test_a_rule_that_comes_before_ours_is_named_and_removed_as_it_says(stage: Stage) -> None:
    pod = stage.pod()
    by_sbr(pod, stage, "priority 100")
    assert stage.init(pod).wait() == 0
    stage.world.application(pod, stage.floating)
    seen = Typed(stage, pod, "status", "--output", "json").document("status")
    (found,) = [f for f in seen["findings"] if f["condition"] == "DIVERTED"]
    command = found["remedy"].partition("remove it: ")[2].partition(";")[0]
    pod.run(command.split())
    stage.answers()
