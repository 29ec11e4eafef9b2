"""What the agent knows of itself, for those who ask; and orders, given and obeyed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from vipmanager.core.command import Command
from vipmanager.core.failures import Transient
from vipmanager.core.progress import Progress
from vipmanager.core.report import Report
from vipmanager.core.retry import Bucket
from vipmanager.core.status import Status
from vipmanager.core.tally import Recovery, Tally
from vipmanager.engine.inbox import Inbox, Wish
from vipmanager.ports import Clock, Tasks

if TYPE_CHECKING:  # an agent without a Lease starts sooner without these
    from vipmanager.core.heartbeat import Count, DropReason
    from vipmanager.core.role_status import RoleStatus

PATIENCE = 15.0
"""Seconds for an order to be obeyed: a wave under way may last ten."""


def late() -> Transient:
    """Make a failure of an order that was given up before anybody obeyed it."""
    return Transient(
        f"the agent did not come to it within {PATIENCE:.0f} s, and will not obey it later",
        "vipmanager status shows what it waits for; then try again",
    )


class Election(Protocol):
    """What a `StatusStore` asks of an elector."""

    role_status: RoleStatus

    def obey(self, wanted: Command, wish: Wish) -> None:
        """Yield or claim; return once it is done."""
        ...

    def document(self) -> dict[str, object]:
        """Give the role as JSON values."""
        ...

    def drops(self) -> Mapping[DropReason, Count]:
        """Tell what the heartbeats met so far."""
        ...


class StatusStore:
    """A `Reporter` that remembers; safe to ask from any thread."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        clock: Clock,
        tasks: Tasks,
        buckets: Callable[[], Mapping[str, Bucket]] = dict,
        progress: Callable[[], Progress | None] = lambda: None,
    ) -> None:
        """Begin.

        Args:
            inbox: takes orders.
            clock: monotonic time.
            tasks: to wait for an order to be obeyed.
            buckets: tells what is left of EC2's budget, by action.
            progress: tells how far the routes under way are; None while none is written.
        """
        self._inbox = inbox
        self._clock = clock
        self._progress = progress
        self.buckets = buckets
        self.election: Election | None = None
        self._changed = tasks.condition()
        self._status = Status(at=clock.now())
        self._tally = Tally(recovery=Recovery(began=clock.now()))
        self._passes: Counter[str] = Counter()

    def report(self, report: Report) -> None:
        """Take one pass's report."""
        with self._changed:
            now = self._clock.now()
            self._status = self._status.after(report, now)
            self._tally = self._tally.after(report, now)
            self._passes.update(report.reasons)
            self._changed.notify_all()

    def begun(self, report: Report) -> None:
        """Take what a pass has read and decided, before it writes."""
        with self._changed:
            self._status = self._status.begun(report, self._clock.now())

    @property
    def status(self) -> Status:
        """The state after the last pass, and how far the next one is."""
        return self._status.at_work(self._progress())

    @property
    def tally(self) -> Tally:
        """The counts after the last pass."""
        return self._tally

    @property
    def role_status(self) -> RoleStatus | None:
        """The role, where a Lease decides."""
        return self.election.role_status if self.election is not None else None

    @property
    def drops(self) -> Mapping[DropReason, Count]:
        """What the heartbeats met so far."""
        return self.election.drops() if self.election is not None else {}

    def document(self) -> dict[str, object]:
        """Give the state as JSON values."""
        now = self._clock.now()
        budget = {
            action: {"left": round(bucket.left(now), 1), "throttled": bucket.refused}
            for action, bucket in sorted(self.buckets().items())
        }
        election = {"election": self.election.document()} if self.election is not None else {}
        return self.status.document(now) | {"budget": budget} | election

    def obey(self, order: Command, waits: Callable[[], bool] = lambda: True) -> Status:
        """Hand an order to the loop; return once a pass has obeyed it.

        Args:
            order: what is asked for.
            waits: tells whether its asker still waits for it; else it is void.

        Raises:
            Transient: it was not obeyed in time. It will not be later, or the failure says so.
        """
        wish = Wish(waits)
        if self.election is not None:
            self.election.obey(order, wish)
        with self._changed:
            before = self._passes[order.value]
            self._inbox.put(order.value, wish)
            if self._changed.wait_for(lambda: self._passes[order.value] > before, PATIENCE):
                return self._status
        if wish.withdraw():
            raise late()
        raise Transient(
            f"the agent obeys, and was not done within {PATIENCE:.0f} s",
            "vipmanager status shows what it waits for",
        )
