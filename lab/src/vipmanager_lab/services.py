"""Where EC2 and the Kubernetes API answer: in each of three zones, at addresses that can be lost.

    name or address               leads to
    ec2.eu-central-1.lab          198.18.0.1 in zone a, .2 in b, .3 in c: three A records
    172.20.0.1, Kubernetes        one of the three, chosen for each connection by its five-tuple

Each zone's part is a namespace behind the router. EC2's endpoint has an address per zone, as an
interface endpoint has; a Service's ClusterIP has one, behind which kube-proxy chooses an API server
for each connection, here the kernel's multipath hash does (ip-sysctl.txt,
fib_multipath_hash_policy). A zone that is cut answers nothing, not even with a reset, and it is
still chosen: AWS takes a lost address out of DNS and out of the EndpointSlice in minutes (guess).
"""

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from socket import socket

from vipmanager_lab.closing import Closing
from vipmanager_lab.netns import IPV4, Netns
from vipmanager_lab.router import table_number

ZONES = ("a", "b", "c")
EC2_NAME = "ec2.eu-central-1.lab"
EC2_ADDRESSES = {zone: IPv4Address(f"198.18.0.{n}") for n, zone in enumerate(ZONES, start=1)}
CLUSTER_IP = IPv4Address("172.20.0.1")
_TABLE = 500
"""The router's table that leads to them; the VPCs' own numbers begin at 1000."""
_ESTABLISHED = "01"  # include/net/tcp_states.h
_HOSTS = Path("/etc/hosts")


@dataclass(frozen=True, slots=True, order=True)
class Connection:
    """An established connection, as a service's end knows it."""

    zone: str
    service: str
    """The address that the client called."""
    port: int
    client: str
    client_port: int


