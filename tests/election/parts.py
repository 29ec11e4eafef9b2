"""Agents that lost a part, for the proof that the simulator misses it."""

from dataclasses import replace

from election.agent import Agent
from vipmanager.core.election.actions import Action, ReadLease, ReadRoutes, WriteLease
from vipmanager.core.election.events import LeaseRead, RoutesRead
from vipmanager.core.election.record import DISTRUST
from vipmanager.core.election.state import NEVER, Phase
from vipmanager.core.lease import LeaseRecord


class Unfenced(Agent):
    """It answers the question for the Lease before a write from memory."""

    def act(self, action: Action, now: float) -> None:
        hold = self.state.hold
        fencing = hold is not None and hold.wave.phase is Phase.FENCING
        if isinstance(action, ReadLease) and fencing:
            record = self.state.sight.record
            self._later(0.0, LeaseRead(record=record, sent=now))
        else:
            super().act(action, now)


class Trusting(Agent):
    """It believes heartbeats whatever they did, and says nothing of it in the Lease."""

    def act(self, action: Action, now: float) -> None:
        self.state = replace(self.state, distrusted=NEVER)
        if isinstance(action, WriteLease):
            action = replace(action, record=_trusted(action.record))
        super().act(action, now)


class Unread(Agent):
    """What it wrote is right for it: after its first wave it does not look at routes again."""

    def act(self, action: Action, now: float) -> None:
        if isinstance(action, ReadRoutes):
            self._later(0.0, RoutesRead(generation=action.generation, right=True))
        else:
            super().act(action, now)


def without(part: str) -> type[Agent]:
    """Give an agent that lost a part; a whole one for none."""
    return {"": Agent, "fence": Unfenced, "distrust": Trusting, "read-back": Unread}[part]


def _trusted(record: LeaseRecord) -> LeaseRecord:
    notes = {k: v for k, v in record.annotations.items() if k != DISTRUST}
    return replace(record, annotations=notes)
