"""Looking up the ENIs that have what is ours: is there life in them?

A lookup by id fails when the subnet of one of the ENIs lies in an impaired zone (cilium#45686). An
ENI that can't be read counts as alive, and hinders nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vipmanager.core import claim
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.values import Eni, EniId, Mac
from vipmanager.engine.observe import Observer

UNREAD = 10.0
"""Seconds until a rival that could not be read is asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalEnis:
    """What EC2 tells of them."""

    gone: frozenset[EniId] = frozenset()
    """Those that carry nothing any more."""
    macs: Mapping[EniId, Mac] = field(default_factory=lambda: MappingProxyType({}))
    finding: Finding | None = None
    """Which could not be read."""


def look_up(observer: Observer, enis: frozenset[EniId]) -> RivalEnis:
    """Ask EC2 for all of them, and for each where that fails; never raises a `Failure`."""
    if not enis:
        return RivalEnis()
    try:
        return _told(enis, observer.alive(enis))
    except Permanent:
        return RivalEnis()  # without the right to look, a rival counts as alive
    except Failure as failure:
        last = failure
    read: set[EniId] = set()
    found: list[Eni] = []
    for eni in sorted(enis) if len(enis) > 1 else ():
        try:
            found += observer.alive([eni])
        except Failure as failure:
            last = failure
        else:
            read.add(eni)
    unread = ", ".join(sorted(enis - read))
    finding = find(Condition.RIVAL_UNREAD, unread, rivals=unread, what=last.what)
    return _told(read, found, finding if unread else None)


def _told(
    asked: Iterable[EniId], found: Iterable[Eni], finding: Finding | None = None
) -> RivalEnis:
    found = tuple(found)
    macs = MappingProxyType({e.id: e.mac for e in found})
    return RivalEnis(gone=claim.dead(asked, found), macs=macs, finding=finding)
