"""What goes wrong, and when: a schedule is a value, made from its seed alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from vipmanager_lab.ec2.faults import Break, Unreachable


class Kind(Enum):
    """What lives in the pod."""

    SIDECAR = "a sidecar that reads everything again every second"
    STARTUP = "a sidecar that reads again only when it has a reason to"
    INIT = "an initContainer"
    PAIR = "two pods, a sidecar in each, with the same floating IPs"


@dataclass(frozen=True, slots=True)
class Slow:
    """Every EC2 call takes longer."""

    seconds: float
    jitter: float


@dataclass(frozen=True, slots=True)
class Throttle:
    """EC2's bucket for an action is small, since others draw on it."""

    action: str
    burst: int
    refill: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """EC2 answers some calls with an error that passes."""

    action: str | None
    code: str
    status: int
    times: int


@dataclass(frozen=True, slots=True)
class Broken:
    """Some answers do not arrive whole."""

    action: str | None
    how: Break
    times: int


@dataclass(frozen=True, slots=True)
class Hanging:
    """Some calls hang, and land late."""

    action: str | None
    seconds: float
    times: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The node's packets vanish: every connection is half-open."""


@dataclass(frozen=True, slots=True)
class Away:
    """EC2 can't be reached."""

    how: Unreachable


@dataclass(frozen=True, slots=True)
class Stale:
    """EC2 shows what was true a while ago."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Imds:
    """IMDS lags or is lost: `lagging`, `missing`, `down` or `slow`."""

    mood: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """The role's credentials are good no more; IMDS has others."""


@dataclass(frozen=True, slots=True)
class Expiring:
    """IMDS hands out credentials that expire after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stolen:
    """Somebody points a destination at another live ENI in some tables.

    The undoing is the end of that ENI: it takes the claim to a live one along.
    """

    tables: tuple[int, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """Somebody deletes our routes from some tables."""

    tables: tuple[int, ...]
    number: int


@dataclass(frozen=True, slots=True)
class TableAdded:
    """A route table comes into being; perhaps a gateway has our destination in it."""

    gateway: bool


@dataclass(frozen=True, slots=True)
class TableDeleted:
    """A route table that no subnet uses is deleted."""


@dataclass(frozen=True, slots=True)
class Detached:
    """EC2 shows the ENI under an interface detached."""

    number: int


@dataclass(frozen=True, slots=True)
class AddressAdded:
    """The pod gets one more floating IP; the undoing takes it away."""

    number: int


@dataclass(frozen=True, slots=True)
class AddressRemoved:
    """A floating IP vanishes from the pod; the undoing puts it back."""

    number: int


@dataclass(frozen=True, slots=True)
class LinkDown:
    """An interface of the pod goes down."""

    number: int


@dataclass(frozen=True, slots=True)
class ClockStep:
    """The wall clock jumps, for good."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Killed:
    """SIGKILL; the container starts again after `restart` seconds."""

    zone: str
    restart: float


@dataclass(frozen=True, slots=True)
class Paused:
    """SIGSTOP, and SIGCONT as the undoing."""

    zone: str


@dataclass(frozen=True, slots=True)
class Gateway:
    """From before the start, a table routes a destination to a gateway."""

    table: int
    number: int


@dataclass(frozen=True, slots=True)
class Squatter:
    """From before the start, an ENI lives in the dummy subnet of a floating IP."""

    number: int


@dataclass(frozen=True, slots=True)
class Forgotten:
    """EC2 accepts a new route, and somebody deletes it before anyone reads."""

    times: int


Fault = (
    Slow
    | Throttle
    | Refuse
    | Broken
    | Hanging
    | Cut
    | Away
    | Stale
    | Imds
    | Revoked
    | Expiring
    | Stolen
    | Dropped
    | TableAdded
    | TableDeleted
    | Detached
    | AddressAdded
    | AddressRemoved
    | LinkDown
    | ClockStep
    | Killed
    | Paused
    | Gateway
    | Squatter
    | Forgotten
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """A fault, its moment, and that of its undoing."""

    at: float
    fault: Fault
    until: float | None = None
    """None where nothing is undone."""

    def __str__(self) -> str:
        end = "" if self.until is None else f" until {self.until:.2f}"
        return f"{self.at:5.2f} s{end:>11}  {self.fault}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Everything that happens in one world; times are seconds since the agent's start."""

    seed: int
    kind: Kind
    pattern: int
    version: int
    tables: int
    source_routing: bool
    before: str
    """What every route of ours points at in the beginning: `nothing`, a `dead` or a `live` ENI."""
    warm: bool
    """Whether the faults begin after the first convergence."""
    strikes: tuple[Strike, ...]

    @property
    def over(self) -> float:
        """When the last fault strikes or is undone."""
        return max((s.until or s.at for s in self.strikes), default=0.0)

    @property
    def zones(self) -> str:
        """Where pods live."""
        return "ab" if self.kind is Kind.PAIR else "a"

    def having(self, *kinds: type[Fault]) -> Iterator[Strike]:
        """The strikes of these kinds."""
        return (s for s in self.strikes if isinstance(s.fault, kinds))

    def __str__(self) -> str:
        routing = "source-based routing" if self.source_routing else "peer routes"
        when = "warm" if self.warm else "cold"
        head = (
            f"seed {self.seed}: {self.kind.value}; pattern {self.pattern}, IPv{self.version}, "
            f"{self.tables} tables, {self.before} before, {routing}, {when}"
        )
        return "\n".join((head, *(f"  {s}" for s in self.strikes)))
