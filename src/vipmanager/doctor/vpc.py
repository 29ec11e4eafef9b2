"""Looks at the VPC: route tables, routes, ENIs, quotas."""

from collections.abc import Sequence
from itertools import permutations

from vipmanager.core.findings import Condition, find
from vipmanager.core.floating import occupants
from vipmanager.core.lease_verdict import served
from vipmanager.core.places import unknown_zone
from vipmanager.core.settings import Pattern
from vipmanager.core.text import listed
from vipmanager.core.values import CloudRoute, Network, RouteTable, TargetKind, covers
from vipmanager.core.verdict import RouteDecision, Verdict
from vipmanager.doctor.check import Issue, Seen, Severity, issue, told
from vipmanager.doctor.readings import Readings

SHOWN = 5
"""How many of a kind one sentence lists."""

QUOTA = 500
"""Routes in a table that were not propagated, for each family (VPC quotas page, L-93826ACB)."""

NEARLY = 0.9

NO_MANAGE = "node.k8s.amazonaws.com/no_manage"
"""The tag that keeps the VPC CNI off an ENI (its README)."""


def floating_ips(readings: Readings) -> Seen:
    """Name the floating IPs."""
    floating = readings.want().floating
    if floating:
        return Seen(note=", ".join(f"{ip.address} on {ip.eni}" for ip in floating))
    found = {f.condition: f for f in readings.report().findings}
    if Condition.NOT_ATTACHED in found:
        return Seen(issues=(told(found[Condition.NOT_ATTACHED]),))
    absent = found.get(Condition.NO_FLOATING_IP)
    what = absent.text if absent else "none of the pod's addresses can be steered"
    return Seen(issues=(issue(Severity.ERROR, what),))


def preferred_zone(readings: Readings) -> Seen:
    """Look whether there is a subnet in the zone to which the floating IPs return."""
    preferred = readings.settings.preferred_zone
    if preferred is None:
        return Seen(note="no PreferredZone")
    subnets = readings.cloud().subnets(sorted({e.vpc for e in readings.want().enis}))
    return Seen(note=preferred, issues=tuple(map(told, unknown_zone(preferred, subnets))))


def route_tables(readings: Readings) -> Seen:
    """Name the selected tables."""
    tables = readings.want().tables
    known = len(readings.observed().facts.cloud.tables)
    return Seen(note=f"{len(tables)} of {known}: {listed((t.id for t in tables), SHOWN)}")


def eni_tags(readings: Readings) -> Seen:
    """Look for the tag that keeps the VPC CNI away."""
    if _unverified(readings):
        return Seen(note="EC2 does not let us look")
    return Seen(
        issues=tuple(
            issue(Severity.WARNING, f"{eni.id} is not tagged {NO_MANAGE}=true", eni=eni.id)
            for eni in readings.want().enis
            if eni.device_index > 0 and eni.tags.get(NO_MANAGE) != "true"
        )
    )


def _unverified(readings: Readings) -> bool:
    return any(f.condition is Condition.ENI_UNVERIFIED for f in readings.observed().findings)


def routes(readings: Readings) -> Seen:
    """Tell for each destination where it does not lead to its ENI."""
    judged = readings.report().judged
    wrong: dict[Network, list[RouteDecision]] = {}
    for each in judged:
        # What was taken over, and what is not ours, has findings of its own.
        lost = each.verdict is Verdict.LOST
        if not lost and not served(each) and not _foreign(each.route):
            wrong.setdefault(each.steer.destination, []).append(each)
    return Seen(
        note=f"{len(judged)} routes",
        issues=tuple(
            issue(Severity.ERROR, _misled(group, len(readings.want().tables)))
            for group in wrong.values()
        ),
    )


def _foreign(route: CloudRoute | None) -> bool:
    return route is not None and (route.propagated or route.target.kind is not TargetKind.ENI)


def _misled(group: Sequence[RouteDecision], tables: int) -> str:
    steer = group[0].steer
    places = listed((f"{j.steer.table} ({_target(j.route)})" for j in group), SHOWN)
    return (
        f"{steer.destination} does not lead to {steer.eni} in {len(group)} of {tables} route "
        f"tables: {places}"
    )


