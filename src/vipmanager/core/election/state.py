"""All that an election remembers. Times are this machine's monotonic seconds."""

from dataclasses import dataclass
from enum import Enum, auto

from vipmanager.core.election import record as lease_record
from vipmanager.core.election.actions import Purpose, Role
from vipmanager.core.election.values import ElectionSettings, Fitness, Generation, Member, Order
from vipmanager.core.lease import LeaseRecord

NEVER = float("-inf")
FOREVER = float("inf")
UNKNOWN = Fitness(kernel=False, ec2=False)
"""Before the first pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is known of the Lease, and since when."""

    known: bool = False
    record: LeaseRecord | None = None
    held_by_other: bool = False
    """Whether another agent was its last holder, as far as this one saw."""
    changed: float = NEVER
    """When life was last seen in it."""
    taken: float = NEVER
    """When its present generation was first seen."""
    contact: float = NEVER
    """When the API last answered."""
    since: float = NEVER
    """When the API began to answer without a longer gap."""
    read: float = NEVER
    """When the last reading that was answered was sent."""
    asked: float = NEVER
    """When the last reading was sent."""
    written: float = NEVER
    """When a write of ours was last answered: a reading sent before proves nothing."""
    failed: float = NEVER
    """When a call last failed."""
    forbidden: bool = False
    reading: bool = False
    writing: Purpose | None = None
    replacing: LeaseRecord | None = None
    """What the last write was to replace."""
    stale: bool = False
    """Whether a conflict, or a lost answer, says that there is something newer to read first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A standby's probes of the present holder."""

    number: int = 0
    """Of the last probe."""
    due: float = NEVER
    answered: int = 0
    """The greatest number that was answered."""
    heard: float = NEVER
    streak: int = 0
    """Answers in a row."""
    misses: int = 0
    """Unanswered probes in a row."""
    trusted: bool = False
    """Whether its silence means anything: it was heard, and has not misled since."""


class Phase(Enum):
    """What the holder does about its routes."""

    IDLE = auto()
    READING = auto()
    FENCING = auto()
    """They are wrong; nothing is written before the Lease has been read once more."""
    WRITING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A holder's work on its routes."""

    phase: Phase = Phase.IDLE
    due: float = NEVER
    """When they are read next."""
    observed: float = NEVER
    """When they were last read: a fence is newer than that."""
    failing: float | None = None
    """Since when writes fail; one that waits for EC2's bucket does not."""
    recheck: float = NEVER
    """Until when the last holder's writes may still land and be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A standby as the holder hears it."""

    identity: str
    at: float
    number: int
    """Of its last probe."""
    quiet: bool = False
    """Whether its silence, or its deafness, was answered by a renewal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The Lease as its holder has it."""

    generation: Generation
    proven: float
    """When the last write that was accepted was sent."""
    renew: float
    """When it is renewed next, at the latest."""
    offer: str = ""
    """As it stands in the Lease."""
    distrust: bool = False
    """As it stands in the Lease."""
    silenced: str | None = None
    """The holder that was taken for dead: whoever hears it knows better."""
    wave: Wave = Wave()
    peers: tuple[Peer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything; `step` makes the next of it."""

    me: Member
    settings: ElectionSettings
    fitness: Fitness = UNKNOWN
    fit_since: float = FOREVER
    sight: Sight = Sight()
    channel: Channel = Channel()
    hold: Hold | None = None
    order: Order | None = None
    distrusted: float = NEVER
    """Until when heartbeats are not believed, by what this agent saw itself."""
    lame: float = NEVER
    """Until when nothing is taken, since a wave of ours could not be finished."""
    lapses: int = 0
    """Waves in a row that could not be finished."""

    @property
    def role(self) -> Role:
        """Holder or standby."""
        return Role.STANDBY if self.hold is None else Role.HOLDER

    @property
    def retired(self) -> bool:
        """Whether this agent was asked to take nothing."""
        return self.order is Order.LEAVE or self.order is Order.YIELD

    def distrusts(self, now: float) -> bool:
        """Tell whether heartbeats are not to be believed."""
        if now < self.distrusted:
            return True
        seen = self.sight.record
        return seen is not None and lease_record.DISTRUST in seen.annotations

    def unfinished(self, now: float) -> bool:
        """Tell whether this is a holder whose wave has failed for too long."""
        return self.hold is not None and unfinished(self.hold, self.settings, now)


def patience(settings: ElectionSettings) -> float:
    """Give the seconds after which an unfinished wave is another's to try."""
    return settings.lease + settings.write


def unfinished(hold: Hold, settings: ElectionSettings, now: float) -> bool:
    """Tell whether a holder's wave has failed for too long."""
    failing = hold.wave.failing
    return failing is not None and now >= failing + patience(settings)


def talking(state: State, now: float) -> bool:
    """Tell whether the holder was heard lately."""
    settings = state.settings
    return now < state.channel.heard + settings.misses * settings.heartbeat


def lapse(state: State) -> float:
    """Give when the Lease is expired, as far as the Lease alone tells.

    Time in which the API did not answer does not count: the holder could not renew either.
    """
    sight = state.sight
    duration = lease_record.duration_of(sight.record, state.settings)
    return max(sight.changed, sight.since) + duration


def expiry(state: State, now: float) -> float:
    """Give when the Lease may be taken: a holder that is heard gets its time once more."""
    duration = lease_record.duration_of(state.sight.record, state.settings)
    return lapse(state) + (duration if talking(state, now) else 0.0)
