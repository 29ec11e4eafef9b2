"""EC2 and IMDS: the truth, its past, buckets that all share, and each process's way to them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from simulation.calls import SHIPPED, Client, Hung, Service, Sockets
from simulation.hub import Hub, Process
from simulation.network import Network
from vipmanager.core.actions import CloudAction, CreateRoute, RouteWrite
from vipmanager.core.failures import Failure, Permanent, Throttled, Transient
from vipmanager.core.findings import Condition
from vipmanager.core.retry import Bucket
from vipmanager.core.settings import Rate
from vipmanager.core.values import (
    CloudState,
    Eni,
    EniId,
    InstanceId,
    Mac,
    NodeMetadata,
    RouteTable,
    Subnet,
    SubnetId,
    VpcId,
)
from vipmanager.edges.aws.ec2 import CONNECT_TIMEOUT, READ_TIMEOUT
from vipmanager.edges.memory import MemoryCloud, MemoryFence, MemoryMetadata
from vipmanager.ports import Fence

T = TypeVar("T")
_NONE = MemoryFence()
"""EC2 carries out whatever arrives."""
INTERFACES = "DescribeNetworkInterfaces"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A route write that EC2 took."""

    at: float
    left: float
    """When it left the sender's machine."""
    by: str
    """The sender's pod."""
    action: RouteWrite
    before: str | None
    """What the route led to."""
    gateway: bool
    """Whether that was no network interface."""


@dataclass(slots=True, kw_only=True)
class Ills:
    """What is wrong with EC2 now."""

    reads: str = ""
    """`error`, `throttled`, `hang`, `denied` or nothing, of the share `share`."""
    writes: str = ""
    """The same."""
    share: float = 1.0
    denied: set[object] = field(default_factory=set)
    """Pods, or pods and ids of route tables, whose writes are refused for good."""
    hung: set[str] = field(default_factory=set)
    """Pods whose writes get no answer."""
    next_writes: list[str] = field(default_factory=list)
    """What becomes of the next writes: `refused`, `lost`, `late` or `forgotten`."""
    lag: float = 0.0
    """The most that a reading lags, each on its own."""
    impaired: set[str] = field(default_factory=set)
    """Zones whose subnets and ENIs can't be asked for by id."""


class Ec2:
    """The API's side."""

    def __init__(self, hub: Hub, network: Network, state: CloudState, zones: str) -> None:
        self.hub, self.network = hub, network
        self.truth = MemoryCloud(state)
        self.past: list[tuple[float, CloudState]] = [(float("-inf"), state)]
        self.writes: list[Write] = []
        self.reads = 0
        self.refused = 0
        self.late = 0
        """Writes on their way that nobody waits for any more."""
        self.landed_late = 0
        self.barred: set[tuple[str, str]] = set()
        """Pods, and the tables that they were once denied to write."""
        self.ills = Ills()
        self.buckets: dict[str, Bucket] = {}
        self.limits: dict[str, Rate] = {}
        """Of `read` and `write`, or of a describe by its name; what is not named has no limit."""
        self.service = Service(
            name="ec2",
            zones=zones,
            connect=CONNECT_TIMEOUT,
            timeout=READ_TIMEOUT,
            addresses=True,
            latency=(0.05, 0.1),
        )
        self.write_latency: tuple[float, float] | None = None
        self.zone_of_subnet = {s.id: s.id.removeprefix("subnet-")[0] for s in state.subnets}
        self.asked: list[Callable[[str, float], None]] = []
        """Hear of each write that arrives: by which pod, and when it left."""
        self.wrote: list[Callable[[Write], None]] = []
        """Hear of each write that was made."""

    @property
    def state(self) -> CloudState:
        """The truth of now."""
        return self.truth.state

    def change(self, state: CloudState) -> None:
        """Let the truth be another from now on, by whatever hand."""
        self.truth.state = state
        self.past.append((self.hub.now, state))

    def shown_since(self, since: float) -> list[CloudState]:
        """Give what was so at any time since then."""
        return self.shown_between(since, self.hub.now)

    def shown_between(self, since: float, until: float) -> list[CloudState]:
        """Give what was so at any time between the two."""
        ends = [at for at, _ in self.past[1:]] + [float("inf")]
        pairs = zip(self.past, ends, strict=True)
        return [state for (at, state), end in pairs if at <= until and end >= since]

    def read(
        self, question: Callable[[MemoryCloud], T], zones: Iterable[str] = (), name: str = "read"
    ) -> T:
        """Answer a describe."""
        ills = self.ills
        self.reads += 1
        self._take(name if name in self.limits else "read")
        self._ail(ills.reads, "describe")
        if ills.impaired.intersection(zones):
            raise Transient("describe: InternalError: one of these lies in an impaired zone")
        if not ills.lag:
            return question(self.truth)
        shown = self.hub.now - ills.lag * self.hub.luck.random()
        state = next(s for at, s in reversed(self.past) if at <= shown)
        return question(MemoryCloud(state))

    def write(self, by: str, action: CloudAction, left: float) -> None:
        """Carry out a write."""
        ills, hub = self.ills, self.hub
        for hears in self.asked:
            hears(by, left)
        self._take("write")
        name = type(action).__name__
        if {by, (by, getattr(action, "table", None))} & ills.denied:
            self.barred.add((by, getattr(action, "table", "")))
            raise Permanent(f"{name}: UnauthorizedOperation", condition=Condition.ACCESS_DENIED)
        self._ail("hang" if by in ills.hung else ills.writes, name)
        what = ills.next_writes.pop(0) if ills.next_writes else ""
        if what == "refused":
            raise Transient(f"{name}: InternalError")
        if what == "late":
            self.late += 1
            hub.after(hub.luck.uniform(0.5, 4.0), self._land_late, by, action, left)
            raise Hung
        if what != "forgotten" or not isinstance(action, CreateRoute):
            self._land(by, action, left)
        if what == "lost":
            raise Hung

    def _take(self, kind: str) -> None:
        limit = self.limits.get(kind)
        if limit is None:
            return
        now = self.hub.now
        bucket = self.buckets.get(kind) or Bucket.full(limit, now)
        if bucket.left(now) < 1.0:
            self.refused += 1
            raise Throttled(f"{kind}: RequestLimitExceeded")
        self.buckets[kind], _ = bucket.take(now)

    def _ail(self, what: str, name: str) -> None:
        if not what or (self.ills.share < 1.0 and self.hub.luck.random() >= self.ills.share):
            return
        if what == "hang":
            raise Hung
        if what == "throttled":
            self.refused += 1
            raise Throttled(f"{name}: RequestLimitExceeded")
        if what == "denied":
            raise Permanent(f"{name}: UnauthorizedOperation", condition=Condition.ACCESS_DENIED)
        raise Transient(f"{name}: InternalError")

    def _land_late(self, by: str, action: CloudAction, left: float) -> None:
        self.late -= 1
        self.landed_late += 1
        try:
            self._land(by, action, left)
        except Failure:
            return  # nobody hears of it

    def _land(self, by: str, action: CloudAction, left: float) -> None:
        if not isinstance(action, RouteWrite):
            self.truth.write(action, _NONE)
            return
        table = next((t for t in self.state.tables if t.id == action.table), None)
        route = table.route_to(action.destination) if table is not None else None
        self.truth.write(action, _NONE)
        self.change(self.truth.state)
        made = Write(
            at=self.hub.now,
            left=left,
            by=by,
            action=action,
            before=route.target.id if route is not None else None,
            gateway=route is not None and not route.target.id.startswith("eni-"),
        )
        self.writes.append(made)
        for each in self.wrote:
            each(made)


