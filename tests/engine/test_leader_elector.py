"""The election as it runs: a Lease, passes and waves of two pods in virtual time."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_network
from queue import SimpleQueue

import pytest

from engine.scene import ONE, TWO, last
from simulation.pair import Group
from simulation.pod import SOUND, Parts, Pod
from simulation.world import World
from vipmanager.core.command import Command
from vipmanager.core.election.role import Role
from vipmanager.core.election.values import ElectionSettings, Message, Order
from vipmanager.core.failures import Failure, Permanent, Transient, Unknown
from vipmanager.core.heartbeat import Count, DropReason
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.podnet import PROTOCOL
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.settings import Settings
from vipmanager.edges.memory import (
    MemoryCloud,
    MemoryKernel,
    MemoryLease,
    MemoryMetadata,
    MemoryPods,
)
from vipmanager.engine.candidate import Candidate
from vipmanager.engine.election_monitor import CHANGED
from vipmanager.engine.inbox import Inbox, Wish
from vipmanager.engine.leader_elector import LeaderElector
from vipmanager.engine.loop import Ending
from vipmanager.engine.pod_agent import Outside, PodAgent
from vipmanager.engine.route_writer import Pace
from vipmanager.engine.threads import SystemClock, Threads
from vipmanager.ports import Channel
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


def elector_of(agent: Pod) -> LeaderElector:
    assert agent.agent is not None
    assert agent.agent.election is not None
    return agent.agent.election


def role_status(agent: Pod) -> RoleStatus:
    return elector_of(agent).role_status


def complains(agent: Pod) -> bool:
    return agent.last is not None and any("403" in f.text for f in agent.last.findings)


def test_the_first_takes_a_free_lease_and_the_second_waits(pair: Group) -> None:
    holder, standby = pair.agents
    assert role_status(holder).why == "free"
    assert role_status(holder).settled is not None
    assert pair.world.owned(holder)
    assert role_status(standby) == RoleStatus(since=role_status(standby).since)
    assert last(standby).role is Role.STANDBY
    assert last(standby).clean
    assert "LEASE_UNREAD" not in standby.conditions()
    assert {w.by for w in pair.world.ec2.writes} == {"a1"}


def test_yield_returns_when_the_lease_is_free_and_the_other_takes_it(pair: Group) -> None:
    holder, standby = pair.agents
    elector_of(holder).obey(Command.YIELD, Wish(lambda: True))
    assert role_status(holder).role is Role.STANDBY
    assert comes(pair, lambda: role_status(standby).settled)
    assert role_status(standby).why == "free"
    assert pair.world.owned(standby)
    assert comes(pair, lambda: "YIELDED" in holder.conditions())


@pytest.mark.parametrize("refusal", [UPDATE, Unknown("update leases: 401 Unauthorized")])
def test_yield_returns_once_a_lease_that_may_not_be_released_has_lapsed(
    pair: Group, refusal: Failure
) -> None:
    holder, standby = pair.agents
    lease(pair).refuse = refusal
    asked = pair.world.now
    elector_of(holder).obey(Command.YIELD, Wish(lambda: True))
    assert pair.world.now <= asked + pair.settings.lease_seconds + 1
    lease(pair).refuse = None
    assert comes(pair, lambda: role_status(standby).settled)


def test_a_pod_that_yielded_is_left_as_cleanup_leaves_it_until_it_claims() -> None:
    world = World(86)
    agent = world.pod("a1", "a", Settings(leader_election=True, source_routing=True)).start()
    assert world.run(20.0, lambda: role_status(agent).settled)
    before = agent.kernel.state
    left = tuple(r for r in before.routes if r.protocol != PROTOCOL)
    assert len(left) < len(before.routes)
    agent.ask(Order.YIELD)
    assert world.run(40.0, lambda: not agent.holds)
    bare = replace(before, routes=left, rules=())
    agent.kernel.state = bare
    agent.netlink()
    world.run(150.0)
    assert agent.kernel.state == bare
    agent.ask(Order.CLAIM)
    assert world.run(200.0, lambda: agent.kernel.state == before and role_status(agent).settled)
    assert world.problems == []
    world.end()


def test_claim_returns_when_every_route_points_here(pair: Group) -> None:
    holder, standby = pair.agents
    elector_of(standby).obey(Command.CLAIM, Wish(lambda: True))
    assert pair.world.owned(standby)
    assert role_status(standby).why == "claimed"
    assert comes(pair, lambda: role_status(holder).role is Role.STANDBY)


def test_a_claim_that_the_api_does_not_let_through_says_so(pair: Group) -> None:
    lease(pair).away = UPDATE
    with pytest.raises(Transient, match="vipmanager could not be claimed; update leases: 403"):
        elector_of(pair.agents[1]).obey(Command.CLAIM, Wish(lambda: True))


def test_who_leaves_is_told_when_nothing_is_held(pair: Group) -> None:
    told: list[str | None] = []
    elector_of(pair.agents[0]).stop(lambda: told.append(holder_of(pair)))
    assert comes(pair, lambda: told)
    assert told[0] != "a1/n1"
    assert comes(pair, lambda: role_status(pair.agents[1]).settled)


def test_a_sick_holder_hands_over_and_a_sick_pair_does_not(pair: Group) -> None:
    holder, standby = pair.agents
    standby.app.well = False
    assert comes(pair, lambda: "UNFIT" in standby.conditions())
    holder.app.well = False
    assert comes(pair, lambda: "OFFERED" in holder.conditions())
    pair.run(10)
    assert pair.world.owned(holder)
    standby.app.well = True
    assert comes(pair, lambda: role_status(standby).settled)
    assert role_status(standby).why == "offered"


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
    assert "403" in agent.readiness.why


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
    assert comes(lone, lambda: role_status(agent).settled)
    assert lone.world.owned(agent)


def test_a_deleted_lease_comes_back_from_its_holder(pair: Group) -> None:
    holder = pair.agents[0]
    before = role_status(holder).generation
    lease(pair).delete()
    assert comes(pair, lambda: role_status(holder).generation != before)
    assert comes(pair, lambda: role_status(holder).settled)
    assert holder_of(pair) == "a1/n1"


def test_a_bug_beside_the_loop_ends_the_agent(lone: Group) -> None:
    (agent,) = lone.agents
    assert comes(lone, lambda: role_status(agent).settled)
    agent.node.host.skew = math.nan  # a time that can't be written down, at the next renewal
    assert comes(lone, lambda: lone.world.problems)
    assert "a bug in a1: ValueError" in lone.world.problems.pop()


def test_an_agent_of_threads_takes_the_lease_and_its_routes_and_yields_them() -> None:
    """The one test in real time: what ships has threads where the simulation has none."""
    tasks, clock, settings = Threads(), SystemClock(), Settings(leader_election=True)
    inbox, world, record = Inbox(tasks), MemoryCloud(cloud()), MemoryLease(LeaseRecord())
    told: SimpleQueue[RoleStatus] = SimpleQueue()
    bugs: list[Exception] = []
    candidate = Candidate(
        settings=ElectionSettings(),
        lease=record,
        name="vipmanager",
        pods=MemoryPods(),
        pod="a",
        pod_name="telco/a",
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
    agent.store.obey(Command.YIELD)
    assert record.record is not None
    assert record.record.holder is None
    inbox.stop()
    assert life.result() is Ending.STOPPED
    assert bugs == []


def test_an_acquisition_whose_answer_was_lost_is_the_acquisition() -> None:
    group = Group(86, nodes="a")
    lease(group).lost = True
    group.agents[0].start()
    assert comes(group, lambda: holder_of(group) is not None)
    lease(group).lost = False
    assert comes(group, lambda: role_status(group.agents[0]).settled)
    record = lease(group).record
    assert record is not None
    assert record.transitions == 1
    assert role_status(group.agents[0]).why == "free"


def test_what_is_told_of_the_lease_is_the_latest_cause(lone: Group) -> None:
    assert comes(lone, lambda: role_status(lone.agents[0]).settled)

    def told(cause: str) -> bool:
        found = lone.agents[0].last
        return found is not None and any(cause in f.text for f in found.findings)

    lease(lone).away = Transient("the connection was reset")
    assert comes(lone, lambda: told("the connection was reset"))
    lease(lone).away = Transient("CERTIFICATE_VERIFY_FAILED")
    assert lone.world.run(lone.world.now + 60, lambda: told("CERTIFICATE_VERIFY_FAILED"))


class Besieged:
    """Heartbeats to which somebody sends two datagrams a second, sealed with another key."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.address = channel.address
        self._looks = 0

    def send(self, to: str, message: Message) -> None:
        self._channel.send(to, message)

    def drops(self) -> Mapping[DropReason, Count]:
        self._looks += 1
        last = f"10.0.9.{self._looks % 2}:4711"
        return {DropReason.UNAUTHENTIC: Count(number=2 * self._looks, last=last)}


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1])
def test_forged_heartbeats_are_found_and_cost_a_pass_a_minute(place: int) -> None:
    besieged = [SOUND, SOUND]
    besieged[place] = Parts(channel=Besieged)
    group = Group(86, parts=besieged).begin()
    agent = group.agents[place]
    assert "HEARTBEAT_FORGED" in agent.conditions()
    agent.reports.clear()
    group.run(600)
    assert sum(CHANGED in r.reasons for r in agent.reports) <= 12
    assert "HEARTBEAT_FORGED" in agent.conditions()
    assert group.world.problems == []
