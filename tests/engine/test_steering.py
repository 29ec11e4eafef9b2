"""What passes keep ready for the holder of a Lease, and what a wave makes of it."""

from collections.abc import Callable, Iterable

import pytest

from vipmanager.core.actions import CloudAction, RouteWrite
from vipmanager.core.claim import Verdict
from vipmanager.core.election.actions import Role
from vipmanager.core.election.events import Outcome
from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.hold import SETTLE
from vipmanager.core.report import Report
from vipmanager.core.settings import Rate, Settings
from vipmanager.core.values import CloudState, RouteTable, VpcId
from vipmanager.edges.memory import MemoryCloud, MemoryKernel, MemoryMetadata
from vipmanager.engine.inbox import Inbox
from vipmanager.engine.observe import Observer
from vipmanager.engine.passes import Passes
from vipmanager.engine.steering import DENIED, Steering
from vipmanager.engine.wave import PARALLEL, Fence, Pace, Wave
from worlds import cloud, node, pod, pointed

PLENTY = Settings(rate=Rate(burst=10_000, refill=1.0), source_routing=True)
FOREVER = float("inf")


class Hands:
    """A clock to set, and everything that was reported."""

    def __init__(self) -> None:
        self.time = 100.0
        self.reports: list[Report] = []

    def now(self) -> float:
        return self.time

    def report(self, report: Report) -> None:
        self.reports.append(report)


class Pod:
    """A pod in zone a whose routes a Lease decides about."""

    def __init__(self, world: MemoryCloud) -> None:
        self.cloud, self.kernel, self.hands = world, MemoryKernel(pod("a")), Hands()
        wave = Wave(world, pace=Pace(PLENTY.rate, self.hands), clock=self.hands, inbox=Inbox())
        self.steering = Steering(wave=wave, clock=self.hands, reporter=self.hands)
        self.steering.plights = ()
        observer = Observer(self.kernel, MemoryMetadata(node("a")), world, PLENTY)
        self.passes = Passes(
            PLENTY,
            observer=observer,
            kernel=self.kernel,
            rule=self.steering,
            clock=self.hands,
        )

    def look(self, reason: str = "resync") -> Report:
        return self.passes.run((reason,))

    def wave(self, until: float = FOREVER) -> Outcome:
        return self.steering.run(Fence(until))

    @property
    def written(self) -> int:
        return sum(isinstance(a, RouteWrite) for a in self.cloud.writes)

    def mine(self) -> bool:
        routes = [r for t in self.cloud.state.tables for r in t.routes if r.target.id[:4] == "eni-"]
        return {r.target.id for r in routes} == {"eni-a1", "eni-a2"}


def served_by_b(tables: int = 10) -> CloudState:
    state = cloud(tables)
    for number in (1, 2):
        state = pointed(state, f"192.168.0.{number}/32", f"eni-b{number}")
    return state


@pytest.fixture
def standby() -> Pod:
    return Pod(MemoryCloud(served_by_b()))


@pytest.fixture
def holder(standby: Pod) -> Pod:
    standby.look("start")
    standby.steering.become(Role.HOLDER)
    assert standby.wave() is Outcome.DONE
    standby.look()
    return standby


def test_a_standby_readies_its_pod_and_writes_no_route(standby: Pod) -> None:
    report = standby.look("start")
    assert report.done
    assert standby.written == 0
    assert report.role is Role.STANDBY
    assert {j.verdict for j in report.judged} == {Verdict.YIELD}
    assert standby.look().changed is False


def test_a_takeover_is_one_wave_without_a_reading(standby: Pod) -> None:
    standby.look("start")
    standby.steering.become(Role.HOLDER)
    reads = standby.cloud.reads
    assert standby.wave() is Outcome.DONE
    assert standby.cloud.reads == reads
    assert standby.mine()
    assert standby.written == 20
    (told,) = standby.hands.reports
    assert len(told.done) == 20
    assert not told.fresh


