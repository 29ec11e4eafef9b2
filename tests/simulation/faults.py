"""What goes wrong: one table of faults, and how each is done to a world and undone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Flag, auto
from functools import partial
from typing import TYPE_CHECKING, Any

from simulation.aws import moved
from simulation.world import THIEF, Acquired
from vipmanager.core.election.record import FINGERPRINT, generation_of
from vipmanager.core.election.values import Order
from vipmanager.core.failures import Transient
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.settings import Rate
from vipmanager.core.values import (
    CloudState,
    EniId,
    InstanceId,
    PodInterface,
    RouteTable,
    eni_target,
    host,
)
from vipmanager.edges.aws.credentials import PATIENCE
from vipmanager.edges.aws.zonal import ZonePlace
from vipmanager.edges.kubernetes.nodes import NodePlace
from worlds import table

if TYPE_CHECKING:
    from simulation.pod import Pod
    from simulation.stage import Stage

FOREVER = float("inf")
"""Seconds of a fault that does not end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong, at some place, for some seconds."""

    kind: str
    at: float
    seconds: float = FOREVER
    place: int = 0
    """Of the replicas, or of the floating IPs, as the kind has it."""
    amount: float = 1.0
    """0 to 1, to be scaled."""

    @property
    def over(self) -> float:
        """When its last consequence begins."""
        kind = FAULTS[self.kind]
        lasts = self.seconds if self.seconds < FOREVER and kind.lasts else 0.0
        return self.at + lasts + kind.after

    def __str__(self) -> str:
        lasts = f"for {self.seconds:.2f} s" if self.seconds < FOREVER else "for good"
        return f"{self.at:7.2f} s  {self.kind} at {self.place} {lasts}, amount {self.amount:.2f}"


class In(Flag):
    """The kinds of groups that a fault is drawn for."""

    ALONE = auto()
    """A sidecar without a Lease."""
    RIVALS = auto()
    """Two of them with the same addresses."""
    STANDBY = auto()
    """Two or three replicas with a Lease."""
    ALL = ALONE | RIVALS | STANDBY
    NONE = 0


Undo = Callable[[], object]
Deed = Callable[["Stage", Fault], Undo | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A row of the table."""

    do: Deed
    where: In
    lasts: bool = True
    cost: int = 1
    """Moves of the Lease that it may cause, its end included."""
    after: float = 0.0
    """Seconds that it goes on by itself."""
    rows: tuple[str, ...] = ()
    """Rows of `rows.py`: it is drawn once none of them is open."""
    weight: int = 1
    disturbs: bool = False
    """Whether a healthy holder may not be able to show in time that it lives."""
    upsets: bool = False
    """Whether it changes a route, or what is routed."""


# parts of the world that have another value for a while


def _always(value: object) -> Callable[[float], object]:
    return lambda _amount: value


def _up_to(high: float, low: float = 0.0) -> Callable[[float], object]:
    return lambda amount: low + (high - low) * amount


def _between(low: float, high: float) -> Callable[[float], object]:
    """Give a span from the least to the most seconds, the latter drawn up to a limit."""
    return lambda amount: (low, low + (high - low) * amount)


def _set(values: Mapping[str, Callable[[float], object]]) -> Deed:
    """Give attributes, by their path in the world, values made of the fault's amount."""

    def do(stage: "Stage", fault: Fault) -> Undo:
        return _all([stage.lay(path, made(fault.amount)) for path, made in values.items()])

    return do


def _ail(what: str, value: str) -> Deed:
    """Let EC2's `reads` or `writes` fail in a way."""
    return _set({f"ec2.ills.{what}": _always(value)})


def _among(path: str, what: Callable[["Stage", Fault], object]) -> Deed:
    """Put something into one of the world's sets."""

    def do(stage: "Stage", fault: Fault) -> Undo:
        found, item = stage.part(path), what(stage, fault)
        found.add(item)
        return lambda: found.discard(item)

    return do


def _together(*deeds: Deed) -> Deed:
    return lambda stage, fault: _all([undo for deed in deeds if (undo := deed(stage, fault))])


def _all(undos: Sequence[Undo]) -> Undo:
    return lambda: [undo() for undo in undos]


def _pod(stage: "Stage", fault: Fault) -> str:
    return stage.place(fault).name


def _node(stage: "Stage", fault: Fault) -> str:
    return stage.place(fault).node.name


