"""What is lost: floating IPs that this pod does not answer, while routes still lead here.

    what tells that it was here             what is missing now
    a pass of this process saw it ready     its address, its interface, the link, the ENI;
    its mark is in the pod (a restart)      or the ENI's source/dest check drops its packets

It is lost in the tables whose route leads to the ENI that it was steered to. A table in which
another ENI has the route is not ours, and with the last of ours the loss is over. What another one
serves meanwhile is still *absent*: this pod can't take it over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from vipmanager.core.desired import Desired, Facts
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.pod import why_down
from vipmanager.core.podnet import held, held_mark, held_marks
from vipmanager.core.settings import Settings
from vipmanager.core.tables import select
from vipmanager.core.values import (
    Address,
    AddressState,
    CloudState,
    DesiredRoute,
    EniId,
    FloatingIP,
    KernelRoute,
    KernelState,
    PodInterface,
    RouteTable,
    sort_key,
)
from vipmanager.core.verdict import RouteDecision, Verdict, target_of

Had = Mapping[Address, FloatingIP]
"""The floating IPs that this process saw ready in the pod."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A floating IP that this pod had, and does not answer."""

    ip: FloatingIP
    why: str
    remedy: str
    routes: tuple[RouteDecision, ...]
    """Those that lead here all the same."""
    total: int
    """Route tables that are selected."""

    def finding(self) -> Finding:
        """Say what is lost, and what to do."""
        return find(
            Condition.LOST,
            self.ip.name,
            address=self.ip.name,
            why=self.why,
            count=len(self.routes),
            total=self.total,
            eni=self.ip.eni,
            remedy=self.remedy,
        )


def absent(settings: Settings, facts: Facts, want: Desired, had: Had) -> tuple[Absent, ...]:
    """Give what the pod had, and does not answer.

    Args:
        settings: select the tables.
        facts: as read, or as they are after what was written.
        want: what shall be, by the same reading.
        had: what this process knows of before.
    """
    tables = _selected(settings, facts.cloud)
    answered = _answered(want, facts.cloud)
    addresses = {ip.address for ip in answered}
    networks = {ip.destination for ip in answered}
    found: list[Absent] = []
    for known in _known(facts.kernel, want, had, tables):
        if known.address in addresses or (known.unnamed and known.destination in networks):
            continue
        ip = _placed(known, facts.kernel, facts.cloud)
        mine = [t for t in tables if t.vpc == ip.vpc]
        why, remedy = _why(ip, facts.kernel, facts.cloud)
        routes = tuple(_leading(ip, mine, why))
        found.append(
            Absent(
                ip=replace(ip, ready=False, lost=why if routes else None),
                why=why,
                remedy=remedy,
                routes=routes,
                total=len(mine),
            )
        )
    return tuple(found)


def remembered(
    had: Had, settings: Settings, facts: Facts, want: Desired, *, fresh: bool
) -> dict[Address, FloatingIP]:
    """Give what this process knows of after one more pass; what nobody has a route to is over."""
    now = {ip.address: ip for ip in _answered(want, facts.cloud)}
    if not fresh:
        return {**had, **now}
    routed = {r.destination for t in _selected(settings, facts.cloud) for r in t.routes}
    return {a: ip for a, ip in had.items() if ip.destination in routed} | now


def told_by_marks(settings: Settings, facts: Facts, *, fresh: bool) -> frozenset[KernelRoute]:
    """Give the marks to keep, wanted or not: what they tell still leads here, for all we know."""
    marks = held_marks(facts.kernel)
    if not fresh:
        return frozenset(marks)
    tables = _selected(settings, facts.cloud)
    return frozenset(m for m in marks if any(_marked(m, t) is not None for t in tables))


def shown(floating: Iterable[FloatingIP], lost: Iterable[Absent]) -> tuple[FloatingIP, ...]:
    """Give the floating IPs as they are told: a lost one does not vanish."""
    flagged = {a.ip.address: a.ip for a in lost if a.routes}
    all_ = {ip.address: ip for ip in floating} | flagged
    return tuple(sorted(all_.values(), key=lambda i: (sort_key(i.destination), int(i.address))))


def judged_with(
    judged: Iterable[RouteDecision], floating: Iterable[FloatingIP], lost: Iterable[Absent]
) -> tuple[RouteDecision, ...]:
    """Give the verdicts as they are told: a route to what is lost is not right.

    A subnet's route may serve another address of it as well.
    """
    gone = {a.ip.address for a in lost if a.routes}
    served = {(ip.destination, ip.eni) for ip in floating if ip.ready and ip.address not in gone}
    routes = {
        j.steer: j
        for a in lost
        for j in a.routes
        if (j.steer.destination, j.steer.eni) not in served
    }
    return (*(routes.pop(j.steer, j) for j in judged), *routes.values())


