"""Desired minus observed is the plan."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vipmanager.core import podnet
from vipmanager.core.actions import (
    Action,
    AddAddress,
    AddRoute,
    AddRule,
    CloudAction,
    CreateRoute,
    DisableSourceDestCheck,
    KernelAction,
    RemoveRoute,
    RemoveRule,
    ReplaceRoute,
    RouteWrite,
)
from vipmanager.core.desired import Desired
from vipmanager.core.findings import READING, Condition, Finding, find
from vipmanager.core.podnet import PROTOCOL, held_mark
from vipmanager.core.settings import Settings
from vipmanager.core.values import (
    MAIN_TABLE,
    AddressState,
    EniId,
    KernelRoute,
    KernelState,
    Network,
    PolicyRule,
    sort_key,
)
from vipmanager.core.verdict import RouteDecision, Scope, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The writes, in the order in which they are applied: make before break.

    The kernel answers before the cloud steers; what is no longer wanted goes last.
    """

    prepare: tuple[KernelAction, ...] = ()
    steer: tuple[CloudAction, ...] = ()
    tidy: tuple[KernelAction, ...] = ()
    spare: tuple[RouteWrite, ...] = ()
    """For routes that a reading shows right, or that wait for EC2 to show them: what the holder of
    a Lease writes where that reading is not new enough to be relied on."""
    findings: tuple[Finding, ...] = ()

    @property
    def actions(self) -> tuple[Action, ...]:
        """All that is to be done now."""
        return (*self.prepare, *self.steer, *self.tidy)


def plan(
    settings: Settings,
    want: Desired,
    kernel: KernelState,
    judged: Sequence[RouteDecision],
    held: frozenset[tuple[Network, EniId]],
    *,
    kept: frozenset[KernelRoute] = frozenset(),
) -> Plan:
    """Plan all writes.

    Args:
        settings: what the operator allows.
        want: what shall be.
        kernel: what is in the pod.
        judged: a verdict for each steer.
        held: the destinations whose mark shall be in the pod.
        kept: marks that stay, though their destination is not wanted: what is lost is told by them.
    """
    additions, findings = _additions(want, kernel, held)
    prepare = [*_restorations(kernel), *additions]
    steer: list[CloudAction] = []
    for eni in want.enis:
        if eni.source_dest_check and any(ip.eni == eni.id for ip in want.floating):
            if settings.manage_source_dest_check and not settings.dry_run:
                steer.append(DisableSourceDestCheck(eni=eni.id, reason="it carries a floating IP"))
            else:
                addresses = ", ".join(str(ip.address) for ip in want.floating if ip.eni == eni.id)
                name = next(ip.interface for ip in want.floating if ip.eni == eni.id)
                findings.append(
                    find(
                        Condition.SOURCE_DEST_CHECK,
                        eni.id,
                        eni=eni.id,
                        interface=name,
                        address=addresses,
                    )
                )
    steer += [_write(j) for j in judged if j.verdict is Verdict.WRITE]
    shown = {Verdict.RIGHT, Verdict.WAIT} if settings.leader_election else set()
    # EC2 and IMDS lag: an interface whose ENI nobody shows right now keeps what it has.
    unsure = any(f.condition is Condition.ENI_NOT_YET for f in want.findings)
    return Plan(
        prepare=tuple(prepare),
        steer=tuple(steer),
        tidy=() if unsure else tuple(_removals(want, kernel, held, kept)),
        spare=tuple(_write(j) for j in judged if j.verdict in shown),
        findings=tuple(findings),
    )


def within(plan: Plan, scope: Scope) -> Plan:
    """Take out what a pass may not do."""
    match scope:
        case Scope.ALL:
            return plan
        case Scope.ROUTES:
            return replace(plan, prepare=(), tidy=())
        case Scope.NOTHING:
            return Plan(findings=(*plan.findings, find(Condition.YIELDED, "pod")))
        case Scope.CREATES | Scope.BLIND:
            created = tuple(a for a in plan.steer if isinstance(a, CreateRoute))
            findings = plan.findings
            if created and scope is Scope.BLIND:
                tables = ", ".join(dict.fromkeys(a.table for a in created))
                findings += (find(Condition.BLIND, READING, count=len(created), tables=tables),)
            return replace(plan, steer=created, findings=findings)


