"""A wave of route writes under way: some land, some late, some never."""

from typing import Protocol

from election.world import EC2, TIMEOUT, World
from vipmanager.core.election.events import Event, Outcome, WaveEnded
from vipmanager.core.election.state import State
from vipmanager.core.election.values import Generation

GAP = 0.01
"""Seconds between two route writes of a wave."""


class Process(Protocol):
    """What a wave needs of its agent."""

    world: World
    place: int
    pod: str
    processes: int
    alive: bool
    paused: bool
    state: State

    def now(self) -> float: ...
    def answer(self, process: int, event: Event) -> None: ...
    def wait(self, flight: "Flight", table: int) -> None: ...


class Flight:
    """One wave of one process; it goes on after the process, as far as it is sent."""

    def __init__(self, agent: Process, generation: Generation, until: float) -> None:
        self.agent, self.world = agent, agent.world
        self.generation, self.until = generation, until
        self.process, self.pod = agent.processes, agent.pod
        self.stopped = False
        self._left = len(self.world.routes)
        self._failed = self._late = False

    def write(self, table: int) -> None:
        """Send one write, and see to the next."""
        world, agent = self.world, self.agent
        if self.process != agent.processes or not agent.alive:
            return
        if agent.paused:
            agent.wait(self, table)
            return
        if self.stopped or agent.now() >= self.until:
            self._late = True
            self._end(len(world.routes) - table)
            return
        self._check()
        self._send(table)
        if table + 1 < len(world.routes):
            world.at(world.now + GAP, self.write, table + 1)

    def _send(self, table: int) -> None:
        world, weather = self.world, self.world.weather
        lost = bool(weather.ec2_lost) and world.luck.random() < weather.ec2_lost
        if lost or not world.open(self.agent.place, EC2):
            if lost and world.luck.random() < 0.5:
                late = world.luck.random() * world.settings.write
                world.at(world.now + late, world.point, table, self.pod)
            world.at(world.now + TIMEOUT, self._fail)
            return
        seconds = world.draw(weather.ec2)
        world.at(world.now + seconds * 0.7, world.point, table, self.pod)
        world.at(world.now + seconds, self._end, 1)

    def _fail(self) -> None:
        self._failed = True
        self._end(1)

    def _end(self, count: int) -> None:
        self._left -= count
        if self._left:
            return
        outcome = Outcome.OUT_OF_TIME if self._late else Outcome.DONE
        outcome = Outcome.FAILED if self._failed else outcome
        self.agent.answer(self.process, WaveEnded(generation=self.generation, outcome=outcome))

    def _check(self) -> None:
        """No write by anyone who knows it lost, or could have known for long."""
        world, hold = self.world, self.agent.state.hold
        who = self.agent.state.me.identity
        if hold is None or hold.generation != self.generation:
            world.problems.append(f"{world.now:.3f} {who} writes and knows that it lost")
        lost = world.superseded.get(self.generation)
        if lost is not None and world.now - lost > world.settings.fence * 1.05:
            world.problems.append(f"{world.now:.3f} {who} writes {world.now - lost:.2f} s too late")
