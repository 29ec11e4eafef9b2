"""What an election hears of."""

from dataclasses import dataclass
from enum import Enum, auto

from vipmanager.core.election.actions import Purpose
from vipmanager.core.election.values import Fitness, Generation, Message, Order
from vipmanager.core.lease import LeaseRecord


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; due at `wake(state, now)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRead:
    """The answer to `ReadLease`."""

    record: LeaseRecord | None
    sent: float
    """Taken before the request was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseChanged:
    """A watch tells of a change; it may be late, and is a hint to a holder."""

    record: LeaseRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseWritten:
    """The answer to `WriteLease`."""

    purpose: Purpose
    record: LeaseRecord
    """As it is stored."""
    sent: float
    """Taken before the request was sent."""


@dataclass(frozen=True, slots=True)
class LeaseConflict:
    """The answer to `WriteLease`: the Lease is another than the one that was to be replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseFailed:
    """No answer to a Lease call, or a refusal; a write may have been done all the same."""

    purpose: Purpose | None
    """None for a reading."""
    forbidden: bool = False
    """Whether a person has to change something first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSeen:
    """The answer to `LookUpHolder`."""

    pod: str
    """The UID that was asked about."""
    uid: str | None
    """The UID of the pod that has its name now; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodUnseen:
    """No answer to `LookUpHolder`, or a refusal: nothing is known."""

    forbidden: bool = False
    """Whether a person has to change something first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An authentic heartbeat message."""

    message: Message
    source: str
    """The address it came from."""


@dataclass(frozen=True, slots=True)
class FitnessChanged:
    """This pod can carry the floating IPs, or can't any more."""

    fitness: Fitness


@dataclass(frozen=True, slots=True)
class AddressesChanged:
    """This pod has other floating IPs now."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesRead:
    """The answer to `ReadRoutes`, or a reading that was made for another reason."""

    generation: Generation
    right: bool | None
    """Whether nothing is left to write, by what is known; None where nothing is known."""
    sent: float
    """When the newest reading that EC2 answered was sent."""
    elsewhere: bool = False
    """Whether most of them lead to another living ENI."""
    denied: int = 0
    """Routes that EC2 does not let this agent write."""


class Outcome(Enum):
    """How a wave ended."""

    DONE = auto()
    """Every write was accepted."""
    FAILED = auto()
    OUT_OF_TIME = auto()
    """It outlasted its fence, or EC2 throttles: what is left needs a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveEnded:
    """The answer to `WriteRoutes`."""

    generation: Generation
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Asked:
    """A person, the kubelet or AWS wants something."""

    order: Order


Event = (
    Tick
    | LeaseRead
    | LeaseChanged
    | LeaseWritten
    | LeaseConflict
    | LeaseFailed
    | PodSeen
    | PodUnseen
    | Heard
    | FitnessChanged
    | AddressesChanged
    | RoutesRead
    | WaveEnded
    | Asked
)
