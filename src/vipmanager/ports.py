"""What the engine asks of the outside worlds. Each edge implements one of these.

Every method may raise `Transient` (try again) or `Permanent` (a person has to act), and nothing
else that is expected.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Protocol, TypeVar

from vipmanager.core.actions import CloudAction, KernelAction
from vipmanager.core.election.values import Message
from vipmanager.core.failures import Failure
from vipmanager.core.heartbeat import Count, Trouble
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.report import Report
from vipmanager.core.values import (
    Eni,
    EniId,
    InstanceId,
    KernelState,
    Mac,
    NodeMetadata,
    RouteTable,
    Subnet,
    SubnetId,
    VpcId,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Kernel(Protocol):
    """The pod's network namespace."""

    def read(self) -> KernelState:
        """Read interfaces, routes and rules of both families."""
        ...

    def write(self, actions: Sequence[KernelAction]) -> Sequence[tuple[KernelAction, Failure]]:
        """Apply all actions, go on past failures, and give those that failed."""
        ...


class Metadata(Protocol):
    """IMDS."""

    def read(self, macs: Iterable[Mac]) -> NodeMetadata:
        """Read the instance, and what it tells of these MACs."""
        ...


class Cloud(Protocol):
    """The EC2 API of one region. Safe to call from several threads at once."""

    def connect(self, region: str) -> None:
        """Name the region, once, before anything else is asked."""
        ...

    def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
        """Read all route tables of these VPCs."""
        ...

    def instance_enis(self, instance: InstanceId) -> tuple[Eni, ...]:
        """Read the ENIs attached to an instance."""
        ...

    def enis_by_mac(self, macs: Iterable[Mac]) -> tuple[Eni, ...]:
        """Read the attached ENIs with these MACs, of any VPC of the account."""
        ...

    def enis_by_id(self, ids: Iterable[EniId]) -> tuple[Eni, ...]:
        """Read these ENIs; one that EC2 does not know is left out."""
        ...

    def enis_in(self, subnets: Iterable[SubnetId]) -> tuple[Eni, ...]:
        """Read every ENI in these subnets."""
        ...

    def subnets(self, vpcs: Iterable[VpcId]) -> tuple[Subnet, ...]:
        """Read all subnets of these VPCs."""
        ...

    def write(self, action: CloudAction) -> None:
        """Make one call that changes something; `Conflict` where the route changed meanwhile."""
        ...

    def permits(self, action: CloudAction) -> None:
        """Ask whether a call would be allowed, and change nothing; `Permanent` if not."""
        ...


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Give monotonic seconds."""
        ...

    def wall(self) -> float:
        """Give seconds since 1970: for people and for stamps, never to measure with."""
        ...


class Task(Protocol[T_co]):
    """Work that runs beside."""

    def result(self) -> T_co:
        """Wait until it ends; give what it gave, or raise what it raised."""
        ...


class Condition(Protocol):
    """A lock, and a place to wait under it for what others change (`threading.Condition`)."""

    def __enter__(self) -> object:
        """Take the lock."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> object:
        """Give it back."""
        ...

    def wait_for(self, predicate: Callable[[], T], timeout: float | None = None) -> T:
        """Wait, with the lock given back, until something is so or time is over (seconds).

        Gives the predicate's last value.
        """
        ...

    def notify_all(self) -> None:
        """Have everybody who waits look again."""
        ...


class Tasks(Protocol):
    """Work that runs beside, and waiting for it: nothing else here makes or stops a thread."""

    def start(self, name: str, work: Callable[[], T]) -> Task[T]:
        """Begin some work; what it raises is kept for `result`, and told to nobody else."""
        ...

    def condition(self) -> Condition:
        """Make a condition."""
        ...


class Inbox(Protocol):
    """Where watchers leave a reason to look again."""

    def put(self, reason: str) -> None:
        """Leave a reason; never blocks."""
        ...

    def wait(self, seconds: float) -> tuple[str, ...]:
        """Sleep until there is a reason or time is over; give the reasons, oldest first."""
        ...

    def pause(self, seconds: float) -> None:
        """Sleep, whatever arrives; only a stop ends it early."""
        ...

    @property
    def stopped(self) -> bool:
        """Whether the program was asked to end."""
        ...


class Reporter(Protocol):
    """Who hears of a pass: logs, metrics, health."""

    def report(self, report: Report) -> None:
        """Take one pass's report."""
        ...


class Lease(Protocol):
    """The Kubernetes Lease of one group. Safe to call from several threads at once."""

    def read(self) -> LeaseRecord | None:
        """Read the newest version; None where there is none."""
        ...

    def create(self, record: LeaseRecord) -> LeaseRecord:
        """Create it; `Conflict` where there is one."""
        ...

    def replace(self, record: LeaseRecord) -> LeaseRecord:
        """Replace the version that the record names; `Conflict` where it is another's by now."""
        ...

    def watch(
        self, heard: Callable[[LeaseRecord | None], None], failed: Callable[[Failure], None]
    ) -> None:
        """Tell changes, on a thread of its own, as well as it can."""
        ...


class Channel(Protocol):
    """Heartbeats between the agents of one group."""

    @property
    def address(self) -> str:
        """Where this end is reached, as others send to it."""
        ...

    def send(self, to: str, message: Message) -> None:
        """Send a message to an address; never raises, never waits."""
        ...

    def troubles(self) -> Mapping[Trouble, Count]:
        """Tell what was met so far."""
        ...
