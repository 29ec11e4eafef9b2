"""What an agent does while EC2 can't be read, or answers nonsense."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from engine.scene import ONE, TWO, alone, holding, last, point
from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.settings import Settings
from vipmanager.core.values import CloudState, KernelState, RouteTableId, VpcId
from vipmanager.engine.loop import Ending

NAMED = Settings(tables=(RouteTableId("rtb-00"), RouteTableId("rtb-01")))
FAULTY = ["error", "throttled", "hang"]


def lost_to(world: World, target: str = "eni-x1") -> None:
    """Let both destinations lead elsewhere."""
    for destination in (ONE, TWO):
        point(world, destination, target)


@pytest.mark.parametrize("fault", FAULTY)
@pytest.mark.parametrize("before", ["none", "eni-x1"])
def test_a_new_pod_that_was_told_its_tables_writes_them_without_a_reading(
    fault: str, before: str
) -> None:
    world, pod = alone(NAMED)
    world.ec2.ills.reads = fault
    if before != "none":
        lost_to(world, before)
    assert world.run(20, lambda: world.owned(pod))
    world.run(60)
    assert "BLIND" in {f.condition.name for r in pod.reports for f in r.findings}
    assert pod.ready
    assert "can't be read" in pod.readiness.why
    assert pod.marked == [], "nothing was read back"


def test_it_verifies_them_once_ec2_answers() -> None:
    world, pod = alone(NAMED)
    world.ec2.ills.reads = "error"
    world.run(60)
    world.ec2.ills.reads = ""
    world.run(200)
    assert last(pod).clean
    assert "steered here" in pod.readiness.why
    assert len(pod.marked) == 2


def test_an_init_container_ends_well_and_says_that_it_could_not_verify() -> None:
    world, pod = alone(NAMED, init=True)
    world.ec2.ills.reads = "error"
    world.run(60)
    assert pod.ending is Ending.UNVERIFIED
    assert world.owned(pod)


def test_a_new_pod_that_was_told_nothing_writes_nothing() -> None:
    world, pod = alone()
    world.ec2.ills.reads = "error"
    world.run(60)
    assert world.ec2.writes == []
    assert not pod.ready


def test_without_the_right_to_read_nothing_is_written_blind() -> None:
    world, _ = alone(NAMED)
    world.ec2.ills.reads = "denied"
    world.run(60)
    assert world.ec2.writes == []


def test_a_container_that_starts_again_takes_nothing_from_a_living_eni_blind() -> None:
    world, pod = holding(NAMED, tables=2)
    lost_to(world)
    world.ec2.ills.reads = "error"
    pod.kill()
    pod.start()
    world.run(world.now + 60)
    assert world.ec2.writes == []


def nothing(_: CloudState) -> CloudState:
    return CloudState()


def of_another_vpc(state: CloudState) -> CloudState:
    return replace(state, tables=tuple(replace(t, vpc=VpcId("vpc-9")) for t in state.tables))


def without_enis(state: CloudState) -> CloudState:
    return replace(state, enis=())


@pytest.mark.parametrize("nonsense", [nothing, of_another_vpc, without_enis])
def test_nonsense_is_no_reading(nonsense: object) -> None:
    world, pod = holding(tables=2)
    truth = world.ec2.state
    assert callable(nonsense)
    world.ec2.change(nonsense(truth))
    world.run(world.now + 100)
    assert world.ec2.writes == []
    assert pod.ready
    assert {"TRANSIENT", "UNVERIFIED"} <= pod.conditions()
    world.ec2.change(truth)
    world.run(world.now + 100)
    assert last(pod).clean


def test_a_named_table_that_is_gone_is_told_and_the_others_are_kept_right() -> None:
    world, pod = holding(NAMED, tables=2)
    state = world.ec2.state
    world.ec2.change(replace(state, tables=state.tables[1:]))
    world.drop([0], ip_network(ONE))
    world.run(world.now + 100)
    assert "TABLE_UNKNOWN" in pod.conditions()
    assert world.owners(pod.addresses[0]) == ["eni-a1"]
    assert {w.action.table for w in world.ec2.writes} == {"rtb-01"}


def test_what_is_told_has_an_age() -> None:
    world, pod = holding(tables=2)
    world.ec2.ills.reads = "error"
    world.run(world.now + 200)
    assert pod.agent is not None
    told = pod.agent.store.document()
    assert isinstance(told["evidence"], float)
    assert told["evidence"] > 190
    assert told["ready"]


def _readings(world: World, pods: int, seconds: float) -> float:
    before = world.ec2.reads
    world.run(world.now + seconds)
    return (world.ec2.reads - before) / pods


def test_who_is_refused_and_has_nothing_wrong_asks_less_often() -> None:
    world, pod = holding(tables=2)
    at_rest = _readings(world, 1, 600)
    world.ec2.ills.reads = "throttled"
    _readings(world, 1, 300)
    assert _readings(world, 1, 600) < at_rest / 3
    assert pod.ready


def test_a_link_that_falls_is_seen_while_ec2_can_not_be_read() -> None:
    world, pod = holding(tables=2)
    world.ec2.ills.reads = "hang"
    pod.kernel.state = _down(pod)
    pod.netlink()
    assert world.run(world.now + 20, lambda: "INTERFACE_DOWN" in pod.conditions())


def _down(pod: Pod) -> KernelState:
    state = pod.kernel.state
    return replace(
        state, interfaces=tuple(replace(i, up=i.name != "net1" and i.up) for i in state.interfaces)
    )