def _target(route: CloudRoute | None) -> str:
    if route is None:
        return "no route"
    return f"{route.target}{', a blackhole' if route.blackhole else ''}"


def dummy_subnets(readings: Readings) -> Seen:
    """Look for life in subnets whose traffic is routed to the pod already."""
    if readings.settings.pattern is not Pattern.SUBNET:
        return Seen(note="pattern 1 needs none")
    want = readings.want()
    subnets = {
        s.id: (ip, s)
        for s in readings.observed().facts.cloud.subnets
        for ip in want.floating
        if ip.destination in s.networks
    }
    enis = readings.cloud().enis_in(subnets) if subnets else ()
    found = []
    for ip, subnet in subnets.values():
        inside = occupants(ip.destination, enis)
        if inside and any(t.route_to(ip.destination) for t in want.tables):
            held = find(
                Condition.SUBNET_OCCUPIED_HELD,
                subnet.id,
                subnet=subnet.id,
                destination=ip.destination,
                eni=ip.eni,
                enis=listed(sorted(e.id for e in inside), SHOWN),
            )
            found.append(told(held, Severity.WARNING))
    return Seen(note=listed(subnets, SHOWN), issues=tuple(found))


def overlap(readings: Readings) -> Seen:
    """Find routes and peers that share addresses with one another."""
    want = readings.want()
    selected = want.by_id
    found = []
    for table in readings.observed().facts.cloud.tables:
        for ip in want.floating:
            for route in table.routes:
                if not covers(ip.destination, route.destination) or route.target.id == ip.eni:
                    continue
                inner = route.destination != ip.destination
                if inner or table.id not in selected:
                    found.append(_elsewhere(table, route, ip.destination, inner=inner))
    return Seen(issues=(*dict.fromkeys(found), *_crossing_peers(readings)))


def _elsewhere(table: RouteTable, route: CloudRoute, destination: Network, *, inner: bool) -> Issue:
    why = f"a part of {destination}" if inner else "and the table is not selected"
    field = {4: "--destination-cidr-block", 6: "--destination-ipv6-cidr-block"}[destination.version]
    return Issue(
        severity=Severity.WARNING,
        what=f"{route.destination} in {table.id} leads to {route.target}, {why}",
        fix=("" if inner else f"select {table.id}; or, if nothing needs that route: ")
        + f"aws ec2 delete-route --route-table-id {table.id} {field} {route.destination}",
    )


def _crossing_peers(readings: Readings) -> list[Issue]:
    if readings.settings.source_routing:
        return []
    peers = [(f"Intf{n}Peers", p) for n, group in readings.settings.peers.items() for p in group]
    return [
        issue(Severity.WARNING, f"{narrow} of {inside} lies inside {wide} of {key}", key=key)
        for (key, wide), (inside, narrow) in permutations(peers, 2)
        # Equal ones are a condition of the agent.
        if key != inside and wide != narrow and covers(wide, narrow)
    ]


def route_quota(readings: Readings) -> Seen:
    """Count the routes of each table against EC2's default quota."""
    found = []
    most = 0
    for table in readings.want().tables:
        for version in (4, 6):
            count = sum(
                r.destination.version == version
                and not r.propagated
                and r.target.kind is not TargetKind.LOCAL
                for r in table.routes
            )
            most = max(most, count)
            if count >= QUOTA * NEARLY:
                severity = Severity.WARNING
                what = f"{table.id} has {count} IPv{version} routes; the default quota is {QUOTA}"
                found.append(issue(severity, what))
    return Seen(note=f"at most {most} routes in a table, of {QUOTA}", issues=tuple(found))


def failover_time(readings: Readings) -> Seen:
    """Say how long the writes of a failover take for EC2's bucket alone."""
    rate = readings.settings.rate
    want = readings.want()
    writes = len(want.steers)
    beyond = max(0.0, (writes - rate.burst) / rate.refill)
    tables, destinations = len(want.tables), len(want.destinations)
    what = f"a failover writes {writes} routes: {tables} route tables x {destinations}"
    if not beyond:
        return Seen(note=f"{what}, within the burst of {rate.burst}")
    what += f"; beyond the first {rate.burst}, EC2 takes {rate.refill:g} a second: {beyond:.0f} s"
    return Seen(issues=(issue(Severity.WARNING, what),))
