"""Agents that are put together wrongly, each caught by a schedule: the simulation has teeth.

What ships is not changed: a variant has other parts, each of which is a port around a port.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from simulation.calls import Sockets
from simulation.hub import NEVER
from simulation.play import play
from simulation.pod import Parts
from simulation.rows import ROWS
from simulation.schedule import Schedule, drawn
from vipmanager.core.actions import AddRoute, CloudAction, KernelAction
from vipmanager.core.election.record import ANY, OFFER, STAYING
from vipmanager.core.election.values import ElectionSettings, Message, Probe
from vipmanager.core.evolve import evolve
from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, TooLate, Transient
from vipmanager.core.heartbeat import Count, DropReason
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.podnet import HELD_TABLE, OPENED_TABLE
from vipmanager.core.values import (
    CloudState,
    Eni,
    EniId,
    InstanceId,
    KernelState,
    Mac,
    PodInterface,
    RouteTable,
    Subnet,
    SubnetId,
    TargetKind,
    VpcId,
    World,
)
from vipmanager.edges.memory import MemoryFence
from vipmanager.engine.checks import Gate
from vipmanager.ports import Channel, Cloud, Fence, Kernel, Lease, Place

EVERY = frozenset(name.partition("-")[0] for name in ROWS)
"""Schedules are drawn without what any row is about, so that closing one changes none of them."""


class OtherCloud:
    """Hands every call on."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def connect(self, region: str) -> None:
        self._cloud.connect(region)

    def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
        return self._cloud.route_tables(vpcs)

    def instance_enis(self, instance: InstanceId) -> tuple[Eni, ...]:
        return self._cloud.instance_enis(instance)

    def enis_by_mac(self, macs: Iterable[Mac]) -> tuple[Eni, ...]:
        return self._cloud.enis_by_mac(macs)

    def enis_by_id(self, ids: Iterable[EniId]) -> tuple[Eni, ...]:
        return self._cloud.enis_by_id(ids)

    def enis_in(self, subnets: Iterable[SubnetId]) -> tuple[Eni, ...]:
        return self._cloud.enis_in(subnets)

    def subnets(self, vpcs: Iterable[VpcId]) -> tuple[Subnet, ...]:
        return self._cloud.subnets(vpcs)

    def write(self, action: CloudAction, fence: Fence) -> None:
        self._cloud.write(action, fence)

    def permits(self, action: CloudAction) -> None:
        self._cloud.permits(action)


class EarlyLook(OtherCloud):
    """The fence is looked at before the connecting and the signing."""

    def write(self, action: CloudAction, fence: Fence) -> None:
        if not fence.stands():
            raise TooLate(str(action))
        super().write(action, MemoryFence())


class Believing(OtherCloud):
    """What it wrote is there, for ever: EC2 is asked for the rest alone."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._written: list[CloudAction] = []

    def write(self, action: CloudAction, fence: Fence) -> None:
        super().write(action, fence)
        self._written.append(action)

    def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
        world = World(kernel=KernelState(), cloud=CloudState(tables=super().route_tables(vpcs)))
        for action in self._written:
            world = evolve(world, action)
        return world.cloud.tables


class OneTry(OtherCloud):
    """A write that has failed once has failed for good."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._failed: dict[object, Transient] = {}

    def write(self, action: CloudAction, fence: Fence) -> None:
        key = str(action)
        try:
            if key in self._failed:
                raise self._failed[key]
            super().write(action, fence)
        except Transient as passing:
            self._failed[key] = passing
            raise Permanent(passing.what, passing.hint) from passing


class ThrottledFails(OtherCloud):
    """A write that EC2 has throttled has failed."""

    def write(self, action: CloudAction, fence: Fence) -> None:
        try:
            super().write(action, fence)
        except Throttled as throttled:
            raise Transient(throttled.what) from throttled


class NobodyLives(OtherCloud):
    """An ENI that is looked up is gone."""

    def enis_by_id(self, ids: Iterable[EniId]) -> tuple[Eni, ...]:
        return tuple(replace(e, attached=False) for e in super().enis_by_id(ids))


class EverybodyLives(OtherCloud):
    """An ENI that is looked up is attached."""

    def enis_by_id(self, ids: Iterable[EniId]) -> tuple[Eni, ...]:
        return tuple(replace(e, attached=True) for e in super().enis_by_id(ids))


class NoGateways(OtherCloud):
    """Every route leads to a network interface."""

    def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
        return tuple(
            replace(
                t,
                routes=tuple(
                    replace(r, target=replace(r.target, kind=TargetKind.ENI)) for r in t.routes
                ),
            )
            for t in super().route_tables(vpcs)
        )


class FirstPage(OtherCloud):
    """A describe has one page."""

    def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
        return super().route_tables(vpcs)[:2]


