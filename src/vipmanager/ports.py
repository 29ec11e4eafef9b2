"""What the engine asks of the outside worlds. Each edge implements one of these.

Every method may raise `Transient` (try again) or `Permanent` (a person has to act), and nothing
else that is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from vipmanager.core.actions import CloudAction, KernelAction
from vipmanager.core.failures import Failure
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

if TYPE_CHECKING:  # an agent without a Lease starts sooner without these
    from types import TracebackType

    from vipmanager.core.election.values import Message
    from vipmanager.core.heartbeat import Count, DropReason
    from vipmanager.core.lease import LeaseRecord
    from vipmanager.core.pods import PodObject

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


class Fence(Protocol):
    """Until when something may be sent."""

    def stands(self) -> bool:
        """Tell whether it may be sent now; asked from any thread, last before the bytes go out."""
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

    def write(self, action: CloudAction, fence: Fence) -> None:
        """Make one call that changes something; `Conflict` where the route changed meanwhile.

        `TooLate` where the fence does not stand any more when the call is to go out: nothing was
        sent then.
        """
        ...

    def permits(self, action: CloudAction) -> None:
        """Ask whether a call would be allowed, and change nothing; `Permanent` if not."""
        ...


class Steering(Protocol):
    """Where floating IPs lead, and how that is changed. Safe to use from several threads at once.

    The core decides which destination leads to which ENI, in each of the tables that this shows;
    what has to be called for that is its own affair.
    """

    def read(self, vpcs: Sequence[VpcId]) -> tuple[RouteTable, ...]:
        """Read where every destination of these VPCs leads, table by table."""
        ...

    def write(self, action: CloudAction, fence: Fence) -> None:
        """Make an action so, or fail as `Cloud.write` does."""
        ...


class Seen(Protocol):
    """Who hears of each call to an API. Safe to call from several threads at once."""

    def __call__(self, api: str, action: str, failure: Failure | None, seconds: float, /) -> None:
        """Take one that went out: ec2, sts or kubernetes; its action; how it ended, and when."""
        ...


def unseen(_api: str, _action: str, _failure: Failure | None, _seconds: float, /) -> None:
    """Be nobody who hears of a call."""


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

    def wait(self, seconds: float, *, but: str = "") -> tuple[str, ...]:
        """Sleep until there is a reason or time is over; give the reasons, oldest first.

        The reason `but` does not end the sleep by itself.
        """
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

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        """Replace the version that the record names; `Conflict` where it is another's by now.

        An urgent one is sent over two connections at once, where there are two: a path that fell
        silent costs nothing then. A `Conflict` may come from the call's own twin: read the Lease.
        """
        ...

    def watch(
        self, heard: Callable[[LeaseRecord | None], None], failed: Callable[[Failure], None]
    ) -> None:
        """Tell changes, on a thread of its own, as well as it can."""
        ...


class Pods(Protocol):
    """The pods of this pod's namespace, as the Kubernetes API has them."""

    def uid(self, name: str) -> str | None:
        """Read the UID of the pod with this name; None where there is none."""
        ...

    def mine(self) -> PodObject | None:
        """Read this pod's object; None where there is none, or another pod has its name."""
        ...

    def all(self) -> tuple[PodObject, ...]:
        """Read every pod of the namespace."""
        ...


class Place(Protocol):
    """Where this pod runs and may have to leave: its node, its zone."""

    @property
    def name(self) -> str:
        """Which one, for people: `node` or `zone`."""
        ...

    @property
    def every(self) -> float:
        """Seconds between two questions at the most."""
        ...

    def why_leave(self) -> str:
        """Say why the pod should leave, for people; empty where it may stay."""
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

    def drops(self) -> Mapping[DropReason, Count]:
        """Tell what was met so far."""
        ...
