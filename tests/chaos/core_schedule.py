"""Schedules for the agents in memory: from a seed to events, and from events to a world."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from ipaddress import ip_address, ip_network
from random import Random

from chaos.core_world import Agent, Vpc, without_routes
from vipmanager.core.failures import Transient
from vipmanager.core.settings import Settings
from vipmanager.core.values import (
    CloudRoute,
    CloudState,
    EniId,
    InstanceId,
    Network,
    PodAddress,
    PodInterface,
    Target,
    TargetKind,
)
from worlds import cloud, eni, node, pointed, table

ADDRESSES = (ip_network("192.168.0.1/32"), ip_network("192.168.0.2/32"))
LENGTH = 60.0
THIEF = EniId("eni-t1")
GATEWAY = Target(kind=TargetKind.OTHER, id="igw-1")


class What(Enum):
    """What goes wrong."""

    STOLEN = auto()
    DROPPED = auto()
    TABLE_ADDED = auto()
    TABLE_DELETED = auto()
    DETACHED = auto()
    ADDRESS_GONE = auto()
    LINK_DOWN = auto()
    STALE = auto()
    SLOW = auto()
    AWAY = auto()
    THROTTLED = auto()
    REFUSED = auto()
    LOST = auto()
    LATE = auto()
    FORGOTTEN = auto()
    NO_IMDS = auto()
    KILLED = auto()
    STALLED = auto()


ALONE = (*What, What.STOLEN, What.DROPPED, What.KILLED)
PAIR = (
    *(What.STALE, What.SLOW, What.AWAY, What.THROTTLED, What.REFUSED, What.LOST, What.LATE),
    *(What.KILLED, What.STALLED, What.NO_IMDS),
)
LASTING = {
    *(What.STOLEN, What.DETACHED, What.ADDRESS_GONE, What.LINK_DOWN, What.STALE, What.SLOW),
    *(What.AWAY, What.THROTTLED, What.NO_IMDS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that goes wrong."""

    at: float
    what: What
    until: float
    zone: str
    number: int
    """Which floating IP, interface or ENI."""
    tables: frozenset[int]
    amount: float
    """Seconds, calls or a share, as `what` has it: 0 to 1, to be scaled."""

    def __str__(self) -> str:
        return (
            f"{self.at:6.2f} s until {self.until:6.2f}  {self.what.name} zone {self.zone}, "
            f"number {self.number}, tables {sorted(self.tables)}, amount {self.amount:.2f}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSchedule:
    """Everything that happens to one or two agents in memory."""

    seed: int
    zones: str
    apart: float
    """Seconds between the starts of two agents."""
    tables: int
    before: str
    """`nothing`, a `dead` or a `live` ENI has every route in the beginning."""
    gateway: bool
    """Whether the first table routes the first address to a gateway."""
    events: tuple[Event, ...]

    @property
    def over(self) -> float:
        """When the last event ends."""
        return max([self.apart, *(e.until for e in self.events)])

    def __str__(self) -> str:
        gateway = ", a gateway in the first table" if self.gateway else ""
        head = (
            f"seed {self.seed}: pods in {self.zones}, {self.apart:.2f} s apart, "
            f"{self.tables} tables, {self.before} before{gateway}"
        )
        return "\n".join((head, *(f"  {e}" for e in sorted(self.events, key=lambda e: e.at))))


def core_schedule(seed: int) -> CoreSchedule:
    """Make the schedule of a seed."""
    luck = Random(seed)  # noqa: S311 - repeatable on purpose
    zones = "ab" if luck.random() < 0.25 else "a"
    tables = luck.choice((2, 2, 3, 4))
    menu = PAIR if zones == "ab" else ALONE
    return CoreSchedule(
        seed=seed,
        zones=zones,
        apart=luck.choice((0.0, luck.uniform(0, 1), luck.uniform(0, 30))) if len(zones) > 1 else 0,
        tables=tables,
        before=luck.choice(("nothing", "nothing", "dead", "live")),
        gateway=len(zones) == 1 and luck.random() < 0.2,
        events=tuple(
            _event(luck, luck.choice(menu), zones, tables) for _ in range(luck.randint(1, 6))
        ),
    )


def _event(luck: Random, what: What, zones: str, tables: int) -> Event:
    at = luck.uniform(0, luck.choice((0.5, LENGTH)))
    return Event(
        at=at,
        what=what,
        until=at + luck.choice((luck.uniform(0, 1), luck.uniform(0, 15))) * (what in LASTING),
        zone=luck.choice(zones),
        number=luck.randint(1, 2),
        tables=frozenset(luck.sample(range(tables), luck.randint(1, tables))),
        amount=luck.random(),
    )


class Game:
    """A schedule that is being played."""

    def __init__(self, plan: CoreSchedule) -> None:
        self.plan = plan
        self.vpc = Vpc(_beginning(plan), Random(plan.seed))  # noqa: S311 - repeatable
        self.agents = {z: Agent(self.vpc, z, Settings()) for z in plan.zones}
        self.gone: set[int] = set()
        """Numbers of the floating IPs that are not in the pod for the moment."""
        for index, agent in enumerate(self.agents.values()):
            self.vpc.at(plan.apart * index, agent.start)
        for event in plan.events:
            self.vpc.at(event.at, lambda e=event: self._strike(e))  # type: ignore[misc]

    def _strike(self, event: Event) -> None:
        undo = self._begin(event)
        if undo is not None:
            self.vpc.at(event.until, undo)

    def _begin(self, event: Event) -> Callable[[], None] | None:  # noqa: C901, PLR0911, PLR0912
        vpc, agent = self.vpc, self.agents[event.zone]
        address = ADDRESSES[event.number - 1]
        match event.what:
            case What.STOLEN:
                return self._steal(event.tables, address)
            case What.DROPPED:
                kept = self._spare_gateway(event.tables, address)
                vpc.change(without_routes(vpc.state, kept, address))
            case What.TABLE_ADDED:
                if len(vpc.state.tables) == self.plan.tables:
                    added = (*vpc.state.tables, table(90))
                    vpc.change(replace(vpc.state, tables=added))
            case What.TABLE_DELETED:
                vpc.change(replace(vpc.state, tables=vpc.state.tables[: self.plan.tables]))
            case What.DETACHED:
                mine = EniId(f"eni-a{event.number}")
                self._attach(mine, None)
                return lambda: self._attach(mine, InstanceId("i-a"))
            case What.ADDRESS_GONE:
                return self._take_address(event.number)
            case What.LINK_DOWN:
                self._link(event.number, up=False)
                return lambda: self._link(event.number, up=True)
            case What.STALE:
                vpc.lag = event.amount * 4
                return lambda: setattr(vpc, "lag", 0.0)
            case What.SLOW:
                vpc.latency = event.amount * 0.5
                return lambda: setattr(vpc, "latency", 0.0)
            case What.AWAY:
                vpc.away = True
                return lambda: setattr(vpc, "away", False)
            case What.THROTTLED:
                vpc.throttled = event.amount * 0.9
                return lambda: setattr(vpc, "throttled", 0.0)
            case What.REFUSED | What.LOST | What.LATE | What.FORGOTTEN:
                # What a live ENI's route was replaced with can't be forgotten: see the claim rule.
                vpc.next_writes += [event.what.name.lower()] * (1 + int(event.amount * 5))
            case What.NO_IMDS:
                agent.metadata.node = Transient("IMDS does not answer")
                return lambda: setattr(agent.metadata, "node", node(event.zone))
            case What.KILLED:
                agent.kill(event.amount * 3)
            case What.STALLED:
                agent.stall(event.amount * 12)
        return None

    def _spare_gateway(self, tables: frozenset[int], address: Network) -> set[int]:
        spared = {0} if self.plan.gateway and address == ADDRESSES[0] else set()
        return set(tables) - spared

    def _steal(self, tables: frozenset[int], address: Network) -> Callable[[], None]:
        vpc = self.vpc
        self._attach(THIEF, InstanceId("i-t"))
        for index in sorted(self._spare_gateway(tables, address)):
            vpc.change(pointed(vpc.state, str(address), THIEF, only=index))
        return lambda: self._attach(THIEF, None)

    def _attach(self, which: EniId, instance: InstanceId | None) -> None:
        vpc = self.vpc
        changed = tuple(
            replace(e, instance=instance, attached=instance is not None) if e.id == which else e
            for e in vpc.state.enis
        )
        vpc.change(replace(vpc.state, enis=changed))

    def _change(self, number: int, change: Callable[[PodInterface], PodInterface]) -> None:
        kernel = self.agents["a"].kernel
        interfaces = tuple(
            change(i) if i.name == f"net{number}" else i for i in kernel.state.interfaces
        )
        kernel.state = replace(kernel.state, interfaces=interfaces)
        self.agents["a"].netlink()

    def _take_address(self, number: int) -> Callable[[], None]:
        self.gone.add(number)
        self._change(number, lambda i: replace(i, addresses=()))
        found = PodAddress(address=ip_address(f"192.168.0.{number}"), prefix_length=24)

        def undo() -> None:
            self.gone.discard(number)
            self._change(number, lambda i: replace(i, addresses=(found,)))

        return undo

    def _link(self, number: int, *, up: bool) -> None:
        kernel = self.agents["a"].kernel
        if not up:
            routes = tuple(r for r in kernel.state.routes if r.device != f"net{number}")
            kernel.state = replace(kernel.state, routes=routes)
        self._change(number, lambda i: replace(i, up=up))


def _beginning(plan: CoreSchedule) -> CloudState:
    thief = replace(eni("b", 1), id=THIEF, instance=None, attached=False)
    dead = replace(eni("b", 2, attached=False), id=EniId("eni-x1"))
    live = replace(eni("b", 2), id=EniId("eni-l1"), instance=InstanceId("i-l"))
    state = cloud(plan.tables)
    state = replace(state, enis=(*state.enis, thief, dead, live))
    first = {"nothing": None, "dead": dead.id, "live": live.id}[plan.before]
    for address in ADDRESSES:
        if first is not None:
            state = pointed(state, str(address), first)
    if plan.gateway:
        head, *rest = state.tables
        others = tuple(r for r in head.routes if r.destination != ADDRESSES[0])
        route = CloudRoute(destination=ADDRESSES[0], target=GATEWAY)
        state = replace(state, tables=(replace(head, routes=(*others, route)), *rest))
    return state
