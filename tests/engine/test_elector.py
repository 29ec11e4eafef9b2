"""The election as it runs: threads, a Lease in memory, passes and waves over worlds in memory."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from vipmanager.core import order
from vipmanager.core.actions import RouteWrite
from vipmanager.core.election.actions import Role
from vipmanager.core.election.values import ElectionSettings, Member
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.findings import Condition
from vipmanager.core.health import Health
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.report import Report
from vipmanager.core.settings import Rate, Settings
from vipmanager.core.tenure import Tenure
from vipmanager.edges.memory import MemoryCloud, MemoryKernel, MemoryLease, MemoryMetadata
from vipmanager.engine.elector import Elector
from vipmanager.engine.inbox import Inbox, SystemClock
from vipmanager.engine.loop import Loop
from vipmanager.engine.observe import Observer
from vipmanager.engine.passes import Passes
from vipmanager.engine.steering import Steering
from vipmanager.engine.wave import Pace, Wave
from worlds import cloud, node, pod

TIMES = ElectionSettings(lease=2.0, recheck=0.2, retry=0.05, settle=0.1, write=0.1)
SETTINGS = Settings(rate=Rate(burst=10_000, refill=1.0), resync=2.0)


class Agent:
    """One replica: the loop, the passes and the election of the product, in this process."""

    def __init__(self, world: MemoryCloud, lease: MemoryLease, zone: str) -> None:
        self.cloud, self.zone = world, zone
        self.inbox, clock = Inbox(), SystemClock()
        self.changed = threading.Condition()
        self.last: Report | None = None
        self.tenures: list[Tenure] = []
        self.bugs: list[Exception] = []
        wave = Wave(world, pace=Pace(SETTINGS.rate, clock), clock=clock, inbox=self.inbox)
        self.steering = Steering(wave=wave, clock=clock, reporter=self)
        self.elector = Elector(
            TIMES,
            lease=lease,
            name="telco/vip",
            begin=lambda _report, _heard: (self.member, None),
            steering=self.steering,
            inbox=self.inbox,
            clock=clock,
            told=self._told,
            failed=self._failed,
            healthy=True,
        )
        kernel = MemoryKernel(pod(zone))
        observer = Observer(kernel, MemoryMetadata(node(zone)), world, SETTINGS)
        passes = Passes(SETTINGS, observer=observer, kernel=kernel, rule=self.steering, clock=clock)
        loop = Loop(SETTINGS, passes=passes, inbox=self.inbox, clock=clock, reporter=self)
        self._thread = threading.Thread(target=loop.sidecar, daemon=True)
        self._thread.start()

    @property
    def member(self) -> Member:
        return Member(pod=self.zone, nonce="1", address="", zone=self.zone, fingerprint="f")

    def report(self, report: Report) -> None:
        self.elector.report(report)
        with self.changed:
            self.last = report
            self.changed.notify_all()

    def _told(self, tenure: Tenure) -> None:
        with self.changed:
            self.tenures.append(tenure)
            self.changed.notify_all()

    def _failed(self, bug: Exception) -> None:
        with self.changed:
            self.bugs.append(bug)
            self.changed.notify_all()

    def await_(self, true: Callable[[], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: bool(true()), 20), self.last

    def await_takeover(self) -> Tenure:
        self.await_(lambda: self.tenures and self.tenures[-1].settled is not None)
        return self.tenures[-1]

    def await_standby(self) -> None:
        """Wait for a pass as a standby that has read the Lease."""
        self.await_(lambda: self.last and self.last.role is Role.STANDBY and self.last.clean)
        self.await_(lambda: Condition.LEASE_UNREAD not in self.conditions())

    def conditions(self) -> set[Condition]:
        return {f.condition for f in self.last.findings} if self.last is not None else set()

    def end(self) -> None:
        """Die: nothing more is done, and nothing given back."""
        self.elector.leave()
        self.inbox.stop()
        self._thread.join(10)

    def owns(self) -> bool:
        found = {r.target.id for t in self.cloud.state.tables for r in t.routes}
        return {f"eni-{self.zone}1", f"eni-{self.zone}2"} <= found


@pytest.fixture
def world() -> MemoryCloud:
    return MemoryCloud(cloud(6))


@pytest.fixture
def lease() -> MemoryLease:
    return MemoryLease(LeaseRecord())


Start = Callable[[str], Agent]


@pytest.fixture
def start(world: MemoryCloud, lease: MemoryLease) -> Iterator[Start]:
    agents: list[Agent] = []

    def begin(zone: str) -> Agent:
        agents.append(Agent(world, lease, zone))
        return agents[-1]

    yield begin
    for agent in agents:
        agent.end()
        assert not agent.bugs


def holder_and_standby(start: Start) -> tuple[Agent, Agent]:
    holder = start("a")
    holder.await_takeover()
    standby = start("b")
    standby.await_standby()
    return holder, standby


def test_the_first_takes_a_free_lease_and_the_second_waits(start: Start) -> None:
    holder, standby = holder_and_standby(start)
    assert holder.tenures[-1].why == "free"
    assert holder.owns()
    assert not standby.tenures
    assert not any(isinstance(a, RouteWrite) and a.eni == "eni-b1" for a in holder.cloud.writes)


def test_yield_returns_when_the_lease_is_free_and_the_other_takes_it(start: Start) -> None:
    holder, standby = holder_and_standby(start)
    holder.elector.obey(order.Order.YIELD)
    assert holder.elector.tenure.role is Role.STANDBY
    assert standby.await_takeover().why == "free"
    assert standby.owns()
    holder.await_(lambda: Condition.YIELDED in holder.conditions())


def test_claim_returns_when_every_route_points_here(start: Start) -> None:
    holder, standby = holder_and_standby(start)
    standby.elector.obey(order.Order.CLAIM)
    assert standby.owns()
    assert standby.elector.tenure.why == "claimed"
    holder.await_(lambda: holder.tenures[-1].role is Role.STANDBY)


def test_a_claim_that_the_api_does_not_let_through_says_so(
    start: Start, lease: MemoryLease
) -> None:
    _, standby = holder_and_standby(start)
    lease.away = Permanent("update leases: 403 Forbidden", "allow update on leases")
    with pytest.raises(Transient, match="telco/vip could not be claimed; update leases: 403"):
        standby.elector.obey(order.Order.CLAIM)
    lease.away = None


def test_who_leaves_is_told_when_nothing_is_held(start: Start, lease: MemoryLease) -> None:
    holder, standby = holder_and_standby(start)
    gone = threading.Event()
    holder.elector.leave(gone.set)
    assert gone.wait(10)
    assert lease.record is None or lease.record.holder != "a/1"
    standby.await_takeover()


def test_a_sick_holder_hands_over_and_a_sick_pair_does_not(start: Start) -> None:
    holder, standby = holder_and_standby(start)
    standby.elector.examined(healthy=False)
    standby.await_(lambda: Condition.UNFIT in standby.conditions())
    holder.elector.examined(healthy=False)
    holder.await_(lambda: Condition.OFFERED in holder.conditions())
    assert holder.owns()
    standby.elector.examined(healthy=True)
    assert standby.await_takeover().why == "offered"


def test_a_stolen_route_is_repaired_by_the_holder_alone(start: Start, world: MemoryCloud) -> None:
    holder, standby = holder_and_standby(start)
    before = world.state
    world.state = replace(
        before,
        tables=tuple(
            replace(t, routes=tuple(r for r in t.routes if not r.target.id.startswith("eni-")))
            if n == 2
            else t
            for n, t in enumerate(before.tables)
        ),
    )
    holder.inbox.put("resync")
    standby.inbox.put("resync")
    holder.await_(lambda: world.state.tables == before.tables)
    assert {a.eni for a in world.writes if isinstance(a, RouteWrite)} == {"eni-a1", "eni-a2"}


def test_an_api_that_forbids_is_said_in_its_own_words(start: Start, lease: MemoryLease) -> None:
    lease.away = Permanent("get leases: 403 Forbidden", "allow get on leases")
    agent = start("a")
    agent.await_(lambda: agent.last and any("403" in f.text for f in agent.last.findings))
    assert not agent.owns()
    lease.away = None


def test_a_right_to_read_alone_is_no_readiness(start: Start, lease: MemoryLease) -> None:
    lease.refuse = Permanent("update leases: 403 Forbidden", "allow update on leases")
    agent = start("a")
    agent.await_(lambda: agent.last and any("403" in f.text for f in agent.last.findings))
    number = agent.last.number if agent.last else 0
    agent.inbox.put("resync")
    agent.await_(lambda: agent.last and agent.last.number > number)
    assert agent.last
    health = Health().after(agent.last)
    assert not health.ready
    assert "403" in health.why


def test_a_lease_that_may_not_be_created_is_no_grievance_once_it_is_there(
    start: Start, lease: MemoryLease
) -> None:
    record = lease.record
    lease.delete()
    lease.refuse = Permanent("create leases: 403 Forbidden", "apply the Lease again")
    agent = start("a")
    agent.await_(lambda: agent.last and any("403" in f.text for f in agent.last.findings))
    lease.refuse, lease.away = None, None
    assert record is not None
    lease.create(replace(record, uid="", holder="c/1", renew_time="now"))
    agent.await_(lambda: agent.last and not any("403" in f.text for f in agent.last.findings))


def test_an_acquisition_whose_answer_is_lost_is_found_out(start: Start, lease: MemoryLease) -> None:
    lease.lost = True
    agent = start("a")
    agent.await_(lambda: lease.record and lease.record.holder == "a/1")
    lease.lost = False
    agent.await_takeover()
    assert agent.owns()


def test_a_deleted_lease_comes_back_from_its_holder(start: Start, lease: MemoryLease) -> None:
    holder, _ = holder_and_standby(start)
    number = len(holder.tenures)
    lease.delete()
    holder.await_(lambda: len(holder.tenures) > number + 1 and holder.tenures[-1].settled)
    assert lease.record is not None
    assert lease.record.holder == "a/1"


def test_a_bug_beside_the_loop_ends_the_agent(start: Start, lease: MemoryLease) -> None:
    agent = start("a")
    agent.await_takeover()
    lease.replace = None  # type: ignore[assignment, method-assign]
    agent.await_(lambda: agent.bugs)
    agent.bugs.clear()