def _writes_of(stage: "Stage", fault: Fault) -> object:
    """Give what the role of one pod's node lacks: writes of every table, or of one."""
    pod = stage.place(fault).name
    return pod if fault.amount > 0.5 else (pod, "rtb-00")


def _never_end(what: Deed) -> Deed:
    """EC2 sends a byte now and then, so that no time-out ends a call."""
    return _together(_among("ec2.service.endless", _node), what)


# EC2, IMDS and the Lease


def _next_writes(what: str) -> Deed:
    def do(stage: "Stage", fault: Fault) -> None:
        stage.world.ec2.ills.next_writes += [what] * (1 + int(fault.amount * 5))

    return do


def _writes_stall(stage: "Stage", fault: Fault) -> Undo:
    """Credentials are due at one place, and take their time: 25 s, as a whole."""
    held_up, node = stage.world.ec2.service.held_up, _node(stage, fault)
    held_up[node] = 25.0 * fault.amount
    return lambda: held_up.pop(node, None)


def _no_imds(stage: "Stage", fault: Fault) -> Undo:
    pod = stage.place(fault)
    pod.imds.node = Transient("IMDS does not answer")
    return lambda: setattr(pod.imds, "node", stage.world.node_data(pod.node))


def _lease_deleted(stage: "Stage", fault: Fault) -> None:
    stage.world.forget_holders()
    for lease in stage.world.kube.leases.values():
        if lease.record is not None:
            lease.delete()


def _lease_edited(stage: "Stage", fault: Fault) -> None:
    stage.world.forget_holders()
    for name, lease in stage.world.kube.leases.items():
        record = lease.record
        if record is None:
            continue
        edits: tuple[dict[str, Any], ...] = (
            {"holder": None},
            {"holder": "nobody/n0"},
            {"transitions": max(0, record.transitions - 2)},
            {"transitions": record.transitions + 5},
            {"duration": 100000},
            {"renew_time": "2020-01-01T00:00:00.000000Z"},
            {"annotations": {**record.annotations, "someone": "was here"}},
            {"annotations": {}},
            {"holder": "nobody/n0", "annotations": {FINGERPRINT: "another group's"}},
            {"holder": None, "annotations": {FINGERPRINT: "another group's"}},
        )
        edit = edits[int(fault.amount * (len(edits) - 0.01))]
        stage.world.say(f"the Lease is edited by hand: {edit}")
        stage.world.kube.edit(name, replace(record, **edit))


# paths


def _closed(stage: "Stage", *paths: object) -> Undo:
    network = stage.world.network
    for path in paths:
        network.close(path)
    return _all([partial(network.mend, path) for path in paths])


def _ends(stage: "Stage", service: str, fault: Fault) -> list[object]:
    node, found = stage.place(fault).node.name, list[object]()
    for end in (f"{service}@{z}" for z in "ab"):
        found += [(node, end)] if fault.amount < 0.7 else []
        found += [(end, node)] if fault.amount > 0.3 else []
    return found


def _cut_from(service: str) -> Deed:
    return lambda stage, fault: _closed(stage, *_ends(stage, service, fault))


def _api_away(stage: "Stage", fault: Fault) -> Undo:
    return _closed(stage, "kube@a", "kube@b")


def _cut_apart(stage: "Stage", fault: Fault) -> Undo:
    one, other = stage.place(fault).node.name, stage.other(fault).node.name
    paths: list[object] = [(one, other)] if fault.amount < 0.7 else []
    return _closed(stage, *paths, *([(other, one)] if fault.amount > 0.3 else []))


def _flicker(stage: "Stage", fault: Fault) -> Undo:
    """A channel that comes and goes, and with it the holder's way to the API: there is no veto."""

    def cut() -> None:
        pod = next((p for p in stage.members if p.holds), stage.place(fault))
        now = replace(fault, place=stage.members.index(pod), seconds=1.6, amount=0.5)
        stage.befall(replace(now, kind="cut apart"))
        stage.befall(replace(now, kind="cut from api"))

    for turn in range(3):
        stage.world.hub.after(turn * 3.2, cut)
    return lambda: None


def _uplink_cut_at_a_write(stage: "Stage", fault: Fault) -> None:
    """The node's link is cut with a route write in its kernel."""
    world, node = stage.world, stage.place(fault).node.name

    def sent(source: str, kind: str) -> None:
        if (source, kind) == (node, "write"):
            world.network.sent.remove(sent)
            world.say(f"the link of {node} is cut")
            world.network.close(node)
            world.hub.after(fault.seconds, world.network.mend, node)

    world.network.sent.append(sent)


