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

from vipmanager.core.command import Command
from vipmanager.core.election.actions import (
    Action,
    LookUpHolder,
    ReadLease,
    ReadRoutes,
    Send,
    SetRole,
    StopWriting,
    WriteLease,
    WriteRoutes,
)
from vipmanager.core.election.events import (
    AddressesChanged,
    Asked,
    Event,
    FitnessChanged,
    Heard,
    RoutesRead,
    Tick,
    WaveEnded,
)
from vipmanager.core.election.machine import Transition, step, wake
from vipmanager.core.election.record import POD, ZONE
from vipmanager.core.election.role import Role
from vipmanager.core.election.state import NEVER, UNKNOWN, Phase, State
from vipmanager.core.election.values import Generation, Message, Order
from vipmanager.core.failures import Permanent, Transient, Unknown
from vipmanager.core.fitness import fitness
from vipmanager.core.heartbeat import Count, DropReason
from vipmanager.core.report import Report
from vipmanager.core.role_status import RoleStatus
from vipmanager.engine.armed_writer import ArmedWriter
from vipmanager.engine.beside import ends_on_a_bug
from vipmanager.engine.candidate import Candidate, addresses
from vipmanager.engine.election_monitor import CHANGED, EVERY, ElectionMonitor
from vipmanager.engine.inbox import Wish
from vipmanager.engine.lease_client import LeaseClient
from vipmanager.engine.leaving import Leaving
from vipmanager.engine.route_writer import Fence
from vipmanager.engine.status_store import PATIENCE, late
from vipmanager.ports import Channel, Clock, Inbox, Tasks

READ = "read for the Lease"
"""The reason of a pass that answers `ReadRoutes`."""


