"""Worlds in memory: the same ports, the same contract, no outside.

What an action does is `evolve`; these add only what an outside world can say no to.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from vipmanager.core.actions import (
    AddRoute,
    AddRule,
    CloudAction,
    DeleteRoute,
    DisableSourceDestCheck,
    KernelAction,
    ReplaceRoute,
)
from vipmanager.core.evolve import evolve
from vipmanager.core.failures import Conflict, Failure, Permanent, TooLate, Transient
from vipmanager.core.findings import Condition
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.pods import PodObject
from vipmanager.core.values import (
    CloudState,
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
    World,
)
from vipmanager.ports import Fence


class MemoryKernel:
    """The `Kernel` port."""

    def __init__(self, state: KernelState) -> None:
        self.state = state
        self.refuse: Callable[[KernelAction], Failure | None] = lambda _: None
        """Set it to make actions fail."""

    def read(self) -> KernelState:
        """Give the state."""
        return self.state

    def write(self, actions: Sequence[KernelAction]) -> Sequence[tuple[KernelAction, Failure]]:
        """Apply all actions; give those that failed."""
        failed: list[tuple[KernelAction, Failure]] = []
        for action in actions:
            failure = self.refuse(action) or self._taken(action)
            if failure is not None:
                failed.append((action, failure))
            else:
                world = World(kernel=self.state, cloud=CloudState())
                self.state = evolve(world, action).kernel
        return failed

    def _taken(self, action: KernelAction) -> Failure | None:
        match action:
            case AddRoute(route=route, over=None):
                taken = any(r.key == route.key for r in self.state.routes)
            case AddRule(rule=rule):
                taken = any(replace(r, protocol=rule.protocol) == rule for r in self.state.rules)
            case _:
                taken = False
        return Conflict(f"`{action}` failed: File exists") if taken else None


class MemoryMetadata:
    """The `Metadata` port."""

    def __init__(self, node: NodeMetadata | Failure) -> None:
        self.node = node

    def read(self, macs: Iterable[Mac]) -> NodeMetadata:
        """Give the node with these MACs, or fail."""
        if isinstance(self.node, Failure):
            raise self.node
        wanted = set(macs)
        return replace(self.node, enis=tuple(e for e in self.node.enis if e.mac in wanted))


class MemoryFence:
    """The `Fence` port."""

    def __init__(self) -> None:
        self.standing = True
        """Set it to end it."""

    def stands(self) -> bool:
        """Tell whether it does."""
        return self.standing


class MemoryCloud:
    """The `Cloud` port. Several agents may share one."""

    def __init__(self, state: CloudState) -> None:
        self.state = state
        self.writes: list[CloudAction] = []
        """Every write that succeeded, in order."""
        self.refuse: Callable[[CloudAction], Failure | None] = lambda _: None
        """Set it to make writes fail."""
        self.reads = 0
        """Describes so far."""
        self.unreachable: Failure | None = None
        """Set it to make everything fail."""
        self._lock = threading.Lock()

    def connect(self, region: str) -> None:
        """Do nothing: there is one region."""

    def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
        """Give the tables of these VPCs."""
        wanted = set(vpcs)
        return tuple(t for t in self._read().tables if t.vpc in wanted)

    def instance_enis(self, instance: InstanceId) -> tuple[Eni, ...]:
        """Give the ENIs attached to an instance."""
        return tuple(e for e in self._read().enis if e.instance == instance)

    def enis_by_mac(self, macs: Iterable[Mac]) -> tuple[Eni, ...]:
        """Give the attached ENIs with these MACs."""
        wanted = set(macs)
        return tuple(e for e in self._read().enis if e.mac in wanted and e.attached)

    def enis_by_id(self, ids: Iterable[EniId]) -> tuple[Eni, ...]:
        """Give these ENIs, as far as there are any."""
        wanted = set(ids)
        return tuple(e for e in self._read().enis if e.id in wanted)

    def enis_in(self, subnets: Iterable[SubnetId]) -> tuple[Eni, ...]:
        """Give every ENI in these subnets."""
        wanted = set(subnets)
        return tuple(e for e in self._read().enis if e.subnet in wanted)

    def subnets(self, vpcs: Iterable[VpcId]) -> tuple[Subnet, ...]:
        """Give all subnets of these VPCs."""
        wanted = set(vpcs)
        return tuple(s for s in self._read().subnets if s.vpc in wanted)

    def write(self, action: CloudAction, fence: Fence) -> None:
        """Change the state as EC2 would."""
        with self._lock:
            if not fence.stands():
                raise TooLate(str(action))
            failure = self.unreachable or self.refuse(action) or self._conflict(action)
            if failure is not None:
                raise failure
            world = World(kernel=KernelState(), cloud=self.state)
            self.state = evolve(world, action).cloud
            self.writes.append(action)

    def permits(self, action: CloudAction) -> None:
        """Fail as `write` would for want of permission, and change nothing."""
        failure = self.unreachable or self.refuse(action)
        if failure is not None:
            raise failure

    def _read(self) -> CloudState:
        self.reads += 1
        if self.unreachable is not None:
            raise self.unreachable
        return self.state

    def _conflict(self, action: CloudAction) -> Failure | None:
        if isinstance(action, DisableSourceDestCheck):
            known = any(e.id == action.eni for e in self.state.enis)
            return None if known else Permanent(f"{action}: no such network interface")
        table = next((t for t in self.state.tables if t.id == action.table), None)
        if table is None:
            gone = f"{action}: InvalidRouteTableID.NotFound"
            return Permanent(gone, condition=Condition.TABLE_GONE)
        route = table.route_to(action.destination)
        if isinstance(action, ReplaceRoute | DeleteRoute):
            return Conflict(f"{action}: no such route") if route is None else None
        # CreateRoute of a route that is there already, to the same target, succeeds.
        if route is not None and route.target.id != action.eni:
            return Conflict(f"{action}: RouteAlreadyExists")
        return None


class MemoryLease:
    """The `Lease` port. Several agents may share one."""

    def __init__(self, record: LeaseRecord | None = None) -> None:
        self.away: Failure | None = None
        """Set it to make every call fail."""
        self.refuse: Failure | None = None
        """Set it to make writes fail."""
        self.lost = False
        """Set it to do what is asked, and not answer."""
        self._lock = threading.Lock()
        self._version = 0
        self._hearers: list[Callable[[LeaseRecord | None], None]] = []
        self.record = None if record is None else self._versioned(record, uid=None)

    def read(self) -> LeaseRecord | None:
        """Give the newest version."""
        with self._lock:
            self._answer()
            return self.record

    def create(self, record: LeaseRecord) -> LeaseRecord:
        """Make it; `Conflict` where there is one."""
        return self._put(record, expected=None)

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:  # noqa: ARG002 - there is one path
        """Put a record in the place of the version that it names."""
        return self._put(record, expected=(record.uid, record.resource_version))

    def watch(
        self, heard: Callable[[LeaseRecord | None], None], failed: Callable[[Failure], None]
    ) -> None:
        """Tell the present state and each later one, on the threads that change it."""
        with self._lock:
            self._hearers.append(heard)
            if self.away is not None:
                failed(self.away)
            elif self.record is not None:
                heard(self.record)

    def delete(self) -> None:
        """Delete it, as a person does."""
        with self._lock:
            self.record = None
            self._tell()

    def _put(self, record: LeaseRecord, expected: tuple[str, str] | None) -> LeaseRecord:
        with self._lock:
            if self.refuse is not None:
                raise self.refuse
            if not self.lost:
                self._answer()
            now = self.record
            if (now and (now.uid, now.resource_version)) != expected:
                raise Conflict("the Lease has changed")
            stored = self.record = self._versioned(record, uid=record.uid or None)
            self._tell()
            if self.lost:
                raise Transient("no answer")
            return stored

    def _versioned(self, record: LeaseRecord, uid: str | None) -> LeaseRecord:
        self._version += 1
        return replace(
            record, uid=uid or f"lease-{self._version}", resource_version=str(self._version)
        )

    def _answer(self) -> None:
        if self.away is not None:
            raise self.away

    def _tell(self) -> None:
        for heard in self._hearers:
            heard(self.record)


class MemoryPods:
    """The `Pods` port of one pod. `objects` is what there is now."""

    def __init__(
        self, uid: str = "", objects: Callable[[], Iterable[PodObject]] = lambda: ()
    ) -> None:
        self._uid, self._objects = uid, objects
        self.there: dict[str, str] = {}
        """UIDs by name; several may share it."""
        self.away: Failure | None = None
        """Set it to make every call fail."""

    def uid(self, name: str) -> str | None:
        """Give the UID of the pod with this name."""
        if self.away is not None:
            raise self.away
        return self.there.get(name)

    def mine(self) -> PodObject | None:
        """Give the pod with this one's uid."""
        return next((p for p in self.all() if p.uid == self._uid), None)

    def all(self) -> tuple[PodObject, ...]:
        """Give every pod."""
        if self.away is not None:
            raise self.away
        return tuple(self._objects())
