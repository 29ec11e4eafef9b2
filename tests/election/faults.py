"""What goes wrong: a table of faults, drawn from a seed, and how each is done to a world."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from election.agent import Agent
from election.world import API, EC2, World
from vipmanager.core.election.values import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, at some place, for some seconds."""

    at: float
    kind: str
    place: int
    other: int
    seconds: float
    amount: float
    """0 to 1, to be scaled."""

    def __str__(self) -> str:
        return (
            f"{self.at:6.2f} s  {self.kind} at {self.place} (other {self.other}) for "
            f"{self.seconds:.2f} s, amount {self.amount:.2f}"
        )


Deed = Callable[[World, list[Agent], Fault], None]


def _crash(world: World, agents: list[Agent], fault: Fault) -> None:
    agent = agents[fault.place]
    agent.die()
    world.at(world.now + fault.seconds * 0.5, _again, agent, agent.processes)


def _again(agent: Agent, process: int) -> None:
    if not agent.alive and agent.processes == process:
        agent.start()


def _node(world: World, agents: list[Agent], fault: Fault) -> None:
    """The node is gone at once; another pod starts on another node later."""
    agent = agents[fault.place]
    agent.die()
    world.at(world.now + 1.0 + fault.seconds, _anew, agent, agent.processes)


def _anew(agent: Agent, process: int) -> None:
    if not agent.alive and agent.processes == process:
        agent.born()


def _leave(world: World, agents: list[Agent], fault: Fault) -> None:
    """SIGTERM; the process ends after a while, and the pod is replaced."""
    agent = agents[fault.place]
    if agent.alive:
        agent.ask(Order.LEAVE)
        world.at(world.now + 1.0, _gone, world, agent, agent.processes, fault.seconds)


def _gone(world: World, agent: Agent, process: int, seconds: float) -> None:
    if agent.processes == process and agent.alive:
        agent.die()
        world.at(world.now + seconds, _anew, agent, process)


def _yield(world: World, agents: list[Agent], fault: Fault) -> None:
    agent = agents[fault.place]
    if agent.alive:
        agent.ask(Order.YIELD)
        world.at(world.now + fault.seconds, agent.unyield, agent.processes)


