"""What passes keep ready for the holder of a Lease, and what a wave makes of it."""

from collections.abc import Callable

import pytest

from engine.scene import ONE, TWO, both, owners, point, rest
from simulation.aws import Ec2Client
from simulation.hub import Process
from simulation.world import ADDRESSES, World
from vipmanager.core.actions import CloudAction
from vipmanager.core.election.events import Outcome
from vipmanager.core.election.role import Role
from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.lease_verdict import SETTLE
from vipmanager.core.report import Report
from vipmanager.core.settings import Rate, Settings
from vipmanager.core.verdict import Verdict
from vipmanager.edges.memory import MemoryKernel, MemoryMetadata
from vipmanager.engine.inbox import Inbox
from vipmanager.engine.lease_ownership import DENIED
from vipmanager.engine.pod_agent import Outside, PodAgent
from vipmanager.engine.route_writer import PARALLEL, Fence, Pace

PLENTY = Settings(rate=Rate(burst=10_000, refill=1.0), source_routing=True, leader_election=True)
FOREVER = float("inf")


class Agent:
    """Node a's agent without a loop and an election: the test makes its passes and its waves."""

    def __init__(self, world: World, kernel: MemoryKernel | None = None) -> None:
        node = world.nodes["a"]
        self.world, self.process = world, Process(world.hub, node.host)
        self.kernel = kernel or MemoryKernel(world.pod_state(node, ADDRESSES))
        self.told: list[Report] = []
        outside = Outside(
            kernel=self.kernel,
            metadata=MemoryMetadata(world.node_data(node)),
            cloud=Ec2Client(world.ec2, self.process, "a1"),
            clock=self.process,
            tasks=self.process,
            pace=Pace(PLENTY.rate, self.process),
        )
        agent = PodAgent(PLENTY, outside, inbox=Inbox(self.process), reporters=(self,))
        assert agent.armed is not None
        self.armed, self._reconciler = agent.armed, agent.reconciler
        self.ownership = agent.armed.ownership
        self.ownership.election_findings = ()

    def report(self, report: Report) -> None:
        self.told.append(report)

    def look(self, reason: str = "resync") -> Report:
        return self._reconciler.run((reason,))

    def wave(self, until: float = FOREVER) -> Outcome:
        return self.armed.run(Fence(until, self.process))

    @property
    def written(self) -> int:
        return len(self.world.ec2.writes)

    @property
    def right(self) -> bool:
        return owners(self.world, ONE) == {"eni-a1"} and owners(self.world, TWO) == {"eni-a2"}


def served_by_b(tables: int = 10) -> Agent:
    world = World(86, tables=tables)
    both(world, "b")
    return Agent(world)


@pytest.fixture
def standby() -> Agent:
    agent = served_by_b()
    agent.look("start")
    return agent


@pytest.fixture
def holder(standby: Agent) -> Agent:
    standby.ownership.become(Role.HOLDER)
    return standby


@pytest.fixture
def settled(holder: Agent) -> Agent:
    assert holder.wave() is Outcome.DONE
    holder.look()
    return holder


def refusing(table: str, failure: Failure) -> Callable[[CloudAction], Failure | None]:
    return lambda a: failure if getattr(a, "table", "") == table else None


DENIES = refusing("rtb-03", Permanent("access denied on rtb-03"))


def denied(report: Report) -> set[str]:
    return {f.subject for f in report.findings if "denied" in f.text}


def test_a_standby_readies_its_pod_and_writes_no_route() -> None:
    standby = served_by_b()
    report = standby.look("start")
    assert report.done
    assert standby.written == 0
    assert report.role is Role.STANDBY
    assert {j.verdict for j in report.judged} == {Verdict.YIELD}
    assert standby.look().changed is False


def test_a_takeover_is_one_wave_without_a_reading(holder: Agent) -> None:
    reads = holder.world.ec2.reads
    assert holder.wave() is Outcome.DONE
    assert holder.world.ec2.reads == reads
    assert holder.right
    assert holder.written == 20
    (told,) = holder.told
    assert len(told.done) == 20
    assert not told.fresh


def test_right_routes_are_not_written_again_after_a_restart(settled: Agent) -> None:
    again = Agent(settled.world, settled.kernel)
    before = again.written
    again.look("start")
    again.ownership.become(Role.HOLDER)
    assert again.wave() is Outcome.DONE
    assert again.written == before
    assert again.told == []


def test_nothing_is_written_once_the_fence_is_over(standby: Agent) -> None:
    assert standby.wave(until=standby.process.now()) is Outcome.OUT_OF_TIME
    assert standby.written == 0


def test_a_broken_fence_lets_out_only_what_was_being_sent() -> None:
    standby = served_by_b(100)
    fence = Fence(FOREVER, standby.process)
    standby.look("start")
    standby.world.ec2.truth.refuse = lambda _: fence.revoke()
    assert standby.armed.run(fence) is Outcome.OUT_OF_TIME
    assert 0 < standby.written <= PARALLEL


def test_what_a_wave_left_is_all_that_the_next_one_writes(standby: Agent) -> None:
    truth = standby.world.ec2.truth
    truth.refuse = refusing("rtb-03", Transient("throttled by a proxy"))
    assert standby.wave() is Outcome.FAILED
    assert standby.written == 18
    truth.refuse = lambda _: None
    assert standby.wave() is Outcome.DONE
    assert standby.written == 20


def test_a_table_that_ec2_denies_is_told_in_every_pass_and_tried_again_later(holder: Agent) -> None:
    truth = holder.world.ec2.truth
    truth.refuse = DENIES
    assert holder.wave() is Outcome.DONE
    for _ in range(2):
        assert denied(holder.look()) == {"rtb-03"}
        assert holder.armed.right
    rest(holder.world, 1.1 * DENIED)
    holder.look()
    assert not holder.armed.right
    truth.refuse = lambda _: None
    holder.wave()
    assert holder.look().clean
    assert holder.right


def test_a_stolen_route_is_the_holders_to_write_and_nobody_elses(settled: Agent) -> None:
    rest(settled.world, 1.1 * SETTLE)
    point(settled.world, ONE, "eni-b1", only=4)
    assert not settled.look().clean
    assert not settled.armed.right
    before = settled.written
    settled.wave()
    assert settled.written == before + 1
    assert settled.look().clean


def test_what_ec2_does_not_show_yet_counts_as_right_for_a_while(holder: Agent) -> None:
    before = holder.world.ec2.state
    holder.wave()
    holder.world.ec2.change(before)
    assert {j.verdict for j in holder.look().judged} == {Verdict.WAIT}
    assert holder.armed.right
    assert not holder.ownership.settled
    rest(holder.world, 1.1 * SETTLE)
    holder.look()
    assert not holder.armed.right


def test_a_reading_from_before_a_change_of_role_is_made_again(standby: Agent) -> None:
    ec2, world = standby.world.ec2, standby.world
    ec2.service.latency, ec2.write_latency = (1.0, 1.0), (0.1, 0.1)

    def take_over() -> None:
        standby.ownership.become(Role.HOLDER)
        standby.wave()

    # EC2 has read by then, and the answer is on its way.
    world.at(world.now + 0.8, standby.process.call, take_over)
    report = standby.look()
    assert report.role is Role.HOLDER
    assert report.clean


def test_a_new_holder_does_not_tell_what_it_was_denied_before(holder: Agent) -> None:
    holder.world.ec2.truth.refuse = DENIES
    holder.wave()
    holder.ownership.become(Role.STANDBY)
    assert not denied(holder.look())
