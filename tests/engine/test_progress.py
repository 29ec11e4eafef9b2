"""How far the routes are, while EC2's bucket lets them go one by one."""

from itertools import pairwise

from engine.scene import alone, both
from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.election.values import Order
from vipmanager.core.progress import Progress
from vipmanager.core.settings import Rate, Settings
from vipmanager.core.status import Status


def status(pod: Pod) -> Status:
    assert pod.agent is not None
    return pod.agent.store.status


def settled(pod: Pod) -> bool:
    """Tell whether it has read every route right."""
    assert pod.agent is not None
    if pod.agent.election is not None:
        return pod.agent.election.role_status.settled is not None
    return pod.last is not None and pod.last.clean


def climb(world: World, pod: Pod) -> list[Progress]:
    """Let it write until all is right; give its progress ten times a second."""
    seen: list[Progress] = []
    while not settled(pod):
        world.run(world.now + 0.1)
        progress = status(pod).progress
        if progress is not None:
            seen.append(progress)
        assert world.now < 120
    return seen


def test_120_routes_under_a_bucket_of_50_and_5_a_second_tell_how_far_they_are() -> None:
    world, pod = alone(tables=60)
    seen = climb(world, pod)
    half = next(p for p in seen if p.written >= 50)
    assert (half.total, half.failed) == (120, 0)
    assert str(half) == f"{half.written} of 120 routes written, about 14 s to go"
    written = [p.written for p in seen]
    assert written == sorted(written)  # over the reading in between, too
    assert {p.total for p in seen} == {120}
    assert all(abs(p.seconds - (120 - p.written) / 5) < 1 for p in seen if p.written >= 50)
    assert status(pod).progress is None


def test_it_is_said_every_two_seconds_until_all_is_written() -> None:
    world, pod = alone(tables=60)
    climb(world, pod)
    assert 5 <= len(pod.progress) <= 7
    times = [at for at, _ in pod.progress]
    assert all(b - a > 1.9 for a, b in pairwise(times))  # the pod's clock is not the world's


def test_a_few_routes_are_over_before_it_is_worth_a_line() -> None:
    world, pod = alone(tables=4)
    climb(world, pod)
    assert pod.progress == []


def test_before_the_first_pass_has_ended_the_routes_and_the_reason_are_known() -> None:
    world, pod = alone(tables=60)
    world.run(10, lambda: bool(world.ec2.writes))
    now = status(pod)
    assert pod.last is None
    document = now.document(world.now)
    assert document["why"] == str(now.progress)
    routes = document["routes"]
    assert isinstance(routes, list)
    assert [r["verdict"] for r in routes] == ["write"] * 120
    assert "pass" not in document


def test_routes_that_ec2_refuses_are_told_beside_those_that_it_took() -> None:
    world, pod = alone(tables=60)
    world.ec2.ills.denied.add(("a1", "rtb-01"))
    world.run(10, lambda: (now := status(pod).progress) is not None and now.failed == 2)
    progress = status(pod).progress
    assert progress is not None
    begins = f"{progress.written} of 120 routes written, 2 failed, about "
    assert str(progress).startswith(begins)


def test_a_yield_in_between_ends_it_and_a_later_claim_counts_anew() -> None:
    world, pod = alone(tables=60)
    world.run(20, lambda: (now := status(pod).progress) is not None and now.written > 80)
    pod.ask(Order.YIELD)
    world.run(30, lambda: pod.last is not None and pod.last.yields)
    assert status(pod).progress is None
    both(world, "b")
    pod.ask(Order.CLAIM)
    world.run(120, lambda: status(pod).progress is not None)
    progress = status(pod).progress
    assert progress is not None
    assert progress.total == 120


def test_a_holder_whose_waves_are_short_counts_over_all_of_them() -> None:
    world = World(86, tables=60)
    pod = world.pod("a1", "a", Settings(leader_election=True)).start()
    seen = climb(world, pod)
    assert {p.total for p in seen} == {120}
    # It writes a few once more, in the second wave.
    assert all(b.written > a.written - 10 for a, b in pairwise(seen))
    assert seen[-1].written > 110
    assert len(pod.progress) >= 5


def test_what_others_leave_of_the_bucket_tells_how_long_it_takes() -> None:
    world, pod = alone(tables=60)
    world.ec2.limits["write"] = Rate(burst=20, refill=1.0)
    world.run(20, lambda: (now := status(pod).progress) is not None and now.written >= 20)
    world.run(world.now + 3)
    progress = status(pod).progress
    assert progress is not None
    assert progress.seconds > 25  # at the 5 a second that were hoped for it would be 20