def _zone_lost(stage: "Stage", fault: Fault) -> Undo:
    """All of a zone at once: nodes, and the ends of connections."""
    world, zone = stage.world, stage.place(fault).node.zone
    world.say(f"zone {zone} is lost")
    world.network.close(("zone", zone))
    nodes = [n for n in world.nodes.values() if n.zone == zone and not n.down]
    lost = [p for p in stage.members if p.node in nodes]
    for node in nodes:
        world.node_lost(node)

    def undo() -> None:
        world.network.mend(("zone", zone))
        for node in nodes:
            world.node_back(node)
        for pod in lost:
            stage.replaced(pod)

    return undo


def _silent(stage: "Stage", fault: Fault) -> None:
    """The connections that there are carry nothing any more, and nobody is told."""
    stage.world.network.silence(stage.place(fault).node.name)


def _zone_silent(stage: "Stage", fault: Fault) -> Undo:
    return _closed(stage, ("zone", stage.place(fault).node.zone))


# machines and processes


def _crash(stage: "Stage", fault: Fault) -> None:
    pod = stage.place(fault)
    if pod.alive:
        pod.kill()
        pod.restart(0.05 + 3.0 * fault.amount)


def _pause(stage: "Stage", fault: Fault) -> None:
    stage.place(fault).suspend(min(fault.seconds, 12.0))


def _stopped_between_tries(stage: "Stage", fault: Fault) -> Undo:
    """A route is dropped; its holder's writes are refused, and it stands still before the next."""
    world, sents = stage.world, stage.world.network.sent
    until = world.now + min(fault.seconds, 12.0)
    pod = next((p for p in stage.members if p.holds), stage.place(fault))

    def sent(source: str, kind: str) -> None:
        if (source, kind) == (pod.node.name, "write"):
            sents.remove(sent)
            world.hub.after(0.1, lambda: pod.suspend(max(0.0, until - world.now)))

    sents.append(sent)
    world.ec2.ills.next_writes += ["refused"] * len(world.ec2.state.tables)
    _dropped(stage, fault)
    pod.look()
    return lambda: sents.remove(sent) if sent in sents else None


def _overtaken(stage: "Stage", fault: Fault) -> None:
    """A route is stolen; its holder's write is late, and another one takes over meanwhile."""
    world = stage.world
    pod = next((p for p in stage.members if p.holds), stage.place(fault))
    other = next((p for p in stage.members if p is not pod), pod)
    stolen = stage.tables(fault, spare=stage.number(fault) + 1)
    world.ec2.ills.next_writes += ["late"] * len(stolen)
    world.hub.after(5.0, _stolen(stage, fault))
    pod.look()
    world.hub.after(0.5, other.ask, Order.CLAIM)


def _held_up_and_overtaken(stage: "Stage", fault: Fault) -> None:
    """The same, and its credentials are what takes so long."""
    world = stage.world
    pod = next((p for p in stage.members if p.holds), stage.place(fault))
    other = next((p for p in stage.members if p is not pod), pod)
    held_up, node = world.ec2.service.held_up, pod.node.name
    held_up[node] = PATIENCE * fault.amount
    world.hub.after(5.0, _stolen(stage, fault))
    world.hub.after(5.0, held_up.pop, node, None)
    pod.look()
    world.hub.after(0.5, other.ask, Order.CLAIM)


def _suspend(stage: "Stage", fault: Fault) -> Undo:
    """Stop a machine: its monotonic clock stands, its wall clock jumps."""
    pod, world = stage.place(fault), stage.world
    process, began = pod.process, world.now
    if process is None or process.dead:
        return lambda: None
    process.stop()

    def undo() -> None:
        pod.node.host.offset -= (world.now - began) * pod.node.host.rate
        process.cont()

    return undo


def _wall_clock(stage: "Stage", fault: Fault) -> None:
    stage.place(fault).node.host.skew += (fault.amount - 0.5) * 1000


def _node_lost(stage: "Stage", fault: Fault) -> Undo:
    """A machine is gone at once; another pod starts on another one later."""
    pod = stage.place(fault)
    node = pod.node
    if node.down:
        return lambda: None
    stage.world.node_lost(node)

    def undo() -> None:
        stage.world.node_back(node)
        stage.replaced(pod)

    return undo