class LeaderElector:
    """Owns the election's state; a `Reporter`, since passes tell it how fit the pod is."""

    def __init__(
        self,
        candidate: Candidate,
        writer: ArmedWriter,
        *,
        inbox: Inbox,
        clock: Clock,
        tasks: Tasks,
        healthy: bool,
    ) -> None:
        """Begin nothing yet: that takes a pass that finds the pod fit.

        Args:
            candidate: the election as this pod takes part in it.
            writer: writes the routes.
            inbox: of the loop.
            clock: monotonic time.
            tasks: where the election and its calls run.
            healthy: whether the application counts as well until `examined` says otherwise.
        """
        self._candidate = candidate
        self._writer, self._ownership = writer, writer.ownership
        self._inbox, self._clock, self._tasks = inbox, clock, tasks
        self._events: deque[tuple[Event, Wish | None]] = deque()
        self._arrived = tasks.condition()
        spawn = partial(self._spawn, "lease")
        self._lease_client = LeaseClient(candidate, spawn=spawn, put=self._put, clock=clock)
        self._leaving = Leaving(candidate, changed=self.should_leave, clock=clock, tasks=tasks)
        self._fit = replace(UNKNOWN, healthy=healthy, leaving=self._leaving.why)
        self._fit_lock = threading.Lock()
        self._addresses: tuple[str, ...] = ()
        self._state: State | None = None
        self._channel: Channel | None = None
        self._fence: Fence | None = None
        self._asked: Generation | None = None
        """For which generation a reading of the routes is on its way."""
        self._changed = tasks.condition()
        self._orders = 0
        """Orders that the election has heard."""
        self._gone: Callable[[], None] | None = None
        self._monitor = ElectionMonitor(
            lease=candidate.name,
            lease_client=self._lease_client,
            leaving=self._leaving,
            ownership=self._ownership,
            inbox=inbox,
            drops=self.drops,
        )
        self.role_status = RoleStatus(since=clock.now())

    # what others tell it

    def report(self, report: Report) -> None:
        """Take one pass's report: how fit the pod is, and whether its routes are right."""
        with self._fit_lock:
            before, self._fit = self._fit, fitness(report, self._fit)
            now = self._fit
            if now != before and self._state is not None:
                self._put(FitnessChanged(now))
        found = addresses(report.floating)
        if found and found != self._addresses:
            self._addresses = found
            self._put(AddressesChanged(found))
        if self._state is None:
            if not now.may_take:
                return
            self._start(report)
        if report.whole:
            self._routes_read(report)

    def examined(self, *, healthy: bool) -> None:
        """Take in the application's health."""
        with self._fit_lock:
            self._fit = replace(self._fit, healthy=healthy)
            self._put(FitnessChanged(self._fit))

    def should_leave(self, why: str | None) -> None:
        """Take in why the pod should leave its node or zone."""
        with self._fit_lock:
            self._fit = replace(self._fit, leaving=why)
            self._put(FitnessChanged(self._fit))

    def stop(self, gone: Callable[[], None] | None = None) -> None:
        """Hand over and take nothing any more; call `gone` once nothing is held."""
        self._gone = gone or self._gone
        self._put(Asked(Order.STOP))
        if self._state is None and gone is not None:
            gone()

    def obey(self, wanted: Command, wish: Wish) -> None:
        """Yield or claim; return once it is done.

        Raises:
            Transient: it can't be, or not within `PATIENCE`.
        """
        claim = wanted is Command.CLAIM
        with self._changed:
            heard = self._orders
            self._put(Asked(Order.CLAIM if claim else Order.YIELD), wish)
            if self._state is None and not claim:
                return  # heard before anything is taken
            met = self._claimed if claim else self._holds_nothing
            if self._changed.wait_for(lambda: self._orders > heard and met(), PATIENCE):
                return
        if wish.withdraw():
            raise late()
        raise Transient(
            f"{wanted.value}, but the Lease {self._candidate.name} did not change hands",
            "vipmanager status shows what stands in the way",
        )

    def drops(self) -> Mapping[DropReason, Count]:
        """Tell what the heartbeats met so far."""
        return self._channel.drops() if self._channel is not None else {}

    def document(self) -> dict[str, object]:
        """Give the role as JSON values, with the Lease and who holds it."""
        record = self._state.observed.record if self._state is not None else None
        known = self.role_status.role is not Role.RELIEVED
        holder = record.holder if record is not None and known else None
        named = record.annotations if record is not None and holder is not None else {}
        return self.role_status.document(self._clock.now()) | {
            "lease": self._candidate.name,
            "holder": holder,
            "holderPod": named.get(POD),
            "holderZone": named.get(ZONE),
        }

    def _holds_nothing(self) -> bool:
        state = self._state
        if state is None or state.hold is None:
            return state is None or state.observed.writing is None
        # Without its Role or account it can't be released, and is anybody's once it lapsed.
        refused = isinstance(self._lease_client.failure, Permanent | Unknown)
        lapsed = self._clock.now() >= state.hold.renewed + state.settings.lease
        return state.retired and refused and lapsed

    def _claimed(self) -> bool:
        state = self._state
        if state is None or state.order is Order.CLAIM or state.observed.writing is not None:
            return False
        if state.hold is not None:
            work = state.hold.work
            written = work.phase is not Phase.WRITING and work.unless_read == NEVER
            return self.role_status.settled is not None or (written and self._writer.right)
        reasons = (self._lease_client.failure, *self._ownership.election_findings)
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
        elif report.role is not Role.STANDBY and report.observed and report.fresh:
            hold = self._state.hold if self._state is not None else None
            generation = hold.generation if hold is not None else None
        if generation is not None:
            self._put(
                RoutesRead(
                    generation=generation,
                    right=self._writer.right if report.observed else None,
                    sent=self._writer.asked,
                    elsewhere=self._ownership.elsewhere,
                    denied=self._ownership.denied,
                )
            )

    # its life

    def _start(self, report: Report) -> None:
        candidate = self._candidate
        self._channel = candidate.channel(candidate.identity, self._heard)
        me = candidate.member(report, self._channel)
        self._state = State(me=me, settings=candidate.settings)
        self._put(FitnessChanged(self._fit))
        self._lease_client.watch()
        self._leaving.start()
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
            event, wish = self._events.popleft() if self._events else (Tick(), None)
        if wish is not None and not wish.take():
            return  # nobody waits for it any more
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
            if state.fitness.leaving != before.fitness.leaving:
                self.role_status = replace(self.role_status, leaving=state.fitness.leaving or "")
            self._monitor.look(before, state, now, asked=asked)
            self._changed.notify_all()
        if self._gone is not None and state.order is Order.STOP and self._holds_nothing():
            gone, self._gone = self._gone, None
            gone()

    def _read_right(self, state: State, generation: Generation, now: float) -> None:
        if state.hold is None or state.hold.generation != generation:
            return
        if not self._ownership.settled or not state.fitness.may_keep:
            return
        before, self.role_status = self.role_status, self.role_status.read_right(now)
        if self.role_status is not before:
            self._candidate.told(self.role_status)

    # its hands

    def _act(self, action: Action, state: State, now: float) -> None:
        match action:
            case Send(to=to, message=message):
                if self._channel is not None:
                    self._channel.send(to, message)
            case ReadLease() | WriteLease() | LookUpHolder():
                self._lease_client.call(action, now)
            case WriteRoutes():
                self._start_wave(action)
            case StopWriting():
                if self._fence is not None:
                    self._fence.revoke()
            case ReadRoutes(generation=generation):
                self._asked = generation
                self._inbox.put(READ)
            case SetRole(role=role, why=why):
                self._role(role, why, state, now)
            case _:
                assert_never(action)

    def _start_wave(self, action: WriteRoutes) -> None:
        fence = Fence(action.until, self._clock)

        def wave() -> Event:
            outcome = self._writer.run(
                fence, unless_read=action.unless_read, unless_written=action.unless_written
            )
            return WaveEnded(generation=action.generation, outcome=outcome)

        self._fence = fence
        self._spawn("wave", wave)

    def _role(self, role: Role, why: str, state: State, now: float) -> None:
        self._ownership.become(role)
        hold = state.hold
        self.role_status = self.role_status.became(
            role,
            why=why,
            generation=hold.generation if hold is not None and not hold.relieved else None,
            since=hold.renewed if hold is not None and not hold.relieved else now,
        )
        self._candidate.told(self.role_status)
        if hold is None:
            self._inbox.put(CHANGED)  # to read what the next holder writes

    def _spawn(self, name: str, call: Callable[[], Event]) -> None:
        work = ends_on_a_bug(lambda: self._put(call()), self._candidate.failed)
        self._tasks.start(name, work)

    def _put(self, event: Event, wish: Wish | None = None) -> None:
        with self._arrived:
            self._events.append((event, wish))
            self._arrived.notify_all()

    def _heard(self, message: Message, source: str) -> None:
        self._put(Heard(message=message, source=source))
