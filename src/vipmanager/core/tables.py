"""Which route tables are selected, and in which order they are written."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.settings import Settings, TagSelector
from vipmanager.core.values import Network, RouteTable, Subnet, VpcId


def select(
    tables: Iterable[RouteTable], vpc: VpcId, settings: Settings
) -> tuple[tuple[RouteTable, ...], tuple[Finding, ...]]:
    """Choose the tables of one VPC by id, by tag, or all.

    Edge tables take no route to outside the VPC (VPC user guide, gateway route tables): under
    ALL they are skipped, when named they are refused.
    """
    here = sorted((t for t in tables if t.vpc == vpc), key=lambda t: t.id)
    findings: list[Finding] = []
    if settings.tables:
        by_id = {t.id: t for t in here}
        findings += [
            find(Condition.TABLE_UNKNOWN, i, table=i, vpc=vpc)
            for i in settings.tables
            if i not in by_id
        ]
        chosen = [by_id[i] for i in settings.tables if i in by_id]
        key = "VPCRTIds"
    else:
        chosen = [t for t in here if not settings.tags or any(_has(t, s) for s in settings.tags)]
        key = "VPCRTTag"
    named = bool(settings.tables or settings.tags)
    edge = Condition.EDGE_TABLE_NAMED if named else Condition.EDGE_TABLE
    findings += [
        find(edge, t.id, table=t.id, gateway=t.edges[0], key=key) for t in chosen if t.edges
    ]
    usable = tuple(t for t in chosen if not t.edges)
    if not chosen:
        findings.append(_none(here, vpc, settings, key))
    return usable, tuple(findings)


def _has(table: RouteTable, selector: TagSelector) -> bool:
    return any(
        fnmatchcase(key, selector.key)
        and (selector.value is None or fnmatchcase(value, selector.value))
        for key, value in table.tags.items()
    )


def _none(here: Sequence[RouteTable], vpc: VpcId, settings: Settings, key: str) -> Finding:
    selector = ",".join(map(str, settings.tables or settings.tags)) or "ALL"
    tags = sorted({f"{k}={v}" for t in here for k, v in t.tags.items()})
    known = f" (tags in use: {', '.join(tags[:8])})" if tags and settings.tags else ""
    return find(
        Condition.NO_TABLE,
        key,
        selector=f"{key}={selector}",
        count=len(here),
        vpc=vpc,
        known=known,
        key=key,
    )


def peers_first(
    tables: Sequence[RouteTable], subnets: Iterable[Subnet], settings: Settings
) -> tuple[RouteTable, ...]:
    """Order tables so that those which serve the peers' subnets are written first.

    EC2 allows some 50 writes at once and 5 a second after that: the tables at the end may wait.
    Named tables keep the order in which they were named.
    """
    if settings.tables:
        return tuple(tables)
    peers = [p for group in settings.peers.values() for p in group]
    serving = {s.id for s in subnets if any(_meet(n, p) for n in s.networks for p in peers)}
    return tuple(
        sorted(tables, key=lambda t: (not serving.intersection(t.subnets), not t.main, t.id))
    )


def _meet(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)