def _node_lost_at_a_renewal(stage: "Stage", fault: Fault) -> None:
    """A machine is gone right after its pod has renewed the Lease."""
    world, pod = stage.world, stage.place(fault)

    def changed(name: str, before: LeaseRecord | None, after: LeaseRecord | None) -> None:
        if after is None or before is None or after.holder != pod.identity or pod.node.down:
            return
        if generation_of(before) == generation_of(after):
            world.hub.after(0.01, world.node_lost, pod.node)

    world.kube.changed.append(changed)


def _taken_and_dead(stage: "Stage", fault: Fault) -> None:
    """Another pod takes over, and dies; this one has read EC2 before that one's writes landed, and
    its describes hang from then on."""
    world, mine, other = stage.world, stage.place(fault), stage.other(fault)
    world.ec2.write_latency = (0.4, 0.4)

    def taken(acquired: Acquired) -> None:
        if acquired.by != other.identity:
            return
        world.taken.remove(taken)
        world.hub.after(0.02, mine.look)
        world.hub.after(0.15, stage.lay, "ec2.ills.reads", "hang")
        world.hub.after(0.9, world.node_lost, other.node)

    world.taken.append(taken)
    other.ask(Order.CLAIM)


def _object_deleted(stage: "Stage", fault: Fault) -> Undo:
    """A pod's object is deleted by force, and another one starts in the other zone.

    The pod is dead; or lives on until its kubelet, which is cut off, hears of it.
    """
    pod, world = stage.place(fault), stage.world
    pod.unlist()
    node = next((n for n in world.nodes.values() if n.zone != pod.node.zone and not n.down), None)
    if node is not None:
        world.hub.after(2.0, stage.moved, pod, node.letter)
    if fault.amount < 0.5:
        pod.end()
        return lambda: None
    return _all([_cut_from("kube")(stage, replace(fault, amount=0.5)) or pod.end, pod.end])


def _gone_for_good(stage: "Stage", fault: Fault) -> None:
    """A pod is deleted and not replaced; its node and its ENIs live on."""
    stage.place(fault).delete()


def _deleted(stage: "Stage", fault: Fault) -> Undo:
    pod = stage.place(fault)
    pod.delete()
    return lambda: stage.world.hub.after(4.0, stage.replaced, pod)


def _yield(stage: "Stage", fault: Fault) -> Undo:
    pod = stage.place(fault)
    pod.ask(Order.YIELD)
    lives = pod.identity

    def undo() -> None:
        """End it as a restart does: nothing is claimed."""
        if pod.identity == lives and pod.alive:
            pod.kill()
            pod.start()

    return undo


def _claim(stage: "Stage", fault: Fault) -> None:
    stage.place(fault).ask(Order.CLAIM)


def _sick(stage: "Stage", fault: Fault) -> Undo:
    pod = stage.place(fault)
    pod.app.well = False
    return lambda: setattr(pod.app, "well", True)


def _sick_and_robbed(stage: "Stage", fault: Fault) -> None:
    """An application is sick for half a minute; routes are stolen or dropped, and looked at."""

    def rob() -> None:
        if fault.amount < 0.5:
            stage.world.hub.after(15.0, _stolen(stage, fault))
        else:
            _dropped(stage, fault)
        stage.place(fault).look()

    stage.world.hub.after(10.0, rob)
    stage.world.hub.after(30.0, _sick(stage, fault))


def _flips(stage: "Stage", fault: Fault) -> Undo:
    """Each application's health comes and goes, in turns."""

    def flip(seconds: float) -> None:
        for turn, pod in enumerate(stage.members):
            pod.app.flips, pod.app.turn = seconds, turn

    flip(4.0 * fault.amount)
    return lambda: flip(0.0)


# routes and ENIs


def _stolen(stage: "Stage", fault: Fault) -> Undo:
    world = stage.world
    world.ec2.change(moved(world.ec2.state, THIEF, InstanceId("i-t")))
    number, address = stage.address(fault)
    world.point(stage.tables(fault, spare=number), host(address), THIEF)

    def undo() -> None:
        gone = moved(world.ec2.state, THIEF, None)
        world.ec2.change(gone if fault.amount < 0.5 else _blackholes(gone, THIEF))

    return undo


def _blackholes(state: CloudState, eni: EniId) -> CloudState:
    """Show the routes to an ENI as blackholes: EC2 does that, and not always at once."""
    target = eni_target(eni, None)

    def shown(each: RouteTable) -> RouteTable:
        routes = (
            replace(r, target=target, blackhole=True) if r.target.id == eni else r
            for r in each.routes
        )
        return replace(each, routes=tuple(routes))

    return replace(state, tables=tuple(map(shown, state.tables)))


