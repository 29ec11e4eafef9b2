"""The election as it runs: a Lease, passes and waves of two pods in virtual time."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from queue import SimpleQueue

import pytest

from engine.scene import ONE, TWO, last
from simulation.pair import Group
from simulation.pod import Pod
from vipmanager.core import order
from vipmanager.core.election.actions import Role
from vipmanager.core.election.values import ElectionSettings
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.settings import Settings
from vipmanager.core.tenure import Tenure
from vipmanager.edges.memory import MemoryCloud, MemoryKernel, MemoryLease, MemoryMetadata
from vipmanager.engine.candidate import Candidate
from vipmanager.engine.elector import Elector
from vipmanager.engine.inbox import Inbox
from vipmanager.engine.loop import Ending
from vipmanager.engine.pod_agent import Outside, PodAgent
from vipmanager.engine.threads import SystemClock, Threads
from vipmanager.engine.wave import Pace
from worlds import cloud, node, pod

UPDATE = Permanent("update leases: 403 Forbidden", "allow update on leases")


@pytest.fixture
def pair() -> Iterator[Group]:
    """A holder in one zone, and a standby in the other."""
    group = Group(86, checked=True).begin()
    yield group
    assert group.world.problems == []


@pytest.fixture
def lone() -> Iterator[Group]:
    """A pod that starts where nobody holds the Lease."""
    group = Group(86, nodes="a")
    group.agents[0].start()
    yield group
    assert group.world.problems == []


def comes(group: Group, true: Callable[[], object]) -> bool:
    return group.world.run(group.world.now + 20, true)


def lease(group: Group) -> MemoryLease:
    return group.world.kube.lease(group.settings.lease_name)


def holder_of(group: Group) -> str | None:
    record = lease(group).record
    return record.holder if record is not None else None


def elector(agent: Pod) -> Elector:
    assert agent.agent is not None
    assert agent.agent.election is not None
    return agent.agent.election


def tenure(agent: Pod) -> Tenure:
    return elector(agent).tenure


def complains(agent: Pod) -> bool:
    return agent.last is not None and any("403" in f.text for f in agent.last.findings)


def test_the_first_takes_a_free_lease_and_the_second_waits(pair: Group) -> None:
    holder, standby = pair.agents
    assert tenure(holder).why == "free"
    assert tenure(holder).settled is not None
    assert pair.world.owned(holder)
    assert tenure(standby) == Tenure(since=tenure(standby).since)
    assert last(standby).role is Role.STANDBY
    assert last(standby).clean
    assert "LEASE_UNREAD" not in standby.conditions()
    assert {w.by for w in pair.world.ec2.writes} == {"a1"}


def test_yield_returns_when_the_lease_is_free_and_the_other_takes_it(pair: Group) -> None:
    holder, standby = pair.agents
    elector(holder).obey(order.Order.YIELD)
    assert tenure(holder).role is Role.STANDBY
    assert comes(pair, lambda: tenure(standby).settled)
    assert tenure(standby).why == "free"
    assert pair.world.owned(standby)
    assert comes(pair, lambda: "YIELDED" in holder.conditions())


def test_claim_returns_when_every_route_points_here(pair: Group) -> None:
    holder, standby = pair.agents
    elector(standby).obey(order.Order.CLAIM)
    assert pair.world.owned(standby)
    assert tenure(standby).why == "claimed"
    assert comes(pair, lambda: tenure(holder).role is Role.STANDBY)


def test_a_claim_that_the_api_does_not_let_through_says_so(pair: Group) -> None:
    lease(pair).away = UPDATE
    with pytest.raises(Transient, match="vipmanager could not be claimed; update leases: 403"):
        elector(pair.agents[1]).obey(order.Order.CLAIM)


def test_who_leaves_is_told_when_nothing_is_held(pair: Group) -> None:
    told: list[str | None] = []
    elector(pair.agents[0]).leave(lambda: told.append(holder_of(pair)))
    assert comes(pair, lambda: told)
    assert told[0] != "a1/n1"
    assert comes(pair, lambda: tenure(pair.agents[1]).settled)


def test_a_sick_holder_hands_over_and_a_sick_pair_does_not(pair: Group) -> None:
    holder, standby = pair.agents
    standby.app.well = False
    assert comes(pair, lambda: "UNFIT" in standby.conditions())
    holder.app.well = False
    assert comes(pair, lambda: "OFFERED" in holder.conditions())
    pair.run(10)
    assert pair.world.owned(holder)
    standby.app.well = True
    assert comes(pair, lambda: tenure(standby).settled)
    assert tenure(standby).why == "offered"


def test_a_stolen_route_is_repaired_by_the_holder_alone(pair: Group) -> None:
    for destination in (ONE, TWO):
        pair.world.drop([1], ip_network(destination))
    for agent in pair.agents:
        agent.wake("look")
    assert comes(pair, lambda: pair.world.owned(pair.agents[0]))
    assert {w.by for w in pair.world.ec2.writes} == {"a1"}


def test_an_api_that_forbids_is_said_in_its_own_words(lone: Group) -> None:
    lease(lone).away = Permanent("get leases: 403 Forbidden", "allow get on leases")
    (agent,) = lone.agents
    assert comes(lone, lambda: complains(agent))
    assert not lone.world.owned(agent)


def test_a_right_to_read_alone_is_no_readiness(lone: Group) -> None:
    lease(lone).refuse = UPDATE
    (agent,) = lone.agents
    assert comes(lone, lambda: complains(agent))
    number = last(agent).number
    agent.wake("look")
    assert comes(lone, lambda: last(agent).number > number)
    assert not agent.ready
    assert "403" in agent.health.why


def test_a_lease_that_may_not_be_created_is_no_grievance_once_it_is_there(lone: Group) -> None:
    record = lease(lone).record
    assert record is not None
    lease(lone).delete()
    lease(lone).refuse = Permanent("create leases: 403 Forbidden", "apply the Lease again")
    (agent,) = lone.agents
    assert comes(lone, lambda: complains(agent))
    lease(lone).refuse = None
    lease(lone).create(replace(record, uid="", holder="c/1", renew_time="now"))
    assert comes(lone, lambda: not complains(agent))


def test_an_acquisition_whose_answer_is_lost_is_found_out(lone: Group) -> None:
    lease(lone).lost = True
    assert comes(lone, lambda: holder_of(lone) == "a1/n1")
    lease(lone).lost = False
    (agent,) = lone.agents
    assert comes(lone, lambda: tenure(agent).settled)
    assert lone.world.owned(agent)


def test_a_deleted_lease_comes_back_from_its_holder(pair: Group) -> None:
    holder = pair.agents[0]
    before = tenure(holder).generation
    lease(pair).delete()
    assert comes(pair, lambda: tenure(holder).generation != before)
    assert comes(pair, lambda: tenure(holder).settled)
    assert holder_of(pair) == "a1/n1"


def test_a_bug_beside_the_loop_ends_the_agent(lone: Group) -> None:
    (agent,) = lone.agents
    assert comes(lone, lambda: tenure(agent).settled)
    agent.node.host.skew = math.nan  # a time that can't be written down, at the next renewal
    assert comes(lone, lambda: lone.world.problems)
    assert "a bug in a1: ValueError" in lone.world.problems.pop()


def test_an_agent_of_threads_takes_the_lease_and_its_routes_and_yields_them() -> None:
    """The one test in real time: what ships has threads where the simulation has none."""
    tasks, clock, settings = Threads(), SystemClock(), Settings(leader_election=True)
    inbox, world, record = Inbox(tasks), MemoryCloud(cloud()), MemoryLease(LeaseRecord())
    told: SimpleQueue[Tenure] = SimpleQueue()
    bugs: list[Exception] = []
    candidate = Candidate(
        settings=ElectionSettings(),
        lease=record,
        name="vipmanager",
        pod="a",
        nonce="1",
        channel=lambda _identity, _heard: None,
        told=told.put,
        failed=bugs.append,
        traced=lambda _: None,
    )
    outside = Outside(
        kernel=MemoryKernel(pod()),
        metadata=MemoryMetadata(node()),
        cloud=world,
        clock=clock,
        tasks=tasks,
        pace=Pace(settings.rate, clock),
    )
    agent = PodAgent(settings, outside, inbox=inbox, candidate=candidate)
    life = tasks.start("loop", agent.loop.sidecar)
    while told.get(timeout=20).settled is None:
        pass
    targets = {r.target.id for t in world.state.tables for r in t.routes}
    assert targets == {"local", "eni-a1", "eni-a2"}
    agent.record.obey(order.Order.YIELD)
    assert record.record is not None
    assert record.record.holder is None
    inbox.stop()
    assert life.result() is Ending.STOPPED
    assert bugs == []
