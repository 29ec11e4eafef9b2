"""What an election is about: who takes part, how fit it is, and what two agents tell each other."""

from dataclasses import dataclass
from enum import Enum

from vipmanager.core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionSettings:
    """Times of the election, in seconds."""

    lease: float = 5.0
    """`LeaseSeconds`: how long a silent holder keeps the Lease when heartbeats can't tell."""
    heartbeat: float = 0.1
    """`HeartbeatMs`: how often a standby probes the holder."""
    preferred_zone: str | None = None
    """`PreferredZone`: where the floating IPs go back to."""
    misses: int = 3
    """Unanswered probes in a row that allow a takeover; as many answered ones earn trust."""
    fence: float = 1.0
    """How long after a reading of the Lease was sent a write may still be sent."""
    write: float = 5.0
    """How long a sent write may take to land: connect and read time-outs of the EC2 edge, once."""
    settle: float = 5.0
    """How long EC2 may still show what a write replaced."""
    recheck: float = 1.0
    """Between two readings of the routes while the last holder's writes may still land."""
    resync: float = 30.0
    """Between two readings of the routes otherwise."""
    retry: float = 0.25
    """Before a failed call is made again."""
    distrust: float = 60.0
    """How long heartbeats are not believed after they misled."""
    prefer: float = 60.0
    """How long the preferred zone's standby must have been fit before it takes over."""
    forget: float = 30.0
    """How long a standby that is no longer heard is remembered."""


def election_settings(settings: Settings) -> ElectionSettings:
    """Give the election's times as the operator asked for them."""
    return ElectionSettings(
        lease=settings.lease_seconds,
        heartbeat=settings.heartbeat,
        preferred_zone=settings.preferred_zone,
        resync=settings.resync,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """This agent."""

    pod: str
    """The pod's UID."""
    nonce: str
    """Drawn anew by each process."""
    address: str
    """Where heartbeats reach it, as `ip:port`; empty without heartbeats."""
    zone: str
    fingerprint: str
    """Of the group's floating IPs."""

    @property
    def identity(self) -> str:
        """What stands in the Lease."""
        return f"{self.pod}/{self.nonce}"


def pod_of(identity: str) -> str:
    """Give the pod's UID of an identity."""
    return identity.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitness:
    """Whether this pod can carry the floating IPs, by what its agent has seen itself."""

    healthy: bool = True
    """The application's health check."""
    kernel: bool = True
    """The pod's rules and routes are there."""
    link: bool = True
    """Its interfaces are up."""
    attached: bool = True
    """The ENIs under them are attached."""
    ec2: bool = True
    """EC2 answered lately."""

    @property
    def may_keep(self) -> bool:
        """EC2 is left out: routes that are right stay right without it."""
        return self.healthy and self.kernel and self.link and self.attached

    @property
    def may_take(self) -> bool:
        """A takeover needs EC2 at once."""
        return self.may_keep and self.ec2

    def __str__(self) -> str:
        """Name what is missing."""
        return ", ".join(
            lack
            for there, lack in (
                (self.healthy, "the application is unhealthy"),
                (self.kernel, "the pod's routes are not ready"),
                (self.link, "an interface is down"),
                (self.attached, "an ENI is detached"),
                (self.ec2, "EC2 does not answer"),
            )
            if not there
        )


@dataclass(frozen=True, slots=True)
class Generation:
    """One holding of the Lease, from an acquisition to its end; the fence's token."""

    uid: str
    transitions: int

    def __str__(self) -> str:
        """Show it as logs do."""
        return f"{self.transitions} of Lease {self.uid}"


class Why(Enum):
    """What allowed an acquisition; the value stands in the Lease."""

    ABSENT = "absent"
    """There was no Lease."""
    FREE = "free"
    """It was released."""
    OWN = "own"
    """It names this process, which does not hold it, or an earlier process of this pod."""
    OFFERED = "offered"
    """Its holder asked for a better one."""
    PREFERRED = "preferred"
    """Its holder lies outside the preferred zone, and this pod inside."""
    SILENT = "silent"
    """Its holder stopped answering probes."""
    EXPIRED = "expired"
    """It was not renewed in time."""
    CLAIMED = "claimed"
    """A person asked for it."""


class Order(Enum):
    """What this agent is asked to do."""

    LEAVE = "leave"
    """SIGTERM, a termination notice: hand over, and take nothing any more."""
    YIELD = "yield"
    """The same, until `CLAIM`."""
    CLAIM = "claim"
    """Take the floating IPs, whoever has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A standby asks the holder whether it lives."""

    sender: str
    number: int
    heard: int
    """The greatest number that was replied to; 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The holder lives."""

    sender: str
    number: int
    """Of the probe; 0 for a new holder that tells the old one without being asked."""
    generation: Generation


Message = Probe | Reply
