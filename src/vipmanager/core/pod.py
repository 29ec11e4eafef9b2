"""The pod's interfaces: which are ours to manage, which number each has, which ENI carries it."""

import re
from collections.abc import Iterable, Mapping
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
    RouteKind,
)

_NUMBERED = re.compile(r"net([1-9][0-9]*)")


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
    """Name the interface of the pod's default route; `eth0` where there is none."""
    for route in kernel.routes:
        if (
            route.table == MAIN_TABLE
            and route.destination.prefixlen == 0
            and route.kind is RouteKind.UNICAST
            and route.device is not None
        ):
            return route.device
    return "eth0"


def primary_address(kernel: KernelState) -> Address | None:
    """Give the pod's own address, IPv4 before IPv6; None where it has none yet."""
    name = primary(kernel)
    found = [
        a.address
        for i in kernel.interfaces
        if i.name == name
        for a in i.addresses
        if a.state is AddressState.READY and not a.address.is_link_local
    ]
    return min(found, key=lambda a: a.version, default=None)


def gateways(kernel: KernelState) -> tuple[Address, ...]:
    """List the next hops of the pod's default routes."""
    return tuple(
        r.gateway
        for r in kernel.routes
        if r.table == MAIN_TABLE and r.destination.prefixlen == 0 and r.gateway is not None
    )


def managed(kernel: KernelState, patterns: tuple[str, ...]) -> tuple[PodInterface, ...]:
    """Select the interfaces to manage, in the order of their index."""
    first = primary(kernel)
    chosen = [
        i
        for i in kernel.interfaces
        if i.name not in {"lo", first}
        and (not patterns or any(fnmatchcase(i.name, p) for p in patterns))
    ]
    return tuple(sorted(chosen, key=lambda i: i.index))


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
