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
class Heard:
    """An authentic heartbeat message."""

    message: Message
    source: str
    """The address it came from."""


@dataclass(frozen=True, slots=True)
class FitnessChanged:
    """This pod can carry the floating IPs, or can't any more."""

    fitness: Fitness


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutesRead:
    """The answer to `ReadRoutes`, or a reading that was made for another reason."""

    generation: Generation
    right: bool | None
    """Whether every table points here; None where they could not be read."""


class Outcome(Enum):
    """How a wave ended."""

    DONE = auto()
    """Every write was accepted."""
    FAILED = auto()
    OUT_OF_TIME = auto()
    """It outlasted its fence: what is left needs a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveEnded:
    """The answer to `Steer`."""

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
    | Heard
    | FitnessChanged
    | RoutesRead
    | WaveEnded
    | Asked
)
