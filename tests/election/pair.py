"""A group of agents with real times: heartbeats every 100 ms, 5 s of Lease, 200 ms for a wave."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from election.agent import Agent
from election.world import API, World
from vipmanager.core.election.conditions import plights
from vipmanager.core.election.values import ElectionSettings, pod_of
from vipmanager.core.findings import Condition

SETTINGS = ElectionSettings()


class Group:
    """Two or more agents; the first holds the Lease, and everything is quiet."""

    def __init__(
        self, seed: int = 1, *, agents: int = 2, settings: ElectionSettings = SETTINGS
    ) -> None:
        self.world = World(seed, settings)
        self.world.weather.api = (0.02, 0.02)
        self.world.weather.watch = (0.005, 0.01)
        self.world.weather.ec2 = (0.27, 0.27)  # lands after 0.7 of it; the second table 10 ms later
        self.agents = [Agent(self.world, place) for place in range(agents)]
        self.world.awake = lambda identity: any(
            a.alive and not a.paused and a.state.me.identity == identity for a in self.agents
        )

    def begin(self) -> "Group":
        """Let the first take the Lease, and all settle."""
        for place, agent in enumerate(self.agents):
            self.world.at(0.5 * place, agent.born)
        self.run(15.0 + self.world.luck.random())
        assert self.holder == "a1"
        return self

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.world.now + seconds)

    def apart(self, one: int, other: int, seconds: float) -> None:
        """Cut both directions between two ends."""
        self.world.cut(one, other, seconds)
        self.world.cut(other, one, seconds)

    def no_api(self, place: int, seconds: float) -> None:
        """Cut an agent off from the Kubernetes API."""
        self.apart(place, API, seconds)

    @property
    def holder(self) -> str:
        """The pod that every route points at."""
        routes = set(self.world.routes)
        return routes.pop() if len(routes) == 1 else f"split: {sorted(routes)}"

    @property
    def moves(self) -> list[str]:
        """Who took the Lease from another pod, and why, after the first."""
        return [
            f"{pod_of(new.by)}: {new.why}"
            for old, new in pairwise(self.world.acquired)
            if pod_of(new.by) != pod_of(old.by)
        ]

    def plights(self, place: int) -> set[Condition]:
        """Give what an agent would log now."""
        agent = self.agents[place]
        found = plights(agent.state, agent.now())
        assert all(str(each) for each in found)
        return {each.condition for each in found}

    def outage(self, deed: Callable[[], None], *, to: str = "b1", limit: float = 60.0) -> float:
        """Give the seconds from a deed until every route points at a pod."""
        began = self.world.now
        deed()
        while self.holder != to and self.world.now < began + limit:
            self.run(0.001)
        return self.world.now - began


def group(seed: int = 1, *, agents: int = 2, **settings: object) -> Group:
    """Give a group that is settled."""
    return Group(seed, agents=agents, settings=replace(SETTINGS, **settings)).begin()  # type: ignore[arg-type]
