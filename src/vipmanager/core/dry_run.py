"""What `DryRun` makes of a plan: everything is told, and nothing is done.

Marks alone stay: the claim rule rests on them, and in a dry run they are kept in memory.
"""

from collections.abc import Iterable, Sequence

from vipmanager.core.actions import Action, AddRoute, CloudAction, RemoveRoute, RouteWrite
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.plan import Plan
from vipmanager.core.podnet import HELD_TABLE, OPENED_TABLE
from vipmanager.core.text import listed
from vipmanager.core.values import Network
from vipmanager.core.verdict import RouteDecision

SHOWN = 3
"""How many of a kind one sentence lists."""


def withheld(plan: Plan, judged: Sequence[RouteDecision]) -> Plan:
    """Take all writes out of a plan, and tell of them.

    Args:
        plan: what would be done.
        judged: every route, which tells how many tables a destination has.
    """
    prepare = tuple(a for a in plan.prepare if _is_memory(a))
    tidy = tuple(a for a in plan.tidy if _is_memory(a))
    others = [a for a in (*plan.prepare, *plan.tidy) if not _is_memory(a)]
    return Plan(
        prepare=prepare,
        tidy=tidy,
        findings=(*plan.findings, *_steers(plan.steer, judged), *_pod(others)),
    )


def _is_memory(action: Action) -> bool:
    marks = {HELD_TABLE, OPENED_TABLE}
    return isinstance(action, AddRoute | RemoveRoute) and action.route.table in marks


def _steers(actions: Iterable[CloudAction], judged: Sequence[RouteDecision]) -> Iterable[Finding]:
    groups: dict[Network, list[RouteWrite]] = {}
    for action in actions:
        if isinstance(action, RouteWrite):
            groups.setdefault(action.destination, []).append(action)
    for destination, writes in groups.items():
        yield find(
            Condition.WOULD_STEER,
            destination,
            destination=destination,
            eni=writes[0].eni,
            count=len(writes),
            total=sum(j.steer.destination == destination for j in judged),
            routes=listed((f"{w.table} ({w.reason})" for w in writes), SHOWN),
        )


def _pod(actions: Sequence[Action]) -> Iterable[Finding]:
    if actions:
        yield find(
            Condition.WOULD_CHANGE_POD,
            "pod",
            count=len(actions),
            changes=listed(map(str, actions), SHOWN),
        )