class Services(Closing):
    """The zones' parts, behind a router."""

    def __init__(self, prefix: str, router: Netns, vpc: str) -> None:
        """Make them.

        Args:
            prefix: of the namespaces' names, as the network has it.
            router: the router's namespace.
            vpc: whose addresses the answers go to.
        """
        self._router = router
        self._parts: dict[str, Netns] = {}
        self._cut: set[str] = set()
        self._silenced: list[Connection] = []
        router.sysctl({"ipv4/fib_multipath_hash_policy": 1})  # ports count
        router.ip_batch([f"rule add pref 60 lookup {_TABLE}"], family=IPV4)
        for number, zone in enumerate(ZONES):
            self._parts[zone] = self._add(prefix, number, zone, vpc)
        hops = " ".join(f"nexthop dev {_port(zone)}" for zone in ZONES)
        router.ip_batch([f"route add {CLUSTER_IP}/32 table {_TABLE} {hops}"])
        _publish()

    def listen(self, address: IPv4Address, port: int) -> Iterator[socket]:
        """Give a bound socket in each zone that has the address."""
        for zone, part in self._parts.items():
            if address in {CLUSTER_IP, EC2_ADDRESSES[zone]}:
                listener = part.socket()
                listener.bind((str(address), port))
                yield listener

    def cut(self, zone: str) -> None:
        """Let every packet to and from a zone's part vanish."""
        if zone not in self._cut:
            self._cut.add(zone)
            self._parts[zone].ip_batch([f"rule add {_INBOUND}"], family=IPV4)
            self._router.ip_batch([f"rule add {_outbound(zone)}"], family=IPV4)

    def silence(self, *connections: Connection) -> None:
        """Let the packets of these connections vanish, in both directions."""
        self._silenced += connections
        self._rules("add", connections)

    def restore(self) -> None:
        """Undo every `cut` and `silence`."""
        for zone in self._cut:
            self._parts[zone].ip_batch([f"rule del {_INBOUND}"], family=IPV4)
            self._router.ip_batch([f"rule del {_outbound(zone)}"], family=IPV4)
        self._rules("del", self._silenced)
        self._cut.clear()
        self._silenced.clear()

    def connections(self, client: str) -> Sequence[Connection]:
        """Give the established connections of a client, sorted (proc(5), /proc/net/tcp)."""
        found = []
        for zone, part in self._parts.items():
            for line in part.call(Path("/proc/thread-self/net/tcp").read_text).splitlines()[1:]:
                _, local, remote, state, *_ = line.split()
                (service, port), (whom, whose) = _endpoint(local), _endpoint(remote)
                if state == _ESTABLISHED and whom == client:
                    found.append(Connection(zone, service, port, whom, whose))
        return sorted(found)

    def run(self, zone: str, argv: Sequence[str]) -> str:
        """Run a command in a zone's part; return its output."""
        return self._parts[zone].run(argv)

    def close(self) -> None:
        """Remove them."""
        for part in self._parts.values():
            part.close()

    def _rules(self, verb: str, connections: Sequence[Connection]) -> None:
        for zone, part in self._parts.items():
            flows = [_flow(one)[0] for one in connections if one.zone == zone]
            part.ip_batch([f"rule {verb} {flow}" for flow in flows], family=IPV4)
        flows = [_flow(one)[1] for one in connections]
        self._router.ip_batch([f"rule {verb} {flow}" for flow in flows], family=IPV4)

    def _add(self, prefix: str, number: int, zone: str, vpc: str) -> Netns:
        part = Netns(prefix, f"service-{zone}")
        here, there = (f"198.19.0.{4 * number + n}" for n in (1, 2))
        self._router.ip_batch(
            [
                f"link add {_port(zone)} type veth peer name eth0 netns {part.full_name}",
                f"link set {_port(zone)} up",
                f"addr add {here}/30 dev {_port(zone)}",
                f"rule add pref 700 iif {_port(zone)} lookup {table_number(vpc)}",
                f"route add {EC2_ADDRESSES[zone]}/32 dev {_port(zone)} table {_TABLE}",
            ]
        )
        part.sysctl({"ipv4/conf/all/rp_filter": 0, "ipv4/conf/default/rp_filter": 0})
        part.ip_batch(
            [
                "link set eth0 up",
                f"addr add {there}/30 dev eth0",
                f"addr add {EC2_ADDRESSES[zone]}/32 dev lo",
                f"addr add {CLUSTER_IP}/32 dev lo",
                f"route add default via {here} dev eth0",
                # so that a rule can come before the local addresses
                "rule add pref 50 lookup local",
                "rule del pref 0",
            ]
        )
        self._router.wait_running(_port(zone))
        return part


_INBOUND = "pref 10 iif eth0 blackhole"


def _port(zone: str) -> str:
    return f"service-{zone}"


def _outbound(zone: str) -> str:
    return f"pref 10 iif {_port(zone)} blackhole"


def _flow(one: Connection) -> tuple[str, str]:
    """Write the rules that lose a connection's packets: to the service, and from it."""
    there = f"from {one.client} to {one.service} iif eth0 sport {one.client_port} dport {one.port}"
    back = (
        f"from {one.service} to {one.client} iif {_port(one.zone)} "
        f"sport {one.port} dport {one.client_port}"
    )
    return f"pref 9 {there} ipproto tcp blackhole", f"pref 9 {back} ipproto tcp blackhole"


def _endpoint(text: str) -> tuple[str, int]:
    """Read `0100007F:1F90`: an address in the machine's byte order, and a port."""
    address, _, port = text.partition(":")
    return str(IPv4Address(bytes.fromhex(address)[::-1])), int(port, 16)


def _publish() -> None:
    """Give EC2's name its addresses, in the sandbox's own /etc/hosts; once is enough."""
    before = ""
    with contextlib.suppress(FileNotFoundError):
        before = _HOSTS.read_text(encoding="utf-8")
    if EC2_NAME in before:
        return
    ours = Path("/run/hosts.lab")
    lines = "".join(f"{address} {EC2_NAME}\n" for address in EC2_ADDRESSES.values())
    ours.write_text(before.rstrip("\n") + "\n" + lines, encoding="utf-8")
    subprocess.run(["mount", "--bind", str(ours), str(_HOSTS)], check=True)
