"""Which pod addresses float, and which destination the VPC routes for each."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_network

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.pod import Attachment, why_down
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.values import (
    Address,
    AddressState,
    Eni,
    FloatingIP,
    Network,
    Subnet,
    VpcId,
    covers,
    host,
    sort_key,
)

RESERVED = tuple(ip_network(n) for n in ("169.254.168.0/22", "fd00:ec2::/32"))
"""Destinations that CreateRoute refuses, exact or inside (VPC user guide, route tables)."""

LINK_LOCAL = tuple(ip_network(n) for n in ("169.254.0.0/16", "fe80::/10"))


def floating(
    attachments: Sequence[Attachment],
    *,
    settings: Settings,
    vpc_networks: dict[VpcId, tuple[Network, ...]],
    subnets: Iterable[Subnet],
) -> tuple[tuple[FloatingIP, ...], tuple[Finding, ...]]:
    """Decide for every address of every attachment."""
    subnets = tuple(subnets)
    chosen: list[FloatingIP] = []
    findings: list[Finding] = []
    for attachment in attachments:
        for pod_address in attachment.interface.addresses:
            address = pod_address.address
            if not floats(address, settings):
                continue
            unusable = _unusable(attachment, address, pod_address.state)
            if unusable is not None:
                findings.append(unusable)
                continue
            outcome = (
                _host_route(attachment, address, vpc_networks.get(attachment.eni.vpc, ()))
                if settings.pattern is Pattern.HOST
                else _subnet_route(attachment, address, subnets)
            )
            if isinstance(outcome, Finding):
                findings.append(outcome)
                continue
            unready = _unready(attachment, address, pod_address.state)
            if unready is not None:
                findings.append(unready)
            chosen.append(replace(outcome, ready=unready is None))
    kept, twice = _one_claimant_each(chosen, settings.pattern)
    return kept, (*findings, *twice)


def floats(address: Address, settings: Settings) -> bool:
    """Tell whether the operator lets an address be steered."""
    return not settings.floating or any(covers(n, address) for n in settings.floating)


def _unusable(attachment: Attachment, address: Address, state: AddressState) -> Finding | None:
    name = attachment.interface.name
    if state is AddressState.DUPLICATE:
        return find(Condition.ADDRESS_DUPLICATE, address, address=address, interface=name)
    if attachment.eni.owns(address):
        return find(
            Condition.ADDRESS_OWNED,
            address,
            address=address,
            interface=name,
            eni=attachment.eni.id,
        )
    return None


def _unready(attachment: Attachment, address: Address, state: AddressState) -> Finding | None:
    name = attachment.interface.name
    down = why_down(attachment.interface)
    if down is not None:
        return find(Condition.INTERFACE_DOWN, name, interface=name, state=down[0], command=down[1])
    if state is AddressState.TENTATIVE:
        return find(Condition.ADDRESS_TENTATIVE, address, address=address, interface=name)
    if state is AddressState.LOST:
        return find(Condition.ADDRESS_LOST, address, address=address, interface=name)
    return None


def forbidden(destination: Network) -> str | None:
    """Say why no route of ours may ever have this destination, or None."""
    if destination.prefixlen == 0:
        return "the default route"
    if any(covers(n, destination) for n in RESERVED):
        return "reserved by AWS for its own services"
    if any(covers(n, destination) for n in LINK_LOCAL):
        return "link-local"
    return None


def _allowed(
    attachment: Attachment, address: Address, destination: Network
) -> FloatingIP | Finding:
    why = forbidden(destination)
    if why is not None:
        return find(
            Condition.DESTINATION_FORBIDDEN,
            address,
            destination=destination,
            address=address,
            interface=attachment.interface.name,
            why=why,
        )
    return FloatingIP(
        address=address,
        interface=attachment.interface.name,
        eni=attachment.eni.id,
        vpc=attachment.eni.vpc,
        destination=destination,
        zone=attachment.eni.zone,
    )


def _host_route(
    attachment: Attachment, address: Address, vpc: tuple[Network, ...]
) -> FloatingIP | Finding:
    inside = next((n for n in vpc if covers(n, address)), None)
    if inside is not None:
        # "the destination must match the entire CIDR block of a subnet" (VPC user guide):
        # a more specific route than local can't be a /32, since no subnet is.
        return find(
            Condition.ADDRESS_IN_VPC,
            address,
            address=address,
            interface=attachment.interface.name,
            cidr=inside,
            length=address.max_prefixlen,
        )
    return _allowed(attachment, address, host(address))


def _subnet_route(
    attachment: Attachment, address: Address, subnets: tuple[Subnet, ...]
) -> FloatingIP | Finding:
    for subnet in subnets:
        if subnet.vpc == attachment.eni.vpc:
            for network in subnet.networks:
                if covers(network, address):
                    return _allowed(attachment, address, network)
    return find(
        Condition.ADDRESS_IN_NO_SUBNET,
        address,
        address=address,
        interface=attachment.interface.name,
        vpc=attachment.eni.vpc,
    )


def _one_claimant_each(
    chosen: Sequence[FloatingIP], pattern: Pattern
) -> tuple[tuple[FloatingIP, ...], tuple[Finding, ...]]:
    wanted: dict[tuple[VpcId, Network], list[FloatingIP]] = {}
    for ip in chosen:
        wanted.setdefault((ip.vpc, ip.destination), []).append(ip)
    kept: list[FloatingIP] = []
    findings: list[Finding] = []
    for (_, destination), claimants in wanted.items():
        if len({c.eni for c in claimants}) == 1:
            kept.extend(claimants)
            continue
        findings.append(
            find(
                Condition.DESTINATION_TWICE,
                destination,
                destination=destination,
                claimants=" and ".join(f"{c.address} on {c.interface}" for c in claimants),
                subnet_hint=" in a subnet of its own" if pattern is Pattern.SUBNET else "",
            )
        )
    kept.sort(key=lambda ip: (sort_key(ip.destination), int(ip.address), ip.interface))
    return tuple(kept), tuple(findings)


def occupants(destination: Network, enis: Iterable[Eni]) -> tuple[Eni, ...]:
    """List the ENIs that live inside a destination."""
    return tuple(e for e in enis if e.lives_in(destination))
