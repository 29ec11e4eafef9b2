"""Who wrote this route: what somebody else did to routes that led here, and how to find them.

A reading that shows a route of ours elsewhere, or gone, and the one before it bound the moment in
which it was written; CloudTrail names the caller.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.text import listed
from vipmanager.core.values import DesiredRoute
from vipmanager.core.verdict import RouteDecision, target_of

KEPT = 600.0
"""Seconds for which a change is told, once its route leads here again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What was seen of a write that was not ours; seconds since 1970."""

    call: str
    """The EC2 action, as CloudTrail names it."""
    became: str
    after: float
    """When the route was last seen to lead here."""
    before: float
    """When it did not any more."""
    back: float | None = None
    """When it was first seen to lead here again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """What is remembered from one reading to the next."""

    seen: Mapping[DesiredRoute, float] = field(default_factory=lambda: MappingProxyType({}))
    """When each route was last read to lead here, seconds since 1970."""
    changes: Mapping[DesiredRoute, Change] = field(default_factory=lambda: MappingProxyType({}))

    def after(
        self,
        judged: Iterable[RouteDecision],
        *,
        ours: frozenset[DesiredRoute],
        sent: float,
        wall: float,
    ) -> "Trail":
        """Give it after one more reading of EC2.

        Args:
            judged: every route, as read.
            ours: routes that this agent wrote a moment ago, which EC2 may not show yet.
            sent: when the reading was asked for, seconds since 1970.
            wall: when it was there.
        """
        seen: dict[DesiredRoute, float] = {}
        changes: dict[DesiredRoute, Change] = {}
        for each in judged:
            steer = each.steer
            before, change = self.seen.get(steer), self.changes.get(steer)
            if target_of(each.route) == steer.eni:
                seen[steer] = sent
                if change is not None:
                    back = change.back if change.back is not None else wall
                    if wall < back + KEPT:
                        changes[steer] = replace(change, back=back)
                continue
            if before is not None and steer in ours:
                seen[steer] = before
            elif before is not None:
                change = _change(each, before, wall)
            if change is not None:
                changes[steer] = change
        return Trail(seen=MappingProxyType(seen), changes=MappingProxyType(changes))

    def findings(self, region: str) -> tuple[Finding, ...]:
        """Tell of the changes: one finding for each destination, call and moment."""
        groups: dict[tuple[str, Change], list[DesiredRoute]] = {}
        for steer, change in self.changes.items():
            same = replace(change, back=None)
            groups.setdefault((str(steer.destination), same), []).append(steer)
        return tuple(
            find(
                Condition.CHANGED_BY_ANOTHER,
                destination,
                destination=destination,
                tables=listed([s.table for s in steers], 1),
                became=change.became,
                after=_stamp(change.after),
                before=_stamp(change.before),
                command=look_up(change, table=steers[0].table, region=region),
            )
            for (destination, change), steers in groups.items()
        )


def look_up(change: Change, *, table: str, region: str) -> str:
    """Give the AWS CLI's command that shows who made a change.

    CloudTrail takes one attribute to look for, so the table is filtered from what it gives
    (CloudTrail API reference, LookupEvents); a second or two either way are for clocks.
    """
    return (
        f"aws cloudtrail lookup-events --region {region} "
        f"--lookup-attributes AttributeKey=EventName,AttributeValue={change.call} "
        f"--start-time {_stamp(change.after - 1)} --end-time {_stamp(change.before + 2)} "
        f"--query \"Events[?contains(CloudTrailEvent,'{table}')].[EventTime,Username,EventName]\" "
        "--output text"
    )


def _change(judged: RouteDecision, seen: float, missed: float) -> Change:
    after, before = sorted((seen, missed))  # the clock may have been set back
    if judged.route is None:
        return Change(call="DeleteRoute", became="deleted", after=after, before=before)
    became = f"pointed at {judged.route.target}"
    return Change(call="ReplaceRoute", became=became, after=after, before=before)


def _stamp(wall: float) -> str:
    return datetime.fromtimestamp(int(wall), UTC).isoformat().replace("+00:00", "Z")
