"""Every route of this tool's kind in a VPC, and whether anything lives behind it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from vipmanager.core.values import (
    Address,
    CloudRoute,
    Eni,
    EniId,
    RouteTable,
    RouteTableId,
    Subnet,
    TargetKind,
    covers,
)


class Holding(Enum):
    """Who has a route."""

    OURS = "ours"
    LIVE = "live"
    """Another ENI that is attached."""
    ORPHAN = "orphan"
    """A blackhole, or an ENI that is detached or gone: traffic to it is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A route of this tool's kind."""

    table: RouteTableId
    name: str
    """The table's tag Name; empty where it has none."""
    route: CloudRoute
    eni: Eni | None
    """None where EC2 does not know it any more."""
    holding: Holding

    def document(self) -> dict[str, object]:
        """Give it as JSON values."""
        return {
            "table": self.table,
            "tableName": self.name or None,
            "destination": str(self.route.destination),
            "target": self.route.target.id,
            "instance": self.eni.instance if self.eni else None,
            "zone": self.eni.zone if self.eni else None,
            "state": self.holding.value,
        }


def kin(
    tables: Iterable[RouteTable], subnets: Iterable[Subnet]
) -> tuple[tuple[RouteTable, CloudRoute], ...]:
    """Select the routes that this tool could have made.

    They point at an ENI, and their destination is one address outside the VPC (pattern 1) or
    the whole CIDR of a subnet (pattern 2).
    """
    whole = {n for s in subnets for n in s.networks}
    return tuple(
        (table, route)
        for table in tables
        for route in table.routes
        if route.target.kind is TargetKind.ENI
        and not route.propagated
        and (route.destination in whole or _outside(route, table))
    )


def _outside(route: CloudRoute, table: RouteTable) -> bool:
    one = route.destination.prefixlen == route.destination.max_prefixlen
    return one and not any(covers(n, route.destination) for n in table.local)


def census(
    routes: Iterable[tuple[RouteTable, CloudRoute]],
    enis: Iterable[Eni],
    ours: Iterable[EniId] = (),
) -> tuple[Entry, ...]:
    """Tell of each route who has it.

    Args:
        routes: from `kin`.
        enis: their targets, as far as EC2 knows them.
        ours: the ENIs under this pod, or those that were named.
    """
    known = {e.id: e for e in enis}
    own = frozenset(ours)
    found = []
    for table, route in routes:
        eni = known.get(EniId(route.target.id))
        if route.target.id in own:
            holding = Holding.OURS
        elif eni is not None and eni.attached and not route.blackhole:
            holding = Holding.LIVE
        else:
            holding = Holding.ORPHAN
        found.append(Entry(table=table.id, name=table.name, route=route, eni=eni, holding=holding))
    return tuple(found)


def of(entries: Sequence[Entry], addresses: Iterable[Address]) -> tuple[Entry, ...]:
    """Select the routes of some floating IPs."""
    wanted = tuple(addresses)
    return tuple(e for e in entries if any(covers(e.route.destination, a) for a in wanted))
