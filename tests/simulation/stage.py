"""A schedule that is being played: the group in its world, and what befalls it."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from operator import attrgetter
from random import Random
from typing import Any

from simulation.faults import FAULTS, FOREVER, Fault, In
from simulation.pod import REVISIONS, SOUND, Parts, Pod
from simulation.schedule import Schedule
from simulation.world import ADDRESSES, World
from vipmanager.core.settings import HandOver, Rate, Settings
from vipmanager.core.values import (
    Address,
    CloudRoute,
    CloudState,
    EniId,
    InstanceId,
    RouteTableId,
    Target,
    TargetKind,
    host,
)
from worlds import eni, pointed

GATEWAY = Target(kind=TargetKind.OTHER, id="igw-1")
OTHERS = (ip_address("192.168.0.1"), ip_address("192.168.0.3"))
"""The addresses after a rollout that changes one of them."""
NEW = (ip_address("192.168.0.5"), ip_address("192.168.0.6"))
"""The same where it changes all."""
CONTROLLER = 1.0
"""Seconds between two looks of the Deployment controller."""


class Stage:
    """The world of a schedule."""

    def __init__(self, plan: Schedule, parts: Parts = SOUND) -> None:
        self.plan, self.parts = plan, parts
        self.world = world = World(plan.seed, tables=plan.tables)
        self._luck = Random(plan.seed)  # noqa: S311 - a seed shall give the same again
        world.ec2.change(_beginning(plan, world.ec2.state))
        world.network.holds = plan.holds_bytes
        standby = plan.group is In.STANDBY
        world.ec2.service.stall = (0.0, plan.waits)
        if plan.describes is not None:
            world.ec2.limits["read"] = Rate(burst=20, refill=plan.describes)
        if plan.leads_to is not None:
            world.network.prefer = {"ec2": plan.leads_to, "kube": plan.leads_to}
        self.template = Settings(
            leader_election=standby,
            lease_seconds=plan.lease_seconds,
            heartbeat=plan.heartbeat,
            resync=plan.resync,
            preferred_zone=plan.preferred_zone,
            hand_over_on=tuple(HandOver) if plan.hand_over else (),
            rate=plan.rate,
            tables=tuple(RouteTableId(f"rtb-{n:02}") for n in range(plan.tables))
            if plan.named_tables
            else (),
        )
        self.addresses: tuple[Address, ...] = ADDRESSES
        self.revision = self._newest = 0
        self.members: list[Pod] = []
        """The group's pods, the latest at each place."""
        self._revisions: dict[str, int] = {}
        self._before: tuple[Settings, tuple[Address, ...]] = self.template, self.addresses
        self._layers: dict[str, list[list[object]]] = {}
        self._born = 0
        for node, start in zip(plan.nodes, plan.starts, strict=False):
            pod = self._make(node)
            self.members.append(pod)
            world.at(start, pod.start)
        self.others = [self._at_rest(number) for number in range(plan.agents)]
        for fault in plan.faults:
            world.at(fault.at, self.befall, fault)

    def befall(self, fault: Fault) -> None:
        """Let a fault begin, and end."""
        self.world.say(f"FAULT {fault.kind} at {fault.place}, {fault.seconds:.2f} s")
        kind = FAULTS[fault.kind]
        undo = kind.do(self, fault)
        if undo is not None and fault.seconds < FOREVER:
            self.world.hub.after(fault.seconds, self._undo, fault, undo)

    def _undo(self, fault: Fault, undo: object) -> None:
        self.world.say(f"end of {fault.kind} at {fault.place}")
        assert callable(undo)
        undo()

    # what a fault is done to

    def place(self, fault: Fault) -> Pod:
        """Give the pod that a fault is about."""
        return self.members[fault.place % len(self.members)]

    def other(self, fault: Fault) -> Pod:
        """Give another one."""
        return self.members[(fault.place + 1) % len(self.members)]

    def number(self, fault: Fault) -> int:
        """Give the place of the floating IP that it is about."""
        return int(fault.amount * 7.99) % len(self.addresses)

    def address(self, fault: Fault) -> tuple[int, Address]:
        """Give that floating IP, and its number."""
        number = self.number(fault)
        return number + 1, self.addresses[number]

    def tables(self, fault: Fault, spare: int) -> list[int]:
        """Give the route tables that it is about, some or all; spare a gateway's."""
        count = len(self.world.ec2.state.tables)
        luck = Random(f"{self.plan.seed} {fault.at}")  # noqa: S311 - the same when shrunk
        chosen = sorted(luck.sample(range(count), luck.randint(1, count)))
        return [c for c in chosen if not (c == 0 and self.plan.gateway and spare == 1)]

    # parts of the world

    def part(self, path: str) -> Any:  # noqa: ANN401 - whatever is there
        """Give a part of the world: `ec2.ills`."""
        return attrgetter(path)(self.world)

    def lay(self, path: str, value: object) -> Callable[[], None]:
        """Give an attribute another value; give what undoes it. The last one laid counts."""
        where, _, name = path.rpartition(".")
        owner, layer = self.part(where), [value]
        layers = self._layers.setdefault(path, [[getattr(owner, name)]])
        layers.append(layer)
        setattr(owner, name, value)

        def undo() -> None:
            layers.remove(layer)
            setattr(owner, name, layers[-1][0])

        return undo

    # pods that come and go

    def _make(self, node: str) -> Pod:
        self._born += 1
        settings = self.template
        if self.plan.two_leases:
            settings = replace(settings, lease_name=f"vipmanager-{node}")
        pod = self.world.pod(
            f"{node}{self._born}",
            node,
            settings,
            addresses=self.addresses,
            parts=self.parts,
            checked=self.plan.checked,
            asks=self.plan.asks,
            called=f"app-{REVISIONS[self.revision % len(REVISIONS)]}-{REVISIONS[0]}",
        )
        self._revisions[pod.name] = self.revision
        return pod

    def _at_rest(self, number: int) -> Pod:
        """Start a sidecar with a route of its own, which is right already."""
        world, address = self.world, ip_address(f"172.31.{number // 250}.{1 + number % 250}")
        pod = world.pod(f"x{number}", "c", self.template, addresses=(address,))
        world.point(range(self.plan.tables), host(address), pod.node.eni(1))
        world.at(self._luck.uniform(0.0, self.plan.resync), pod.start)
        return pod

    def replaced(self, pod: Pod) -> None:
        """Let the Deployment have a new pod in the place of one that is gone."""
        if pod in self.members and pod.gone and not pod.node.down:
            made = self._make(pod.node.letter)
            self.members[self.members.index(pod)] = made
            made.start()

    def moved(self, pod: Pod, node: str) -> None:
        """Let the Deployment have a new pod elsewhere in the place of one whose object is gone."""
        if pod in self.members:
            made = self._make(node)
            self.members[self.members.index(pod)] = made
            made.start()

    def beside(self, node: str) -> Pod:
        """Start a pod beside the group's."""
        return self._make(node).start()

    def roll(self, change: str, fault: Fault) -> None:
        """Change the Deployment's template; its controller does the rest, by readiness."""
        settings = self.template
        self._before = settings, self.addresses
        match change:
            case "heartbeat":
                settings = replace(settings, heartbeat=settings.heartbeat / 5)
            case "lease":
                settings = replace(settings, lease_seconds=settings.lease_seconds + 5)
            case "addresses":
                self.addresses = OTHERS
            case "all addresses":
                self.addresses = NEW
            case _:
                pass
        self.template = settings
        self._revised(self._newest + 1)
        self.world.say(f"rollout {self.revision}: {change or 'the same again'} ({fault.place})")

    def roll_back(self) -> None:
        """Undo the last rollout."""
        self.template, self.addresses = self._before
        self._revised(self.revision - 1)

    def _revised(self, revision: int) -> None:
        if not self._newest:
            self.world.hub.after(CONTROLLER, self._control)
        self.revision, self._newest = revision, max(revision, self._newest)

    def _control(self) -> None:
        """Be the Deployment controller: maxSurge 0, maxUnavailable 1, as deploy/ has it."""
        members = self.members
        for pod in [p for p in members if p.gone and not p.node.down]:
            self.replaced(pod)
        old = [p for p in members if self._old(p) and not p.leaving]
        others = [p for p in members if p.leaving or p.gone or not p.ready]
        for pod in sorted(old, key=lambda p: p.ready):
            if not [p for p in others if p is not pod]:
                pod.delete()
                pod.leaving = True
                break
        self.world.hub.after(CONTROLLER, self._control)

    @property
    def rolling(self) -> bool:
        """A rollout is under way: it waits for each new pod to be ready, as long as that takes."""
        pods = [p for p in self.members if not p.node.down]
        return self._newest > 0 and any(p.leaving or p.gone or self._old(p) for p in pods)

    def _old(self, pod: Pod) -> bool:
        return self._revisions[pod.name] != self.revision


def _beginning(plan: Schedule, state: CloudState) -> CloudState:
    dead = replace(eni("b", 2, attached=False), id=EniId("eni-x1"))
    live = replace(eni("b", 2), id=EniId("eni-l1"), instance=InstanceId("i-l"))
    state = replace(state, enis=(*state.enis, dead, live))
    first = {"nothing": None, "dead": dead.id, "live": live.id}[plan.before]
    for address in ADDRESSES:
        if first is not None:
            state = pointed(state, str(host(address)), first)
    if plan.gateway:
        head, *rest = state.tables
        to = host(ADDRESSES[0])
        others = tuple(r for r in head.routes if r.destination != to)
        route = CloudRoute(destination=to, target=GATEWAY)
        state = replace(state, tables=(replace(head, routes=(*others, route)), *rest))
    return state
