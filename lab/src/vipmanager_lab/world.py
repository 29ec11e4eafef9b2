"""The lab's world: two zones with a node each, a client in a third, pods, agents, faults.

    zone   subnet          what
    a      10.0.1.0/24     node a, eth0; pods' primary addresses
    a      10.0.11.0/24    node a, eth1, under net1
    a      10.0.12.0/24    node a, eth2, under net2
    b      10.0.2.0/24, 10.0.21.0/24, 10.0.22.0/24: the same for node b
    c      10.0.100.0/24   the client
    a      10.0.254.0/28, 10.0.254.16/28: the dummy subnets of pattern 2

Every subnet has an IPv6 /64 too; nodes and pods use theirs where the layout says so. Route tables:
the main one, one per zone, the client's, and as many more as asked for, which no packet uses.
"""

import itertools
import os
import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from pathlib import Path
from typing import Any

from vipmanager_lab import probe
from vipmanager_lab.closing import Closing
from vipmanager_lab.cni import Delegate
from vipmanager_lab.ec2.account import Account
from vipmanager_lab.ec2.credentials import Credentials as IssuedCredentials
from vipmanager_lab.ec2.endpoint import Endpoint
from vipmanager_lab.ec2.faults import Faults, Impairment
from vipmanager_lab.imds import Credentials, Imds
from vipmanager_lab.netns import Netns, NetnsError
from vipmanager_lab.network import Attachment, Network
from vipmanager_lab.process import Process
from vipmanager_lab.router import GATEWAY_IPV6
from vipmanager_lab.services import EC2_ADDRESSES, EC2_NAME, Services
from vipmanager_lab.vpc_cni import Address, Layout

