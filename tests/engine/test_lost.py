"""A floating IP that is gone from the pod while routes lead here is lost, and is told as such."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from engine.scene import ONE, PLAIN, TWO, give, holding, last, marks, net1, point, rest
from simulation.aws import moved
from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.failures import Transient
from vipmanager.core.findings import Condition, Finding
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.values import AddressState, EniId, InstanceId, Mac, PodAddress
from vipmanager.core.verdict import Verdict
from worlds import interface, kernel, peers

Fault = Callable[[World, Pod], object]

ROUTING = {
    "peers": peers(n1="10.0.100.0/24", n2="10.0.1.0/24"),
    "UseSBR": Settings(source_routing=True),
    "neither": PLAIN,
}


def address_removed(_world: World, pod: Pod) -> None:
    give(pod, replace(net1(pod), addresses=()))


def link_down(_world: World, pod: Pod) -> None:
    state = pod.kernel.state
    routes = tuple(r for r in state.routes if r.device != "net1")
    pod.kernel.state = replace(state, routes=routes)
    give(pod, replace(net1(pod), up=False))


def node_s_link_down(_world: World, pod: Pod) -> None:
    give(pod, replace(net1(pod), carrier=False))


def interface_deleted(_world: World, pod: Pod) -> None:
    state = pod.kernel.state
    pod.kernel.state = replace(
        state,
        interfaces=tuple(i for i in state.interfaces if i.name != "net1"),
        routes=tuple(r for r in state.routes if r.device != "net1"),
    )
    pod.netlink()


def all_interfaces_deleted(_world: World, pod: Pod) -> None:
    bare = kernel()
    kept = tuple(r for r in pod.kernel.state.routes if r.device not in {"net1", "net2"})
    pod.kernel.state = replace(pod.kernel.state, interfaces=bare.interfaces, routes=kept)
    pod.netlink()


def duplicate_found(_world: World, pod: Pod) -> None:
    ours = replace(net1(pod).addresses[0], state=AddressState.DUPLICATE)
    give(pod, replace(net1(pod), addresses=(ours,)))


def moved_to_a_foreign_interface(_world: World, pod: Pod) -> None:
    state = pod.kernel.state
    taken = replace(net1(pod), name="dummy0", index=9, mac=Mac("06:00:00:00:00:09"))
    others = tuple(i for i in state.interfaces if i.name != "net1")
    pod.kernel.state = replace(state, interfaces=(*others, taken))
    pod.netlink()


def detached(world: World, pod: Pod) -> None:
    world.ec2.change(moved(world.ec2.state, EniId("eni-a1"), None))
    pod.imds.node = replace(world.node_data(pod.node), enis=(), macs=frozenset())
    pod.look()


def moved_to_another_instance(world: World, pod: Pod) -> None:
    world.ec2.change(moved(world.ec2.state, EniId("eni-a1"), InstanceId("i-z")))
    pod.look()


def check_switched_on(world: World, pod: Pod) -> None:
    state = world.ec2.state
    enis = tuple(
        replace(e, source_dest_check=e.source_dest_check or e.id == "eni-a1") for e in state.enis
    )
    world.ec2.change(replace(state, enis=enis))
    pod.look()


FAULTS = (
    address_removed,
    link_down,
    node_s_link_down,
    interface_deleted,
    all_interfaces_deleted,
    duplicate_found,
    moved_to_a_foreign_interface,
    detached,
    moved_to_another_instance,
    check_switched_on,
)


def lost(pod: Pod) -> list[Finding]:
    return [f for f in last(pod).findings if f.condition is Condition.LOST]


@pytest.mark.parametrize("routing", ROUTING)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_gone_while_routes_lead_here_is_lost(fault: Fault, routing: str) -> None:
    world, pod = holding(ROUTING[routing], tables=3)
    assert pod.ready
    fault(world, pod)
    rest(world, 3)
    first = lost(pod)[0]
    assert "192.168.0.1" in first.text
    assert "3 of 3 route tables still lead to eni-a1" in first.text
    assert not pod.ready
    assert "192.168.0.1 is lost" in pod.readiness.why
    told = next(ip for ip in last(pod).floating if str(ip.address) == "192.168.0.1")
    assert told.lost is not None
    shown = [j.verdict for j in last(pod).judged if str(j.steer.destination) == ONE]
    assert shown == [Verdict.LOST] * 3


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_still_known_after_a_restart(fault: Fault) -> None:
    world, pod = holding(tables=3)
    fault(world, pod)
    rest(world, 3)
    pod.kill()
    pod.reports.clear()
    pod.start()
    rest(world, 3)
    assert "192.168.0.1" in lost(pod)[0].text
    assert not pod.ready


@pytest.mark.parametrize("restarted", [False, True])
def test_it_is_over_once_the_address_is_back(restarted: bool) -> None:  # noqa: FBT001
    world, pod = holding(tables=3)
    before = net1(pod)
    give(pod, replace(before, addresses=()))
    rest(world, 3)
    if restarted:
        pod.kill()
        pod.start()
        rest(world, 3)
    assert lost(pod)
    give(pod, before)
    rest(world, 60)
    assert not lost(pod)
    assert pod.ready
    assert world.ec2.writes == []


def test_a_table_that_another_living_interface_has_is_not_counted() -> None:
    world, pod = holding(tables=3)
    address_removed(world, pod)
    point(world, ONE, "eni-b1", only=1)
    pod.look()
    rest(world, 3)
    assert "2 of 3 route tables still lead to eni-a1" in lost(pod)[0].text
    point(world, ONE, "eni-b1")
    pod.look()
    rest(world, 3)
    assert not lost(pod)
    assert [str(ip.address) for ip in last(pod).floating] == ["192.168.0.2"]
    assert pod.ready
    assert marks(pod) == [TWO]


def test_what_nobody_has_a_route_to_is_not_lost() -> None:
    world, pod = holding(tables=3)
    address_removed(world, pod)
    world.drop(range(3), ip_network(ONE))
    pod.look()
    rest(world, 3)
    assert not lost(pod)


@pytest.mark.parametrize("fault", [address_removed, link_down, interface_deleted])
def test_it_is_told_by_the_last_reading_while_ec2_does_not_answer(fault: Fault) -> None:
    world, pod = holding(tables=3)
    world.ec2.ills.reads = "hang"
    fault(world, pod)
    rest(world, 0.5)
    assert "3 of 3 route tables" in lost(pod)[0].text
    assert not pod.ready
    rest(world, 90)
    assert lost(pod)
    assert not pod.ready


def test_a_reading_that_fails_does_not_make_it_whole_again() -> None:
    world, pod = holding(tables=3)
    all_interfaces_deleted(world, pod)
    rest(world, 3)
    world.ec2.truth.unreachable = Transient("EC2 does not answer")
    pod.imds.node = Transient("IMDS does not answer")
    for _ in range(3):
        pod.look()
        rest(world, 20)
        assert not pod.ready
        assert "192.168.0.1 is lost" in pod.readiness.why


def test_an_address_that_moves_to_another_interface_is_steered_there_and_never_lost() -> None:
    world, pod = holding(tables=3)
    second = next(i for i in pod.kernel.state.interfaces if i.name == "net2")
    ours = PodAddress(address=ip_address("192.168.0.1"), prefix_length=24)
    state = pod.kernel.state
    changed = {
        "net1": replace(net1(pod), addresses=()),
        "net2": replace(second, addresses=(*second.addresses, ours)),
    }
    interfaces = tuple(changed.get(i.name, i) for i in state.interfaces)
    pod.kernel.state = replace(state, interfaces=interfaces)
    pod.netlink()
    rest(world, 60)
    assert set(world.owners(ip_address("192.168.0.1"))) == {"eni-a2"}
    assert not any(f.condition is Condition.LOST for r in pod.reports for f in r.findings)
    assert pod.ready


def test_a_check_that_the_agent_manages_is_switched_off_and_nothing_is_told_lost() -> None:
    world, pod = holding(Settings(manage_source_dest_check=True), tables=3)
    check_switched_on(world, pod)
    rest(world, 3)
    assert not any(f.condition is Condition.LOST for r in pod.reports for f in r.findings)
    assert pod.ready


# --- a route for a whole subnet ------------------------------------------------------------------

DUMMY = "10.0.254.0/28"


def of_a_subnet(*addresses: str) -> tuple[World, Pod]:
    world = World(86, tables=3)
    pod = world.pod("a1", "a", Settings(pattern=Pattern.SUBNET))
    pod.kernel.state = kernel(replace(interface("a", 1, *addresses), mac=net1(pod).mac))
    pod.start()
    world.run(60)
    assert last(pod).clean
    return world, pod


@pytest.mark.parametrize("fault", FAULTS)
def test_the_route_of_a_subnet_leads_to_what_is_gone_as_well(fault: Fault) -> None:
    world, pod = of_a_subnet("10.0.254.5")
    fault(world, pod)
    rest(world, 3)
    assert "10.0.254.5 is lost" in lost(pod)[0].text
    pod.kill()
    pod.start()
    rest(world, 3)
    assert "10.0.254." in lost(pod)[0].text
    assert not pod.ready


def test_of_two_addresses_behind_one_route_the_one_that_is_gone_is_lost() -> None:
    world, pod = of_a_subnet("10.0.254.5", "10.0.254.6")
    give(pod, replace(net1(pod), addresses=net1(pod).addresses[1:]))
    rest(world, 3)
    assert [f.subject for f in lost(pod)] == ["10.0.254.5"]
    told = {str(ip.address): ip.lost is not None for ip in last(pod).floating}
    assert told == {"10.0.254.5": True, "10.0.254.6": False}
    assert not pod.ready
