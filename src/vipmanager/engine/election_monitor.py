"""What a person should read about an election, and when a pass is due that shows it."""

from collections.abc import Callable, Mapping

from vipmanager.core.election.conditions import election_findings
from vipmanager.core.election.state import Phase, State
from vipmanager.core.forged import Forged
from vipmanager.core.heartbeat import Count, DropReason
from vipmanager.engine.lease_client import LeaseClient
from vipmanager.engine.lease_ownership import LeaseOwnership
from vipmanager.engine.leaving import Leaving
from vipmanager.ports import Inbox

CHANGED = "the election"
"""The reason of a pass that shows what was found."""

EVERY = 1.0
"""Seconds between two looks."""
BUSY = 5.0
"""The same during a wave, which has the processor first."""
REREAD = 2.0
"""Seconds after another took the Lease until its routes are read: they are what a takeover from it
has to replace."""

_NEVER = float("inf")


class ElectionMonitor:
    """Looks at the election now and then, and hands to passes what it finds."""

    def __init__(
        self,
        *,
        lease: str,
        lease_client: LeaseClient,
        leaving: Leaving,
        ownership: LeaseOwnership,
        inbox: Inbox,
        drops: Callable[[], Mapping[DropReason, Count]],
    ) -> None:
        """Look at nothing yet; `lease` is the Lease's name, for people."""
        self._lease, self._lease_client, self._ownership = lease, lease_client, ownership
        self._leaving = leaving
        self._inbox, self._troubles = inbox, drops
        self._looked = -_NEVER
        self._reread = _NEVER
        self._forged = Forged()

    def look(self, before: State, state: State, now: float, *, asked: bool) -> None:
        """Look after a step, if it is time or something has to be known at once."""
        if state.observed.taken != before.observed.taken:
            self._reread = now + REREAD
        # Another role too: who obeyed an order has to find it here at once.
        news = (
            asked or state.observed.known != before.observed.known or state.role is not before.role
        )
        writing = state.hold is not None and state.hold.work.phase is Phase.WRITING
        if not news and now < self._looked + (BUSY if writing else EVERY):
            return
        self._looked = now
        self._forged = self._forged.after(self._troubles().get(DropReason.UNAUTHENTIC), now)
        found = (
            *election_findings(state, now, lease=self._lease),
            *self._lease_client.findings(now),
            *self._leaving.findings(),
            *self._forged.findings(),
        )
        if found != self._ownership.election_findings or now >= self._reread:
            self._ownership.election_findings = found
            self._inbox.put(CHANGED)
        if now >= self._reread:
            self._reread = _NEVER
