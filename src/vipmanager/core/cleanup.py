"""What `vipmanager cleanup` deletes, and what it leaves alone."""

from collections.abc import Iterable

from vipmanager.core.actions import DeleteRoute
from vipmanager.core.census import Entry, Holding
from vipmanager.core.findings import Condition, Finding, find


def cleanup(
    entries: Iterable[Entry], *, orphans: bool
) -> tuple[tuple[DeleteRoute, ...], tuple[Finding, ...]]:
    """Plan the deletion of routes that are ours; with `orphans`, of those without a live ENI too.

    What another live ENI has stays: it is another pod's now.
    """
    deletions: list[DeleteRoute] = []
    findings: list[Finding] = []
    for entry in entries:
        destination, target = entry.route.destination, entry.route.target
        if entry.holding is Holding.OURS:
            reason = "it points at an ENI of this pod"
        elif entry.holding is Holding.ORPHAN and orphans:
            reason = "its target is gone"
        else:
            left = {Holding.LIVE: Condition.LEFT_LIVE, Holding.ORPHAN: Condition.LEFT_ORPHAN}
            findings.append(
                find(
                    left[entry.holding],
                    entry.table,
                    destination=destination,
                    table=entry.table,
                    target=target,
                )
            )
            continue
        deletions.append(
            DeleteRoute(table=entry.table, destination=destination, before=target, reason=reason)
        )
    return tuple(deletions), tuple(findings)
