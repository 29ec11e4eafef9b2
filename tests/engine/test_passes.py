"""What one life of the agent makes of the worlds, one fault at a time."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from sim import Agent, Sim, owners
from vipmanager.core.actions import CloudAction, CreateRoute, KernelAction, ReplaceRoute
from vipmanager.core.failures import Failure, Permanent, Throttled, Transient
from vipmanager.core.findings import Condition
from vipmanager.core.podnet import HELD_TABLE, PROTOCOL
from vipmanager.core.settings import Settings
from vipmanager.core.values import AddressState, CloudState, EniId, PodAddress
from vipmanager.edges.memory import MemoryCloud, MemoryKernel, MemoryMetadata
from vipmanager.engine.loop import Ending
from worlds import cloud, interface, kernel, node, peers, pod, pointed

ONE, TWO = "192.168.0.1/32", "192.168.0.2/32"
PEERS = peers(n1="10.0.100.0/24", n2="10.0.1.0/24")
DOWN = Transient("EC2 does not answer", "it is tried again")


def conditions(agent: Agent) -> set[Condition]:
    return {f.condition for f in agent.last.findings}


def marks(agent: Agent) -> int:
    return sum(r.table == HELD_TABLE for r in agent.kernel.state.routes)


def settled(tables: int = 10) -> CloudState:
    return pointed(pointed(cloud(tables), ONE, "eni-a1"), TWO, "eni-a2")


def test_an_init_container_writes_what_differs_reads_it_back_and_ends(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud(10)), settings=PEERS).init()
    sim.run(60)
    assert agent.ending is Ending.CONVERGED
    assert len(agent.cloud.writes) == 20
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    assert owners(agent.cloud, TWO) == {"eni-a2"}
    assert len(agent.reports) == 2
    assert agent.last.reasons == ("read back",)
    assert marks(agent) == 2


def test_a_correct_world_costs_no_write(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(settled()), settings=PEERS).init()
    sim.run(60)
    assert agent.ending is Ending.CONVERGED
    assert agent.cloud.writes == []


def test_routes_that_are_right_already_are_not_written_again(sim: Sim) -> None:
    state = pointed(settled(), ONE, "eni-b1", only=3)
    agent = Agent(sim, MemoryCloud(state)).init()
    sim.run(60)
    assert [str(w) for w in agent.cloud.writes] == [f"{ONE} in rtb-03: eni-b1 (i-b) -> eni-a1"]


def denied(action: CloudAction) -> Failure | None:
    refused = isinstance(action, CreateRoute | ReplaceRoute) and action.table == "rtb-04"
    return Permanent("UnauthorizedOperation", "allow it") if refused else None


@pytest.mark.parametrize("before", ["nothing", "the other zone's ENI"])
def test_access_denied_on_one_of_ten_tables_leaves_nine_right_and_ends_at_once(
    sim: Sim, before: str
) -> None:
    state = cloud(10) if before == "nothing" else pointed(cloud(10), ONE, "eni-b1")
    agent = Agent(sim, MemoryCloud(state)).init()
    agent.cloud.refuse = denied
    sim.run(100)
    assert agent.ending is Ending.LASTING
    assert {str(j.steer.table) for j in agent.last.wrong} == {"rtb-04"}
    wrong = {t.id for t in agent.cloud.state.tables if not _points(t.routes, "eni-a1")}
    assert wrong == {"rtb-04"}
    assert max(len(agent.reports), 1) <= 3


def _points(routes: object, target: str) -> bool:
    return any(r.target.id == target for r in routes)  # type: ignore[attr-defined]


def test_access_denied_is_over_within_a_second(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud(10))).init()
    agent.cloud.refuse = denied
    sim.run(1)
    assert agent.ending is Ending.LASTING


@pytest.mark.parametrize("failure", [Transient("server error"), Throttled("RequestLimitExceeded")])
def test_passing_failures_are_tried_again_until_they_pass(sim: Sim, failure: Failure) -> None:
    agent = Agent(sim, MemoryCloud(cloud(2))).init()
    failures = iter([failure] * 9)
    agent.cloud.refuse = lambda _: next(failures, None)
    sim.run(120)
    assert agent.ending is Ending.CONVERGED
    assert len(agent.cloud.writes) == 4


def test_a_deadline_ends_an_init_container_that_can_not_succeed_in_time(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud()), settings=Settings(init_timeout=30)).init()
    agent.cloud.unreachable = DOWN
    sim.run(120)
    assert agent.ending is Ending.DEADLINE
    assert agent.cloud.writes == []


def test_without_a_deadline_an_init_container_outlasts_an_outage_of_the_api(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud())).init()
    agent.cloud.unreachable = DOWN
    sim.at(300, lambda: setattr(agent.cloud, "unreachable", None))
    sim.run(330)
    assert agent.ending is Ending.CONVERGED


def test_a_pod_without_a_floating_ip_is_waited_for(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud()), kernel=MemoryKernel(kernel())).init()
    sim.run(50)
    assert agent.ending is None
    assert conditions(agent) == {Condition.NO_FLOATING_IP}
    agent.kernel.state = pod()
    sim.run(65)
    assert agent.ending is Ending.CONVERGED


def test_a_filter_that_no_address_passes_is_no_success(sim: Sim) -> None:
    only = Settings(floating=(ip_network("172.31.0.0/16"),))
    agent = Agent(sim, MemoryCloud(cloud()), settings=only).init()
    sim.run(50)
    assert agent.ending is None
    assert Condition.NO_FLOATING_IP in conditions(agent)


def refuse(match: Callable[[KernelAction], bool]) -> Callable[[KernelAction], Failure | None]:
    return lambda a: Permanent("Operation not permitted", "NET_ADMIN") if match(a) else None


def test_without_net_admin_nothing_is_steered_to_a_pod_that_can_not_answer(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud()), settings=PEERS).init()
    agent.kernel.refuse = refuse(lambda _: True)
    sim.run(60)
    assert agent.ending is Ending.LASTING
    assert agent.cloud.writes == []
    assert any("NET_ADMIN" in str(f) for f in agent.last.findings)


@pytest.mark.parametrize("settings", [PEERS, Settings(source_routing=True)])
def test_an_interface_that_can_not_answer_does_not_hold_the_other_back(
    sim: Sim, settings: Settings
) -> None:
    agent = Agent(sim, MemoryCloud(cloud()), settings=settings).init()
    agent.kernel.refuse = refuse(lambda a: "net1" in str(a))
    sim.run(60)
    assert agent.ending is Ending.LASTING
    assert owners(agent.cloud, ONE) == {"none"}
    assert owners(agent.cloud, TWO) == {"eni-a2"}


def test_without_imds_the_region_and_the_mac_suffice(sim: Sim) -> None:
    agent = Agent(
        sim,
        MemoryCloud(cloud()),
        settings=replace(PEERS, region="eu-central-1"),
        metadata=MemoryMetadata(Transient("IMDS does not answer")),
    ).init()
    sim.run(60)
    assert agent.ending is Ending.CONVERGED
    assert owners(agent.cloud, ONE) == {"eni-a1"}
    assert any("via 10.0.11.1" in str(d.action) for r in agent.reports for d in r.done)


def test_without_imds_and_region_the_agent_waits(sim: Sim) -> None:
    metadata = MemoryMetadata(Transient("IMDS does not answer"))
    agent = Agent(sim, MemoryCloud(cloud()), metadata=metadata).init()
    sim.run(20)
    assert agent.ending is None
    metadata.node = node()
    sim.run(60)
    assert agent.ending is Ending.CONVERGED


def test_imds_that_lists_nothing_yet_is_made_up_for_by_ec2(sim: Sim) -> None:
    metadata = MemoryMetadata(node(listed=False))
    agent = Agent(sim, MemoryCloud(cloud()), settings=PEERS, metadata=metadata).init()
    sim.run(60)
    assert agent.ending is Ending.CONVERGED


def test_an_imds_that_goes_away_later_changes_nothing(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud()), settings=PEERS).sidecar()
    sim.run(60)
    state, writes = agent.kernel.state, len(agent.cloud.writes)
    agent.metadata.node = Transient("IMDS does not answer")
    sim.run(300)
    assert agent.health.ready
    assert (agent.kernel.state, len(agent.cloud.writes)) == (state, writes)
    assert Condition.UNREACHABLE in conditions(agent)


def test_an_api_that_goes_away_later_changes_nothing(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud()), settings=PEERS).sidecar()
    sim.run(60)
    state, writes = agent.kernel.state, len(agent.cloud.writes)
    agent.cloud.unreachable = DOWN
    sim.run(300)
    assert not agent.last.observed
    assert agent.health.ready
    assert (agent.kernel.state, len(agent.cloud.writes)) == (state, writes)


@pytest.mark.parametrize(
    ("state", "settings", "condition"),
    [
        (AddressState.TENTATIVE, Settings(), Condition.ADDRESS_TENTATIVE),
        (AddressState.TENTATIVE, Settings(source_routing=True), Condition.ADDRESS_TENTATIVE),
    ],
)
def test_a_tentative_address_is_steered_once_it_is_confirmed(
    sim: Sim, state: AddressState, settings: Settings, condition: Condition
) -> None:
    world = kernel(interface("a", 1, "2001:db8:1::1", state=state))
    agent = Agent(sim, MemoryCloud(cloud()), settings=settings, kernel=MemoryKernel(world)).init()
    sim.run(5)
    assert condition in conditions(agent)
    assert agent.cloud.writes == []
    agent.kernel.state = replace(
        agent.kernel.state,
        interfaces=tuple(
            replace(i, addresses=tuple(replace(a, state=AddressState.READY) for a in i.addresses))
            for i in agent.kernel.state.interfaces
        ),
    )
    sim.run(30)
    assert agent.ending is Ending.CONVERGED
    assert owners(agent.cloud, "2001:db8:1::1/128") == {"eni-a1"}


def test_a_second_address_on_an_interface_is_steered_beside_the_first(sim: Sim) -> None:
    extra = PodAddress(address=ip_address("192.168.0.77"), prefix_length=32)
    one = interface("a", 1, "192.168.0.1")
    world = kernel(replace(one, addresses=(*one.addresses, extra)))
    agent = Agent(sim, MemoryCloud(cloud()), kernel=MemoryKernel(world)).init()
    sim.run(5)
    assert agent.ending is Ending.CONVERGED
    assert owners(agent.cloud, "192.168.0.77/32") == {EniId("eni-a1")}


def test_everything_in_the_kernel_carries_our_protocol_or_was_there(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud()), settings=PEERS).init()
    before = set(agent.kernel.state.routes)
    sim.run(5)
    after = agent.kernel.state
    assert {r.protocol for r in set(after.routes) - before} == {PROTOCOL}
    assert {r.protocol for r in after.rules} == {PROTOCOL}
    assert before <= set(after.routes)


def test_a_destination_is_marked_only_when_every_table_was_read_back_right(sim: Sim) -> None:
    agent = Agent(sim, MemoryCloud(cloud(4))).init()
    agent.cloud.refuse = lambda a: DOWN if f"{ONE} in rtb-02" in str(a) else None
    sim.run(20)
    assert agent.ending is None
    assert [str(r.destination) for r in agent.kernel.state.routes if r.table == HELD_TABLE] == [TWO]
    agent.cloud.refuse = lambda _: None
    sim.run(60)
    assert marks(agent) == 2
