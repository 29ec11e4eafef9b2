"""The VPC's router: route tables, mapping service and source/dest check as kernel routes.

`render` turns a `VpcState` into the lines that the kernel should hold; `Router` makes it so.
Every ENI is one veth pair: the node's end is the ENI, the end in the router's namespace its port.

Policy rules, by priority. Gaps leave room for more:

    5      to GATEWAY             lookup local     ARP and NDP go on: the Nitro card answers them
    9      one connection         blackhole        it is lost (`lab/services.py`)
    10     iif PORT               blackhole        a cut, detached or stopped ENI: silence
    20     from POD to POD        blackhole        a severed wire (`lab/replicas.py`)
    50                            lookup local     gateways, IMDS
    60                            lookup SERVICES  EC2, the Kubernetes API (`lab/services.py`)
    100    from OWN iif PORT      goto 300         source check: what the ENI owns may pass,
    200    iif PORT               blackhole        and nothing else
    300                           nop
    400    to SUBNET iif PORT     lookup MAPPING   a subnet's own hosts meet no route table
    500    iif PORT               lookup TABLE     the subnet's route table
    600    iif PORT               lookup MAPPING   reached by its `local` routes, which are throws
    700    iif lo, SERVICE        lookup MAPPING   answers of the router's own services
    40000                         blackhole

A route table ends in a blackhole, so that only `local` leads on. MAPPING holds each address of a
VPC's ENIs and ends in a blackhole for each CIDR block. AWS sends no ICMP errors: nor does this.
Sources: VPC user guide, "Route tables", "Route priority" and "Middlebox routing"; ip-rule(8).
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from vipmanager.core.values import covers
from vipmanager_lab.netns import IPV4, IPV6, BatchError, Family, Netns
from vipmanager_lab.vpc import Eni, RouteTable, Subnet, VpcState

IMDS_IPV4 = IPv4Address("169.254.169.254")
IMDS_IPV6 = IPv6Address("fd00:ec2::254")
GATEWAY_IPV6 = IPv6Address("fe80:ec2::1")
_EVERYTHING: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
_FAMILIES = (IPV4, IPV6)
_FIXED_RULES = (
    "rule add pref 50 lookup local",
    "rule del pref 0",
    "rule add pref 300 nop",
    "rule add pref 40000 blackhole",
)
# Set before there are ports: a new interface copies `default` (kernel, ip-sysctl.txt).
_SYSCTLS: Mapping[str, str | int] = {
    "ipv4/ip_forward": 1,
    "ipv4/conf/all/rp_filter": 0,  # routes differ by direction
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/send_redirects": 0,
    "ipv4/conf/default/send_redirects": 0,
    "ipv4/conf/default/proxy_arp": 1,
    "ipv6/conf/all/forwarding": 1,
    "ipv6/conf/default/forwarding": 1,
    "ipv6/conf/default/proxy_ndp": 1,
    "ipv6/conf/default/addr_gen_mode": 1,  # the gateway's address is the only one
}


class Kind(IntEnum):
    """What a line configures, in the order in which lines are written."""

    ADDRESS = 1
    NEIGHBOUR = 2
    ROUTE = 3
    RULE = 4


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Line:
    """One object of the kernel's configuration, in the words of `ip`."""

    kind: Kind
    family: Family
    rank: int = 0
    """A rule's priority, so that rules sort as the kernel reads them."""
    key: str
    """Names the object: what `del` needs."""
    value: str = ""
    """What `replace` changes."""

    def __str__(self) -> str:
        """As an operator would write it, without the verb."""
        return f"{self.kind.name.lower()} {self._words()}"

    def _words(self) -> str:
        # a route's type stands before its destination, a next hop after it
        if self.kind is Kind.ROUTE and self.value in {"throw", "blackhole"}:
            return f"{self.value} {self.key}"
        return f"{self.key} {self.value}".rstrip()

    def write(self) -> str:
        """The command that makes it so, atomically where something is there already."""
        verb = "add" if self.kind is Kind.RULE else "replace"
        return f"{self.kind.name.lower()} {verb} {self._words()}"

    def delete(self) -> str:
        """The command that removes it."""
        return f"{self.kind.name.lower()} del {self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataplane:
    """Everything the router's namespace holds on behalf of the VPC, sorted."""

    lines: tuple[Line, ...]


def port(eni: str) -> str:
    """The name of an ENI's port: an interface name has at most 15 characters."""
    return f"eni{eni.removeprefix('eni-')[-12:]}"


def table_number(name: str) -> int:
    """The kernel's number for a route table or a VPC's mapping, the same for ever.

    Numbered by name and not by position, so that a new table moves no other. Collisions among
    2^31 numbers are left to luck: with a VPC's 200 tables, one in 100,000.
    """
    return 1000 + zlib.crc32(name.encode()) % 2**31


