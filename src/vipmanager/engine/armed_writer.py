"""With a Lease: every pass keeps the routes ready that the holder would write.

    loop         passes: read, decide, kernel writes ---> keep the plan warm, report
    election     WriteRoutes ---> run: the warm plan as one wave, behind a fence ---> report

A takeover so costs one wave: nothing is read, and nothing decided, between the Lease and EC2. It
writes every route, except where a reading that is new enough shows it right: one that was made
between another's acquisition and its writes shows the routes as that one found them.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from vipmanager.core.actions import CloudAction, RouteWrite
from vipmanager.core.election.events import Outcome
from vipmanager.core.election.role import Role
from vipmanager.core.failures import Permanent, Throttled
from vipmanager.core.report import Done, Report
from vipmanager.core.values import DesiredRoute
from vipmanager.core.verdict import Verdict
from vipmanager.engine.lease_ownership import LeaseOwnership
from vipmanager.engine.observe import NEVER
from vipmanager.engine.ownership import Decided
from vipmanager.engine.route_writer import Fence, RouteWriter
from vipmanager.ports import Clock, Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A write that the holder may make, and what the last pass made of its route."""

    write: RouteWrite
    verdict: Verdict
    asked: float
    """When the reading that shows it was sent."""


class ArmedWriter:
    """Keeps what passes decided, and writes it when the election says so."""

    def __init__(
        self, writer: RouteWriter, ownership: LeaseOwnership, *, clock: Clock, reporter: Reporter
    ) -> None:
        """Keep nothing yet.

        Args:
            writer: writes to EC2.
            ownership: hears of what was written.
            clock: monotonic time.
            reporter: hears of each wave, on the thread that runs it.
        """
        self.ownership = ownership
        self._writer, self._clock, self._reporter = writer, clock, reporter
        self._lock = threading.Lock()
        self._kept: Mapping[DesiredRoute, Kept] = MappingProxyType({})
        self._role_changes = ownership.role_changes
        """The holding in which the following was written."""
        self._written: dict[DesiredRoute, float] = {}
        """When each route was last written: before its call was sent."""
        self.asked = NEVER
        """When the newest reading of the tables that was answered was sent."""

    def write(
        self, decided: Decided, actions: Sequence[CloudAction], spare: Sequence[RouteWrite]
    ) -> tuple[Done, ...]:
        """Keep route writes for `run`, which the election starts; make the others.

        Those concern this pod's own ENIs alone.
        """
        asked = decided.evidence.asked
        wrong = [a for a in actions if isinstance(a, RouteWrite)]
        kept = {
            a.steer: Kept(write=a, verdict=verdict, asked=asked)
            for writes, verdict in ((wrong, Verdict.WRITE), (spare, Verdict.RIGHT))
            for a in writes
        }
        with self._lock:
            self._kept, self.asked = MappingProxyType(kept), asked
        own = [a for a in actions if not isinstance(a, RouteWrite)]
        return self._writer.run(own) if own else ()

    @property
    def right(self) -> bool:
        """Whether nothing is left to write that could be written."""
        return not self._todo(NEVER, NEVER)

    def run(
        self, fence: Fence, unless_read: float = NEVER, unless_written: float = NEVER
    ) -> Outcome:
        """Write what is wrong, while the fence holds; and what is not known to be right.

        Args:
            fence: until when.
            unless_read: only a reading that was sent later than this tells that a route is right.
            unless_written: only a write that was sent later than this need not be repeated.
        """
        base = self.ownership.base
        if base is None:
            return Outcome.FAILED
        todo = self._todo(unless_read, unless_written)
        began = self._clock.now()
        done = self._writer.run(todo, fence, turn=True) if todo else ()
        if done:
            with self._lock:
                good = (d.action for d in done if d.failure is None)
                self._written |= {a.steer: began for a in good if isinstance(a, RouteWrite)}
            self.ownership.wrote(done)
            self._report(self.ownership.base or base, done, self._clock.now() - began)
        waits = [d for d in done if isinstance(d.failure, Throttled)]
        if any(d.failure and not isinstance(d.failure, Permanent | Throttled) for d in done):
            return Outcome.FAILED
        return Outcome.DONE if len(done) == len(todo) and not waits else Outcome.OUT_OF_TIME

    def _report(self, base: Report, done: tuple[Done, ...], seconds: float) -> None:
        """Tell of a wave beside what the newest pass found."""
        self._reporter.report(
            replace(
                base,
                reasons=("the Lease is held here",),
                seconds=seconds,
                done=done,
                findings=tuple(dict.fromkeys((*base.findings, *self.ownership.findings()))),
                role=Role.HOLDER,
                whole=False,
                fresh=False,
            )
        )

    def _todo(self, unless_read: float, unless_written: float) -> list[RouteWrite]:
        """Give what is to be written: what is known to be wrong comes first."""
        refused = self.ownership.refused_lately()
        wrong: list[RouteWrite] = []
        unsure: list[RouteWrite] = []
        with self._lock:
            changes = self.ownership.role_changes
            if changes != self._role_changes:  # what was written then is another's by now
                self._role_changes = changes
                self._written.clear()
            for steer, kept in self._kept.items():
                written = self._written.get(steer, NEVER)
                if steer in refused:
                    continue
                if kept.verdict is Verdict.WRITE and written <= max(kept.asked, unless_written):
                    wrong.append(kept.write)
                elif kept.asked <= unless_read and written <= unless_written:
                    unsure.append(kept.write)
        return wrong + unsure
