"""Plays a schedule and judges it."""

from collections.abc import Callable
from dataclasses import dataclass

from simulation.ends import moved, sins, unsettled
from simulation.faults import In
from simulation.hub import Endless
from simulation.invariants import Watcher
from simulation.marks import Marks
from simulation.pod import SOUND, Parts
from simulation.schedule import Schedule
from simulation.stage import Stage

BOUND = {In.ALONE: 80.0, In.RIVALS: 130.0}
"""Virtual seconds from the last fault to everything right without a Lease: a resync, a wave's life,
and the readings that make a drift, twice where two agents repair."""
REST = {In.ALONE: 45.0, In.RIVALS: 45.0, In.STANDBY: 3.0}
"""Virtual seconds after that in which nothing moves any more."""
SETTLING = 1.0
"""Seconds before a fault that has just ended shows what it did."""
WATCHED = 30.0
"""The same where a row is watched for longer."""
STEP = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a schedule came to."""

    problems: tuple[str, ...]
    marks: Marks
    seconds: float
    """Virtual ones that were played."""
    late: float
    """Virtual seconds from the last fault to everything right."""


def bound(plan: Schedule) -> float:
    """Give the seconds after the last fault in which everything comes right."""
    if plan.within is not None:
        return plan.within
    if plan.group is In.STANDBY:
        # An agent may leave it to others for a while, more than once.
        return 60.0 + 15.0 * plan.lease_seconds + 2 * plan.resync
    return BOUND[plan.group]


def play(
    plan: Schedule, parts: Parts = SOUND, trace: Callable[[str], None] | None = None
) -> Outcome:
    """Play it to its end."""
    stage = Stage(plan, parts)
    world = stage.world
    world.trace = trace
    watcher = Watcher(stage)
    problems: list[str] = []
    over = plan.over
    try:
        world.run(over)
        world.ec2.ills.next_writes.clear()
        problems += _judge(stage, over)
    except Endless as endless:
        problems.append(str(endless))
    problems += [*world.problems, *watcher.problems.values(), *sins(stage)]
    world.end()
    return Outcome(
        problems=tuple(problems), marks=world.marks, seconds=world.now, late=world.now - over
    )


def _judge(stage: Stage, over: float) -> list[str]:
    plan, world = stage.plan, stage.world
    until, step = over + bound(plan), min(STEP, bound(plan) / 20)
    world.run(over + min(SETTLING, bound(plan)))
    while wrong := list(unsettled(stage)):
        if world.now >= until or world.problems:
            return [f"{world.now:.2f} s, {world.now - over:.2f} s late: {w}" for w in wrong]
        world.run(min(until, world.now + step))
    if plan.preferred_zone is not None:
        world.run(world.now + 65.0)  # back to where it is wanted
    world.run(max(world.now, over + plan.watched))
    moves, writes = len(world.acquired), moved(stage)
    world.run(world.now + (WATCHED if plan.watched else REST[plan.group]))
    problems = [f"not for long: {w}" for w in unsettled(stage)]
    if len(world.acquired) > moves:
        problems.append("it was right, and the Lease moved once more")
    if moved(stage) > writes:
        problems.append(f"{moved(stage) - writes} writes after everything was right")
    return problems