class OtherLease:
    """Hands every call on."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def read(self) -> LeaseRecord | None:
        return self._lease.read()

    def create(self, record: LeaseRecord) -> LeaseRecord:
        return self._lease.create(record)

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        return self._lease.replace(record, urgent=urgent)

    def watch(
        self, heard: Callable[[LeaseRecord | None], None], failed: Callable[[Failure], None]
    ) -> None:
        self._lease.watch(heard, failed)


class FromMemory(OtherLease):
    """Once it has written the Lease, it is read from memory until a write fails."""

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease)
        self._known: LeaseRecord | None = None

    def read(self) -> LeaseRecord | None:
        return self._known or super().read()

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        self._known = None
        stored = super().replace(record, urgent=urgent)
        self._known = stored if stored.holder is not None else None
        return stored


class LastOneWins(OtherLease):
    """A replacement names no version."""

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        present = super().read()
        if present is None:
            raise Conflict("the Lease is gone")
        version = present.resource_version
        return super().replace(
            replace(record, uid=present.uid, resource_version=version), urgent=urgent
        )


class Uncounted(OtherLease):
    """Every holding of the Lease has the same number."""

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        return super().replace(replace(record, transitions=1), urgent=urgent)


class NeverRefused(OtherLease):
    """A conflict is taken for a success."""

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        try:
            return super().replace(record, urgent=urgent)
        except Conflict:
            return record


class NeverLost(OtherLease):
    """No answer to a write is taken for a success."""

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        try:
            return super().replace(record, urgent=urgent)
        except Conflict:
            raise
        except Transient:
            return record


class OffersNothing(OtherLease):
    """Who can't serve does not say so."""

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        kept = {k: v for k, v in record.annotations.items() if k != OFFER}
        return super().replace(replace(record, annotations=MappingProxyType(kept)), urgent=urgent)


class OffersToAll(OtherLease):
    """What is offered to who may stay is taken for an offer to anybody."""

    def read(self) -> LeaseRecord | None:
        return _to_all(super().read())

    def watch(
        self, heard: Callable[[LeaseRecord | None], None], failed: Callable[[Failure], None]
    ) -> None:
        super().watch(lambda record: heard(_to_all(record)), failed)


def _to_all(record: LeaseRecord | None) -> LeaseRecord | None:
    if record is None or record.annotations.get(OFFER) != STAYING:
        return record
    return replace(record, annotations=MappingProxyType({**record.annotations, OFFER: ANY}))


class NothingToLeave:
    """A place that nobody has to leave."""

    def __init__(self, place: Place) -> None:
        self.name, self.every = place.name, place.every

    def why_leave(self) -> str:
        return ""


class OtherKernel:
    """Hands every call on."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def read(self) -> KernelState:
        return self._kernel.read()

    def write(self, actions: Sequence[KernelAction]) -> Sequence[tuple[KernelAction, Failure]]:
        return self._kernel.write(actions)


class MarkBlind(OtherKernel):
    """Marks are set, and not seen: each process is the pod's first one."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._old = {r for r in kernel.read().routes if r.table == HELD_TABLE}

    def read(self) -> KernelState:
        state = super().read()
        return replace(state, routes=tuple(r for r in state.routes if r not in self._old))

    def write(self, actions: Sequence[KernelAction]) -> Sequence[tuple[KernelAction, Failure]]:
        again = [a for a in actions if isinstance(a, AddRoute) and a.route in self._old]
        self._old.difference_update(a.route for a in again)
        return super().write([a for a in actions if a not in again])


class NeverGone(OtherKernel):
    """What an interface had once, it still has."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._seen: dict[str, PodInterface] = {}

    def read(self) -> KernelState:
        state = super().read()
        now = {i.name: i for i in state.interfaces if i.up and i.addresses}
        self._seen |= now
        return replace(state, interfaces=tuple(self._seen.values()))


class Unchecked(OtherCloud):
    """No source/dest check is ever seen to be on."""

    def instance_enis(self, instance: InstanceId) -> tuple[Eni, ...]:
        return tuple(replace(e, source_dest_check=False) for e in super().instance_enis(instance))


class Ageless(OtherKernel):
    """A claim was opened just now, always."""

    def read(self) -> KernelState:
        state = super().read()
        young = (replace(r, metric=2**31) if r.table == OPENED_TABLE else r for r in state.routes)
        return replace(state, routes=tuple(young))


class NeverDeaf:
    """A probe says that the last one was answered."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.address = channel.address

    def send(self, to: str, message: Message) -> None:
        if isinstance(message, Probe):
            message = replace(message, last_reply=message.number - 1)
        self._channel.send(to, message)

    def drops(self) -> Mapping[DropReason, Count]:
        return self._channel.drops()


def _unheard(gate: Gate) -> Gate:
    """The application is examined, and nobody hears of it."""
    gate.start()
    return Gate()


def _times(**changes: float) -> Parts:
    def election(times: ElectionSettings) -> ElectionSettings:
        return replace(times, **changes)  # type: ignore[arg-type]

    return Parts(election=election)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """An agent that is put together wrongly."""

    parts: Parts
    said: str
    """What catches it says this."""
    seeds: tuple[int, ...] = ()
    """The first schedules that do."""
    row: str | None = None
    """Whether what a row is about has to be drawn to show it."""
    rows: tuple[str, ...] = ()
    """Rows that do."""

    def drawn(self, seed: int) -> Schedule:
        """Draw one of its schedules."""
        return drawn(seed, EVERY - {self.row})


