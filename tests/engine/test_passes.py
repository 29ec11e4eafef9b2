"""What one life of the agent makes of the worlds, one fault at a time."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from engine.scene import (
    ONE,
    PEERS,
    PLAIN,
    TWO,
    alone,
    both,
    give,
    last,
    marks,
    net1,
    owners,
    point,
)
from vipmanager.core.actions import CloudAction, KernelAction
from vipmanager.core.failures import Failure, Permanent, Throttled, Transient
from vipmanager.core.podnet import PROTOCOL
from vipmanager.core.settings import Settings
from vipmanager.core.values import AddressState, PodAddress
from vipmanager.engine.loop import Ending
from worlds import interface, kernel, node, pod

DOWN = Transient("EC2 does not answer", "it is tried again")
NO_IMDS = Transient("IMDS does not answer")
SOURCE_ROUTING = Settings(source_routing=True)


def test_what_a_pass_reports_is_known_to_readyz_already() -> None:
    world, agent = alone(PEERS)
    world.run(60)
    assert agent.ready
    assert world.problems == []


def test_an_init_container_writes_what_differs_reads_it_back_and_ends() -> None:
    world, agent = alone(PEERS, tables=10, init=True)
    world.run(60)
    assert agent.ending is Ending.CONVERGED
    assert len(world.ec2.writes) == 20
    assert owners(world, ONE) == {"eni-a1"}
    assert owners(world, TWO) == {"eni-a2"}
    assert len(agent.reports) == 2
    assert last(agent).reasons == ("read back",)
    assert len(marks(agent)) == 2


def test_a_correct_world_costs_no_write() -> None:
    world, agent = alone(PEERS, tables=10, init=True)
    both(world, "a")
    world.run(60)
    assert agent.ending is Ending.CONVERGED
    assert world.ec2.writes == []


def test_routes_that_are_right_already_are_not_written_again() -> None:
    world, _ = alone(tables=10, init=True)
    both(world, "a")
    point(world, ONE, "eni-b1", only=3)
    world.run(60)
    written = [str(w.action) for w in world.ec2.writes]
    assert written == [f"{ONE} in rtb-03: eni-b1 (i-b) -> eni-a1"]


@pytest.mark.parametrize("before", ["nothing", "the other zone's ENI"])
def test_access_denied_on_one_of_ten_tables_leaves_nine_right_and_ends_at_once(before: str) -> None:
    world, agent = alone(tables=10, init=True)
    if before != "nothing":
        point(world, ONE, "eni-b1")
    world.ec2.ills.denied = {("a1", "rtb-04")}
    world.run(1)
    assert agent.ending is Ending.LASTING
    assert {str(j.steer.table) for j in last(agent).wrong} == {"rtb-04"}
    found = world.owners(ip_address("192.168.0.1"))
    assert [n for n, owner in enumerate(found) if owner != "eni-a1"] == [4]
    assert 1 <= len(agent.reports) <= 3


def test_a_plan_larger_than_allowed_writes_nothing_and_ends_at_once_until_it_is_allowed() -> None:
    world, agent = alone(Settings(max_route_writes=19), tables=10, init=True)
    world.run(1)
    assert agent.ending is Ending.LASTING
    assert "TOO_MANY_WRITES" in agent.conditions()
    assert world.ec2.writes == []
    assert not marks(agent)
    world, agent = alone(Settings(max_route_writes=20), tables=10, init=True)
    world.run(60)
    assert agent.ending is Ending.CONVERGED


@pytest.mark.parametrize("failure", [Transient("server error"), Throttled("RequestLimitExceeded")])
def test_passing_failures_are_tried_again_until_they_pass(failure: Failure) -> None:
    world, agent = alone(init=True)
    failures = iter([failure] * 9)
    world.ec2.truth.refuse = lambda _: next(failures, None)
    world.run(120)
    assert agent.ending is Ending.CONVERGED
    assert len(world.ec2.writes) == 4


def test_a_deadline_ends_an_init_container_that_can_not_succeed_in_time() -> None:
    world, agent = alone(Settings(init_timeout=30), init=True)
    world.ec2.truth.unreachable = DOWN
    world.run(120)
    assert agent.ending is Ending.DEADLINE
    assert world.ec2.writes == []


def test_without_a_deadline_an_init_container_outlasts_an_outage_of_the_api() -> None:
    world, agent = alone(init=True)
    world.ec2.truth.unreachable = DOWN
    world.at(300, setattr, world.ec2.truth, "unreachable", None)
    world.run(330)
    assert agent.ending is Ending.CONVERGED


def test_a_pod_without_a_floating_ip_is_waited_for() -> None:
    world, agent = alone(init=True)
    agent.kernel.state = kernel()
    world.run(50)
    assert agent.ending is None
    assert agent.conditions() == {"NO_FLOATING_IP"}
    agent.kernel.state = pod()
    world.run(65)
    assert agent.ending is Ending.CONVERGED


def test_a_filter_that_no_address_passes_is_no_success() -> None:
    world, agent = alone(Settings(floating=(ip_network("172.31.0.0/16"),)), init=True)
    world.run(50)
    assert agent.ending is None
    assert "NO_FLOATING_IP" in agent.conditions()


def refuse(match: Callable[[KernelAction], bool]) -> Callable[[KernelAction], Failure | None]:
    return lambda a: Permanent("Operation not permitted", "NET_ADMIN") if match(a) else None


def test_without_net_admin_nothing_is_steered_to_a_pod_that_can_not_answer() -> None:
    world, agent = alone(PEERS, init=True)
    agent.kernel.refuse = refuse(lambda _: True)
    world.run(60)
    assert agent.ending is Ending.LASTING
    assert world.ec2.writes == []
    assert any("NET_ADMIN" in str(f) for f in last(agent).findings)


@pytest.mark.parametrize("settings", [PEERS, SOURCE_ROUTING])
def test_an_interface_that_can_not_answer_does_not_hold_the_other_back(settings: Settings) -> None:
    world, agent = alone(settings, init=True)
    agent.kernel.refuse = refuse(lambda a: "net1" in str(a))
    world.run(60)
    assert agent.ending is Ending.LASTING
    assert owners(world, ONE) == {"none"}
    assert owners(world, TWO) == {"eni-a2"}


def test_without_imds_the_region_and_the_mac_suffice() -> None:
    world, agent = alone(replace(PEERS, region="eu-central-1"), init=True)
    agent.imds.node = NO_IMDS
    world.run(60)
    assert agent.ending is Ending.CONVERGED
    assert owners(world, ONE) == {"eni-a1"}
    assert any("via 10.0.11.1" in str(d.action) for r in agent.reports for d in r.done)


def test_without_imds_and_region_the_agent_waits() -> None:
    world, agent = alone(init=True)
    agent.imds.node = NO_IMDS
    world.run(20)
    assert agent.ending is None
    agent.imds.node = node()
    world.run(60)
    assert agent.ending is Ending.CONVERGED


def test_imds_that_lists_nothing_yet_is_made_up_for_by_ec2() -> None:
    world, agent = alone(PEERS, init=True)
    agent.imds.node = node(listed=False)
    world.run(60)
    assert agent.ending is Ending.CONVERGED


@pytest.mark.parametrize(("api", "told"), [("IMDS", "UNREACHABLE"), ("EC2", "TRANSIENT")])
def test_an_api_that_goes_away_later_changes_nothing(api: str, told: str) -> None:
    world, agent = alone(PEERS)
    world.run(60)
    state, writes = agent.kernel.state, len(world.ec2.writes)
    if api == "IMDS":
        agent.imds.node = NO_IMDS
    else:
        world.ec2.truth.unreachable = DOWN
    world.run(300)
    assert last(agent).fresh is (api == "IMDS")
    assert told in agent.conditions()
    assert agent.ready
    assert (agent.kernel.state, len(world.ec2.writes)) == (state, writes)


@pytest.mark.parametrize("settings", [PLAIN, SOURCE_ROUTING])
def test_a_tentative_address_is_steered_once_it_is_confirmed(settings: Settings) -> None:
    world, agent = alone(settings, init=True)
    agent.kernel.state = kernel(interface("a", 1, "2001:db8:1::1", state=AddressState.TENTATIVE))
    world.run(5)
    assert "ADDRESS_TENTATIVE" in agent.conditions()
    assert world.ec2.writes == []
    give(agent, interface("a", 1, "2001:db8:1::1"))
    world.run(30)
    assert agent.ending is Ending.CONVERGED
    assert owners(world, "2001:db8:1::1/128") == {"eni-a1"}


def test_a_second_address_on_an_interface_is_steered_beside_the_first() -> None:
    world, agent = alone(init=True)
    extra = PodAddress(address=ip_address("192.168.0.77"), prefix_length=32)
    give(agent, replace(net1(agent), addresses=(*net1(agent).addresses, extra)))
    world.run(5)
    assert agent.ending is Ending.CONVERGED
    assert owners(world, "192.168.0.77/32") == {"eni-a1"}


def test_everything_in_the_kernel_carries_our_protocol_or_was_there() -> None:
    world, agent = alone(PEERS, init=True)
    before = set(agent.kernel.state.routes)
    world.run(5)
    after = agent.kernel.state
    assert {r.protocol for r in set(after.routes) - before} == {PROTOCOL}
    assert {r.protocol for r in after.rules} == {PROTOCOL}
    assert before <= set(after.routes)


def test_a_destination_is_marked_only_when_every_table_was_read_back_right() -> None:
    def refused(action: CloudAction) -> Failure | None:
        return DOWN if f"{ONE} in rtb-02" in str(action) else None

    world, agent = alone(tables=4, init=True)
    world.ec2.truth.refuse = refused
    world.run(20)
    assert agent.ending is None
    assert marks(agent) == [TWO]
    world.ec2.truth.refuse = lambda _: None
    world.run(60)
    assert len(marks(agent)) == 2
