"""What a person should read about an election, and when a pass is due that shows it."""

from collections.abc import Callable, Mapping

from vipmanager.core.election.conditions import plights
from vipmanager.core.election.state import Phase, State
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.heartbeat import Count, Trouble
from vipmanager.engine.leasing import Leasing
from vipmanager.engine.steering import Steering
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
FORGED = 10.0
"""Seconds for which a datagram with a wrong seal is spoken of."""

_NEVER = float("inf")


class Lookout:
    """Looks at the election now and then, and hands to passes what it finds."""

    def __init__(
        self,
        *,
        lease: str,
        leasing: Leasing,
        steering: Steering,
        inbox: Inbox,
        troubles: Callable[[], Mapping[Trouble, Count]],
    ) -> None:
        self._lease, self._leasing, self._steering = lease, leasing, steering
        self._inbox, self._troubles = inbox, troubles
        self._looked = -_NEVER
        self._reread = _NEVER
        self._forged = (0, -_NEVER)
        """Datagrams with a wrong seal so far, and when the last look found new ones."""

    def look(self, before: State, state: State, now: float, *, asked: bool) -> None:
        """Look after a step, if it is time or something has to be known at once."""
        if state.sight.taken != before.sight.taken:
            self._reread = now + REREAD
        news = asked or state.sight.known != before.sight.known
        writing = state.hold is not None and state.hold.wave.phase is Phase.WRITING
        if not news and now < self._looked + (BUSY if writing else EVERY):
            return
        self._looked = now
        found = (
            *plights(state, now, lease=self._lease),
            *self._leasing.findings(now),
            *self._forgeries(now),
        )
        if found != self._steering.plights or now >= self._reread:
            self._steering.plights = found
            self._inbox.put(CHANGED)
        if now >= self._reread:
            self._reread = _NEVER

    def _forgeries(self, now: float) -> tuple[Finding, ...]:
        """Say that datagrams arrive that are sealed with another key."""
        met = self._troubles().get(Trouble.UNAUTHENTIC)
        if met is None:
            return ()
        if met.number > self._forged[0]:
            self._forged = (met.number, now)
        if now >= self._forged[1] + FORGED:
            return ()
        address = met.last.rpartition(":")[0]
        return (find(Condition.HEARTBEAT_FORGED, "heartbeat", address=address),)
