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
    detect_multiplier: int = 3
    """Intervals in a row without any answer that allow a takeover (RFC 5880, bfd.DetectMult); as
    many timely answers earn the trust that it needs."""
    fence: float = 1.0
    """How long after a reading of the Lease was sent a write may still be sent."""
    write: float = 5.0
    """How long a write may take to land after the fence ended: a bound that the EC2 edge gives."""
    settle: float = 5.0
    """How long EC2 may still show what a write replaced."""
    recheck: float = 1.0
    """Between two readings of the routes while the last holder's writes may still land."""
    resync: float = 30.0
    """Between two readings of the routes otherwise."""
    retry: float = 0.25
    """Before a failed call is made again."""
    unread: float = 5.0
    """For how long an API server that starts may refuse what it will allow."""
    distrust: float = 60.0
    """How long heartbeats are not believed after they misled."""
    prefer: float = 60.0
    """How long the preferred zone's standby must have been fit before it takes over."""
    look_up: float = 1.0
    """Between two questions after the pod of a holder that is not heard."""
    forget: float = 30.0
    """How long a standby that is no longer heard is remembered."""
    hands_over: bool = False
    """`HandOverOn`: whether a pod may have to leave, so that the Lease tells who else there is."""
    heal: float = 2.0
    """How long a pod that gave the Lease up must have been fit before it takes it from a living
    holder again; four times that after the next time, and so on."""
    healed: float = 30.0
    """The most of that."""
    head: float = 1.0
    """Head start of others, at a Lease that nobody serves, before one that has to heal first."""


def election_settings(settings: Settings, *, write: float) -> ElectionSettings:
    """Give the election's times as the operator asked for them, and as EC2's edge bounds them."""
    return ElectionSettings(
        lease=settings.lease_seconds,
        heartbeat=settings.heartbeat,
        preferred_zone=settings.preferred_zone,
        resync=settings.resync,
        write=write,
        hands_over=bool(settings.hand_over_on),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """This agent."""

    pod: str
    """The pod's UID."""
    name: str
    """The pod, as `namespace/name`."""
    nonce: str
    """Drawn anew by each process."""
    address: str
    """Where heartbeats reach it, as `ip:port`; empty without heartbeats."""
    zone: str
    fingerprint: str
    """Of the group's floating IPs; all that version 0.1.0 tells a group by."""
    addresses: tuple[str, ...] = ()
    """The floating IPs."""
    workload: str = ""
    """What made the pod, as `namespace/name`; empty where its name does not tell."""
    revision: str = ""
    """Of the workload's template; empty where the pod's name does not tell."""

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
    absent: tuple[str, ...] = ()
    """Floating IPs that it had, and does not answer."""
    planned: bool = True
    """It knows which routes to write: by a reading, however old, or since it was told."""
    leaving: str | None = ""
    """Why the pod should leave its node or zone, for people; None where nobody has said yet.

    It is as fit as before: it keeps what nobody else takes, and takes what nobody else wants.
    """

    @property
    def may_keep(self) -> bool:
        """Who holds it need not know more than that."""
        return self.healthy and self.kernel and self.link and self.attached and not self.absent

    @property
    def may_take(self) -> bool:
        """Whether EC2 can be read is left out: a takeover reads nothing."""
        return self.may_keep and self.planned

    def __str__(self) -> str:
        """Name what is missing."""
        return ", ".join(
            lack
            for there, lack in (
                (self.healthy, "the application is unhealthy"),
                (self.kernel, "the pod's routes are not ready"),
                (self.link, "an interface is down"),
                (self.attached, "an ENI is detached"),
                (not self.absent, f"it does not answer for {', '.join(self.absent)} any more"),
                (self.planned, "its routes are not known yet"),
            )
            if not there
        )


@dataclass(frozen=True, slots=True)
class Generation:
    """One holding of the Lease, from an acquisition to its end.

    It sorts out what belongs to an earlier one. EC2 never sees it: what protects there is the
    fence, which is time.
    """

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
    GONE = "gone"
    """Its holder's pod is no more."""
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

    STOP = "stop"
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
    last_reply: int
    """The greatest number that was replied to; 0 for none."""
    interval: float | None = None
    """Seconds between two probes of this standby; None from 0.1.0, which does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The holder lives."""

    sender: str
    number: int
    """Of the probe; 0 for a new holder that tells the old one without being asked."""
    generation: Generation
    clock: float | None = None
    """The holder's monotonic seconds: its renewals show the same clock. None from 0.1.0."""


Message = Probe | Reply