class Ec2Client:
    """The `Cloud` port of one process."""

    def __init__(
        self,
        ec2: Ec2,
        process: Process,
        pod: str,
        *,
        sockets: Sockets = SHIPPED,
        spare: bool = False,
    ) -> None:
        self._ec2, self._pod, self._spare = ec2, pod, spare
        self._client = Client(ec2.network, ec2.service, process, sockets)

    @property
    def ends(self) -> set[str]:
        """Where the connections lead that wait for a call."""
        return self._client.ends

    def connect(self, region: str) -> None:
        """There is one Region."""

    def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
        return self._read("DescribeRouteTables", lambda truth: truth.route_tables(vpcs))

    def instance_enis(self, instance: InstanceId) -> tuple[Eni, ...]:
        return self._read(INTERFACES, lambda truth: truth.instance_enis(instance))

    def enis_by_mac(self, macs: Iterable[Mac]) -> tuple[Eni, ...]:
        return self._read(INTERFACES, lambda truth: truth.enis_by_mac(macs))

    def enis_by_id(self, ids: Iterable[EniId]) -> tuple[Eni, ...]:
        wanted = tuple(ids)
        subnets = [e.subnet for e in self._ec2.state.enis if e.id in wanted]
        return self._read(INTERFACES, lambda truth: truth.enis_by_id(wanted), subnets)

    def enis_in(self, subnets: Iterable[SubnetId]) -> tuple[Eni, ...]:
        wanted = tuple(subnets)
        return self._read(INTERFACES, lambda truth: truth.enis_in(wanted), wanted)

    def subnets(self, vpcs: Iterable[VpcId]) -> tuple[Subnet, ...]:
        return self._read("DescribeSubnets", lambda truth: truth.subnets(vpcs))

    def write(self, action: CloudAction, fence: Fence) -> None:
        ec2 = self._ec2
        self._client.call(
            lambda left: ec2.write(self._pod, action, left),
            kind="write",
            latency=ec2.write_latency,
            fence=fence,
        )

    def permits(self, action: CloudAction) -> None:
        self._client.call(lambda _: self._ec2.truth.permits(action), kind="permits")

    def _read(
        self, name: str, question: Callable[[MemoryCloud], T], subnets: Iterable[SubnetId] = ()
    ) -> T:
        zones = {self._ec2.zone_of_subnet.get(s, "") for s in subnets}
        found = self._client.call(lambda _: self._ec2.read(question, zones, name), kind="describe")
        if self._spare:
            self._client.spare()
        return found


class Imds:
    """The `Metadata` port of one process: IMDS is on its machine."""

    def __init__(self, hub: Hub, memory: MemoryMetadata) -> None:
        self._hub, self._memory = hub, memory

    def read(self, macs: Iterable[Mac]) -> NodeMetadata:
        self._hub.sleep(0.002)
        return self._memory.read(macs)


def moved(state: CloudState, eni: EniId, instance: InstanceId | None) -> CloudState:
    """Attach an ENI elsewhere, or nowhere."""
    return replace(
        state,
        enis=tuple(
            replace(e, instance=instance, attached=instance is not None) if e.id == eni else e
            for e in state.enis
        ),
    )
