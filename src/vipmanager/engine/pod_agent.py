"""One pod's agent: all parts that decide and carry out, wired; the outside is handed in."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vipmanager.core.report import Report
from vipmanager.core.settings import Settings
from vipmanager.engine.checks import Gate
from vipmanager.engine.claims import Claims
from vipmanager.engine.inbox import Inbox
from vipmanager.engine.loop import Loop
from vipmanager.engine.observe import Observer
from vipmanager.engine.passes import Passes
from vipmanager.engine.record import Record
from vipmanager.engine.rule import Rule
from vipmanager.engine.wave import Pace, Wave
from vipmanager.ports import Clock, Cloud, Kernel, Metadata, Reporter, Tasks

if TYPE_CHECKING:
    from vipmanager.engine.candidate import Candidate
    from vipmanager.engine.elector import Elector
    from vipmanager.engine.steering import Steering


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What an agent looks at and acts on."""

    kernel: Kernel
    metadata: Metadata
    cloud: Cloud
    clock: Clock
    tasks: Tasks
    pace: Pace
    """EC2's buckets, as this process has found them."""


class Reporters:
    """Several reporters as one; a wave reports beside the loop, so they take turns."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = list(reporters)
        self._lock = threading.Lock()

    def add(self, reporter: Reporter) -> None:
        """Have another one told, after those before."""
        self._reporters.append(reporter)

    def report(self, report: Report) -> None:
        """Tell all of them."""
        with self._lock:
            for reporter in self._reporters:
                reporter.report(report)


class PodAgent:
    """The parts, wired as the settings ask.

    `loop` is its life and `record` what it knows of itself. `steering` is there where a Lease
    decides, and `election` where this pod is a candidate for it.
    """

    def __init__(
        self,
        settings: Settings,
        outside: Outside,
        *,
        inbox: Inbox,
        reporters: Sequence[Reporter] = (),
        gate: Gate | None = None,
        candidate: "Candidate | None" = None,
    ) -> None:
        """Begin nothing yet.

        Args:
            settings: what the operator asked for.
            outside: the worlds, time, and work beside.
            inbox: where reasons to look again arrive.
            reporters: hear of each pass first, in their order.
            gate: says what keeps this pod from taking anything over; open by default.
            candidate: the election, where this pod takes part in one.
        """
        clock, tasks = outside.clock, outside.tasks
        gate = gate if gate is not None else Gate()
        told = Reporters(*reporters)
        observer = Observer(outside.kernel, outside.metadata, outside.cloud, settings, tasks)
        wave = Wave(outside.cloud, pace=outside.pace, clock=clock, tasks=tasks, inbox=inbox)
        self.record = Record(inbox=inbox, clock=clock, tasks=tasks, buckets=outside.pace.buckets)
        self.steering = _steering(wave, clock, told, gate) if settings.leader_election else None
        self.election: Elector | None = None
        gate.listen(lambda _healthy: inbox.put("health check"))
        told.add(self.record)
        rule: Rule = self.steering or Claims(observer=observer, wave=wave, clock=clock, gate=gate)
        if self.steering is not None and candidate is not None:
            self.election = _elector(candidate, self.steering, inbox, outside, gate)
            told.add(self.election)
            self.record.election = self.election
        self.passes = Passes(
            settings, observer=observer, kernel=outside.kernel, rule=rule, clock=clock
        )
        self.loop = Loop(settings, passes=self.passes, inbox=inbox, clock=clock, reporter=told)


def _steering(wave: Wave, clock: Clock, told: Reporter, gate: Gate) -> "Steering":
    # Without a Lease nothing of the election is imported.
    from vipmanager.engine.steering import Steering  # noqa: PLC0415

    return Steering(wave=wave, clock=clock, reporter=told, gate=gate)


def _elector(
    candidate: "Candidate",
    steering: "Steering",
    inbox: Inbox,
    outside: Outside,
    gate: Gate,
) -> "Elector":
    from vipmanager.engine.elector import Elector  # noqa: PLC0415 - as above

    elector = Elector(
        candidate,
        steering=steering,
        inbox=inbox,
        clock=outside.clock,
        tasks=outside.tasks,
        healthy=gate.open,
    )
    gate.listen(lambda healthy: elector.examined(healthy=healthy))
    return elector
