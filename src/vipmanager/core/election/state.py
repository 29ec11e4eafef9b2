"""All that an election remembers. Times are this machine's monotonic seconds."""

from dataclasses import dataclass
from enum import Enum, auto

from vipmanager.core.election import record as lease_record
from vipmanager.core.election.actions import Purpose
from vipmanager.core.election.role import Role
from vipmanager.core.election.values import (
    ElectionSettings,
    Fitness,
    Generation,
    Member,
    Order,
    Why,
)
from vipmanager.core.lease import LeaseRecord

NEVER = float("-inf")
FOREVER = float("inf")
UNKNOWN = Fitness(kernel=False, planned=False)
"""Before the first pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseObservation:
    """What is known of the Lease, and since when."""

    known: bool = False
    record: LeaseRecord | None = None
    held_by_other: bool = False
    """Whether another agent was its last holder, as far as this one saw."""
    observed_time: float = NEVER
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
    """Whether it was refused."""
    refused: float = NEVER
    """When the first call of a row was refused."""
    again: float = NEVER
    """When the last one was; NEVER once a call of its kind was answered."""
    unwritten: bool = False
    """Whether that was a write: a reading that is allowed says nothing of those."""
    reading: bool = False
    writing: Purpose | None = None
    replacing: LeaseRecord | None = None
    """What the last write was to replace."""
    trying: LeaseRecord | None = None
    """What an acquisition wrote that may have been done, unheard."""
    tried: float = NEVER
    """When it was sent."""
    stale: bool = False
    """Whether a conflict, or a lost answer, says that there is something newer to read first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A standby's probes of the present holder."""

    number: int = 0
    """Of the last probe."""
    due: float = NEVER
    since: int = 0
    """Those up to this one were sent to another holder."""
    void: int = 0
    """Those up to this one were answered late, if so, because this agent slept."""
    answered: int = 0
    """The greatest number that was answered."""
    asked: float = FOREVER
    """When the first probe since the last answer was sent; that there is none yet is `FOREVER`."""
    heard: float = NEVER
    """When the last answer came."""
    clock: float | None = None
    """The holder's clock in it."""
    streak: int = 0
    """Probes in a row that were answered before the next one was sent."""
    misses: int = 0
    """Intervals in a row without any answer."""
    trusted: bool = False
    """Whether silence means anything: the last answers came in a row, each in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """What the API tells of the pod of a holder that is not heard."""

    about: str = ""
    """The UID that was asked about last."""
    asked: float = NEVER
    """When that was."""
    asking: bool = False
    forbidden: bool = False
    """Whether the last question was refused."""
    gone: str = ""
    """A UID that no pod has any more; it never comes back."""


class Phase(Enum):
    """What the holder does about its routes."""

    IDLE = auto()
    READING = auto()
    PROVING = auto()
    """They are wrong; nothing is written before the Lease has been read once more."""
    WRITING = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteWork:
    """A holder's work on its routes."""

    phase: Phase = Phase.IDLE
    due: float = NEVER
    """When they are read next."""
    observed: float = NEVER
    """When they were last looked at: a fence is newer than that."""
    failing: float | None = None
    """Since when they can't be written; one that waits for EC2's bucket can."""
    stale: int = 0
    """Proofs in a row that were too old on arrival: the API is slow, and the fence grows."""
    recheck: float = NEVER
    """Until when the last holder's writes may still land and be shown."""
    rewrite: float = FOREVER
    """From when on all of them are written once more, if no reading can tell."""
    unless_read: float = NEVER
    unless_written: float = NEVER
    """As in `WriteRoutes`, until a wave is done."""
    denied: int = 0
    """Routes that EC2 does not let this agent write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A standby as the holder hears it."""

    identity: str
    at: float
    number: int
    """Of its last probe."""
    interval: float
    """Seconds between two of its probes."""
    quiet: bool = False
    """Whether its silence, or its deafness, was answered by a renewal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The Lease as its holder has it."""

    generation: Generation
    renewed: float
    """When the last write that was accepted was sent."""
    renew: float
    """When it is renewed next, at the latest."""
    offer: str = ""
    """As it stands in the Lease."""
    distrust: bool = False
    """As it stands in the Lease."""
    standbys: str = ""
    """As it stands in the Lease."""
    insisted: str | None = ""
    """Why it should have left when a person claimed it: that reason alone does not count."""
    silenced: str | None = None
    """The holder that was taken for dead: whoever hears it knows better."""
    before: int | None = None
    """How many routes EC2 did not let the last holder write, which offered the Lease for it."""
    why: str = Why.FREE.value
    """What allowed it."""
    superseded: bool = False
    """Whether a later holder was heard, and the Lease has not been read since."""
    relieved: bool = False
    """Whether its routes lead to another, and nothing has shown since that it holds the Lease."""
    work: RouteWork = RouteWork()
    peers: tuple[Peer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything; `step` makes the next of it."""

    me: Member
    settings: ElectionSettings
    fitness: Fitness = UNKNOWN
    fit_since: float = FOREVER
    stays_since: float = NEVER
    """Since when the pod need not leave; it counts while that is so."""
    observed: LeaseObservation = LeaseObservation()
    session: Session = Session()
    lookup: Lookup = Lookup()
    hold: Hold | None = None
    order: Order | None = None
    distrusted: float = NEVER
    """Until when heartbeats are not believed, by what this agent saw itself."""
    tempted: float = FOREVER
    """Since when the Lease might be taken, for a pod that should leave and lets others go first."""
    takeover_backoff: float = NEVER
    """Until when nothing is taken, since a wave of ours could not be finished."""
    failed_waves: int = 0
    """Waves in a row that could not be finished."""
    gave: float = NEVER
    """When a standby last took what this agent had offered, or could not keep."""
    relapses: int = 0
    """How often that was, with no long time between."""

    @property
    def role(self) -> Role:
        """What this agent is."""
        if self.hold is None:
            return Role.STANDBY
        return Role.RELIEVED if self.hold.relieved else Role.HOLDER

    @property
    def retired(self) -> bool:
        """Whether this agent was asked to take nothing."""
        return self.order is Order.STOP or self.order is Order.YIELD

    def distrusts(self, now: float) -> bool:
        """Tell whether heartbeats are not to be believed."""
        if now < self.distrusted:
            return True
        seen = self.observed.record
        return seen is not None and lease_record.DISTRUST in seen.annotations

    def unfinished(self, now: float) -> bool:
        """Tell whether this is a holder whose wave has failed for too long."""
        return self.hold is not None and unfinished(self.hold, self.settings, now)


def patience(settings: ElectionSettings) -> float:
    """Give the seconds after which an unfinished wave is another's to try."""
    return settings.lease + settings.write


def unfinished(hold: Hold, settings: ElectionSettings, now: float) -> bool:
    """Tell whether a holder's wave has failed for too long."""
    failing = hold.work.failing
    return failing is not None and now >= failing + patience(settings)


def forgotten(settings: ElectionSettings) -> float:
    """Give the seconds of fitness, or of holding, after which an agent begins anew."""
    return 4 * settings.healed


def healing(state: State) -> float:
    """Give the seconds of fitness that are asked of this agent, since it gave the Lease up."""
    settings = state.settings
    if not state.relapses:
        return 0.0
    return min(settings.heal * 4.0 ** min(state.relapses - 1, 9), settings.healed)


def rested(state: State) -> float:
    """Give when this agent, if it stays fit, may take what a living holder offers."""
    return max(state.takeover_backoff, max(state.fit_since, state.gave) + healing(state))


def talking(state: State, now: float) -> bool:
    """Tell whether the holder was heard lately."""
    settings = state.settings
    return now < state.session.heard + settings.detect_multiplier * settings.heartbeat


def lapse(state: State) -> float:
    """Give when the Lease is expired, as far as the Lease alone tells.

    Time in which the API did not answer does not count: the holder could not renew either.
    """
    observed = state.observed
    duration = lease_record.duration_of(observed.record, state.settings)
    return max(observed.observed_time, observed.since) + duration


def expiry(state: State, now: float) -> float:
    """Give when the Lease may be taken: a holder that is heard gets its time once more."""
    duration = lease_record.duration_of(state.observed.record, state.settings)
    return lapse(state) + (duration if talking(state, now) else 0.0)