VARIANTS = {
    "no look at the fence": Variant(
        parts=_times(fence=float("inf")), said="too late", seeds=(391, 580, 693)
    ),
    "a look at the fence before the stall": Variant(
        parts=Parts(cloud=EarlyLook), said="too late", seeds=(250, 405, 473), row="A8"
    ),
    "no linger: what a cut link holds is sent when it heals": Variant(
        parts=Parts(sockets=Sockets(linger=False, user_timeout=NEVER)),
        said="too late",
        seeds=(896, 1668, 2684),
        row="A11",
    ),
    "the Lease is looked at in memory": Variant(
        parts=Parts(lease=FromMemory), said="too late", seeds=(934,)
    ),
    "no compare-and-swap": Variant(
        parts=Parts(lease=LastOneWins), said="both held generation", seeds=(4, 16, 18)
    ),
    "generations are not counted": Variant(
        parts=Parts(lease=Uncounted), said="both held generation", seeds=(1, 3, 4)
    ),
    "a conflict counts as a success": Variant(
        parts=Parts(lease=NeverRefused), said="too late", seeds=(4, 16, 17)
    ),
    "no answer counts as a success": Variant(
        parts=Parts(lease=NeverLost), said="too late", seeds=(635, 667, 1529)
    ),
    "who is unwell offers nothing": Variant(
        parts=Parts(lease=OffersNothing), said="does not offer it", seeds=(144, 1971, 2158)
    ),
    "no distrust": Variant(parts=_times(distrust=0.0), said="misled twice", seeds=(11, 64, 142)),
    "one miss is enough": Variant(
        parts=_times(detect_multiplier=1), said="for dead: misled", seeds=(29, 82, 136)
    ),
    "no renewal where probes stay away": Variant(
        parts=_times(forget=0.0), said="for dead: misled", seeds=(48, 123, 159)
    ),
    "a probe never says what was not heard": Variant(
        parts=Parts(channel=NeverDeaf), said="for dead: misled", seeds=(296, 1322, 1750)
    ),
    "no second look after a takeover": Variant(
        parts=_times(recheck=30.0), said="what it wrote late", seeds=(789, 924, 1327)
    ),
    "no pause between two looks": Variant(
        parts=_times(recheck=0.0), said="readings by", seeds=(3, 11, 17)
    ),
    "no read-back": Variant(parts=Parts(cloud=Believing), said="lead", seeds=(5, 35, 36)),
    "one try": Variant(parts=Parts(cloud=OneTry), said="lead", seeds=(22, 77, 106)),
    "every rival counts as dead": Variant(
        parts=Parts(cloud=NobodyLives), said="are bounded", seeds=(22, 52, 54)
    ),
    "every rival counts as alive": Variant(
        parts=Parts(cloud=EverybodyLives), said="leads to ['eni-t1']", seeds=(115, 289, 388)
    ),
    "no guard of gateways": Variant(
        parts=Parts(cloud=NoGateways), said="from a gateway", seeds=(6, 19, 26)
    ),
    "the first page of tables alone": Variant(
        parts=Parts(cloud=FirstPage), said="lead", seeds=(2, 3, 5)
    ),
    "a restart claims again": Variant(
        parts=Parts(kernel=MarkBlind), said="is marked to hold it", seeds=(110, 125, 152)
    ),
    "nobody asks whether a node or zone is to be left": Variant(
        parts=Parts(place=NothingToLeave), said="should leave, and keeps", seeds=(100, 355, 491)
    ),
    "who should leave takes from who should leave": Variant(
        parts=Parts(lease=OffersToAll), said="are allowed", seeds=(616, 934, 1174)
    ),
    "health is not heard of": Variant(
        parts=Parts(gate=_unheard), said="unwell", seeds=(106, 144, 191)
    ),
    "throttling counts as failure": Variant(
        parts=Parts(cloud=ThrottledFails), said="moves, where 1 are allowed", rows=("A7",)
    ),
    "a reading counts that is older than another's writes": Variant(
        parts=_times(settle=-1e6), said="and the routes lead to", rows=("A12",)
    ),
    "what was in the pod is there for ever": Variant(
        parts=Parts(kernel=NeverGone), said="and does not answer for", seeds=(1, 9, 25)
    ),
    "no source/dest check is seen": Variant(
        parts=Parts(cloud=Unchecked), said="and does not answer for", seeds=(48, 115, 145)
    ),
    "a claim without an age": Variant(
        parts=Parts(kernel=Ageless), said="leads to", seeds=(22, 124, 272)
    ),
}
"""By what they lack."""


def caught(variant: Variant, seeds: Iterable[int]) -> Iterator[int]:
    """Give those of some schedules that catch a variant; `range(5000)` finds the first ones."""
    for seed in seeds:
        if any(variant.said in p for p in play(variant.drawn(seed), variant.parts).problems):
            yield seed
