"""Everything around the agents: nodes in zones, a network, EC2, Kubernetes, and what is true."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import pairwise

import worlds
from simulation.aws import Ec2
from simulation.hub import Host, Hub
from simulation.kubernetes import Heartbeats, KubeApi
from simulation.marks import Marks
from simulation.network import Network
from simulation.places import Places
from simulation.pod import SOUND, Node, Parts, Pod
from vipmanager.core.election.record import generation_of
from vipmanager.core.election.values import Generation, pod_of
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.settings import Settings
from vipmanager.core.values import (
    Address,
    CloudState,
    Eni,
    EniId,
    InstanceId,
    KernelState,
    Mac,
    NodeMetadata,
    RouteTable,
    host,
)
from vipmanager.core.values import (
    Network as Cidr,
)
from vipmanager.engine.jitter import JITTER

ADDRESSES = (ip_address("192.168.0.1"), ip_address("192.168.0.2"))
NODES = {"a": "a", "b": "b", "c": "a", "d": "b"}
"""The zone of each node that a pod may run on."""
THIEF = EniId("eni-t1")
"""An ENI with no agent behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquired:
    """An acquisition that the API accepted."""

    at: float
    lease: str
    by: str
    before: str | None
    why: str
    misled: bool
    """Whether heartbeats called an agent dead that was alive and awake."""


LIVING: "set[World]" = set()
"""Worlds that have not ended."""