def render(state: VpcState, *, plugged: frozenset[str], cut: frozenset[str]) -> Dataplane:
    """What the router should hold, given the ENIs that have a port and those that are cut off.

    An ENI is *lit* when packets reach it: plugged, not cut, attached to a running instance.
    """
    enis = {eni.id: eni for eni in state.enis if eni.id in plugged}
    lit = {
        eni.id: eni
        for eni in enis.values()
        if eni.id not in cut and eni.instance is not None and eni.instance_running
    }
    subnets = {subnet.id: subnet for subnet in state.subnets}
    lines = list(_mapping(state, enis, lit))
    for eni in enis.values():
        subnet = subnets[eni.subnet]
        table = _table_of(state, subnet)
        lines.extend(_neighbours(eni, subnet, enis))
        lines.extend(_rules(eni, subnet, table, lit=eni.id in lit))
        lines.extend(_table(table, lit))
    # a specific line comes after the general one that it takes the place of
    unique = {(line.kind, line.family, line.key): line for line in lines}
    return Dataplane(lines=tuple(sorted(unique.values())))


def _rules(eni: Eni, subnet: Subnet, table: RouteTable, *, lit: bool) -> Iterator[Line]:
    """The way of a packet that comes from the ENI."""
    here = f"iif {port(eni.id)}"
    mapping = f"lookup {table_number(eni.vpc)}"
    for family in _FAMILIES:
        if not lit:
            if family == IPV4 and subnet.ipv4 is not None:
                yield _rule(5, f"to {subnet.ipv4[1]} {here}", "lookup local", family)
            yield _rule(10, here, "blackhole", family)
            continue
        if eni.source_dest_check:
            for own in _own(eni, family):
                yield _rule(100, f"from {_shown(own)} {here}", "goto 300", family)
            yield _rule(200, here, "blackhole", family)
        if (cidr := subnet.ipv4 if family == IPV4 else subnet.ipv6) is not None:
            yield _rule(400, f"to {cidr} {here}", mapping, family)
        yield _rule(500, here, f"lookup {table_number(table.id)}", family)
        yield _rule(600, here, mapping, family)


def _table(table: RouteTable, lit: Mapping[str, Eni]) -> Iterator[Line]:
    """A route table: longest prefix match is the kernel's own."""
    number = table_number(table.id)
    for everything in _EVERYTHING:
        family: Family = everything.version
        yield _route(everything, number, "blackhole")
        own = [route for route in table.routes if route.destination.version == family]
        for route in own:
            target = lit.get(route.target)
            if route.target == "local":
                yield _route(route.destination, number, "throw")
            elif route.state == "blackhole" or target is None:
                yield _route(route.destination, number, "blackhole")
            elif not target.source_dest_check:
                yield _route(route.destination, number, _to(target, family))
            else:
                # dest check: of this route's packets, those to the ENI's own addresses arrive
                yield _route(route.destination, number, "blackhole")
                for arrives in _own(target, family):
                    best = max(
                        (one.destination for one in own if covers(one.destination, arrives)),
                        key=lambda network: network.prefixlen,
                        default=None,
                    )
                    if best == route.destination:
                        yield _route(arrives, number, _to(target, family))


def _mapping(state: VpcState, enis: Mapping[str, Eni], lit: Mapping[str, Eni]) -> Iterator[Line]:
    """Where each address of each VPC lives, for `local` routes and for the router's answers."""
    for vpc in state.vpcs:
        number = table_number(vpc.id)
        blocks: tuple[IPv4Network | IPv6Network, ...] = (*vpc.ipv4, *vpc.ipv6)
        for cidr in blocks:
            yield _route(cidr, number, "blackhole")
        for family in _FAMILIES:
            yield _rule(700, "iif lo", f"lookup {number}", family)
    for eni in enis.values():
        for family in _FAMILIES:
            for own in _own(eni, family):
                value = _to(eni, family) if eni.id in lit else "blackhole"
                yield _route(own, table_number(eni.vpc), value)


def _neighbours(eni: Eni, subnet: Subnet, enis: Mapping[str, Eni]) -> Iterator[Line]:
    """Who answers for whom: the subnet's gateway, the ENI's MAC, its IPv6 neighbours."""
    if subnet.ipv4 is not None:  # lo answers ARP on every port; IPv4 neighbours by proxy_arp
        yield Line(kind=Kind.ADDRESS, family=IPV4, key=f"{subnet.ipv4[1]}/32 dev lo")
    known: tuple[IPv4Address | IPv6Address, ...] = (*eni.ipv4[:1], link_local(eni.mac))
    for address in known:
        yield Line(
            kind=Kind.NEIGHBOUR,
            family=address.version,
            key=f"{address} dev {port(eni.id)}",
            value=f"lladdr {eni.mac} nud permanent",
        )
    for other in enis.values():
        if other.subnet == eni.subnet and other.id != eni.id:
            for proxied in other.ipv6:
                key = f"proxy {proxied} dev {port(eni.id)}"
                yield Line(kind=Kind.NEIGHBOUR, family=IPV6, key=key)