def _answered(want: Desired, cloud: CloudState) -> list[FloatingIP]:
    return [ip for ip in want.floating if ip.ready and not _checked(ip.eni, cloud)]


def _checked(eni: EniId, cloud: CloudState) -> bool:
    return any(e.id == eni and e.source_dest_check for e in cloud.enis)


def _selected(settings: Settings, cloud: CloudState) -> list[RouteTable]:
    vpcs = sorted({t.vpc for t in cloud.tables})
    return [t for vpc in vpcs for t in select(cloud.tables, vpc, settings)[0]]


def _known(
    kernel: KernelState, want: Desired, had: Had, tables: Iterable[RouteTable]
) -> list[FloatingIP]:
    """Give what was here, as this process saw it, or else as its marks tell."""
    found = dict(had)
    for ip in want.floating:
        if held(kernel, ip.destination, ip.eni):
            found.setdefault(ip.address, ip)
    seen = {held_mark(ip.destination, ip.eni).key for ip in (*found.values(), *want.floating)}
    for mark in held_marks(kernel):
        if mark.key in seen:
            continue
        for table in tables:
            eni = _marked(mark, table)
            if eni is not None:
                address = mark.destination.network_address
                found[address] = FloatingIP(
                    address=address,
                    interface="",
                    eni=eni,
                    vpc=table.vpc,
                    destination=mark.destination,
                )
                break
    return list(found.values())


def _marked(mark: KernelRoute, table: RouteTable) -> EniId | None:
    """Give the ENI of a mark, where a table has a route to it."""
    eni = target_of(table.route_to(mark.destination))
    told = eni is not None and held_mark(mark.destination, eni).key == mark.key
    return eni if told else None


def _leading(ip: FloatingIP, tables: Iterable[RouteTable], why: str) -> Iterator[RouteDecision]:
    for table in tables:
        route = table.route_to(ip.destination)
        if target_of(route) == ip.eni:
            steer = DesiredRoute(table=table.id, destination=ip.destination, eni=ip.eni)
            yield RouteDecision(steer=steer, verdict=Verdict.LOST, reason=why, route=route)


def _placed(ip: FloatingIP, kernel: KernelState, cloud: CloudState) -> FloatingIP:
    """Name the interface over the ENI, where only a mark told of it."""
    if ip.interface:
        return ip
    macs = {e.mac for e in cloud.enis if e.id == ip.eni}
    names = [i.name for i in kernel.interfaces if i.mac in macs]
    return replace(ip, interface=names[0]) if names else ip


_ANEW = "delete the pod, so that a new one gets it"


def _why(ip: FloatingIP, kernel: KernelState, cloud: CloudState) -> tuple[str, str]:
    """Say what is missing, and what to do about it."""
    interface = next((i for i in kernel.interfaces if i.name == ip.interface), None)
    if interface is None:
        what = f"{ip.interface} is gone from the pod" if ip.interface else "no interface has it"
        return what, _ANEW
    return _why_not_on(interface, ip) or _why_not_by(cloud, ip)


def _why_not_on(interface: PodInterface, ip: FloatingIP) -> tuple[str, str] | None:
    name = interface.name
    down = why_down(interface)
    if down is not None:
        return f"{name} is {down[0]}", f"{down[1]}, or {_ANEW}"
    match next((a.state for a in interface.addresses if a.address == ip.address), None):
        case None:
            return f"{name} does not have it any more", f"put it back on {name}, or {_ANEW}"
        case AddressState.LOST:
            return f"it went with the link of {name}", "it is put back when the link is up"
        case AddressState.TENTATIVE:
            return f"{name} has it, still tentative", "wait a second for the kernel"
        case AddressState.DUPLICATE:
            return f"another host answers for it beside {name}", _ANEW
        case AddressState.READY:
            return None


def _why_not_by(cloud: CloudState, ip: FloatingIP) -> tuple[str, str]:
    eni = next((e for e in cloud.enis if e.id == ip.eni and e.attached), None)
    if eni is None:
        what = f"{ip.eni} under {ip.interface} is detached from this instance"
        return what, f"attach it again, or {_ANEW}"
    if eni.source_dest_check:
        what = f"the source/dest check of {ip.eni} under {ip.interface} drops its packets"
        command = "aws ec2 modify-network-interface-attribute --network-interface-id"
        return what, f"{command} {ip.eni} --no-source-dest-check"
    return f"this pod does not steer it on {ip.interface} any more", f"see Interfaces, or {_ANEW}"
