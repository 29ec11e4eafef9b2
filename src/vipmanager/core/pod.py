"""The pod's interfaces: which are ours to manage, which number each has, which ENI carries it."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from ipaddress import IPv6Address

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.settings import Settings
from vipmanager.core.values import (
    MAIN_TABLE,
    Address,
    AddressState,
    Eni,
    KernelState,
    Mac,
    NodeMetadata,
    PodInterface,
    PodNetworks,
    RouteKind,
)

_NUMBERED = re.compile(r"net([1-9][0-9]*)")
"""How Multus names what nobody named: `getIfname`, "net%d"."""

_MAC = re.compile(r"(?!00(:00){5}$)[0-9a-f]{2}(:[0-9a-f]{2}){5}")
"""What an interface of Ethernet has; a tunnel has an address, zeros or nothing in its place."""

ETH0 = "eth0"
"""The pod's cluster interface: the name that the kubelet's runtimes give to CNI plugins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A managed interface of the pod and the ENI under it.

    Several may share an ENI: ipvlan children have their parent's MAC.
    """

    number: int
    """The N of `Intf<N>Peers`."""
    interface: PodInterface
    eni: Eni


def primary(kernel: KernelState) -> str:
    """Name the interface by which the cluster knows the pod.

    It is the one with the pod's own address, where that is told. Else it has a default route, and
    an address in the route's family that leads further than the link: the VPC CNI's `v4if0` has the
    IPv4 default route of an IPv6 cluster's pods, and 169.254.172.0/22.
    """
    told = set(kernel.networks.addresses)
    for interface in kernel.interfaces:
        if any(a.address in told for a in interface.addresses):
            return interface.name
    known = {i.name: i for i in kernel.interfaces}
    found = [
        route.device
        for route in sorted(kernel.routes, key=lambda r: r.destination.version)
        if route.table == MAIN_TABLE
        and route.destination.prefixlen == 0
        and route.kind is RouteKind.UNICAST
        and route.device is not None
        and _leads_on(known.get(route.device), route.destination.version)
        and not _multus_name(route.device, kernel.networks)
    ]
    return found[0] if found and ETH0 not in found else ETH0


def _leads_on(interface: PodInterface | None, version: int) -> bool:
    """Tell whether an interface has an address of a family that is good beyond its link."""
    return interface is None or any(
        a.address.version == version and not a.address.is_link_local for a in interface.addresses
    )


def primary_addresses(kernel: KernelState) -> tuple[Address, ...]:
    """Give the addresses at which the cluster reaches the pod, IPv4 before IPv6."""
    name = primary(kernel)
    found = [
        a.address
        for i in kernel.interfaces
        if i.name == name
        for a in i.addresses
        if a.state is AddressState.READY and not a.address.is_link_local
    ]
    return tuple(sorted(found, key=lambda a: a.version))


def gateways(kernel: KernelState) -> tuple[Address, ...]:
    """List the next hops of the pod's default routes."""
    return tuple(
        r.gateway
        for r in kernel.routes
        if r.table == MAIN_TABLE and r.destination.prefixlen == 0 and r.gateway is not None
    )


def candidates(kernel: KernelState, patterns: tuple[str, ...]) -> tuple[PodInterface, ...]:
    """Select the interfaces that may be ours, in the order of their index."""
    first = primary(kernel)
    chosen = [
        i
        for i in kernel.interfaces
        if i.name not in {"lo", first}
        and (_MAC.fullmatch(i.mac) or _attached(i, kernel.networks))
        and (not patterns or any(fnmatchcase(i.name, p) for p in patterns))
    ]
    return tuple(sorted(chosen, key=lambda i: i.index))


def managed(
    kernel: KernelState, patterns: tuple[str, ...], macs: Collection[Mac] = ()
) -> tuple[PodInterface, ...]:
    """Select the interfaces that are ours: Multus', before what else has an ENI's MAC.

    All others belong to the VPC CNI, to tunnels, or to the application. One whose MAC is no ENI's
    is still Multus' by what Multus says, or, until it says it, by what it is asked for, by its name
    (`net1`), or because `Interfaces` names it in full.

    Args:
        kernel: the pod.
        patterns: `Interfaces`.
        macs: of the node's ENIs.
    """
    chosen = candidates(kernel, patterns)
    ours = [i for i in chosen if i.name in patterns or _multus_name(i.name, kernel.networks)]
    return (*ours, *(i for i in chosen if i.mac in macs and i not in ours))


def macs(node: NodeMetadata | None, enis: Iterable[Eni]) -> frozenset[Mac]:
    """Give the MACs of the node's ENIs, as IMDS lists them and EC2 shows them."""
    shown = {e.mac for e in enis if node is None or e.instance == node.instance}
    return frozenset(shown | (node.macs if node is not None else set()))


def left_alone(kernel: KernelState, ours: Iterable[PodInterface]) -> tuple[PodInterface, ...]:
    """Select the interfaces that are neither `lo`, nor the primary, nor ours."""
    known = {"lo", primary(kernel), *(i.name for i in ours)}
    return tuple(i for i in kernel.interfaces if i.name not in known)


def why_down(interface: PodInterface) -> tuple[str, str] | None:
    """Say in which state an interface carries nothing, and by which command it does again."""
    if not interface.up:
        return "down", f"ip link set {interface.name} up"
    if not interface.carrier:
        return (
            "without a carrier, as the node's interface under it is down",
            f"on the node, ip link set up the one whose MAC is {interface.mac}",
        )
    return None


