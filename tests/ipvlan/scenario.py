"""The failover with real ipvlan, pods attached by the real CNI plugins; `make test-ipvlan`.

Plain asserts and one line per check: under emulation Python runs some 30 times slower, and pytest
alone would take a good part of a minute to start. The exit code is 0 if every check holds.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from vipmanager_lab.cni import Delegate, read_definitions
from vipmanager_lab.process import Process
from vipmanager_lab.world import TAG, World

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "deploy" / "manifests" / "base"
SECONDS = 120.0
"""For each thing that is waited for: some hundred times of what it takes without emulation."""
BEGAN = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)  # noqa: T201


def check(text: str, *, holds: bool) -> None:
    say(f"{'ok  ' if holds else 'FAIL'}  {text}")
    if not holds:
        raise AssertionError(text)


class Pod:
    """A pod attached by the CNI plugins, with the agent and an application."""

    def __init__(self, world: World, name: str, zone: str, definitions: Sequence[str]) -> None:
        self.world = world
        delegates = [
            Delegate(definition=DEFINITIONS[one], interface=f"net{number}")
            for number, one in enumerate(definitions, start=1)
        ]
        self.netns = world.start_pod(name, zone, delegates)
        masters = [DEFINITIONS[one].plugins[0]["master"] for one in definitions]
        enis = dict(zip(("eth1", "eth2"), world.nodes[zone].secondary, strict=True))
        self.enis = [enis[master] for master in masters]
        self.addresses = [
            self._addresses(one.interface, eni)
            for one, eni in zip(delegates, self.enis, strict=True)
        ]
        say(f"{name} in zone {zone}: {', '.join(a for some in self.addresses for a in some)}")

    def _addresses(self, interface: str, eni: str) -> list[str]:
        (link,) = self.netns.ip_json("-d", "addr", "show", "dev", interface)
        (mac,) = (e.mac for e in self.world.account.state().enis if e.id == eni)
        made = link["linkinfo"]["info_kind"], link["linkinfo"]["info_data"]["mode"]
        right = (*made, link["address"]) == ("ipvlan", "l2", mac)
        check(f"the plugin made {interface}: ipvlan, mode l2, the ENI's MAC", holds=right)
        own = [a for a in link["addr_info"] if a["scope"] == "global"]
        return [f"{a['local']}/{a['prefixlen']}" for a in own]

    def agent(self, peers: Sequence[str], **config: str) -> Process:
        """Start the agent; `peers` are those of net1, net2, ..."""
        keys = {f"Intf{n}Peers": peer for n, peer in enumerate(peers, start=1)}
        limit = {"InitTimeoutSeconds": str(int(SECONDS))}
        return self.world.agent(self.netns, {"VPCRTTag": "=".join(TAG), **limit, **keys, **config})

    def init(self, peers: Sequence[str], **config: str) -> None:
        """Let the agent run as initContainer, then start the application."""
        ended(self.agent(peers, **config))
        self.serve()

    def serve(self) -> None:
        """Check the route tables and start the application."""
        check("every route table points at the pod's ENIs", holds=self.steered())
        self.world.application(self.netns, [a for some in self.addresses for a in some])

    def steered(self) -> bool:
        """Whether every table routes each address to the ENI below its interface."""
        return all(
            self.world.targets(self.world.destination(address)) == {eni}
            for eni, addresses in zip(self.enis, self.addresses, strict=True)
            for address in addresses
        )


DEFINITIONS = {
    name: definition
    for file in sorted(HERE.glob("nad-*.yaml"))
    for name, definition in read_definitions(file).items()
} | {
    f"{pattern}/{name}": definition
    for pattern in ("nonvpc", "vpc")
    for file in sorted((SHIPPED / pattern).glob("nad-*.yaml"))
    for name, definition in read_definitions(file).items()
}


def ended(agent: Process) -> None:
    """Wait for an initContainer's end."""
    code = agent.wait(SECONDS)
    if code:
        say("the agent said:\n" + "\n".join(agent.text))
    check(
        f"the initContainer exits 0 after {time.monotonic() - agent.started:.1f} s", holds=not code
    )


def converged(agent: Process) -> None:
    """Wait until a sidecar is right."""
    agent.wait_for(lambda record: record["event"] == "converged", seconds=SECONDS)
    say(f"ok    the sidecar converged after {time.monotonic() - agent.started:.1f} s")


def answer(world: World, addresses: Sequence[str]) -> None:
    """Probe from the client until every address answers."""
    # Not every 5 ms as elsewhere: the prober shares the emulated cores with all the rest.
    prober = world.probe(addresses, interval_ms=100)
    for address in addresses:
        prober.wait_for(partial(_answers, address), seconds=SECONDS)
    prober.close()
    say(f"ok    the client has answers from {', '.join(addresses)}")


