"""Runs the election: tells it what happens, and does what it wants done.

any task                            the elector's own               its hands
heartbeats, watch, answers,  --->   queue ---> step ---> actions    Lease calls, waves, probes:
health, passes, orders              Tick at `wake`                  none makes it wait
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import assert_never

from vipmanager.core import order
from vipmanager.core.election.actions import (
    Action,
    ReadLease,
    ReadRoutes,
    Role,
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
    RoutesRead,
    Tick,
    WaveEnded,
)
from vipmanager.core.election.machine import Transition, step, wake
from vipmanager.core.election.state import UNKNOWN, State
from vipmanager.core.election.values import Generation, Message, Order
from vipmanager.core.failures import Transient
from vipmanager.core.fitness import fitness
from vipmanager.core.heartbeat import Count, Trouble
from vipmanager.core.report import Report
from vipmanager.core.tenure import Tenure
from vipmanager.engine.beside import ends_on_a_bug
from vipmanager.engine.candidate import Candidate
from vipmanager.engine.leasing import Leasing
from vipmanager.engine.lookout import CHANGED, EVERY, Lookout
from vipmanager.engine.record import PATIENCE
from vipmanager.engine.steering import Steering
from vipmanager.engine.wave import Fence
from vipmanager.ports import Channel, Clock, Inbox, Tasks

READ = "read for the Lease"
"""The reason of a pass that answers `ReadRoutes`."""


class Elector:
    """Owns the election's state; a `Reporter`, since passes tell it how fit the pod is."""

    def __init__(
        self,
        candidate: Candidate,
        *,
        steering: Steering,
        inbox: Inbox,
        clock: Clock,
        tasks: Tasks,
        healthy: bool,
    ) -> None:
        """Begin nothing yet: that takes a pass that finds the pod fit.

        Args:
            candidate: the election as this pod takes part in it.
            steering: writes the routes.
            inbox: of the loop.
            clock: monotonic time.
            tasks: where the election and its calls run.
            healthy: whether the application counts as well until `examined` says otherwise.
        """
        self._candidate = candidate
        self._steering, self._inbox, self._clock, self._tasks = steering, inbox, clock, tasks
        self._events: deque[Event] = deque()
        self._arrived = tasks.condition()
        self._leasing = Leasing(
            candidate.lease, spawn=partial(self._spawn, "lease"), put=self._put, clock=clock
        )
        self._fit = replace(UNKNOWN, healthy=healthy)
        self._fit_lock = threading.Lock()
        self._state: State | None = None
        self._channel: Channel | None = None
        self._fence: Fence | None = None
        self._asked: Generation | None = None
        """For which generation a reading of the routes is on its way."""
        self._changed = tasks.condition()
        self._orders = 0
        """Orders that the election has heard."""
        self._gone: Callable[[], None] | None = None
        self._lookout = Lookout(
            lease=candidate.name,
            leasing=self._leasing,
            steering=steering,
            inbox=inbox,
            troubles=self.troubles,
        )
        self.tenure = Tenure(since=clock.now())

    # what others tell it

    def report(self, report: Report) -> None:
        """Take one pass's report: how fit the pod is, and whether its routes are right."""
        with self._fit_lock:
            before, self._fit = self._fit, fitness(report, self._fit)
            now = self._fit
            if now != before and self._state is not None:
                self._put(FitnessChanged(now))
        if self._state is None:
            if not now.may_take:
                return
            self._start(report)
        if report.fresh:
            self._routes_read(report)

    def examined(self, *, healthy: bool) -> None:
        """Take in the application's health."""
        with self._fit_lock:
            self._fit = replace(self._fit, healthy=healthy)
            self._put(FitnessChanged(self._fit))

    def leave(self, gone: Callable[[], None] | None = None) -> None:
        """Hand over and take nothing any more; call `gone` once nothing is held."""
        self._gone = gone or self._gone
        self._put(Asked(Order.LEAVE))
        if self._state is None and gone is not None:
            gone()

    def obey(self, wanted: order.Order) -> None:
        """Yield or claim; return once it is done.

        Raises:
            Transient: it can't be, or not within `PATIENCE`.
        """
        claim = wanted is order.Order.CLAIM
        with self._changed:
            heard = self._orders
            self._put(Asked(Order.CLAIM if claim else Order.YIELD))
            if self._state is None and not claim:
                return  # heard before anything is taken
            met = self._claimed if claim else self._yielded
            if self._changed.wait_for(lambda: self._orders > heard and met(), PATIENCE):
                return
        raise Transient(
            f"{wanted.value}, but the Lease {self._candidate.name} did not change hands",
            "vipmanager status shows what stands in the way",
        )

    def troubles(self) -> Mapping[Trouble, Count]:
        """Tell what the heartbeats met so far."""
        return self._channel.troubles() if self._channel is not None else {}

    def document(self) -> dict[str, object]:
        """Give the role as JSON values, with the Lease and who holds it."""
        record = self._state.sight.record if self._state is not None else None
        holder = record.holder if record is not None else None
        return self.tenure.document(self._clock.now()) | {
            "lease": self._candidate.name,
            "holder": holder,
        }

    def _yielded(self) -> bool:
        state = self._state
        return state is None or (state.hold is None and state.sight.writing is None)

    def _claimed(self) -> bool:
        state = self._state
        if state is None or state.order is Order.CLAIM or state.sight.writing is not None:
            return False
        if state.hold is not None:
            return self.tenure.settled is not None
        reasons = (self._leasing.failure, *self._steering.plights)
        raise Transient(
            f"the Lease {self._candidate.name} could not be claimed",
            "; ".join(str(reason) for reason in reasons if reason is not None) or "try again",
        )

    def _routes_read(self, report: Report) -> None:
        """Answer a reading that was asked for; tell of others where they may matter."""
        generation = self._asked
        if generation is not None:
            if READ not in report.reasons:
                return  # begun before it was asked for
            self._asked = None
        elif report.role is Role.HOLDER and report.observed:
            generation = self.tenure.generation
        if generation is not None:
            right = self._steering.right if report.observed else None
            self._put(RoutesRead(generation=generation, right=right))

    # its life

    def _start(self, report: Report) -> None:
        candidate = self._candidate
        self._channel = candidate.channel(candidate.identity, self._heard)
        me = candidate.member(report, self._channel)
        self._state = State(me=me, settings=candidate.settings)
        self._put(FitnessChanged(self._fit))
        self._leasing.watch()
        self._tasks.start("elector", ends_on_a_bug(self._live, candidate.failed))

    def _live(self) -> None:
        while True:
            self._turn()

    def _turn(self) -> None:
        """Take in one event, or let time pass."""
        state = self._state
        if state is None:
            return
        now = self._clock.now()
        left = min(wake(state, now) - now, EVERY)
        with self._arrived:
            self._arrived.wait_for(lambda: self._events, max(0.0, left))
            event = self._events.popleft() if self._events else Tick()
        now = self._clock.now()
        before, (state, actions) = state, step(state, event, now)
        self._candidate.traced(Transition(before=before, event=event, after=state, actions=actions))
        asked = isinstance(event, Asked)
        with self._changed:
            self._state = state
            self._orders += asked
            for action in actions:
                self._act(action, state, now)
            if isinstance(event, RoutesRead) and event.right:
                self._read_right(state, event.generation, now)
            self._lookout.look(before, state, now, asked=asked)
            self._changed.notify_all()
        if self._gone is not None and state.order is Order.LEAVE and self._yielded():
            gone, self._gone = self._gone, None
            gone()

    def _read_right(self, state: State, generation: Generation, now: float) -> None:
        if state.hold is None or state.hold.generation != generation:
            return
        if not self._steering.settled:
            return
        before, self.tenure = self.tenure, self.tenure.read_right(now)
        if self.tenure is not before:
            self._candidate.told(self.tenure)

    # its hands

    def _act(self, action: Action, state: State, now: float) -> None:
        match action:
            case Send(to=to, message=message):
                if self._channel is not None:
                    self._channel.send(to, message)
            case ReadLease():
                self._leasing.read(now)
            case WriteLease():
                self._leasing.write(action, now)
            case Steer(generation=generation, until=until):
                self._steer(generation, Fence(until))
            case StopSteering():
                if self._fence is not None:
                    self._fence.broken()
            case ReadRoutes(generation=generation):
                self._asked = generation
                self._inbox.put(READ)
            case SetRole(role=role, why=why):
                self._role(role, why, state, now)
            case _:
                assert_never(action)

    def _steer(self, generation: Generation, fence: Fence) -> None:
        def wave() -> Event:
            return WaveEnded(generation=generation, outcome=self._steering.run(fence))

        self._fence = fence
        self._spawn("wave", wave)

    def _role(self, role: Role, why: str, state: State, now: float) -> None:
        self._steering.become(role)
        hold = state.hold
        self.tenure = self.tenure.became(
            role,
            why=why,
            generation=hold.generation if hold is not None else None,
            since=hold.proven if hold is not None else now,
        )
        self._candidate.told(self.tenure)
        if hold is None:
            self._inbox.put(CHANGED)  # to read what the next holder writes

    def _spawn(self, name: str, call: Callable[[], Event]) -> None:
        work = ends_on_a_bug(lambda: self._put(call()), self._candidate.failed)
        self._tasks.start(name, work)

    def _put(self, event: Event) -> None:
        with self._arrived:
            self._events.append(event)
            self._arrived.notify_all()

    def _heard(self, message: Message, source: str) -> None:
        self._put(Heard(message=message, source=source))
