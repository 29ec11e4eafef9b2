"""With a Lease, a pod that lost a floating IP tells it, offers what it holds, and takes nothing."""

import pytest

from simulation.play import play
from simulation.pod import Pod
from simulation.rows import alone, one, pair, when
from simulation.schedule import Schedule
from simulation.stage import Stage
from vipmanager.core.findings import Condition

KINDS = ("address lost", "link down", "interface deleted", "detached", "check switched on")
SOME, ALL = 0.3, 0.9
"""Amounts with which an interface is deleted, or every one."""


def staged(plan: Schedule, until: float) -> Stage:
    """Play a schedule until then."""
    stage = Stage(plan)
    stage.world.run(until)
    return stage


def lost(pod: Pod) -> bool:
    return Condition.LOST.name in pod.conditions()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("amount", [SOME, ALL])
def test_a_holder_that_lost_a_floating_ip_hands_over(kind: str, amount: float) -> None:
    stage = staged(pair(when(20, kind, amount=amount), resync=5.0), 40)
    old, new = stage.members
    assert new.holds
    assert stage.world.owned(new)
    assert not old.ready
    assert "it does not answer for 192.168.0" in old.readiness.why
    assert not lost(old)  # another one has its routes
    stage.world.node_lost(new.node)
    stage.world.run(80)
    assert not old.holds, "it took what it can't answer"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("amount", [SOME, ALL])
def test_a_holder_that_has_nobody_to_hand_over_to_tells_it(
    kind: str,
    amount: float,
    restarted: bool,  # noqa: FBT001 - a table's column
) -> None:
    stage = staged(one(when(20, kind, amount=amount), resync=5.0), 30)
    (pod,) = stage.members
    if restarted:
        pod.kill()
        pod.start()
        stage.world.run(45)
    assert lost(pod)
    assert not pod.ready
    assert "is lost" in pod.readiness.why


@pytest.mark.parametrize("kind", KINDS)
def test_a_lone_sidecar_that_has_it_back_is_ready_again(kind: str) -> None:
    outcome = play(alone(when(20, kind, seconds=30.0, amount=SOME), resync=5.0))
    assert outcome.problems == ()