def _answers(address: str, record: Mapping[str, object]) -> bool:
    return record["event"] == "answered" and record["address"] == address


def peers(world: World, *versions: int) -> list[str]:
    """Give the client's addresses, one of each family for each interface."""
    groups = [world.client_addresses[version] for version in versions]
    return [",".join(map(str, several)) for several in zip(*groups, strict=True)]


def failover_as_init_container(world: World) -> None:
    """Two ENIs, IPv4, the shipped definitions: zone a fails, zone b answers."""
    for zone in "ab":
        pod = Pod(world, f"pod-{zone}", zone, ["nonvpc/nad-if1", "nonvpc/nad-if2"])
        pod.init(peers(world, 4))
        answer(world, ["192.168.0.1", "192.168.0.2"])
        routes = pod.netns.run(["ip", "route"])
        check("the definition's dummy route stays", holds="198.51.100.1 via 192.168.0.6" in routes)
        fail(world, zone)


def failover_in_the_vpc(world: World) -> None:
    """Pattern 2: the dummy subnets are routed, not the addresses."""
    for zone in "ab":
        pod = Pod(world, f"pod-{zone}", zone, ["vpc/nad-if1", "vpc/nad-if2"])
        pod.init(peers(world, 4), SubnetBasedLoopbacks="True")
        answer(world, ["10.0.254.1", "10.0.254.17"])
        fail(world, zone)


def failover_as_sidecar(world: World) -> None:
    """Two ENIs, both families, the agent keeps running."""
    for zone in "ab":
        pod = Pod(world, f"pod-{zone}", zone, ["nad-dual1", "nad-dual2"])
        converged(pod.agent(peers(world, 4, 6), RunAsSidecar="True"))
        pod.serve()
        answer(world, ["192.168.1.1", "192.168.1.2"])
        answer(world, ["fd00:100::1", "fd00:100::2"])
        fail(world, zone)


def two_pods_share_an_eni(world: World) -> None:
    """Two children of one eth1: the same MAC, two agents at once; then one of the pods moves."""
    pods = [Pod(world, f"pod-{n}", "a", [f"nad-shared{n}"]) for n in (1, 2)]
    both = peers(world, 4, 6)
    agents = [pod.agent([peer]) for pod, peer in zip(pods, both, strict=True)]
    for agent in agents:
        ended(agent)
    for pod in pods:
        pod.serve()
    answer(world, ["192.168.2.1", "192.168.2.2"])
    answer(world, ["fd00:101::1", "fd00:101::2"])
    world.kill_pod("pod-1")
    moved = Pod(world, "pod-1", "b", ["nad-shared1"])
    moved.init(both[:1])
    check("the other pod's routes stay", holds=pods[1].steered())
    answer(world, ["192.168.2.1", "192.168.2.2"])
    answer(world, ["fd00:101::1", "fd00:101::2"])
    world.kill_pod("pod-1")
    world.kill_pod("pod-2")


def two_interfaces_share_an_eni(world: World) -> None:
    """Two children of one eth1 in one pod, in one subnet."""
    pod = Pod(world, "pod", "a", ["nad-shared3", "nad-shared4"])
    pod.init(peers(world, 4, 6))
    for interface, peer, source in zip(
        ("net1", "net2"), peers(world, 4), ("192.168.2.3", "192.168.2.4"), strict=True
    ):
        (route,) = pod.netns.ip_json("route", "get", peer)
        chosen = route["dev"], route["prefsrc"]
        check(f"{interface} talks to its peer as {source}", holds=chosen == (interface, source))
    answer(world, ["192.168.2.3", "192.168.2.4"])
    answer(world, ["fd00:101::3", "fd00:101::4"])
    world.kill_pod("pod")


def fail(world: World, zone: str) -> None:
    """Lose zone a; after zone b, begin again."""
    if zone == "a":
        world.fail_zone("a")
        say("zone a fails")
    else:
        world.kill_pod("pod-a")
        world.kill_pod("pod-b")
        world.network.restore("a")


SCENES: tuple[Callable[[World], None], ...] = (
    failover_as_init_container,
    two_pods_share_an_eni,
    two_interfaces_share_an_eni,
    failover_as_sidecar,
    failover_in_the_vpc,
)


def main() -> int:
    say("the emulated machine runs")
    with World() as world:
        say(f"a VPC with {len(world.tables)} route tables and two zones")
        for scene in SCENES:
            say(f"-- {scene.__name__.replace('_', ' ')}")
            scene(world)
    say("every check holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
