"""An agent in a simulated world: one process of a pod, with a clock of its own."""

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from election.flight import Flight
from election.world import API, EC2, TIMEOUT, World
from vipmanager.core.election.actions import (
    Action,
    Purpose,
    ReadLease,
    ReadRoutes,
    Send,
    SetRole,
    Steer,
    StopSteering,
    WriteLease,
)
from vipmanager.core.election.events import (
    Asked,
    Event,
    FitnessChanged,
    Heard,
    LeaseChanged,
    LeaseConflict,
    LeaseFailed,
    LeaseRead,
    LeaseWritten,
    RoutesRead,
    Tick,
)
from vipmanager.core.election.machine import step, wake
from vipmanager.core.election.state import State
from vipmanager.core.election.values import Fitness, Generation, Member, Message, Order
from vipmanager.core.lease import LeaseRecord

NEVER = float("inf")


class Agent:
    """Carries out what `step` wants, and tells it what came of it."""

    def __init__(self, world: World, place: int, *, rate: float = 1.0, skew: float = 0.0) -> None:
        self.world, self.place = world, place
        self.rate, self.skew = rate, skew
        self.offset = 1000.0 * place
        self.pods = 0
        self.processes = 0
        self.pod = ""
        self.alive = False
        self.deaf = False
        """Whether its watch is dead without a sign."""
        self.fitness = Fitness()
        self.fingerprint = "f"
        self.zone = f"z{place}"
        self.heartbeats = True
        self.forbidden = False
        """Whether RBAC lacks what it needs."""
        self.calls = 0
        """Of the Kubernetes API."""
        self.settings = world.settings
        self.paused = False
        self.state: State
        self._asleep = 0
        self.backlog: list[Callable[[], None]] = []
        self._tick = NEVER
        self._flight: Flight | None = None
        world.hearers[place] = self._watch
        world.receivers[place] = self._receive

    # its life

    def born(self) -> None:
        """Be a new pod."""
        self.pods += 1
        self.pod = f"{'abcdefg'[self.place]}{self.pods}"
        self.fitness = Fitness()
        self.start()

    def start(self) -> None:
        """Be a new process of the pod."""
        self.processes += 1
        self.alive, self.paused, self._asleep = True, False, 0
        self.backlog, self._tick, self._flight = [], NEVER, None
        me = Member(
            pod=self.pod,
            nonce=f"n{self.processes}",
            address=str(self.place) if self.heartbeats else "",
            zone=self.zone,
            fingerprint=self.fingerprint,
        )
        self.state = State(me=me, settings=self.settings)
        self.world.say(f"{me.identity} starts")
        self.feed(FitnessChanged(self.fitness))

    def die(self) -> None:
        """SIGKILL, or worse."""
        if self.alive:
            self.world.say(f"{self.state.me.identity} dies")
        self.alive = False

    def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        if self.alive:
            self.world.say(f"{self.state.me.identity} stands still for {seconds:.2f} s")
            self.paused = True
            self._asleep += 1
            self.world.at(self.world.now + seconds, self._resume, self.processes)

    def _resume(self, process: int) -> None:
        if process != self.processes:
            return
        self._asleep -= 1
        if self._asleep:
            return
        self.paused = False
        backlog, self.backlog = self.backlog, []
        for each in backlog:
            each()

    def wait(self, flight: Flight, table: int) -> None:
        """Send a write once this process goes on."""
        self.backlog.append(lambda: flight.write(table))

    def fit(self, fitness: Fitness) -> None:
        """Be another's equal, or not."""
        self.fitness = fitness
        if self.alive:
            self.answer(self.processes, FitnessChanged(fitness))

    def fit_again(self, what: str, one: int = 0, other: int = 0) -> None:
        """Be whole again in one respect, unless a path that it needs is still cut."""
        if self.world.open(one, other):
            self.fit(replace(self.fitness, **{what: True}))

    def fit_if(self, change: dict[str, bool], one: int, other: int) -> None:
        """Learn that a path is cut, if it still is."""
        if not self.world.open(one, other):
            self.fit(replace(self.fitness, **change))

    def lack(self, what: str) -> None:
        """Be unfit in one respect."""
        self.fit(replace(self.fitness, **{what: False}))

    def listen(self) -> None:
        """Have a watch again."""
        self.deaf = False

    def ask(self, order: Order) -> None:
        """Ask something of it."""
        self.world.say(f"{self.state.me.identity} is asked to {order.value}")
        self.answer(self.processes, Asked(order))

    def unyield(self, process: int) -> None:
        """End a yield as a restart does: nothing is claimed."""
        if process == self.processes and self.alive:
            self.die()
            self.start()

    def now(self) -> float:
        """Give its own monotonic time."""
        return self.offset + self.world.now * self.rate

    # its mind

    def feed(self, event: Event) -> None:
        """Let it take in an event now."""
        now = self.now()
        self.state, actions = step(self.state, event, now)
        for action in actions:
            self.act(action, now)
        self._rest(now)

    def _rest(self, now: float) -> None:
        real = (wake(self.state, now) - self.offset) / self.rate + 1e-6
        if real < self._tick:
            self._tick = max(real, self.world.now)
            self.world.at(self._tick, self._ticked, self.processes, self._tick)

    def _ticked(self, process: int, at: float) -> None:
        if process == self.processes and self.alive and at == self._tick:
            if self.paused:
                self.backlog.append(lambda: self._ticked(process, at))
                return
            self._tick = NEVER
            now = self.now()
            if wake(self.state, now) <= now:
                self.feed(Tick())
            else:
                self._rest(now)  # something has put it off meanwhile

    def answer(self, process: int, event: Event) -> None:
        if process != self.processes or not self.alive:
            return
        if self.paused:
            self.backlog.append(lambda: self.answer(process, event))
        else:
            self.feed(event)

    def _later(self, seconds: float, event: Event) -> None:
        self.world.at(self.world.now + seconds, self.answer, self.processes, event)

    def _watch(self, record: LeaseRecord | None) -> None:
        if not self.deaf and self.alive and record is not self.state.sight.record:
            self.answer(self.processes, LeaseChanged(record=record))

    def _receive(self, message: Message, source: str) -> None:
        if self.heartbeats:
            self.answer(self.processes, Heard(message=message, source=source))

    # its hands

    def act(self, action: Action, now: float) -> None:
        """Do one thing."""
        match action:
            case Send(to=to, message=message):
                self.world.send(self.place, int(to), message)
            case ReadLease():
                self._read_lease(now)
            case WriteLease():
                self._write_lease(action, now)
            case ReadRoutes(generation=generation):
                self._read_routes(generation)
            case Steer(generation=generation, until=until):
                self._flight = Flight(self, generation, until)
                self._flight.write(0)
            case StopSteering():
                if self._flight is not None:
                    self._flight.stopped = True
            case SetRole(role=role, why=why):
                if self.world.trace:
                    self.world.say(f"{self.state.me.identity} is {role.value}: {why}")
            case _:
                assert_never(action)

    def _call(self, perform: Callable[[], Event], lost: LeaseFailed) -> None:
        """Call the Kubernetes API."""
        world, weather = self.world, self.world.weather
        self.calls += 1
        if self.forbidden:
            self._later(weather.api[0], replace(lost, forbidden=True))
            return
        seconds = world.draw(weather.api)
        if not world.open(self.place, API):
            self._later(TIMEOUT, lost)
            return
        gone = bool(weather.api_lost) and world.luck.random() < weather.api_lost
        if gone and world.luck.random() < 0.5:
            self._later(TIMEOUT, lost)
            return

        def land() -> None:
            event = perform()
            if gone or seconds > TIMEOUT or not world.open(API, self.place):
                world.at(began + TIMEOUT, self.answer, process, lost)
            else:
                world.at(began + seconds, self.answer, process, event)

        began, process = world.now, self.processes
        world.at(began + seconds / 2, land)

    def _read_lease(self, now: float) -> None:
        self._call(lambda: LeaseRead(record=self.world.lease, sent=now), LeaseFailed(purpose=None))

    def _write_lease(self, action: WriteLease, now: float) -> None:
        purpose, record = action.purpose, action.record
        wall = f"{self.world.now + self.skew:.6f}"
        if purpose is Purpose.ACQUIRE:
            record = replace(record, acquire_time=wall, renew_time=wall)
        elif purpose is Purpose.RENEW:
            record = replace(record, renew_time=wall)

        def perform() -> Event:
            stored = self.world.put(record)
            if stored is None:
                return LeaseConflict()
            return LeaseWritten(purpose=purpose, record=stored, sent=now)

        self._call(perform, LeaseFailed(purpose=purpose))

    def _read_routes(self, generation: Generation) -> None:
        world, weather = self.world, self.world.weather
        lost = bool(weather.ec2_lost) and world.luck.random() < weather.ec2_lost
        if lost or not world.open(self.place, EC2):
            self._later(TIMEOUT, RoutesRead(generation=generation, right=None))
            return
        began, process, seconds = world.now, self.processes, world.draw(weather.ec2)

        def look() -> None:
            right = all(pod == self.pod for pod in world.shown())
            event = RoutesRead(generation=generation, right=right)
            world.at(began + seconds, self.answer, process, event)

        world.at(began + seconds / 2, look)
