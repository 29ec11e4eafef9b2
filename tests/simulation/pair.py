"""A group of agents with the times that ship: heartbeats every 100 ms, 5 s of Lease.

A Kubernetes call takes 20 ms. A write lands at EC2 within 200 ms, which is what a wave costs.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from simulation.pod import SOUND, Parts
from simulation.world import ADDRESSES, World
from vipmanager.core.settings import Settings
from vipmanager.core.values import Address
from vipmanager.edges.memory import MemoryLease

KUBE, EC2 = "kube", "ec2"
End = int | str
"""An agent's place in the group, or a service."""


class Group:
    """Two or more agents; the first takes the Lease, and everything grows quiet."""

    def __init__(
        self,
        seed: int = 1,
        *,
        nodes: str = "ab",
        addresses: Sequence[Sequence[Address]] = (ADDRESSES,) * 3,
        checked: bool = False,
        called: str = "app-6c4b7-x2x4z",
        others: str = "other-6c4b7-x2x4z",
        parts: Sequence[Parts] = (SOUND,) * 3,
        **settings: object,
    ) -> None:
        self.world = world = World(seed)
        world.kube.service.latency = (0.02, 0.02)
        world.kube.watch_delay = (0.005, 0.01)
        world.ec2.write_latency = (0.38, 0.38)  # lands after a half of it
        self.settings = Settings(leader_election=True, **settings)  # type: ignore[arg-type]
        self.agents = [
            world.pod(
                f"{node}1",
                node,
                self.settings,
                addresses=mine,
                checked=checked,
                called=called if mine == addresses[0] else others,
                parts=made_of,
            )
            for node, mine, made_of in zip(nodes, addresses, parts, strict=False)
        ]

    def begin(self) -> "Group":
        """Let the first take the Lease, and all settle."""
        for place, agent in enumerate(self.agents):
            self.world.at(0.5 * place, agent.start)
        self.run(15.0 + self.world.hub.luck.random())
        assert self.holder == "a1"
        return self

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.world.now + seconds)

    def lose(self, place: int) -> None:
        """Lose an agent with its node."""
        self.world.node_lost(self.agents[place].node)

    def sicken(self, place: int) -> None:
        """Let an application fail its health checks, as often as it takes."""
        pod = self.agents[place]
        pod.app.well = False
        assert self.world.run(self.world.now + 10.0, lambda: not pod.gate.open)

    def heal(self, place: int) -> None:
        """Let it pass them again."""
        pod = self.agents[place]
        pod.app.well = True
        assert self.world.run(self.world.now + 10.0, lambda: pod.gate.open)

    def cut(self, one: End, other: End, seconds: float) -> None:
        """Cut a path in one direction."""
        network = self.world.network
        for path in [(a, b) for a in self._ends(one) for b in self._ends(other)]:
            network.close(path)
            self.world.at(self.world.now + seconds, network.mend, path)

    def apart(self, one: End, other: End, seconds: float) -> None:
        """Cut both directions between two ends."""
        self.cut(one, other, seconds)
        self.cut(other, one, seconds)

    def _ends(self, end: End) -> list[str]:
        if isinstance(end, int):
            return [self.agents[end].node.name]
        return [f"{end}@{zone}" for zone in "ab"]

    @property
    def lease(self) -> MemoryLease:
        """The group's Lease, as a person has it."""
        return self.world.kube.leases[self.settings.lease_name]

    def edit(self, **changes: object) -> None:
        """Change the Lease by hand."""
        record = self.lease.record
        assert record is not None
        self.world.kube.edit(self.settings.lease_name, replace(record, **changes))  # type: ignore[arg-type]

    @property
    def holder(self) -> str:
        """The pod that every route points at, alive or not."""
        owners = (p.name for p in self.world.pods if self.world.owned(p))
        return next(owners, "nobody, or split")

    @property
    def moves(self) -> list[str]:
        """Who took the Lease from another pod, and why, after the first."""
        return self.world.moves

    def conditions(self, place: int) -> set[str]:
        """Give what an agent's last report tells; each of it can be shown."""
        report = self.agents[place].last
        assert report is not None
        assert all(str(each) for each in report.findings)
        return self.agents[place].conditions()

    def outage(self, deed: Callable[[], None], *, to: str = "b1") -> float:
        """Give the seconds from a deed until every route points at a pod."""
        deed()
        began, target = self.world.now, self.world.find(to)
        self.world.run(began + 60.0, lambda: self.world.owned(target))
        return self.world.now - began


def group(seed: int = 1, **asked: object) -> Group:
    """Give a group that is settled."""
    return Group(seed, **asked).begin()  # type: ignore[arg-type]
