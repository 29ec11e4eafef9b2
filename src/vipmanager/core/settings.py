"""What the operator asked for, already checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from vipmanager.core.healthcheck import HealthCheck
from vipmanager.core.values import Address, Network, RouteTableId


class Mode(Enum):
    """How long the agent lives."""

    INIT = "init"
    SIDECAR = "sidecar"


class Pattern(Enum):
    """What is routed for a floating IP."""

    HOST = 1
    """The address alone; it lies outside the VPC."""
    SUBNET = 2
    """The whole CIDR of the dummy subnet that it lies in."""


class HandOver(Enum):
    """What a holder hands over on, before anything is lost."""

    CORDON = "cordon"
    """Its node is cordoned, or about to be drained."""
    ZONAL_SHIFT = "zonal-shift"
    """ARC shifts its zone away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSelector:
    """`key` or `key=value`; both may hold `*` and `?`, as in EC2's filters."""

    key: str
    value: str | None = None

    def __str__(self) -> str:
        """Show it as it was written."""
        return self.key if self.value is None else f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A token bucket: `burst` calls at once, then `refill` a second."""

    burst: int = 50
    refill: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The table of docs/settings.md, as values."""

    peers: Mapping[int, tuple[Network, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """By interface number, from 1."""
    tags: tuple[TagSelector, ...] = ()
    """Empty means ALL."""
    tables: tuple[RouteTableId, ...] = ()
    """Named tables in order of importance; they win over tags."""
    mode: Mode = Mode.INIT
    pattern: Pattern = Pattern.HOST
    source_routing: bool = False
    dry_run: bool = False
    """Whether the agent only says what it would do."""
    interfaces: tuple[str, ...] = ()
    """Glob patterns; empty means every interface but `lo` and the primary."""
    floating: tuple[Network, ...] = ()
    """Empty means any address."""
    route_role: str | None = None
    init_timeout: float = 600.0
    """Seconds; 0 is no limit."""
    resync: float = 30.0
    """Seconds between full readings of a sidecar."""
    rate: Rate = Rate()
    max_route_writes: int = 1000
    """Routes that one plan may write."""
    manage_source_dest_check: bool = False
    http_port: int = 0
    kubernetes_events: bool = False
    health_check: HealthCheck | None = None
    """What the application has to pass before anything is claimed."""
    health_interval: float = 1.0
    """Seconds between checks."""
    health_rise: int = 1
    health_fall: int = 3
    """Results in a row that change its health."""
    leader_election: bool = False
    """Whether a Kubernetes Lease decides which replica steers."""
    lease_name: str = "vipmanager"
    """One for each group of floating IPs."""
    lease_namespace: str | None = None
    """None means the pod's own."""
    lease_seconds: float = 5.0
    """How long a silent holder keeps the Lease when heartbeats can't tell."""
    heartbeat: float = 0.1
    """Seconds between two probes of the holder."""
    heartbeat_port: int = 7946
    """UDP; 0 for none."""
    heartbeat_key_file: str | None = None
    """Where a Secret that all replicas share is mounted."""
    preferred_zone: str | None = None
    """Where the floating IPs go back to."""
    hand_over_on: tuple[HandOver, ...] = ()
    cluster_arn: str | None = None
    """The EKS cluster whose zonal shifts count."""
    role_label: bool = False
    """Whether the pod gets the label `vipmanager/role`."""
    log_json: bool = False
    log_level: str = "info"
    protected: tuple[Address, ...] = ()
    """Addresses the pod must reach through its primary interface: cluster API, credentials."""
    pod_addresses: tuple[Address, ...] = ()
    """The pod's own; empty where the manifest does not tell them."""
    region: str | None = None
    """From the environment; used where IMDS can't tell."""
    imds_v1: bool = False
    """Fall back to IMDSv1 where v2 is refused."""

    @property
    def elects(self) -> bool:
        """Whether this agent takes part in an election: a candidate may come to write."""
        return self.leader_election and not self.dry_run
