"""One pod's agent: all parts that decide and carry out, wired; the outside is handed in."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vipmanager.core.progress import Progress
from vipmanager.core.report import Report
from vipmanager.core.settings import Settings
from vipmanager.engine.checks import Gate
from vipmanager.engine.claims import Claims
from vipmanager.engine.dry_run import DryRun
from vipmanager.engine.inbox import Inbox
from vipmanager.engine.loop import Loop
from vipmanager.engine.neighbours import Neighbours
from vipmanager.engine.observe import Observer
from vipmanager.engine.openings import Openings
from vipmanager.engine.reconciler import Reconciler
from vipmanager.engine.route_tables import RouteTables
from vipmanager.engine.route_writer import Pace, RouteWriter
from vipmanager.engine.status_store import StatusStore
from vipmanager.engine.writer import ImmediateWriter
from vipmanager.ports import Clock, Cloud, Kernel, Metadata, Pods, Reporter, Steering, Tasks

if TYPE_CHECKING:
    from vipmanager.engine.armed_writer import ArmedWriter
    from vipmanager.engine.candidate import Candidate
    from vipmanager.engine.leader_elector import LeaderElector


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
    pods: Pods | None = None
    """Where the Kubernetes API is at hand."""
    steering: Steering | None = None
    """How floating IPs are led to ENIs; None for routes in route tables."""


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
    """The parts, wired as the settings ask; it shares `Outside` with others, and nothing else.

    `loop` is its life and `record` what it knows of itself. `armed` is there where a Lease
    decides, and `election` where this pod is a candidate for it.
    """

    armed: "ArmedWriter | None"
    election: "LeaderElector | None"

    def __init__(
        self,
        settings: Settings,
        outside: Outside,
        *,
        inbox: Inbox,
        reporters: Sequence[Reporter] = (),
        told: Callable[[Progress], None] = lambda _: None,
        gate: Gate | None = None,
        candidate: "Candidate | None" = None,
    ) -> None:
        """Begin nothing yet.

        Args:
            settings: what the operator asked for.
            outside: the worlds, time, and work beside.
            inbox: where reasons to look again arrive.
            reporters: hear of each pass, in their order, once the store knows of it.
            told: hears how far the routes are, where writing them lasts.
            gate: says what keeps this pod from taking anything over; open by default.
            candidate: the election, where this pod takes part in one.
        """
        clock, gate = outside.clock, gate if gate is not None else Gate()
        gate.listen(lambda _healthy: inbox.put("health check"))
        steering = outside.steering or RouteTables(outside.cloud)
        observer = _observer(settings, outside, steering)
        writes = _writes(steering, outside, inbox, observer, told)
        self.store = _store(outside, inbox, writes)
        # What somebody reads in the log is what /readyz says already.
        reporter = Reporters(self.store, *reporters)
        armed = _armed(writes, clock, reporter, gate) if settings.elects else None
        self.armed, self.election = armed, None
        if armed is not None and candidate is not None:
            self.election = _elector(candidate, armed, inbox, outside, gate)
            self.store.election = self.election
            reporter.add(self.election)
        self.reconciler = Reconciler(
            settings,
            observer=observer,
            kernel=outside.kernel,
            ownership=armed.ownership if armed else _unelected(settings, outside, observer, gate),
            writer=armed or ImmediateWriter(writes),
            clock=clock,
            # With a Lease a pass writes no route, and its report is not waited for.
            begun=self.store.begun if armed is None else lambda _: None,
        )
        self.loop = Loop(
            settings, reconciler=self.reconciler, inbox=inbox, clock=clock, reporter=reporter
        )


def _observer(settings: Settings, outside: Outside, steering: Steering) -> Observer:
    return Observer(
        outside.kernel,
        outside.metadata,
        outside.cloud,
        settings,
        steering=steering,
        tasks=outside.tasks,
        clock=outside.clock,
    )


def _writes(
    steering: Steering,
    outside: Outside,
    inbox: Inbox,
    observer: Observer,
    told: Callable[[Progress], None],
) -> RouteWriter:
    return RouteWriter(
        steering,
        pace=outside.pace,
        clock=outside.clock,
        tasks=outside.tasks,
        inbox=inbox,
        wrote=observer.wrote,
        told=told,
    )


def _store(outside: Outside, inbox: Inbox, writes: RouteWriter) -> StatusStore:
    return StatusStore(
        inbox=inbox,
        clock=outside.clock,
        tasks=outside.tasks,
        buckets=outside.pace.buckets,
        progress=lambda: writes.progress,
    )


def _unelected(
    settings: Settings, outside: Outside, observer: Observer, gate: Gate
) -> Claims | DryRun:
    claims = Claims(
        observer=observer,
        clock=outside.clock,
        gate=gate,
        openings=Openings(outside.kernel, outside.clock),
        neighbours=Neighbours(outside.pods, outside.clock),
        resync=settings.resync,
    )
    return DryRun(claims) if settings.dry_run else claims


def _armed(writes: RouteWriter, clock: Clock, told: Reporter, gate: Gate) -> "ArmedWriter":
    # Without a Lease nothing of the election is imported.
    from vipmanager.engine.armed_writer import ArmedWriter  # noqa: PLC0415
    from vipmanager.engine.lease_ownership import LeaseOwnership  # noqa: PLC0415

    return ArmedWriter(writes, LeaseOwnership(clock=clock, gate=gate), clock=clock, reporter=told)


def _elector(
    candidate: "Candidate", armed: "ArmedWriter", inbox: Inbox, outside: Outside, gate: Gate
) -> "LeaderElector":
    from vipmanager.engine.leader_elector import LeaderElector  # noqa: PLC0415 - as above

    elector = LeaderElector(
        candidate,
        writer=armed,
        inbox=inbox,
        clock=outside.clock,
        tasks=outside.tasks,
        healthy=gate.open,
    )
    gate.listen(lambda healthy: elector.examined(healthy=healthy))
    return elector
