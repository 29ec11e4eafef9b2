"""The shipped attachments and containers in the lab: real CNI plugins, real packets."""

import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPConnection

import pytest

from agent_fixtures import converged, wait_until
from deploy.granted import ship
from deploy.rendered import BASE, Document, agent, environment, overlay, pod, without
from vipmanager_lab.cni import PLUGINS, CniError, Delegate, read_definitions
from vipmanager_lab.control_plane import ControlPlane
from vipmanager_lab.netns import Netns
from vipmanager_lab.process import Process
from vipmanager_lab.world import World

PROMISED = {
    "nonvpc": (["192.168.0.1", "192.168.0.2"], ["192.168.0.1/32", "192.168.0.2/32"]),
    "vpc": (["10.0.254.1", "10.0.254.17"], ["10.0.254.0/28", "10.0.254.16/28"]),
}
"""Of each pattern: the floating IPs, and what is routed for them."""

READ_ONLY = """\
mount --bind /proc/sys /proc/sys
{ findmnt -rno TARGET | grep -vE '^/(proc|sys|dev)(/|$)'; echo /proc/sys; } | while read -r each; do
    mount -o remount,bind,ro "$each"
done
for folder in / /run /tmp /var/tmp "$PWD"; do
    [ ! -w "$folder" ] || { echo "$folder is writable" >&2; exit 99; }
done
exec """
"""Takes away what a container with a read-only root can't write to."""


@pytest.fixture
def world() -> Iterator[World]:
    if not (PLUGINS / "host-local").exists():
        without(f"no CNI plugins in {PLUGINS}: install containernetworking-plugins")
    with World() as world:
        yield world


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A pod of an overlay."""

    netns: Netns
    addresses: tuple[str, ...]
    agent: Process


def delegates(pattern: str, *, mode: str = "passthru") -> list[Delegate]:
    """Give what Multus would attach, for kernels without ipvlan too.

    A macvlan in mode passthru has the master's MAC as an ipvlan has; only one fits on a master.
    tests/ipvlan runs the same files unchanged.
    """
    found = []
    for number in (1, 2):
        (definition,) = read_definitions(BASE / pattern / f"nad-{number}.yaml").values()
        (plugin,) = definition.plugins
        macvlan = {**plugin, "type": "macvlan", "mode": mode}
        definition = replace(definition, plugins=(macvlan,))
        found.append(Delegate(definition=definition, interface=f"net{number}"))
    return found


def cluster(world: World, objects: tuple[Document, ...]) -> ControlPlane:
    """Make the cluster that an overlay was applied to; it ends with the world."""
    plane = ControlPlane(world)
    ship(objects, plane.cluster, plane.account)
    return plane


def start(
    world: World, name: str, zone: str, objects: tuple[Document, ...], plane: ControlPlane
) -> Started:
    """Start the pod of an overlay: attachments, container, environment; not its peers."""
    pattern = "vpc" if environment(objects)["SubnetBasedLoopbacks"] == "True" else "nonvpc"
    netns = world.start_pod(name, zone, delegates(pattern))
    shown = [netns.ip_json("-4", "addr", "show", "dev", f"net{n}") for n in (1, 2)]
    addresses = tuple(a["local"] for (link,) in shown for a in link["addr_info"])
    argv = confined(agent(pod(objects)))
    told = environment(objects) | plane.create_pod(name) | world.peers()
    process = world.agent(netns, told, argv=argv)
    return Started(netns=netns, addresses=addresses, agent=process)


def confined(container: Document) -> list[str]:
    """Give the command with the rights that the container's securityContext leaves it."""
    context = container["securityContext"]
    names = ",".join(f"+{c.lower()}" for c in context["capabilities"]["add"])
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    words = [sys.executable, "-m", "vipmanager", *container["args"]]
    setpriv = ["setpriv", "--no-new-privs", f"--inh-caps=-all,{names}"]
    setpriv.append(f"--bounding-set=-all,{names}")
    return ["unshare", "--mount", "sh", "-c", READ_ONLY + shlex.join([*setpriv, *words])]


@pytest.mark.parametrize("mode", ["native-sidecar", "initContainer"])
@pytest.mark.parametrize("pattern", PROMISED)
def test_the_shipped_pod_takes_its_floating_ips_from_zone_to_zone(
    world: World, pattern: str, mode: str
) -> None:
    addresses, destinations = PROMISED[pattern]
    objects = overlay(f"{pattern}-{mode}")
    plane = cluster(world, objects)
    for zone in "ab":
        started = start(world, f"pod-{zone}", zone, objects, plane)
        assert list(started.addresses) == addresses
        if mode == "initContainer":
            assert started.agent.wait() == 0, started.agent.text
        else:
            started.agent.wait_for(converged)
        for destination, eni in zip(destinations, world.nodes[zone].secondary, strict=True):
            assert world.targets(destination) == {eni}
        world.application(started.netns, [f"{a}/32" for a in addresses])
        prober = world.probe(addresses)
        for address in addresses:
            prober.wait_for(_answered(address))
        prober.close()
        if zone == "a":
            world.fail_zone("a")


def _answered(address: str) -> Callable[[dict[str, object]], bool]:
    return lambda r: (r["event"], r.get("address")) == ("answered", address)


def test_the_probes_of_the_shipped_sidecar_are_answered(world: World) -> None:
    objects = overlay("nonvpc-native-sidecar")
    started = start(world, "pod", "a", objects, cluster(world, objects))
    started.agent.wait_for(converged)
    container = agent(pod(objects))
    port = container["ports"][0]
    asked = [v["httpGet"]["path"] for k, v in container.items() if k.endswith("Probe")]
    assert len(asked) == 3
    for path in asked:
        answer = partial(_status, port["containerPort"], path)
        assert started.netns.call(answer) == 200


def test_before_the_shipped_pod_ends_it_turns_unready(world: World) -> None:
    objects = overlay("vpc-sidecar")
    started = start(world, "pod", "a", objects, cluster(world, objects))
    started.agent.wait_for(converged)
    container = agent(pod(objects))
    _, *words = container["lifecycle"]["preStop"]["exec"]["command"]
    hook = world.agent(started.netns, {}, argv=confined({**container, "args": words}))
    assert hook.wait() == 0, hook.text
    port = container["ports"][0]["containerPort"]
    path = container["readinessProbe"]["httpGet"]["path"]
    # The pass that shows it comes right after the Lease is free.
    wait_until(lambda: started.netns.call(partial(_status, port, path)) == 503)
    assert started.agent.running


def _status(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    return connection.getresponse().status


def test_a_second_pod_on_the_node_gets_no_address(world: World) -> None:
    """Why the Deployment's strategy is Recreate."""
    first, _ = delegates("nonvpc", mode="bridge")
    world.start_pod("old", "a", [first])
    with pytest.raises(CniError, match="no IP addresses available in range"):
        world.start_pod("surge", "a", [first])