def _write(judged: RouteDecision) -> RouteWrite:
    steer, route = judged.steer, judged.route
    if route is None:
        return CreateRoute(steer=steer, reason=judged.reason, repair=judged.repair)
    return ReplaceRoute(
        steer=steer, before=route.target, reason=judged.reason, repair=judged.repair
    )


def _restorations(kernel: KernelState) -> list[KernelAction]:
    return [
        AddAddress(
            interface=interface.name,
            address=a.address,
            prefix_length=a.prefix_length,
            reason="the link took it along when it went down",
        )
        for interface in sorted(kernel.interfaces, key=lambda i: i.name)
        if interface.up
        for a in interface.addresses
        if a.state is AddressState.LOST
    ]


def _marks(held: frozenset[tuple[Network, EniId]]) -> tuple[KernelRoute, ...]:
    return tuple(
        held_mark(destination, eni)
        for destination, eni in sorted(held, key=lambda h: (sort_key(h[0]), h[1]))
    )


def _additions(
    want: Desired, kernel: KernelState, held: frozenset[tuple[Network, EniId]]
) -> tuple[list[KernelAction], list[Finding]]:
    present = {r.key: r for r in kernel.routes}
    ours = {r.key: r for r in kernel.routes if r.protocol == PROTOCOL}
    routes: list[AddRoute] = []
    findings: list[Finding] = []
    for route in (*want.routes, *_marks(held)):
        old = ours.get(route.key) or present.get(route.key)
        if old is None:
            routes.append(AddRoute(route=route, reason=_purpose(route)))
        elif old.way == route.way:
            continue
        elif old.protocol == PROTOCOL:
            routes.append(AddRoute(route=route, over=old, reason=_purpose(route)))
        else:
            findings.append(
                find(
                    Condition.KERNEL_ROUTE_FOREIGN,
                    route.destination,
                    destination=route.destination,
                    route=f"dev {old.device} proto {old.protocol}",
                    key="the peers",
                )
            )
    # The kernel takes the same rule under another protocol for a duplicate.
    present_rules = {_way(r) for r in kernel.rules}
    rules = [
        AddRule(rule=rule, reason=_purpose(rule))
        for rule in want.rules
        if _way(rule) not in present_rules
    ]
    # The main table last: until the rules stand, a peer route could cut the primary off.
    aside = [a for a in routes if a.route.table != MAIN_TABLE]
    return [*aside, *rules, *(a for a in routes if a.route.table == MAIN_TABLE)], findings


def wipe(kernel: KernelState) -> tuple[RemoveRule | RemoveRoute, ...]:
    """Remove every rule and route of ours from the pod, whatever they tell."""
    reason = "no longer wanted"
    return (
        *(
            RemoveRule(rule=rule, reason=reason)
            for rule in sorted(kernel.rules, key=_rule_order)
            if rule.protocol == PROTOCOL
        ),
        *(
            RemoveRoute(route=route, reason=reason)
            for route in sorted(kernel.routes, key=lambda r: (r.table, sort_key(r.destination)))
            if route.protocol == PROTOCOL
        ),
    )


def _removals(
    want: Desired,
    kernel: KernelState,
    held: frozenset[tuple[Network, EniId]],
    kept: frozenset[KernelRoute],
) -> list[KernelAction]:
    keep_routes = {r.key for r in (*want.routes, *_marks(held), *kept)}
    keep_rules = {_way(r) for r in want.rules}
    return [
        action
        for action in wipe(kernel)
        if not (
            _way(action.rule) in keep_rules
            if isinstance(action, RemoveRule)
            # The age of the claim is the pod's, whatever is wanted.
            else action.route.key in keep_routes or action.route.table == podnet.OPENED_TABLE
        )
    ]


def _rule_order(rule: PolicyRule) -> tuple[int, int, str, int]:
    return rule.version, rule.priority, str(rule.source), rule.table


def _way(rule: PolicyRule) -> PolicyRule:
    return replace(rule, protocol=PROTOCOL)


def _purpose(what: KernelRoute | PolicyRule) -> str:
    match what.table:
        case podnet.HELD_TABLE:
            return "steered and read back"
        case podnet.PRIMARY_TABLE:
            return "the pod's own address stays on its primary interface"
        case main if main == MAIN_TABLE:
            return "peers are answered through the ENI"
        case _:
            return "answers leave by the interface of their floating IP"
