"""What the agent knows of itself, for those who ask; and orders, given and obeyed."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from vipmanager.core.failures import Transient
from vipmanager.core.heartbeat import Count, Trouble
from vipmanager.core.order import Order
from vipmanager.core.report import Report
from vipmanager.core.retry import Bucket
from vipmanager.core.status import Status
from vipmanager.core.tally import Progress, Tally
from vipmanager.core.tenure import Tenure
from vipmanager.ports import Clock, Inbox, Tasks

PATIENCE = 15.0
"""Seconds for an order to be obeyed: a wave under way may last ten."""


class Election(Protocol):
    """What a `Record` asks of an elector."""

    tenure: Tenure

    def obey(self, wanted: Order) -> None:
        """Yield or claim; return once it is done."""
        ...

    def document(self) -> dict[str, object]:
        """Give the role as JSON values."""
        ...

    def troubles(self) -> Mapping[Trouble, Count]:
        """Tell what the heartbeats met so far."""
        ...


class Record:
    """A `Reporter` that remembers; safe to ask from any thread."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        clock: Clock,
        tasks: Tasks,
        buckets: Callable[[], Mapping[str, Bucket]] = dict,
    ) -> None:
        """Begin; `buckets` tells what is left of EC2's budget, by action."""
        self._inbox = inbox
        self._clock = clock
        self.buckets = buckets
        self.election: Election | None = None
        self._changed = tasks.condition()
        self._status = Status(at=clock.now())
        self._tally = Tally(progress=Progress(began=clock.now()))
        self._passes: Counter[str] = Counter()

    def report(self, report: Report) -> None:
        """Take one pass's report."""
        with self._changed:
            now = self._clock.now()
            self._status = self._status.after(report, now)
            self._tally = self._tally.after(report, now)
            self._passes.update(report.reasons)
            self._changed.notify_all()

    @property
    def status(self) -> Status:
        """The state after the last pass."""
        return self._status

    @property
    def tally(self) -> Tally:
        """The counts after the last pass."""
        return self._tally

    @property
    def tenure(self) -> Tenure | None:
        """The role, where a Lease decides."""
        return self.election.tenure if self.election is not None else None

    @property
    def troubles(self) -> Mapping[Trouble, Count]:
        """What the heartbeats met so far."""
        return self.election.troubles() if self.election is not None else {}

    def document(self) -> dict[str, object]:
        """Give the state as JSON values."""
        now = self._clock.now()
        budget = {
            action: {"left": round(bucket.left(now), 1), "throttled": bucket.refused}
            for action, bucket in sorted(self.buckets().items())
        }
        election = {"election": self.election.document()} if self.election is not None else {}
        return self._status.document(now) | {"budget": budget} | election

    def obey(self, order: Order) -> Status:
        """Hand an order to the loop; return once a pass has obeyed it.

        Raises:
            Transient: no pass ended in time; the order stands all the same.
        """
        if self.election is not None:
            self.election.obey(order)
        with self._changed:
            before = self._passes[order.value]
            self._inbox.put(order.value)
            if self._changed.wait_for(lambda: self._passes[order.value] > before, PATIENCE):
                return self._status
        raise Transient(
            f"the agent has not obeyed within {PATIENCE:.0f} s",
            "it will when its pass ends; vipmanager status shows what it waits for",
        )