class World:
    """The truth."""

    def __init__(self, seed: int = 0, *, tables: int = 2) -> None:
        LIVING.add(self)
        JITTER.seed(seed)
        self.hub = Hub(seed)
        self.network = Network(self.hub)
        for service in ("ec2", "kube"):
            for zone in "ab":
                self.network.end(f"{service}@{zone}", zone)
        self.nodes = {letter: self._node(letter, zone) for letter, zone in NODES.items()}
        self.ec2 = Ec2(self.hub, self.network, self._vpc(tables), "ab")
        self.kube = KubeApi(self.hub, self.network, "ab")
        self.kube.changed.append(self._lease_changed)
        self.kube.objects = lambda: [o for p in self.pods if (o := p.shown) is not None]
        self.heartbeats = Heartbeats(self.network)
        self.places = Places()
        self.pods: list[Pod] = []
        self.acquired: list[Acquired] = []
        self.taken: list[Callable[[Acquired], None]] = []
        """Hear of each acquisition."""
        self.lost: dict[str, float] = {}
        """When each pod that ever held a Lease lost it; never, for one that holds."""
        self.told: list[Callable[[Pod, RoleStatus], None]] = []
        """Hear of each change of a role."""
        self._holders: dict[tuple[str, Generation], str] = {}
        self.problems: list[str] = []
        self.marks = Marks()
        self.trace: Callable[[str], None] | None = None

    # building it

    def _node(self, letter: str, zone: str) -> Node:
        luck = self.hub.luck
        name = self.network.end(f"node-{letter}", zone)
        return Node(
            letter,
            zone,
            Host(
                self.hub,
                name,
                rate=1.0 + 0.01 * luck.uniform(-1, 1),
                offset=1000.0 * luck.random(),
            ),
        )

    def _vpc(self, tables: int) -> CloudState:
        thief = replace(worlds.eni("b", 1), id=THIEF, instance=None, attached=False)
        state = worlds.cloud(tables)
        return replace(state, enis=(*(e for n in self.nodes.values() for e in _enis(n)), thief))

    def pod_state(self, node: Node, addresses: Sequence[Address]) -> KernelState:
        """Give the kernel of a new pod."""
        return worlds.kernel(
            *(worlds.interface(node.letter, n, str(a)) for n, a in enumerate(addresses, start=1))
        )

    def node_data(self, node: Node) -> NodeMetadata:
        """Give what IMDS tells on a node."""
        return worlds.imds(f"i-{node.letter}", _enis(node))

    def pod(
        self,
        name: str,
        node: str,
        settings: Settings,
        *,
        addresses: Sequence[Address] = ADDRESSES,
        parts: Parts = SOUND,
        checked: bool = False,
        init: bool = False,
        asks: bool = False,
        called: str = "",
    ) -> Pod:
        """Put a pod on a node; `start` it."""
        made = Pod(
            self,
            name,
            self.nodes[node],
            settings,
            addresses=addresses,
            parts=parts,
            checked=checked,
            init=init,
            asks=asks,
            called=called,
        )
        self.pods.append(made)
        return made

    # letting time pass

    @property
    def now(self) -> float:
        return self.hub.now

    def at(self, when: float, do: Callable[..., object], *args: object) -> None:
        """Let something happen at a time."""
        self.hub.at(when, do, *args)

    def run(self, until: float, done: Callable[[], object] | None = None) -> bool:
        """Let time pass until then; True as soon as something is so."""
        return self.hub.run(until, done)

    def say(self, text: str) -> None:
        """Add a line to the trace."""
        if self.trace is not None:
            self.trace(f"{self.hub.now:8.3f}  {text}")

    def end(self) -> None:
        """Kill what still lives: work that waits keeps its whole world in memory."""
        LIVING.discard(self)
        for pod in self.pods:
            if pod.process is not None:
                pod.process.kill()

    # what can be done to it

    def node_lost(self, node: Node) -> None:
        """Take a machine away at once, with its kernel; EC2 does not know of it."""
        if node.down:
            return
        self.say(f"{node.name} is lost")
        node.down = True
        self.network.close(node.name)
        self.network.forget(node.name)
        for pod in self.pods:
            if pod.node is node:
                pod.end()

    def node_back(self, node: Node) -> None:
        """Have a machine with these ENIs again."""
        if node.down:
            node.down = False
            self.network.mend(node.name)
            for pod in self.pods:
                if pod.node is node and pod.gone:
                    pod.unlist()

    def point(self, tables: Iterable[int], destination: Cidr, eni: EniId) -> None:
        """Point routes elsewhere, by a person's or another tool's hand."""
        state = self.ec2.state
        for index in tables:
            state = worlds.pointed(state, str(destination), eni, only=index)
        self.ec2.change(state)

    def drop(self, tables: Iterable[int], destination: Cidr) -> None:
        """Delete routes."""
        chosen, state = set(tables), self.ec2.state

        def without(index: int, table: RouteTable) -> RouteTable:
            if index not in chosen:
                return table
            kept = tuple(r for r in table.routes if r.destination != destination)
            return replace(table, routes=kept)

        changed = tuple(without(i, t) for i, t in enumerate(state.tables))
        self.ec2.change(replace(state, tables=changed))

    # what is true

    def owners(self, address: Address) -> list[str]:
        """Give what each table leads an address to: an ENI, another target, or `none`."""
        destination = host(address)
        found = (t.route_to(destination) for t in self.ec2.state.tables)
        return [r.target.id if r is not None else "none" for r in found]

    def owned(self, pod: Pod) -> bool:
        """Tell whether every route leads to a pod."""
        return all(
            set(self.owners(a)) == {pod.node.eni(n)} for n, a in enumerate(pod.addresses, start=1)
        )

    def owner(self) -> Pod | None:
        """Give the pod that every route leads to, if it is there."""
        return next((p for p in self.pods if not p.gone and self.owned(p)), None)

    def find(self, name: str) -> Pod:
        """Give a pod."""
        return next(p for p in self.pods if p.name == name)

    def awake(self, identity: str) -> bool:
        """Tell whether an agent's process lives and moves."""
        return any(
            p.alive and p.identity == identity and p.process is not None and not p.process.stopped
            for p in self.pods
        )

    def _lease_changed(
        self, name: str, before: LeaseRecord | None, after: LeaseRecord | None
    ) -> None:
        same = (
            before is not None
            and after is not None
            and before.holder == after.holder
            and generation_of(before) == generation_of(after)
        )
        if same:
            return
        if before is not None and before.holder is not None:
            self.lost[pod_of(before.holder)] = self.now
        if after is None or after.holder is None or self.kube.by_hand:
            return
        generation, last = generation_of(after), before.holder if before is not None else None
        other = self._holders.setdefault((name, generation), after.holder)
        if other != after.holder:
            self.problems.append(f"{other} and {after.holder} both held generation {generation}")
        self.lost[pod_of(after.holder)] = float("inf")
        why = after.annotations.get("vipmanager/taken", "")
        again = last == after.holder
        misled = why == "silent" and last is not None and not again and self.awake(last)
        self.say(f"LEASE {after.holder} takes it from {last}: {why}{', misled' * misled}")
        made = Acquired(
            at=self.now, lease=name, by=after.holder, before=last, why=why, misled=misled
        )
        self.acquired.append(made)
        for hears in self.taken:
            hears(made)

    def forget_holders(self) -> None:
        """Let a person's edit of a Lease be no fault of an agent's."""
        self._holders.clear()

    @property
    def moves(self) -> list[str]:
        """Who took the Lease from another pod, and why, after the first."""
        return [
            f"{pod_of(new.by)}: {new.why}"
            for name in self.kube.leases
            for old, new in pairwise(a for a in self.acquired if a.lease == name)
            if pod_of(new.by) != pod_of(old.by)
        ]


def _enis(node: Node) -> tuple[Eni, ...]:
    return tuple(
        replace(
            worlds.eni(node.zone, number),
            id=node.eni(number),
            mac=Mac(f"02:00:00:00:0{node.letter}:0{number}"),
            instance=InstanceId(f"i-{node.letter}"),
            zone=node.zone,
        )
        for number in (1, 2)
    )
