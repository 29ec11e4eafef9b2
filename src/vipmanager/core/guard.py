"""The last look at a plan: what may never be written is taken out, and said."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vipmanager.core.actions import (
    AddAddress,
    AddRoute,
    AddRule,
    CloudAction,
    CreateRoute,
    DeleteRoute,
    DisableSourceDestCheck,
    KernelAction,
    RemoveRoute,
    RemoveRule,
    RouteWrite,
)
from vipmanager.core.desired import Desired
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.floating import forbidden, occupants
from vipmanager.core.plan import Plan
from vipmanager.core.podnet import PRIORITIES, PROTOCOL
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.values import (
    Eni,
    EniId,
    Network,
    RouteTable,
    RouteTableId,
    Subnet,
    TargetKind,
)


def guard(
    plan: Plan,
    want: Desired,
    *,
    settings: Settings,
    subnets: Iterable[Subnet],
    enis: Iterable[Eni] | None,
) -> Plan:
    """Take out every write that is not ours to make.

    The rules stand apart from the planner on purpose: a mistake there must not reach a route
    table.

    Args:
        plan: what the planner wants.
        want: what shall be.
        settings: what the operator allows.
        subnets: of the VPC.
        enis: who lives in the subnets that would be captured (`captures`); None where nobody knows.
    """
    occupied = (
        _occupied(plan, want, enis, tuple(subnets)) if settings.pattern is Pattern.SUBNET else {}
    )
    findings: list[Finding] = list(plan.findings)
    findings += occupied.values()

    def ours(action: CloudAction) -> bool:
        if isinstance(action, RouteWrite) and action.destination in occupied:
            return False
        refused = _refuse(action, want, want.by_id)
        if refused is not None:
            findings.append(refused)
        return refused is None

    checked = replace(
        plan,
        prepare=tuple(a for a in plan.prepare if _ours(a)),
        steer=tuple(a for a in plan.steer if ours(a)),
        tidy=tuple(a for a in plan.tidy if _ours(a)),
        spare=tuple(a for a in plan.spare if ours(a)),
    )
    return _capped(
        replace(checked, findings=tuple(dict.fromkeys(findings))), settings.max_route_writes
    )


def _capped(plan: Plan, most: int) -> Plan:
    """Take every route out of a plan that would write more of them than a person has allowed.

    A part of it would leave a floating IP in some of its tables.
    """
    writes = [a for a in plan.steer if isinstance(a, RouteWrite)]
    if len(writes) <= most:
        return plan
    tables = len({a.table for a in writes})
    found = find(
        Condition.TOO_MANY_WRITES, "MaxRouteWrites", count=len(writes), tables=tables, limit=most
    )
    return replace(
        plan,
        steer=tuple(a for a in plan.steer if not isinstance(a, RouteWrite)),
        spare=(),
        findings=(*plan.findings, found),
    )


def _refuse(
    action: CloudAction, want: Desired, tables: Mapping[RouteTableId, RouteTable]
) -> Finding | None:
    if isinstance(action, DisableSourceDestCheck):
        return None if any(e.id == action.eni for e in want.enis) else _not_ours(action.eni)
    if isinstance(action, DeleteRoute):
        return find(
            Condition.PERMANENT,
            action.table,
            what=f"{action}: a route is never deleted on its own",
            hint="vipmanager cleanup does, when asked",
        )
    why = forbidden(action.destination)
    if why is None and (action.destination, action.eni) not in want.destinations:
        why = "no floating IP of this pod"
    if why is None and action.table not in tables:
        why = f"in {action.table}, which is not selected"
    if why is not None:
        return find(
            Condition.DESTINATION_FORBIDDEN,
            action.destination,
            destination=action.destination,
            address=action.destination.network_address,
            interface=action.eni,
            why=why,
        )
    route = tables[action.table].route_to(action.destination)
    if route is not None and (route.propagated or route.target.kind is not TargetKind.ENI):
        return find(
            Condition.ROUTE_FOREIGN,
            action.table,
            destination=action.destination,
            table=action.table,
            target=route.target,
            why="and was propagated there" if route.propagated else "no network interface",
        )
    return None


def _not_ours(eni: EniId) -> Finding:
    return find(Condition.PERMANENT, eni, what=f"{eni} carries no interface of this pod", hint="")


def _ours(action: KernelAction) -> bool:
    match action:
        case AddAddress():
            return True  # only what was there before can be LOST
        case AddRule(rule=rule) | RemoveRule(rule=rule):
            return rule.protocol == PROTOCOL and rule.priority in PRIORITIES
        case AddRoute(route=route, over=over):
            return route.protocol == PROTOCOL and (over is None or over.protocol == PROTOCOL)
        case RemoveRoute(route=route):
            return route.protocol == PROTOCOL


def _occupied(
    plan: Plan, want: Desired, enis: Iterable[Eni] | None, subnets: tuple[Subnet, ...]
) -> dict[Network, Finding]:
    """Refuse the first capture of a subnet in which an ENI lives, or may live.

    Where a route exists already the traffic is captured, and a stray ENI must not block a
    failover.
    """
    refused: dict[Network, Finding] = {}
    known = None if enis is None else tuple(enis)
    for destination in captures(plan, want):
        inside = occupants(destination, known) if known is not None else ()
        if inside or known is None:
            subnet = next((s.id for s in subnets if destination in s.networks), "?")
            address = next(ip.address for ip in want.floating if ip.destination == destination)
        if known is None:
            refused[destination] = find(
                Condition.SUBNET_UNREAD,
                destination,
                subnet=subnet,
                destination=destination,
                address=address,
            )
        elif inside:
            refused[destination] = find(
                Condition.SUBNET_OCCUPIED,
                destination,
                subnet=subnet,
                destination=destination,
                address=address,
                enis=", ".join(sorted(e.id for e in inside)),
            )
    return refused


def captures(plan: Plan, want: Desired) -> tuple[Network, ...]:
    """List the destinations that no selected table routes yet, and the plan would."""
    return tuple(
        dict.fromkeys(
            a.destination
            for a in plan.steer
            if isinstance(a, CreateRoute)
            and not any(t.route_to(a.destination) for t in want.tables)
        )
    )