def _claim(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    agent = agents[fault.place]
    if agent.alive:
        agent.ask(Order.CLAIM)


def _pause(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    agents[fault.place].pause(fault.seconds)


def _cut_api(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    if fault.amount < 0.7:
        world.cut(fault.place, API, fault.seconds)
    if fault.amount > 0.3:
        world.cut(API, fault.place, fault.seconds)


def _api_away(world: World, agents: list[Agent], fault: Fault) -> None:
    for agent in agents:
        world.cut(agent.place, API, fault.seconds)
        world.cut(API, agent.place, fault.seconds)


def _weather(world: World, fault: Fault, name: str, bad: object) -> None:
    good = getattr(type(world.weather)(), name)
    setattr(world.weather, name, bad)
    world.at(world.now + fault.seconds, setattr, world.weather, name, good)


def _api_slow(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    _weather(world, fault, "api", (0.1, 0.2 + 0.6 * fault.amount))


def _api_flaky(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    _weather(world, fault, "api_lost", 0.1 + 0.6 * fault.amount)


def _watch_slow(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    _weather(world, fault, "watch", (0.05, 0.1 + fault.amount))


def _deaf(world: World, agents: list[Agent], fault: Fault) -> None:
    agent = agents[fault.place]
    agent.deaf = True
    world.at(world.now + fault.seconds, agent.listen)


def _cut_ec2(world: World, agents: list[Agent], fault: Fault) -> None:
    agent = agents[fault.place]
    world.cut(fault.place, EC2, fault.seconds)
    world.at(world.now + 0.3, agent.fit_if, {"ec2": False}, fault.place, EC2)
    world.at(world.now + fault.seconds + 0.1, agent.fit_again, "ec2", fault.place, EC2)


def _ec2_flaky(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    _weather(world, fault, "ec2_lost", 0.2 + 0.6 * fault.amount)


def _ec2_slow(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    _weather(world, fault, "ec2", (0.1, 0.2 + 0.3 * fault.amount))


def _stale(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    _weather(world, fault, "stale", world.settings.settle * fault.amount)


def _loss(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    _weather(world, fault, "loss", 0.1 + 0.6 * fault.amount)


def _delay(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    _weather(world, fault, "delay", (0.01, 0.1 + 0.5 * fault.amount))


def _cut(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    if fault.amount < 0.7:
        world.cut(fault.place, fault.other, fault.seconds)
    if fault.amount > 0.3:
        world.cut(fault.other, fault.place, fault.seconds)


def _flicker(world: World, agents: list[Agent], fault: Fault) -> None:
    """A channel that comes and goes, while the API is too bad for a veto."""
    _weather(world, replace(fault, seconds=4.8), "api_lost", 0.3 + 0.3 * fault.amount)
    for turn in range(3):
        world.at(world.now + turn * 1.6, _cut, world, agents, replace(fault, seconds=0.8))


def _unhealthy(world: World, agents: list[Agent], fault: Fault) -> None:
    agent = agents[fault.place]
    what = ("healthy", "kernel", "link", "attached")[int(fault.amount * 3.99)]
    agent.fit(replace(agent.fitness, **{what: False}))
    world.at(world.now + fault.seconds, agent.fit_again, what)


def _deleted(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    if world.lease is not None:
        world.say("the Lease is deleted by hand")
        world.store(None)


def _edited(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    lease = world.lease
    if lease is None:
        return
    edits = (
        replace(lease, holder=None),
        replace(lease, holder="nobody/n0"),
        replace(lease, transitions=max(0, lease.transitions - 2)),
        replace(lease, transitions=lease.transitions + 5),
        replace(lease, duration=100000),
        replace(lease, renew_time="2020-01-01T00:00:00.000000Z"),
        replace(lease, annotations={**lease.annotations, "someone": "was here"}),
        replace(lease, annotations={}),
    )
    edit = edits[int(fault.amount * 7.99)]
    world.say(f"the Lease is edited by hand: {edit.holder} {edit.transitions} {edit.duration}")
    world.holders.clear()
    world.store(edit)


def _clock(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    agents[fault.place].skew += (fault.amount - 0.5) * 1000


def _stolen(world: World, agents: list[Agent], fault: Fault) -> None:  # noqa: ARG001
    world.point(int(fault.amount * 1.99), "thief")


DEEDS: dict[str, Deed] = {
    "crash": _crash,
    "node": _node,
    "leave": _leave,
    "yield": _yield,
    "claim": _claim,
    "pause": _pause,
    "cut from api": _cut_api,
    "api away": _api_away,
    "api slow": _api_slow,
    "api flaky": _api_flaky,
    "watch slow": _watch_slow,
    "watch dead": _deaf,
    "cut from ec2": _cut_ec2,
    "ec2 flaky": _ec2_flaky,
    "ec2 slow": _ec2_slow,
    "ec2 stale": _stale,
    "datagrams lost": _loss,
    "datagrams late": _delay,
    "cut apart": _cut,
    "flicker": _flicker,
    "unfit": _unhealthy,
    "lease deleted": _deleted,
    "lease edited": _edited,
    "wall clock": _clock,
    "stolen": _stolen,
}
OFTEN = ("node", "crash", "pause", "cut apart", "cut from api", "flicker", "ec2 flaky", "stolen")
KINDS = (*DEEDS, *OFTEN)


def draw(luck: Random, places: int) -> tuple[Fault, ...]:
    """Draw what goes wrong."""
    faults = []
    for _ in range(luck.choice((0, 1, 1, 2, 2, 3, 3, 4))):
        place = luck.randrange(places)
        fault = Fault(
            at=0.8 + 2.0 * luck.random(),
            kind=luck.choice(KINDS),
            place=place,
            other=(place + luck.randrange(1, places)) % places,
            seconds=0.1 + 1.9 * luck.random() ** 2,
            amount=luck.random(),
        )
        faults.append(fault)
    return tuple(sorted(faults, key=lambda f: f.at))