def _table_of(state: VpcState, subnet: Subnet) -> RouteTable:
    """The table a subnet is associated with, else its VPC's main table."""
    own = [table for table in state.tables if table.vpc == subnet.vpc]
    chosen = [table for table in own if subnet.id in table.subnets]
    return (chosen or [table for table in own if table.main])[0]


def _own(eni: Eni, family: Family) -> tuple[IPv4Network | IPv6Network, ...]:
    """What the VPC brings to an ENI by itself: its addresses, and its delegated prefixes."""
    addresses = eni.ipv4 if family == IPV4 else eni.ipv6
    prefixes = (prefix for prefix in eni.prefixes if prefix.version == family)
    return (*(ip_network(address) for address in addresses), *prefixes)


def _shown(network: IPv4Network | IPv6Network) -> str:
    """As ip-rule(8) shows it: a host without its length."""
    return str(network.network_address if network.num_addresses == 1 else network)


def link_local(mac: str) -> IPv6Address:
    """The IPv6 link-local address of a MAC (RFC 4291, appendix A): a next hop to any ENI."""
    octets = bytes.fromhex(mac.replace(":", ""))
    suffix = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + suffix)


def _to(eni: Eni, family: Family) -> str:
    """The next hop that is the ENI; its neighbour entry is static, as the mapping service's."""
    via = str(link_local(eni.mac))
    if family == IPV4:
        via = str(eni.ipv4[0]) if eni.ipv4 else f"inet6 {via}"
    return f"via {via} dev {port(eni.id)} onlink"


def _rule(priority: int, selector: str, action: str, family: Family) -> Line:
    key = f"pref {priority} {selector} {action}"
    return Line(kind=Kind.RULE, family=family, rank=priority, key=key)


def _route(destination: IPv4Network | IPv6Network, table: int, value: str) -> Line:
    key = f"{destination} table {table}"
    return Line(kind=Kind.ROUTE, family=destination.version, key=key, value=value)


class Router:
    """The router's namespace: ports, services' addresses, and what was applied last."""

    def __init__(self, namespace: Netns) -> None:
        """Prepare an empty namespace.

        Raises:
            NetnsError: the kernel refused.
        """
        self._namespace = namespace
        self._applied: dict[tuple[Kind, Family, str], Line] = {}
        namespace.sysctl(_SYSCTLS)
        namespace.ip_batch(
            [
                f"addr add {IMDS_IPV4}/32 dev lo",
                f"addr add {IMDS_IPV6}/128 dev lo nodad",
            ]
        )
        for family in _FAMILIES:
            namespace.ip_batch(_FIXED_RULES, family=family)
        namespace.ip_batch(
            [f"rule add pref 5 to {one} lookup local" for one in (GATEWAY_IPV6, "ff00::/8")],
            family=IPV6,
        )

    def plug(self, eni: Eni, host: Netns, interface: str) -> None:
        """Make an ENI: `interface` in `host`, with the ENI's MAC, wired to a port here.

        Raises:
            NetnsError: the name is taken at one end.
        """
        here = port(eni.id)
        peer = f"name {interface} address {eni.mac} netns {host.full_name}"
        self._namespace.ip_batch(
            [
                f"link add {here} type veth peer {peer}",
                f"link set {here} up",
                # /10 and not /64, so that answers to link-local addresses find a route
                f"addr add {GATEWAY_IPV6}/10 dev {here} nodad",
            ]
        )
        # else a proxied answer waits up to 0.8 s; there is no `default` to copy it from
        self._namespace.sysctl({f"{ip}/neigh/{here}/proxy_delay": 0 for ip in ("ipv4", "ipv6")})

    def unplug(self, eni: str) -> None:
        """Remove an ENI's both ends; `apply` a dataplane without it first.

        Raises:
            NetnsError: there is no such port.
        """
        self._namespace.ip_batch([f"link del {port(eni)}"])

    def apply(self, plane: Dataplane) -> None:
        """Write what differs from what was applied last, additions before removals.

        Raises:
            BatchError: a line was refused; what had been applied by then is remembered, so that
                the next call goes on from the truth.
        """
        wanted = {(line.kind, line.family, line.key): line for line in plane.lines}
        for family in _FAMILIES:
            written = [
                line
                for key, line in wanted.items()
                if line.family == family and self._applied.get(key) != line
            ]
            removed = [
                line
                for key, line in sorted(self._applied.items(), reverse=True)
                if line.family == family and key not in wanted
            ]
            self._batch(written, removed, family)

    def _batch(self, written: list[Line], removed: list[Line], family: Family) -> None:
        done = len(written) + len(removed)
        try:
            self._namespace.ip_batch(
                [*(line.write() for line in written), *(line.delete() for line in removed)],
                family=family,
            )
        except BatchError as error:
            done = error.applied
            raise
        finally:
            for line in written[:done]:
                self._applied[line.kind, line.family, line.key] = line
            for line in removed[: max(0, done - len(written))]:
                del self._applied[line.kind, line.family, line.key]
