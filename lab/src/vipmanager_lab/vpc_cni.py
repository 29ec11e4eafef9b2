"""A pod's cluster interfaces, as the VPC CNI makes them: eth0, and what some clusters add.

    layout     eth0             beside it
    IPV4       IPv4
    EGRESS     IPv4             v6if0: fd00::ac:0/118, the IPv6 default route, SNAT at the node
    IPV6       IPv6             v4if0: 169.254.172.0/22, the IPv4 default route, SNAT at the node
    TWO_CARDS  IPv4             mNicIf1: IPv4 of the second network card, by a rule and table 1
    DUAL       IPv4 and IPv6    (of no EKS cluster: what other dual-stack clusters have)

Sources: amazon-vpc-cni-k8s, `cmd/egress-cni-plugin` and `cmd/routed-eni-cni-plugin/driver`.
"""

import zlib
from collections.abc import Sequence
from enum import Enum, auto
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from vipmanager_lab.netns import Netns
from vipmanager_lab.router import link_local

Address = IPv4Address | IPv6Address

BESIDE = ("v4if0", "v6if0", "mNicIf1")
"""Interfaces beside eth0."""

_MAC = "ee:ee:ee:ee:ee:ee"
"""Of the host's ends."""
_EGRESS: dict[str, IPv4Network | IPv6Network] = {
    "v4if0": IPv4Network("169.254.172.0/22"),
    "v6if0": IPv6Network("fd00::ac:0/118"),
}
_FIRST = 5
"""The first address that is handed out of an egress network."""
_CARD_TABLE = 1


class Layout(Enum):
    """How a cluster's pods are laid out."""

    IPV4 = auto()
    EGRESS = auto()
    IPV6 = auto()
    TWO_CARDS = auto()
    DUAL = auto()

    @property
    def ipv6(self) -> bool:
        """Whether nodes have IPv6."""
        return self in {Layout.EGRESS, Layout.IPV6, Layout.DUAL}


def host_interface(pod: str, prefix: str = "eni") -> str:
    """Name the host's end of a pod's interface."""
    return f"{prefix}{zlib.crc32(pod.encode()):08x}"


def wire(
    node: Netns, pod: Netns, name: str, addresses: Sequence[Address], *, layout: Layout, number: int
) -> None:
    """Make a pod's interfaces.

    Args:
        node: its node.
        pod: the pod.
        name: the pod's name.
        addresses: the pod's own first; then those of the same layout that it has beside it.
        layout: of its cluster.
        number: of the pod on its node, from 0.

    Raises:
        NetnsError: the kernel refuses, or there is no `nft` for an egress interface.
    """
    own = addresses if layout is Layout.DUAL else addresses[:1]
    there = host_interface(name)
    _veth(node, pod, there, "eth0")
    for address in own:
        _routed(node, pod, there, "eth0", address)
    node.wait_running(there)
    match layout:
        case Layout.EGRESS:
            pod.sysctl({"ipv6/conf/eth0/disable_ipv6": 1})
            _egress(node, pod, name, "v6if0", number)
        case Layout.IPV6:
            _egress(node, pod, name, "v4if0", number)
        case Layout.TWO_CARDS:
            second = host_interface(name, "nic")
            _veth(node, pod, second, "mNicIf1")
            _routed(node, pod, second, "mNicIf1", addresses[1], table=_CARD_TABLE)
            node.wait_running(second)


def _veth(node: Netns, pod: Netns, there: str, here: str) -> None:
    peer = f"peer name {here} netns {pod.full_name}"
    node.ip_batch([f"link add {there} address {_MAC} type veth {peer}", f"link set {there} up"])
    pod.ip_batch([f"link set {here} up"])


def _routed(
    node: Netns, pod: Netns, there: str, here: str, address: Address, *, table: int | None = None
) -> None:
    """A host route at the node, and a gateway in the pod that answers nothing itself."""
    number = 1 if table is None else table + 1
    gateway: Address = IPv6Address(f"fe80::{number}")
    everything, nodad = "::/0", "nodad"
    if isinstance(address, IPv4Address):
        gateway, everything, nodad = IPv4Address(f"169.254.1.{number}"), "0.0.0.0/0", ""
    where = "" if table is None else f" table {table}"
    node.ip_batch([f"route add {address} dev {there}"])
    pod.ip_batch(
        [
            f"addr add {address}/{address.max_prefixlen} dev {here} {nodad}",
            f"route add {gateway} dev {here}{where}",
            f"route add {everything} via {gateway} dev {here}{where}",
            f"neigh replace {gateway} lladdr {_MAC} dev {here} nud permanent",
        ]
    )
    if table is not None:
        pod.ip_batch([f"rule add from {address} lookup {table}"], family=address.version)


def _egress(node: Netns, pod: Netns, name: str, here: str, number: int) -> None:
    """The way out in the family that the cluster does not have, behind the node's address."""
    network = _EGRESS[here]
    address = network[_FIRST + number]
    there = host_interface(name, "egr")
    _veth(node, pod, there, here)
    node.wait_running(there)
    if isinstance(network, IPv4Network):
        gateway: Address = network[1]
        node.ip_batch([f"addr add {gateway}/32 dev {there} scope link"])
        lines = [
            f"addr add {address}/{network.prefixlen} dev {here} noprefixroute",
            f"route add {gateway} dev {here} src {address}",
            f"route add {network} via {gateway} dev {here} src {address}",
            f"route add 0.0.0.0/0 via {gateway} dev {here}",
        ]
    else:
        gateway = link_local(_MAC)
        lines = [
            f"addr add {address}/{network.prefixlen} dev {here} nodad",
            f"route add ::/0 via {gateway} dev {here}",
        ]
    node.ip_batch([f"route add {address} dev {there}"])
    pod.ip_batch(lines)
    family = "ip" if isinstance(network, IPv4Network) else "ip6"
    rules = (
        f"add table {family} egress\n"
        f"add chain {family} egress out {{ type nat hook postrouting priority 100 ; }}\n"
        f"flush chain {family} egress out\n"
        f'add rule {family} egress out {family} saddr {network} oifname "eth0" masquerade\n'
    )
    node.run(["nft", "-f", "-"], text=rules)