def test_right_routes_are_not_written_again_after_a_restart(holder: Pod) -> None:
    again = Pod(holder.cloud)
    again.kernel.state = holder.kernel.state
    before = again.written
    again.look("start")
    again.steering.become(Role.HOLDER)
    assert again.wave() is Outcome.DONE
    assert again.written == before
    assert again.hands.reports == []


def test_nothing_is_written_once_the_fence_is_over(standby: Pod) -> None:
    standby.look("start")
    assert standby.wave(until=standby.hands.time) is Outcome.OUT_OF_TIME
    assert standby.written == 0


def test_a_broken_fence_lets_out_only_what_was_being_sent() -> None:
    standby = Pod(MemoryCloud(served_by_b(100)))
    standby.look("start")
    fence = Fence(FOREVER)

    def found_out(_action: CloudAction) -> Failure | None:
        fence.broken()
        return None

    standby.cloud.refuse = found_out
    assert standby.steering.run(fence) is Outcome.OUT_OF_TIME
    assert 0 < standby.written <= PARALLEL


def test_what_a_wave_left_is_all_that_the_next_one_writes(standby: Pod) -> None:
    standby.look("start")
    standby.cloud.refuse = refusing("rtb-03", Transient("throttled by a proxy"))
    assert standby.wave() is Outcome.FAILED
    assert standby.written == 18
    standby.cloud.refuse = lambda _: None
    assert standby.wave() is Outcome.DONE
    assert standby.written == 20


def refusing(table: str, failure: Failure) -> Callable[[CloudAction], Failure | None]:
    return lambda a: failure if isinstance(a, RouteWrite) and a.table == table else None


def test_a_table_that_ec2_denies_is_told_in_every_pass_and_tried_again_later(standby: Pod) -> None:
    standby.look("start")
    standby.steering.become(Role.HOLDER)
    standby.cloud.refuse = refusing("rtb-03", Permanent("access denied on rtb-03"))
    assert standby.wave() is Outcome.DONE
    for _ in range(2):
        report = standby.look()
        assert {f.subject for f in report.findings if "denied" in f.text} == {"rtb-03"}
        assert standby.steering.right
    standby.hands.time += DENIED
    standby.look()
    assert not standby.steering.right
    standby.cloud.refuse = lambda _: None
    standby.wave()
    assert standby.look().clean
    assert standby.mine()


def test_a_stolen_route_is_the_holders_to_write_and_nobody_elses(holder: Pod) -> None:
    holder.hands.time += SETTLE
    holder.cloud.state = pointed(holder.cloud.state, "192.168.0.1/32", "eni-b1", only=4)
    report = holder.look()
    assert not report.clean
    assert not holder.steering.right
    before = holder.written
    holder.wave()
    assert holder.written == before + 1
    assert holder.look().clean


def test_what_ec2_does_not_show_yet_counts_as_right_for_a_while(standby: Pod) -> None:
    standby.look("start")
    standby.steering.become(Role.HOLDER)
    before = standby.cloud.state
    standby.wave()
    standby.cloud.state = before
    assert {j.verdict for j in standby.look().judged} == {Verdict.WAIT}
    assert standby.steering.right
    assert not standby.steering.settled
    standby.hands.time += SETTLE
    standby.look()
    assert not standby.steering.right


def test_a_reading_from_before_a_change_of_role_is_made_again() -> None:
    class Slow(MemoryCloud):
        during: Callable[[], None] = staticmethod(lambda: None)

        def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
            found = super().route_tables(vpcs)
            self.during()
            return found

    world = Slow(served_by_b())
    standby = Pod(world)
    standby.look("start")

    def taken_over() -> None:
        world.during = lambda: None
        standby.steering.become(Role.HOLDER)
        standby.wave()

    world.during = taken_over
    report = standby.look()
    assert report.role is Role.HOLDER
    assert report.clean


def test_a_new_holder_does_not_tell_what_it_was_denied_before(standby: Pod) -> None:
    standby.look("start")
    standby.steering.become(Role.HOLDER)
    standby.cloud.refuse = refusing("rtb-03", Permanent("access denied on rtb-03"))
    standby.wave()
    standby.steering.become(Role.STANDBY)
    assert not [f for f in standby.look().findings if "denied" in f.text]
