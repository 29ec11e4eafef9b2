"""What an election wants done. Each call is answered by one event, sooner or later."""

from dataclasses import dataclass
from enum import Enum, auto

from vipmanager.core.election.role import Role
from vipmanager.core.election.values import Generation, Message
from vipmanager.core.lease import LeaseRecord


class Purpose(Enum):
    """What a write of the Lease is for; it tells which times the edge stamps."""

    ACQUIRE = auto()
    """`acquireTime` and `renewTime`."""
    RENEW = auto()
    """`renewTime`."""
    RELEASE = auto()
    """None."""


@dataclass(frozen=True, slots=True)
class ReadLease:
    """Read the newest version: a GET, never a cache. Answered by LeaseRead or LeaseFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLease:
    """Replace the version that the record names, or create it where it has no uid.

    Answered by LeaseWritten, LeaseConflict or LeaseFailed.
    """

    purpose: Purpose
    record: LeaseRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUpHolder:
    """Ask the API for the UID of the holder's pod. Answered by PodSeen or PodUnseen."""

    name: str
    """In the own namespace."""
    pod: str
    """The UID that the Lease names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send a heartbeat message; it has no answer."""

    to: str
    message: Message


@dataclass(frozen=True, slots=True)
class ReadRoutes:
    """Read every table. Answered by RoutesRead."""

    generation: Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRoutes:
    """Point every route here that is not known to lead here. Answered by WaveEnded."""

    generation: Generation
    until: float
    """No write is sent at this time or later; it is looked at before each one is sent."""
    unless_read: float
    """Only a reading that was sent later than this tells that a route is right."""
    unless_written: float
    """Only a write of this generation that was sent later than this need not be repeated."""


@dataclass(frozen=True, slots=True)
class StopWriting:
    """Send no further write of this generation; the wave's end is still told."""

    generation: Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRole:
    """Show a new role, and say why."""

    role: Role
    why: str
    generation: Generation | None
    """Of a holder."""


Action = (
    ReadLease | WriteLease | LookUpHolder | Send | ReadRoutes | WriteRoutes | StopWriting | SetRole
)
