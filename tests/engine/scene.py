"""One agent, or two, without a Lease, in a small world where nothing happens but by the test."""

from collections import Counter
from dataclasses import replace
from ipaddress import ip_network

from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.podnet import HELD_TABLE
from vipmanager.core.report import Report
from vipmanager.core.settings import Settings
from vipmanager.core.values import Network, PodInterface, RouteTableId
from worlds import peers, pointed

ONE, TWO = "192.168.0.1/32", "192.168.0.2/32"
PLAIN = Settings(source_routing=True)
PEERS = peers(n1="10.0.100.0/24", n2="10.0.1.0/24")


def alone(
    settings: Settings = PLAIN, *, tables: int = 2, init: bool = False, checked: bool = False
) -> tuple[World, Pod]:
    """Start an agent on node a."""
    world = World(86, tables=tables)
    return world, world.pod("a1", "a", settings, init=init, checked=checked).start()


def holding(settings: Settings = PLAIN, *, tables: int = 10) -> tuple[World, Pod]:
    """Start an agent, and give it a minute: it holds its routes, and its last pass just ended."""
    world, pod = alone(settings, tables=tables)
    world.run(60)
    seen = pod.last
    assert world.run(120, lambda: pod.last is not seen)
    assert last(pod).clean
    world.ec2.writes.clear()
    pod.reports.clear()
    return world, pod


def point(world: World, destination: str, target: str, *, only: int | None = None) -> None:
    """Point a destination at a target in all tables, or in one."""
    world.ec2.change(pointed(world.ec2.state, destination, target, only=only))


def last(pod: Pod) -> Report:
    """Give what its last pass told."""
    assert pod.last is not None
    return pod.last


def rest(world: World, seconds: float = 0.5) -> None:
    """Let time pass: in a half second one or two passes end, if something wakes the loop."""
    world.run(world.now + seconds)


def net1(pod: Pod) -> PodInterface:
    """Give the interface that carries the first address."""
    return next(i for i in pod.kernel.state.interfaces if i.name == "net1")


def give(pod: Pod, interface: PodInterface) -> None:
    """Change an interface, as the application or Multus would."""
    state = pod.kernel.state
    changed = tuple(interface if i.name == interface.name else i for i in state.interfaces)
    pod.kernel.state = replace(state, interfaces=changed)
    pod.netlink()


def both(world: World, zone: str, *, only: int | None = None) -> None:
    """Point both addresses at a node."""
    for number, destination in enumerate((ONE, TWO), start=1):
        point(world, destination, f"eni-{zone}{number}", only=only)


def owners(world: World, destination: str) -> set[str]:
    """List what a destination leads to, over all tables; "none" where there is no route."""
    return set(world.owners(ip_network(destination).network_address))


def moves(world: World) -> Counter[tuple[RouteTableId, Network]]:
    """Count how often each route changed its owner by a write."""
    written = [(w.action, w.before) for w in world.ec2.writes]
    return Counter((a.table, a.destination) for a, before in written if a.eni != before)


def marks(pod: Pod) -> list[str]:
    """List the destinations whose mark is in the pod."""
    return [str(r.destination) for r in pod.kernel.state.routes if r.table == HELD_TABLE]