def _dropped(stage: "Stage", fault: Fault) -> None:
    number, address = stage.address(fault)
    stage.world.drop(stage.tables(fault, spare=number), host(address))


def _pointed_at_the_other(stage: "Stage", fault: Fault) -> None:
    """Somebody points one table at the node of another zone, where no agent is."""
    number, address = stage.address(fault)
    eni = stage.world.nodes["b" if stage.place(fault).node.letter == "a" else "a"].eni(number)
    stage.world.point([0], host(address), eni)


def _table_added(stage: "Stage", fault: Fault) -> None:
    ec2, plan = stage.world.ec2, stage.plan
    if len(ec2.state.tables) == plan.tables:
        ec2.change(replace(ec2.state, tables=(*ec2.state.tables, table(90))))


def _table_deleted(stage: "Stage", fault: Fault) -> None:
    ec2, plan = stage.world.ec2, stage.plan
    ec2.change(replace(ec2.state, tables=ec2.state.tables[: plan.tables]))


def _detached(stage: "Stage", fault: Fault) -> Undo:
    world, pod = stage.world, stage.place(fault)
    eni = pod.node.eni(1 + stage.number(fault))
    world.ec2.change(moved(world.ec2.state, eni, None))
    back = InstanceId(f"i-{pod.node.letter}")
    return lambda: world.ec2.change(moved(world.ec2.state, eni, back))


def _interface(pod: "Pod", name: str, change: Callable[[PodInterface], PodInterface]) -> None:
    """Change an interface of this very pod: by the end of a fault another may be in its place."""
    kernel = pod.kernel
    changed = tuple(change(i) if i.name == name else i for i in kernel.state.interfaces)
    kernel.state = replace(kernel.state, interfaces=changed)
    pod.netlink()


def _address_gone(stage: "Stage", fault: Fault) -> Undo:
    pod, number = stage.place(fault), stage.number(fault)
    name, fresh = f"net{1 + number}", stage.world.pod_state(pod.node, pod.addresses)
    pod.without.add(number)
    _interface(pod, name, lambda i: replace(i, addresses=()))

    def undo() -> None:
        pod.without.discard(number)
        addresses = fresh.interfaces[1 + number].addresses
        _interface(pod, name, lambda i: replace(i, addresses=addresses))

    return undo


def _interface_gone(stage: "Stage", fault: Fault) -> Undo:
    """An interface is deleted, with its routes; or all of them are."""
    pod, every = stage.place(fault), fault.amount > 0.7
    names = {f"net{n + 1}" for n in range(len(pod.addresses)) if every or n == stage.number(fault)}
    numbers = {int(name[3:]) - 1 for name in names}
    kernel, fresh = pod.kernel, stage.world.pod_state(pod.node, pod.addresses).interfaces
    kernel.state = replace(
        kernel.state,
        interfaces=tuple(i for i in kernel.state.interfaces if i.name not in names),
        routes=tuple(r for r in kernel.state.routes if r.device not in names),
    )
    pod.without |= numbers
    pod.netlink()

    def undo() -> None:
        pod.without -= numbers
        back = tuple(i for i in fresh if i.name in names)
        there = {i.name for i in kernel.state.interfaces}
        back = tuple(i for i in back if i.name not in there)
        kernel.state = replace(kernel.state, interfaces=(*kernel.state.interfaces, *back))
        pod.netlink()

    return undo


def _check_on(stage: "Stage", fault: Fault) -> Undo:
    """Somebody switches an ENI's source/dest check on."""
    world, pod = stage.world, stage.place(fault)
    eni = pod.node.eni(1 + stage.number(fault))

    def switch(*, on: bool) -> None:
        state = world.ec2.state
        enis = tuple(replace(e, source_dest_check=on) if e.id == eni else e for e in state.enis)
        world.ec2.change(replace(state, enis=enis))

    switch(on=True)
    return lambda: switch(on=False)


def _link_down(stage: "Stage", fault: Fault) -> Undo:
    pod, name = stage.place(fault), f"net{1 + stage.number(fault)}"
    kernel = pod.kernel
    routes = tuple(r for r in kernel.state.routes if r.device != name)
    kernel.state = replace(kernel.state, routes=routes)
    _interface(pod, name, lambda i: replace(i, up=False))
    return lambda: _interface(pod, name, lambda i: replace(i, up=True))


