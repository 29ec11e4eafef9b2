"""Hundreds of sidecars at rest in one AWS account, a stranger, and groups that take over."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from random import Random
from statistics import median

from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.failures import Throttled
from vipmanager.core.settings import Rate, Settings
from vipmanager.core.values import Network, host
from vipmanager_lab.ec2.faults import EC2_BUCKETS

BUCKETS = ("DescribeRouteTables", "DescribeNetworkInterfaces", "DescribeSubnets")
TABLES = 2
REPAIR = 600.0
"""Virtual seconds that the repair of a route may take."""
PATIENCE = 60.0
"""Virtual seconds that a takeover may take."""
_TRIES = 20
_ROUTES = 20
_ALONE = 10
"""Agents, the first ones, that share their route with nobody."""
_STEP = 0.5


@dataclass(slots=True, kw_only=True)
class Figures:
    """What was measured while nobody had anything to do."""

    described: int
    refused: int
    tries: Sequence[int]
    """Of each of the stranger's describes, until one succeeded."""
    ages: Sequence[float]
    """Seconds since each agent's last good reading, at the worst moment for each."""
    typical: float
    """The median of that age over all agents and moments."""
    never: int
    """Agents that had not read EC2 when it began."""
    unready: int
    """Agents that were not ready at the end."""

    @property
    def share(self) -> float:
        """The share of the agents' describes that were refused."""
        return self.refused / max(1, self.described)

    def __str__(self) -> str:
        ages = sorted(self.ages)
        return (
            f"{self.share:.2%} of {self.described} describes refused; a stranger's describe took "
            f"{median(self.tries):.0f} tries, at most {max(self.tries)}; the last good reading was "
            f"{self.typical:.0f} s old, at most {ages[len(ages) // 2]:.0f} s with half of the "
            f"agents, {ages[-1]:.0f} s with the last; {self.never} had never read, "
            f"{self.unready} were not ready"
        )


@dataclass(slots=True)
class Account:
    """A world whose EC2 has the buckets that EC2 has, which all share."""

    seed: int
    agents: int
    resync: float = Settings().resync
    world: World = field(init=False)
    resting: list[Pod] = field(init=False)

    def __post_init__(self) -> None:
        self.world = world = World(self.seed, tables=TABLES)
        world.hub.turns = 100_000_000
        world.ec2.limits["write"] = Rate(burst=50, refill=5.0)
        for name in BUCKETS:
            burst, refill = EC2_BUCKETS[name]
            world.ec2.limits[name] = Rate(burst=int(burst), refill=refill)
        self.resting = [self._at_rest(number) for number in range(self.agents)]

    def _at_rest(self, number: int) -> Pod:
        """Start a sidecar whose route is right already, within the first half minute.

        Some share a route: tables of 700 would take most of the time of a run.
        """
        world, address = self.world, ip_address(f"172.31.0.{1 + number % _ROUTES}")
        if number < _ALONE:
            address = ip_address(f"172.31.1.{1 + number}")
        settings = Settings(resync=self.resync)
        pod = world.pod(f"x{number}", "c", settings, addresses=(address,))
        world.point(range(TABLES), host(address), pod.node.eni(1))
        world.at(world.hub.luck.uniform(0.0, 30.0), pod.start)
        return pod

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.world.now + seconds)

    def rest(self, seconds: float) -> Figures:
        """Let time pass, and measure."""
        world, ec2 = self.world, self.world.ec2
        never = sum(pod.read is None for pod in self.resting)
        before, refused = ec2.reads, ec2.refused
        tries: list[int] = []
        asked = [0, 0]
        """Of the stranger's describes: all, and those that were refused."""
        luck = Random(self.seed)  # noqa: S311 - the same again

        def ask(count: int) -> None:
            asked[0] += 1
            try:
                ec2.read(lambda truth: truth.route_tables(()), name=BUCKETS[len(tries) % 2])
            except Throttled:
                asked[1] += 1
                if count < _TRIES:
                    # The SDKs' standard mode: at random within 1 s, then within 2, 4, ...
                    world.hub.after(luck.uniform(0.0, 2.0 ** (count - 1)), ask, count + 1)
                    return
            tries.append(count)

        worst = [0.0] * len(self.resting)
        samples: list[float] = []
        until = world.now + seconds
        while world.now < until:
            world.hub.after(luck.uniform(0.0, 1.0), ask, 1)
            self.run(1.0)
            for place, pod in enumerate(self.resting):
                age = world.now - (pod.read if pod.read is not None else 0.0)
                worst[place] = max(worst[place], age)
                samples.append(age)
        return Figures(
            described=ec2.reads - before - asked[0],
            refused=ec2.refused - refused - asked[1],
            tries=tries,
            ages=worst,
            typical=median(samples),
            never=never,
            unready=sum(not pod.ready for pod in self.resting),
        )

    def repairs(self) -> list[float]:
        """Delete a route of each agent that shares it with nobody; give the seconds of repair."""
        world, gone = self.world, dict[Pod, float]()

        def delete(pod: Pod, destination: Network) -> None:
            world.drop([0], destination)
            gone[pod] = world.now

        for number, pod in enumerate(self.resting[:_ALONE]):
            destination = host(ip_address(f"172.31.1.{1 + number}"))
            at = world.now + world.hub.luck.uniform(0.0, self.resync)
            world.at(at, delete, pod, destination)
        took: dict[Pod, float] = {}
        until = world.now + self.resync + REPAIR
        while len(took) < len(self.resting[:_ALONE]) and world.now < until:
            self.run(_STEP)
            for pod in gone.keys() - took.keys():
                if world.owned(pod):
                    took[pod] = world.now - gone[pod]
        assert len(took) == len(self.resting[:_ALONE]), "a deleted route was not repaired"
        return sorted(took.values())

    def takeovers(self, groups: int) -> list[float]:
        """Let the holders of some groups die in turn; give the seconds of each takeover."""
        pairs = [self._pair(number) for number in range(groups)]
        for holder, standby in pairs:
            holder.start()
            self.run(3.0)
            standby.start()
        self.run(30.0)
        return [self._takeover(holder, standby) for holder, standby in pairs]

    def _pair(self, number: int) -> tuple[Pod, Pod]:
        settings = Settings(leader_election=True, lease_name=f"group-{number}")
        addresses = tuple(ip_address(f"192.168.{number}.{last}") for last in (1, 2))
        pods = [
            self.world.pod(f"{node}-{number}", node, settings, addresses=addresses) for node in "ab"
        ]
        return pods[0], pods[1]

    def _takeover(self, holder: Pod, standby: Pod) -> float:
        world = self.world
        assert world.owned(holder), f"{holder.name} does not hold"
        self.run(world.hub.luck.random())
        began = world.now
        holder.end()
        assert world.run(began + PATIENCE, lambda: world.owned(standby)), "nobody took over"
        return world.now - began