REGION = "eu-central-1"
ZONES = ("a", "b")
TAG = ("role", "vip")
"""The tag of the route tables that are the world's `tables`."""

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An EKS node: an instance with a primary ENI and one for each pod interface."""

    zone: str
    instance: str
    primary: str
    secondary: tuple[str, ...]
    pod_addresses: tuple[Address, ...]
    """What the VPC CNI has for pods: secondary addresses of the primary ENI."""
    beside: Mapping[Address, Address]
    """What a pod with one of these has beside it, by the layout."""


def _environment(bundle: Path | None) -> dict[str, str]:
    if bundle is None:
        return {"AWS_ENDPOINT_URL": f"http://{EC2_NAME}"}
    return {"AWS_ENDPOINT_URL": f"https://{EC2_NAME}", "AWS_CA_BUNDLE": str(bundle)}


class World(Closing):
    """Everything, in the sandbox; removed by `close`."""

    def __init__(
        self,
        *,
        tables: int = 4,
        interfaces: int = 2,
        latency: float = 0.0,
        tls: tuple[ssl.SSLContext, Path] | None = None,
        idle_seconds: float | None = None,
        layout: Layout = Layout.IPV4,
    ) -> None:
        """Build it.

        Args:
            tables: route tables with the tag; the client's comes first.
            interfaces: ENIs for pods on each node.
            latency: seconds that every EC2 call takes, from now on.
            tls: serve EC2 over TLS with this context; the file is what clients verify it with.
            idle_seconds: EC2 closes connections that were quiet for so long.
            layout: of the pods' cluster interfaces.
        """
        self.environment = _environment(None if tls is None else tls[1])
        """What a process needs to reach EC2."""
        number = next(_numbers)
        self.account = Account(f"{os.getpid() % 10_000_000:07}{number:05}", REGION)
        self.faults = Faults()
        self._interfaces = interfaces
        self._layout = layout
        self._build_vpc(tables)
        self.nodes = {zone: self._build_node(zone) for zone in ZONES}
        self._client_eni = self._build_client()
        self._prefix = f"w{os.getpid()}n{number}"
        self.network = Network(self._prefix, self.account.state)
        self._processes: list[Process] = []
        self._pods: dict[str, tuple[Node, Address]] = {}
        """By name: the node, and the pod's primary address."""
        self._placing = threading.Lock()
        """Held while a pod gets its primary address."""
        self._changed = threading.Event()
        self._closed = False
        self.credentials_seconds = 3600.0
        """For how long the role's credentials are good, once they are handed out anew."""
        self._issued: IssuedCredentials | None = None
        self.no_role = False
        """Set it for nodes without a role."""
        try:
            self._start(latency, tls[0] if tls else None, idle_seconds)
        except BaseException:
            self.close()
            raise

    # --- building ------------------------------------------------------------------------------

    def _build_vpc(self, tables: int) -> None:
        account = self.account
        self.vpc = account.create_vpc(IPv4Network("10.0.0.0/16"), ipv6=True)
        self.subnets: dict[str, str] = {}
        self.ipv6: dict[str, IPv6Network] = {}
        plan = {
            "a0": ("a", "10.0.1.0/24"),
            "b0": ("b", "10.0.2.0/24"),
            "client": ("c", "10.0.100.0/24"),
            "dummy1": ("a", "10.0.254.0/28"),
            "dummy2": ("a", "10.0.254.16/28"),
        }
        for number in range(1, self._interfaces + 1):
            plan[f"a{number}"] = ("a", f"10.0.{10 + number}.0/24")
            plan[f"b{number}"] = ("b", f"10.0.{20 + number}.0/24")
        for index, (name, (zone, network)) in enumerate(plan.items()):
            self.subnets[name] = account.create_subnet(
                self.vpc,
                f"{REGION}{zone}",
                IPv4Network(network),
                ipv6=index,
            )
        for subnet in account.state().subnets:
            name = next(n for n, i in self.subnets.items() if i == subnet.id)
            if subnet.ipv6 is not None:
                self.ipv6[name] = subnet.ipv6
        self.client_table = account.create_route_table(self.vpc, subnets=[self.subnets["client"]])
        mine = [[self.subnets[f"{zone}{n}"] for n in range(self._interfaces + 1)] for zone in ZONES]
        everything = [
            self.client_table,
            account.main_route_table(self.vpc),
            *(account.create_route_table(self.vpc, subnets=subnets) for subnets in mine),
            *(account.create_route_table(self.vpc) for _ in range(tables - len(mine) - 2)),
        ]
        self.tables = everything[:tables]
        for table in self.tables:
            account.tag_route_table(table, dict([TAG]))

    def _build_node(self, zone: str) -> Node:
        account = self.account
        third = ZONES.index(zone) + 1
        instance = account.run_instance(
            self.subnets[f"{zone}0"], ipv4=IPv4Address(f"10.0.{third}.10")
        )
        primary = account.primary_eni(instance)
        pods, beside = self._pod_addresses(zone)
        if self._layout.ipv6:
            account.assign_private_ip(primary, self.ipv6[f"{zone}0"][16])
        for address in (*pods, *beside.values()):
            account.assign_private_ip(primary, address)
        secondary = []
        for number in range(1, self._interfaces + 1):
            eni = account.create_eni(
                self.subnets[f"{zone}{number}"],
                ipv4=IPv4Address(f"10.0.{third}{number}.10"),
                ipv6=self.ipv6[f"{zone}{number}"][16],
                source_dest_check=False,
                tags={"node.k8s.amazonaws.com/no_manage": "true"},
            )
            account.attach(eni, instance, number)
            secondary.append(eni)
        return Node(
            zone=zone,
            instance=instance,
            primary=primary,
            secondary=tuple(secondary),
            pod_addresses=pods,
            beside=beside,
        )

    def _pod_addresses(self, zone: str) -> tuple[tuple[Address, ...], Mapping[Address, Address]]:
        many = range(100, 108)
        four = [IPv4Address(f"10.0.{ZONES.index(zone) + 1}.{n}") for n in many]
        six = [self.ipv6[f"{zone}0"][n] for n in many]
        match self._layout:
            case Layout.IPV6:
                return tuple(six), {}
            case Layout.DUAL:
                return tuple(four), dict(zip(four, six, strict=True))
            case Layout.TWO_CARDS:
                return tuple(four), {a: a + 20 for a in four}
            case _:
                return tuple(four), {}

    def _build_client(self) -> str:
        instance = self.account.run_instance(
            self.subnets["client"], ipv4=IPv4Address("10.0.100.10")
        )
        eni = self.account.primary_eni(instance)
        self.client_addresses: dict[int, list[Address]] = {
            4: [IPv4Address("10.0.100.10"), IPv4Address("10.0.100.11")],
            6: [self.ipv6["client"][16], self.ipv6["client"][17]],
        }
        for address in (self.client_addresses[4][1], *self.client_addresses[6]):
            self.account.assign_private_ip(eni, address)
        return eni

    def _start(
        self, latency: float, tls: ssl.SSLContext | None, idle_seconds: float | None
    ) -> None:
        self.endpoint = Endpoint(self.account, self.faults, tls=tls, idle_seconds=idle_seconds)
        self.services = Services(self._prefix, self.network.vpc, self.vpc)
        for address in EC2_ADDRESSES.values():
            for listener in self.services.listen(address, 80 if tls is None else 443):
                self.endpoint.listen(listener)
        self.imds = Imds(
            self.network.vpc,
            self.account.state,
            region=REGION,
            account=self.account.id,
            credentials=self._credentials,
        )
        for node in self.nodes.values():
            self.network.add_host(node.zone, [node.primary, *node.secondary])
        self.client = self.network.add_host("client", [self._client_eni], forwarding=False).netns
        self.client.ip_batch(
            [
                f"addr add {a}/{24 if a.version == 4 else 64} dev eth0"  # noqa: PLR2004
                + (" nodad" if a.version == 6 else "")  # noqa: PLR2004
                for group in self.client_addresses.values()
                for a in group
                if str(a) not in {"10.0.100.10", str(self.client_addresses[6][0])}
            ]
        )
        # The router follows on its own, as a VPC does; no API call waits for it.
        self.account.subscribe(self._changed.set)
        self._follower = threading.Thread(target=self._follow, name="router", daemon=True)
        self._follower.start()
        self.faults.latency = latency

    def _credentials(self, _instance: str) -> Credentials | None:
        if self.no_role:
            return None
        now = datetime.now(UTC)
        issued = self._issued
        if issued is None or issued.expiry <= now:
            issued = self._issued = self.account.issue_credentials(self.credentials_seconds)
        return Credentials(
            role="node",
            access_key=issued.key,
            secret_key=issued.secret,
            token=issued.token,
            updated=now,
            expiration=issued.expiry,
        )

    def _follow(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            if self._closed:
                return
            self.network.refresh()

    def reach_from_outside(self, addresses: Sequence[str]) -> None:
        """Give the client these addresses instead: of networks that the VPC has static routes to.

        The first is the peer of the first interface, and so on.
        """
        self.account.set_source_dest_check(self._client_eni, enabled=False)
        for address in addresses:
            for table in self.tables:
                self.account.put_route(table, f"{address}/32", self._client_eni)
        self.client.ip_batch([f"addr add {address}/32 dev eth0" for address in addresses])
        self.client_addresses[4] = [IPv4Address(address) for address in addresses]

    # --- what runs in it -----------------------------------------------------------------------

    def floating(self, *, pattern: int = 1, version: int = 4) -> tuple[str, ...]:
        """Give a floating IP with prefix length for each interface, as an attachment has it."""
        many = range(1, self._interfaces + 1)
        match pattern, version:
            case 1, 4:
                return tuple(f"192.168.0.{n}/24" for n in many)
            case 1, 6:
                return tuple(f"fd00:100::{n}/64" for n in many)
            case 2, 4:
                return ("10.0.254.1/28", "10.0.254.17/28")
            case _:
                return tuple(f"{self.ipv6[f'dummy{n}'][1]}/64" for n in many)

    def destination(self, floating: str) -> str:
        """Give what the VPC routes for a floating IP: its dummy subnet, or the address alone."""
        interface = ip_interface(floating)
        if any(interface.network in {s.ipv4, s.ipv6} for s in self.account.state().subnets):
            return str(interface.network)
        return str(ip_network(interface.ip))

    def peers(self, version: int = 4) -> dict[str, str]:
        """Give the peer keys: each interface talks to an address of the client of its own."""
        addresses = self.client_addresses[version]
        return {f"Intf{n}Peers": str(a) for n, a in enumerate(addresses, start=1)}

    def start_pod(
        self,
        name: str,
        zone: str,
        floating: Iterable[str | Sequence[str] | Delegate],
        *,
        dad: bool = False,
        first: int = 1,
    ) -> Netns:
        """Start a pod whose net1, net2, ... have these addresses, or those that CNI gives.

        They lie on the node's ENIs from number `first` on.

        Raises:
            NetnsError: the node has no address for one more pod, or the kernel refuses.
            CniError: a plugin of a `Delegate` refused.
        """
        node = self.nodes[zone]
        attachments = [
            addresses
            if isinstance(addresses, Delegate)
            else Attachment(
                master=f"eth{first - 1 + number}",
                interface=f"net{number}",
                addresses=tuple(_interfaces(addresses)),
                dad=dad,
            )
            for number, addresses in enumerate(floating, start=1)
        ]
        with self._placing:
            used = {address for _, address in tuple(self._pods.values())}
            primary = next((a for a in node.pod_addresses if a not in used), None)
            if primary is None:
                raise NetnsError(f"node {zone} has no address for another pod")
            more = [node.beside[primary]] if primary in node.beside else []
            pod = self.network.add_pod(
                zone, name, primary, attachments, layout=self._layout, more=more
            )
            self._pods[name] = (node, primary)
            return pod.netns

    def address(self, pod: str) -> Address:
        """Give a pod's primary address."""
        return self._pods[pod][1]

    def pod_ips(self, pod: str) -> str:
        """Give what Kubernetes has as a pod's `status.podIPs`, for its environment."""
        node, primary = self._pods[pod]
        dual = self._layout is Layout.DUAL
        return f"{primary},{node.beside[primary]}" if dual else str(primary)

    def kill_pod(self, name: str) -> None:
        """Kill a pod with everything in it."""
        self.network.remove_pod(name)
        del self._pods[name]

    def run(
        self,
        netns: Netns,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stream: str = "stdout",
        heard: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> Process:
        """Start a process that prints JSON lines."""
        process = Process(
            netns, argv, env=env or self.container_environment({}), stream=stream, heard=heard
        )
        self._processes.append(process)
        return process

    def agent(
        self,
        pod: Netns,
        config: Mapping[str, str],
        *,
        heard: Callable[[dict[str, Any]], None] = lambda _: None,
        argv: Sequence[str] | None = None,
    ) -> Process:
        """Start the agent in a pod, as its container would."""
        command = list(argv or (sys.executable, "-m", "vipmanager", "run"))
        return self.run(
            pod,
            command,
            env=self.container_environment({"LogFormat": "json", **config}),
            stream="stderr",
            heard=heard,
        )

    def application(
        self, pod: Netns, addresses: Iterable[str], *, listen: int | None = None
    ) -> Process:
        """Start the unmodified application: it answers on the floating IPs.

        With `listen` it accepts TCP connections on that port too, for health checks.
        """
        bare = [a.partition("/")[0] for a in addresses]
        return self.run(pod, probe.echo_command(bare, listen=listen))

    def probe(
        self,
        addresses: Sequence[str],
        *,
        interval_ms: float = 5,
        count_ms: float = 0,
        heard: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> Process:
        """Probe floating IPs from the client, each from the client address that is its peer."""
        bare = [ip_address(a.partition("/")[0]) for a in addresses]
        routes = []
        for target, source in zip(bare, self.client_addresses[bare[0].version], strict=False):
            gateway = "10.0.100.1" if target.version == 4 else str(GATEWAY_IPV6)  # noqa: PLR2004
            routes.append(f"route replace {target} via {gateway} dev eth0 src {source} onlink")
        self.client.ip_batch(routes)
        command = probe.probe_command(
            [str(a) for a in bare], interval_ms=interval_ms, count_ms=count_ms
        )
        return self.run(self.client, command, heard=heard)

    def container_environment(self, config: Mapping[str, str]) -> dict[str, str]:
        """Give a container's environment: nothing of the lab's own but what Python needs."""
        kept = {"PATH", "LANG", "LC_ALL", "PYTHONPATH"}
        ours = {k: v for k, v in os.environ.items() if k in kept}
        return ours | self.environment | dict(config)

    # --- looking and breaking ------------------------------------------------------------------

    def target(self, table: str, destination: str) -> str | None:
        """Tell where a table routes a destination; None for nowhere."""
        wanted = ip_network(destination)
        for each in self.account.state().tables:
            if each.id == table:
                return next((r.target for r in each.routes if r.destination == wanted), None)
        raise KeyError(table)

    def targets(self, destination: str) -> set[str | None]:
        """Tell where all tables route a destination."""
        return {self.target(t, destination) for t in self.tables}

    def writes(self) -> int:
        """Count the route writes that succeeded."""
        return sum(
            c.error is None and c.action in {"CreateRoute", "ReplaceRoute"}
            for c in self.endpoint.calls
        )

    def impair_zone(self, zone: str, describes: Impairment = "fail") -> None:
        """Lose a zone as AWS loses it: its node, the APIs' part there, and describes everywhere.

        Processes on its node notice nothing but silence. Route writes work.
        """
        self.network.cut(zone)
        self.services.cut(zone)
        self.faults.impair(describes)

    def heal_zone(self, zone: str) -> None:
        """Undo `impair_zone`, or `fail_zone` for what comes after."""
        self.faults.impair(None)
        self.services.restore()
        self.network.restore(zone)

    def fail_zone(self, zone: str) -> None:
        """Lose a zone: no packet comes or goes, and nothing on its node runs on."""
        self.network.cut(zone)
        for name in [n for n, (node, _) in tuple(self._pods.items()) if node.zone == zone]:
            self.network.pod(name).netns.kill()

    def forget_credentials(self) -> None:
        """Let IMDS hand out new credentials from now on."""
        self._issued = None

    def settle(self) -> None:
        """Wait until the router follows every write that was answered."""
        self.network.refresh()

    def close(self) -> None:
        """Remove everything."""
        self._closed = True
        for process in self._processes:
            process.close()
        if hasattr(self, "imds"):
            self.imds.close()
        if hasattr(self, "endpoint"):
            self.endpoint.close()
        if hasattr(self, "_follower"):
            self._changed.set()
            self._follower.join(5)
        if hasattr(self, "services"):
            self.services.close()
        self.network.close()


def _interfaces(addresses: str | Sequence[str]) -> list[IPv4Interface | IPv6Interface]:
    several = [addresses] if isinstance(addresses, str) else addresses
    return [ip_interface(a) for a in several]