# rollouts


def _rolled(change: str) -> Deed:
    return lambda stage, fault: stage.roll(change, fault)


def _roll_undone(stage: "Stage", fault: Fault) -> Undo:
    stage.roll("", fault)
    return stage.roll_back


def _rolled_to_one(stage: "Stage", fault: Fault) -> Undo:
    """Another HeartbeatMs has come to one replica, and not to the other."""
    stage.template = replace(stage.template, heartbeat=stage.template.heartbeat / 5)
    return _deleted(stage, replace(fault, seconds=0.0))


def _second_pod(stage: "Stage", fault: Fault) -> Undo:
    """A second pod with the same addresses, for a while: a rollout undone, a scale by mistake."""
    return stage.beside("b").delete


def _second_pod_claims(stage: "Stage", fault: Fault) -> Undo:
    """A second pod takes what the first one holds; then it is gone without a word."""
    pod = stage.beside("b")
    stage.world.hub.after(5.0, pod.ask, Order.CLAIM)
    return pod.force_delete


IN_FLIGHT = 5.0
"""Seconds in which a call that was under way when a fault ended is given up, and made again."""

EXPIRED = 15.0
"""Seconds in which a Lease expires that could not be renewed meanwhile."""

FAULTS: dict[str, Kind] = {
    "ec2 slow": Kind(do=_set({"ec2.service.latency": _between(0.1, 0.5)}), where=In.ALL, cost=0),
    "ec2 crawls": Kind(
        do=_set({"ec2.service.latency": _between(1.1, 4.5)}),
        where=In.ALL,
        after=IN_FLIGHT,
        rows=("A8",),
    ),
    "ec2 away": Kind(
        do=_together(_ail("reads", "error"), _ail("writes", "error")),
        where=In.ALL,
        after=IN_FLIGHT,
        cost=2,
    ),
    "ec2 flaky": Kind(
        do=_set({"ec2.service.lost": _up_to(0.8, 0.2)}),
        where=In.ALL,
        after=IN_FLIGHT,
        cost=2,
        weight=2,
    ),
    "ec2 stale": Kind(do=_set({"ec2.ills.lag": _up_to(4.0)}), where=In.ALL, cost=0),
    "ec2 throttles": Kind(
        do=_together(_ail("writes", "throttled"), _set({"ec2.ills.share": _up_to(1.0)})),
        where=In.ALL,
        rows=("A7",),
    ),
    "describes fail": Kind(
        do=_ail("reads", "error"), where=In.ALL, after=IN_FLIGHT, cost=0, rows=("A1",)
    ),
    "describes are throttled": Kind(
        do=_together(_ail("reads", "throttled"), _set({"ec2.ills.share": _up_to(1.0)})),
        where=In.ALL,
        cost=0,
        rows=("A1",),
    ),
    "describes hang": Kind(
        do=_ail("reads", "hang"), where=In.ALL, after=IN_FLIGHT, cost=0, rows=("A2",)
    ),
    "describes are denied": Kind(do=_ail("reads", "denied"), where=In.ALL, rows=("A1",)),
    "writes fail": Kind(do=_ail("writes", "error"), where=In.ALL, after=IN_FLIGHT, cost=3),
    "writes hang": Kind(do=_ail("writes", "hang"), where=In.ALL, after=IN_FLIGHT, cost=3),
    "writes denied": Kind(do=_among("ec2.ills.denied", _writes_of), where=In.ALL, rows=("B6",)),
    "bucket nearly empty": Kind(
        do=_set({"ec2.limits": lambda a: {"write": Rate(burst=1, refill=0.7 * a)}}),
        where=In.ALL,
        rows=("A7",),
    ),
    "refused": Kind(do=_next_writes("refused"), where=In.ALL, lasts=False),
    "lost": Kind(do=_next_writes("lost"), where=In.ALL, lasts=False),
    "late": Kind(do=_next_writes("late"), where=In.ALL, lasts=False, after=4.0),
    "forgotten": Kind(do=_next_writes("forgotten"), where=In.ALONE, lasts=False),
    "stalls": Kind(
        do=_set({"ec2.service.stall": _between(0.0, 0.8)}), where=In.STANDBY, rows=("A8",)
    ),
    "calls wait": Kind(
        do=_set({"ec2.service.stall": _between(0.0, 1.5)}), where=In.ALONE | In.RIVALS, weight=2
    ),
    "credentials are slow": Kind(do=_writes_stall, where=In.STANDBY, rows=("A8",)),
    "writes never end": Kind(
        do=_never_end(_among("ec2.ills.hung", _pod)), where=In.ALL, after=IN_FLIGHT, rows=("A8",)
    ),
    "describes never end": Kind(
        do=_never_end(_ail("reads", "hang")), where=In.ALL, after=IN_FLIGHT, rows=("A2",)
    ),
    "zone impaired": Kind(
        do=_among("ec2.ills.impaired", lambda _stage, _fault: "b"), where=In.ALL, rows=("A4",)
    ),
    "no imds": Kind(do=_no_imds, where=In.ALL, cost=0),
    "api slow": Kind(
        do=_set({"kube.service.latency": _between(0.1, 0.8)}),
        disturbs=True,
        where=In.STANDBY,
        cost=3,
    ),
    "api crawls": Kind(
        do=_set({"kube.service.latency": _between(1.05, 4.5)}),
        disturbs=True,
        where=In.STANDBY,
        after=EXPIRED,
        rows=("A6",),
    ),
    "api flaky": Kind(
        do=_set({"kube.service.lost": _up_to(0.7, 0.1)}),
        disturbs=True,
        where=In.STANDBY,
        after=EXPIRED,
        cost=3,
    ),
    "api away": Kind(do=_api_away, disturbs=True, where=In.STANDBY, after=EXPIRED),
    "api forbids": Kind(
        do=_among("kube.forbidden", _pod), disturbs=True, where=In.STANDBY, after=EXPIRED, cost=2
    ),
    "watch slow": Kind(
        do=_set({"kube.watch_delay": _between(0.05, 1.1)}), where=In.STANDBY, cost=0
    ),
    "watch disorder": Kind(
        do=_set({"kube.watch_delay": _between(0.05, 1.1), "kube.disorder": _always(value=True)}),
        where=In.STANDBY,
        cost=1,
    ),
    "watch dead": Kind(do=_among("kube.deaf", _pod), where=In.STANDBY),
    "lease deleted": Kind(
        do=_lease_deleted, disturbs=True, where=In.STANDBY, lasts=False, after=5.0
    ),
    "lease edited": Kind(do=_lease_edited, disturbs=True, where=In.STANDBY, lasts=False, after=5.0),
    "cut from api": Kind(
        do=_cut_from("kube"), disturbs=True, where=In.STANDBY, after=EXPIRED, weight=2
    ),
    "cut from ec2": Kind(do=_cut_from("ec2"), where=In.ALL, after=IN_FLIGHT, weight=2),
    "cut apart": Kind(do=_cut_apart, where=In.STANDBY, cost=2, weight=2),
    "flicker": Kind(
        do=_flicker,
        disturbs=True,
        where=In.STANDBY,
        lasts=False,
        cost=3,
        after=10.0 + EXPIRED,
        weight=2,
    ),
    "datagrams lost": Kind(do=_set({"network.loss": _up_to(0.7, 0.1)}), where=In.STANDBY, cost=3),
    "datagrams late": Kind(
        do=_set({"network.delay": _between(0.01, 0.6)}), where=In.STANDBY, cost=3
    ),
    "link cut at a write": Kind(
        do=_uplink_cut_at_a_write, disturbs=True, where=In.STANDBY, cost=2, rows=("A11",)
    ),
    "connections go silent": Kind(do=_silent, disturbs=True, where=In.ALL, lasts=False, after=45.0),
    "zone lost": Kind(do=_zone_lost, disturbs=True, where=In.STANDBY, cost=3, after=1.0),
    "zone silent": Kind(do=_zone_silent, disturbs=True, where=In.STANDBY, after=EXPIRED, cost=3),
    "crash": Kind(do=_crash, disturbs=True, where=In.ALL, lasts=False, cost=2, after=3.1, weight=2),
    "pause": Kind(do=_pause, disturbs=True, where=In.ALL, weight=2),
    "stopped between two tries": Kind(do=_stopped_between_tries, disturbs=True, where=In.STANDBY),
    "overtaken": Kind(do=_overtaken, where=In.STANDBY, lasts=False, after=5.0),
    "held up and overtaken": Kind(
        do=_held_up_and_overtaken, where=In.STANDBY, lasts=False, after=5.0, rows=("A8",)
    ),
    "host suspended": Kind(do=_suspend, disturbs=True, where=In.STANDBY),
    "wall clock": Kind(do=_wall_clock, where=In.ALL, lasts=False, cost=0),
    "node lost": Kind(do=_node_lost, where=In.STANDBY, cost=2, after=1.0, weight=2),
    "node lost at a renewal": Kind(
        do=_node_lost_at_a_renewal, where=In.NONE, cost=2, after=2.0, rows=("B9",)
    ),
    "taken, looked at, and dead": Kind(
        do=_taken_and_dead, where=In.NONE, cost=2, after=1.0, rows=("A12",)
    ),
    "pod gone for good": Kind(
        do=_gone_for_good, where=In.RIVALS, lasts=False, cost=2, after=4.0, rows=("B1",)
    ),
    "heartbeat rolled out to one": Kind(
        do=_rolled_to_one, where=In.NONE, lasts=False, cost=2, after=8.0, rows=("B8",)
    ),
    "cordoned": Kind(
        do=_among("places.cordoned", _node), where=In.NONE, cost=2, after=NodePlace.every + 1.0
    ),
    "zone shifted": Kind(
        do=_among("places.shifted", lambda stage, fault: stage.place(fault).node.zone),
        where=In.NONE,
        cost=2,
        after=ZonePlace.every + 1.0,
    ),
    "pod deleted": Kind(do=_deleted, disturbs=True, where=In.STANDBY, cost=2, after=5.0),
    "object deleted": Kind(do=_object_deleted, disturbs=True, where=In.NONE, cost=2, after=2.0),
    "second pod claims": Kind(do=_second_pod_claims, where=In.NONE, cost=2),
    "yield": Kind(do=_yield, disturbs=True, where=In.STANDBY, cost=2),
    "claim": Kind(do=_claim, where=In.STANDBY, lasts=False),
    "sick": Kind(do=_sick, where=In.ALONE | In.STANDBY, cost=2),
    "sick and robbed": Kind(do=_sick_and_robbed, where=In.ALONE, lasts=False, after=30.0),
    "health flips": Kind(do=_flips, cost=8, where=In.STANDBY, rows=("B7",)),
    "stolen": Kind(do=_stolen, upsets=True, where=In.ALONE | In.STANDBY, cost=0, weight=2),
    "dropped": Kind(
        do=_dropped, upsets=True, where=In.ALONE | In.STANDBY, lasts=False, cost=0, weight=2
    ),
    "pointed at the other": Kind(
        do=_pointed_at_the_other, upsets=True, where=In.NONE, lasts=False, rows=("B5",)
    ),
    "table added": Kind(do=_table_added, where=In.ALL, lasts=False, cost=0),
    "table deleted": Kind(do=_table_deleted, where=In.ALONE | In.STANDBY, lasts=False, cost=0),
    "detached": Kind(do=_detached, upsets=True, where=In.ALONE | In.STANDBY, cost=2),
    "address gone": Kind(do=_address_gone, upsets=True, where=In.ALONE, cost=2),
    "link down": Kind(do=_link_down, where=In.ALONE | In.STANDBY, cost=2),
    "address lost": Kind(do=_address_gone, upsets=True, where=In.NONE, cost=2),
    "interface deleted": Kind(do=_interface_gone, upsets=True, where=In.NONE, cost=2),
    "check switched on": Kind(do=_check_on, where=In.NONE, cost=2),
    "rolled out": Kind(do=_rolled(""), where=In.STANDBY, lasts=False, cost=4, after=40.0),
    "rollout undone": Kind(do=_roll_undone, where=In.STANDBY, cost=6, after=40.0),
    "addresses rolled out": Kind(
        do=_rolled("addresses"), where=In.STANDBY, lasts=False, cost=4, after=40.0, rows=("B3",)
    ),
    "all addresses rolled out": Kind(
        do=_rolled("all addresses"), where=In.NONE, lasts=False, cost=4, after=40.0, rows=("B3",)
    ),
    "heartbeat rolled out": Kind(
        do=_rolled("heartbeat"), where=In.STANDBY, lasts=False, cost=4, after=40.0, rows=("B8",)
    ),
    "lease seconds rolled out": Kind(
        do=_rolled("lease"), where=In.STANDBY, lasts=False, cost=4, after=40.0
    ),
    "second pod": Kind(do=_second_pod, where=In.ALONE, cost=2, after=4.0, rows=("B2",)),
}
"""Everything that can go wrong."""