def _multus_name(name: str, networks: PodNetworks) -> bool:
    if networks.attached is not None:
        return name in networks.attached
    return name in (networks.wanted or ()) or bool(_NUMBERED.fullmatch(name))


def _attached(interface: PodInterface, networks: PodNetworks) -> bool:
    return interface.name in (networks.attached or ())


def numbered(interfaces: Iterable[PodInterface]) -> dict[int, PodInterface]:
    """Give each interface its number: `netN` is N, the others take what is free, in order."""
    numbers: dict[int, PodInterface] = {}
    others: list[PodInterface] = []
    for interface in interfaces:
        match = _NUMBERED.fullmatch(interface.name)
        if match:
            numbers[int(match[1])] = interface
        else:
            others.append(interface)
    free = sorted(set(range(1, len(numbers) + len(others) + 1)) - set(numbers))
    return dict(sorted((numbers | dict(zip(free, others, strict=False))).items()))


def with_lost(before: KernelState, now: KernelState) -> KernelState:
    """Put IPv6 addresses that went with their link back into a reading, as LOST.

    The kernel drops them when a link goes down (ip-sysctl, `keep_addr_on_down`); an address that
    vanishes from a link that stayed up was taken away on purpose.
    """
    known = {(i.index, i.mac): i for i in before.interfaces}

    def completed(interface: PodInterface) -> PodInterface:
        old = known.get((interface.index, interface.mac))
        if old is None:
            return interface
        fell = not interface.up or interface.falls > old.falls
        present = {a.address for a in interface.addresses}
        lost = [
            replace(a, state=AddressState.LOST)
            for a in old.addresses
            if isinstance(a.address, IPv6Address)
            and not a.dynamic
            and a.address not in present
            and (fell or a.state is AddressState.LOST)
        ]
        return replace(interface, addresses=(*interface.addresses, *lost))

    return replace(now, interfaces=tuple(map(completed, now.interfaces)))


def attach(
    interfaces: Mapping[int, PodInterface],
    node: NodeMetadata | None,
    enis: Iterable[Eni],
    *,
    settings: Settings,
) -> tuple[tuple[Attachment, ...], tuple[Finding, ...]]:
    """Join interfaces and ENIs by MAC.

    EC2 is believed over IMDS, which is stale in both directions. Interfaces without addresses
    that have no ENI are nobody's concern.
    """
    by_mac: dict[Mac, list[Eni]] = {}
    for eni in enis:
        if eni.attached and (node is None or eni.instance == node.instance):
            by_mac.setdefault(eni.mac, []).append(eni)
    attachments: list[Attachment] = []
    findings: list[Finding] = []
    for number, interface in interfaces.items():
        found = by_mac.get(interface.mac, [])
        # Without IMDS the MAC alone must name one ENI: MACs are unique only inside a VPC.
        if len(found) == 1:
            attachments.append(Attachment(number=number, interface=interface, eni=found[0]))
        elif interface.addresses or number in settings.peers:
            findings.append(_no_eni(interface, node))
    return tuple(attachments), tuple(findings)


def with_peers(
    attachments: tuple[Attachment, ...], numbers: Mapping[int, PodInterface], settings: Settings
) -> tuple[tuple[Attachment, ...], tuple[Finding, ...]]:
    """Give each peer list its interface, by the pod's numbers or by the node's.

    The AWS sample numbers by the ENIs' device indexes: `Intf2Peers` is for the interface on device
    2, also where it is the pod's only one. That counts where only so every list has an interface.

    Args:
        attachments: by the pod's numbers.
        numbers: all that the pod has, also interfaces whose ENI is not known yet.
        settings: name the peers.
    """
    peers = set(settings.peers)
    missing = peers - set(numbers)
    if not missing:
        return attachments, ()
    if peers <= {a.eni.device_index for a in attachments}:
        findings = [
            find(
                Condition.PEERS_BY_DEVICE,
                _key(a.eni.device_index),
                key=_key(a.eni.device_index),
                interface=a.interface.name,
                eni=a.eni.id,
                index=a.eni.device_index,
                own=_key(a.number),
            )
            for a in attachments
            if a.eni.device_index in peers and a.eni.device_index != a.number
        ]
        return tuple(replace(a, number=a.eni.device_index) for a in attachments), tuple(findings)
    names = ", ".join(a.interface.name for a in attachments) or "none"
    return attachments, tuple(
        find(Condition.PEERS_WITHOUT_INTERFACE, _key(n), key=_key(n), interfaces=names)
        for n in sorted(missing)
    )


def misnumbered(
    attachments: tuple[Attachment, ...], numbers: Mapping[int, PodInterface], settings: Settings
) -> Finding | None:
    """Say how to write the peer lists, where none of them found an interface (`with_peers`)."""
    peers = set(settings.peers)
    if not peers or not attachments or peers & {*numbers, *(a.number for a in attachments)}:
        return None
    keys = ", ".join(map(_key, sorted(peers)))
    return find(
        Condition.PEERS_MISNUMBERED,
        keys,
        keys=keys,
        interfaces=", ".join(a.interface.name for a in attachments),
        instead=" or ".join(f"{_key(a.number)} for {a.interface.name}" for a in attachments),
    )


def _key(number: int) -> str:
    return f"Intf{number}Peers"


def _no_eni(interface: PodInterface, node: NodeMetadata | None) -> Finding:
    listed = node is not None and interface.mac in node.macs
    if node is None or listed:
        return find(
            Condition.ENI_NOT_YET, interface.name, interface=interface.name, mac=interface.mac
        )
    return find(
        Condition.MAC_UNKNOWN,
        interface.name,
        interface=interface.name,
        mac=interface.mac,
        instance=node.instance,
    )
