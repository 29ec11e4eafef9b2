"""Plays a schedule and judges it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

from election.agent import Agent
from election.faults import DEEDS, Fault, draw
from election.world import World
from vipmanager.core.election.values import ElectionSettings, pod_of

SETTINGS = ElectionSettings(
    lease=2.0,
    heartbeat=0.2,
    fence=0.3,
    write=0.6,
    settle=0.3,
    recheck=0.25,
    resync=0.7,
    retry=0.1,
    distrust=5.0,
    prefer=1.5,
    forget=2.0,
)
"""Real ones scaled down: a schedule has to be short."""

SOON = 1.0
"""Seconds after the last fault in which most schedules come right."""
LATEST = 30.0
"""Seconds after the last fault in which all do: an agent may be lame, more than once."""
CALM = 0.8
"""Seconds for which it must stay right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Everything that a seed decides."""

    seed: int
    rates: tuple[float, ...]
    skews: tuple[float, ...]
    starts: tuple[float, ...]
    preferred: str | None
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        head = f"seed {self.seed}: {len(self.rates)} agents, preferred zone {self.preferred}"
        return "\n".join((head, *(f"  {f}" for f in self.faults)))


def schedule(seed: int) -> Schedule:
    """Draw a schedule."""
    luck = Random(seed)  # noqa: S311 - a seed shall give the same again
    places = 3 if luck.random() < 0.12 else 2
    return Schedule(
        seed=seed,
        rates=tuple(1.0 + 0.01 * (2 * luck.random() - 1) for _ in range(places)),
        skews=tuple(600 * luck.random() for _ in range(places)),
        starts=tuple(0.3 * luck.random() for _ in range(places)),
        preferred=luck.choice(("z0", "z1")) if luck.random() < 0.1 else None,
        faults=draw(luck, places),
    )


Make = Callable[..., Agent]


def play(
    plan: Schedule, make: Make = Agent, trace: Callable[[str], None] | None = None
) -> list[str]:
    """Play it; give what was wrong."""
    settings = replace(SETTINGS, preferred_zone=plan.preferred)
    world = World(plan.seed, settings)
    world.trace = trace
    agents = [
        make(world, place, rate=rate, skew=skew)
        for place, (rate, skew) in enumerate(zip(plan.rates, plan.skews, strict=True))
    ]
    world.awake = lambda identity: any(
        a.alive and not a.paused and a.state.me.identity == identity for a in agents
    )
    for agent, start in zip(agents, plan.starts, strict=True):
        world.at(start, agent.born)
    for fault in plan.faults:
        world.at(fault.at, _befall, world, agents, fault)
    over = max((f.at + _length(f) for f in plan.faults), default=0.8)
    return _judge(plan, world, agents, over)


def _befall(world: World, agents: list[Agent], fault: Fault) -> None:
    world.say(f"FAULT {fault.kind} at {fault.place}, {fault.seconds:.2f} s, {fault.amount:.2f}")
    DEEDS[fault.kind](world, agents, fault)


def _length(fault: Fault) -> float:
    extra = {"node": 1.0, "leave": 1.0, "flicker": 4.8}
    return fault.seconds + extra.get(fault.kind, 0.0)


def _judge(plan: Schedule, world: World, agents: list[Agent], over: float) -> list[str]:
    world.run(over)
    until = over + SOON
    world.run(until)
    while wrong := _wrong(world, agents):
        if world.now >= over + LATEST or world.problems:
            break
        world.run(world.now + 0.5)
    problems = list(world.problems)
    problems += [f"{world.now:.2f} s, {world.now - over:.2f} s late: {w}" for w in wrong]
    if not wrong:
        if plan.preferred is not None:
            world.run(world.now + world.settings.prefer + 1.0)  # back to where it is wanted
        moves = len(world.acquired)
        world.run(world.now + CALM)
        problems += [f"not for long: {w}" for w in _wrong(world, agents)]
        if len(world.acquired) > moves:
            problems.append("it was right, and moved once more")
    problems += _moves(plan, world)
    return problems


def _wrong(world: World, agents: list[Agent]) -> list[str]:
    """Every table points at the one live, healthy holder."""
    holders = [a for a in agents if a.alive and a.state.hold is not None]
    if len(holders) != 1:
        return [f"{len(holders)} agents hold it"]
    holder = holders[0]
    wrong = []
    if world.lease is None or world.lease.holder != holder.state.me.identity:
        wrong.append(f"{holder.state.me.identity} thinks it holds the Lease")
    if not holder.fitness.may_keep:
        wrong.append(f"{holder.pod} holds it: {holder.fitness}")
    if any(pod != holder.pod for pod in world.routes):
        wrong.append(f"{holder.pod} holds it, and the routes point at {world.routes}")
    return wrong


COST = {
    **dict.fromkeys(("wall clock", "ec2 stale", "ec2 slow", "stolen", "watch slow"), 0),
    **dict.fromkeys(("node", "leave", "yield", "crash", "unfit", "flicker"), 2),
    **dict.fromkeys(("cut apart", "ec2 flaky"), 2),
    **dict.fromkeys(("api flaky", "api slow", "datagrams lost"), 3),
}
"""Moves that a fault may cause, its end included; 1 for those that are not named."""


def _moves(plan: Schedule, world: World) -> list[str]:
    """Takeovers are bounded, and heartbeats mislead once."""
    problems = []
    moves = [b for a, b in pairwise(world.acquired) if pod_of(a.by) != pod_of(b.by)]
    allowed = sum(COST.get(f.kind, 1) for f in plan.faults)
    allowed = allowed if plan.preferred is None else 2 * allowed + 1  # and back again
    if len(moves) > allowed:
        problems.append(f"{len(moves)} moves for {len(plan.faults)} faults: {moves}")
    by_hand = any(f.kind in {"lease deleted", "lease edited"} for f in plan.faults)
    misled = [] if by_hand else [a for a in world.acquired if a.misled]
    for one, other in pairwise(misled):
        again = {one.by, one.before} == {other.by, other.before}
        if again and other.at - one.at < world.settings.distrust * 0.95:
            problems.append(f"misled twice, at {one.at:.2f} and {other.at:.2f} s")
    return problems
