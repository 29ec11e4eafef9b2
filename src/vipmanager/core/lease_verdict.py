"""The verdict on each route where a Lease decides: its holder may write every one of them.

The election tells who holds, and when a write may be sent; here it is told which are wrong.

    what a table shows              for the holder         for a standby
    our ENI                         right                  right, until the holder points it away
    what our own write replaced     wait: EC2 is           as below
                                    eventually consistent
    a rival that is back            write, after pauses    another's
                                    that grow; at last
                                    leave it
    anything else                   write                  another's

A rival that is back once is a late write of the last holder. One that goes on is somebody
who does not know of this Lease: a second group with the same addresses, or another tool.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from vipmanager.core.election.role import Role
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.values import (
    CloudRoute,
    DesiredRoute,
    EniId,
    Network,
    RouteTable,
    RouteTableId,
    TargetKind,
)
from vipmanager.core.verdict import (
    WHY,
    Decision,
    RouteDecision,
    RouteHistory,
    RouteState,
    Verdict,
    Written,
    again,
    not_visible,
    settling,
    standing,
)

PAUSE, FOUGHT = 5.0, 5
"""Seconds before a rival that is back for the second time is written over, which double from then
on; and how often that is done until the route is left to it, by who has the greater ENI id."""

INSISTS = 8
"""The same for who has the lesser one: of two agents one is left; a tool that insists gets it."""

FORGET = 600.0
"""Seconds after which a rival that was written over is forgotten."""

SETTLE = 1.0
"""Seconds in which EC2 may still show what a write of ours replaced. Shorter than without a Lease:
it may as well be a late write of the last holder, and to write once more harms nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """A rival whose route was written over."""

    rival: EniId
    times: int = 0
    """How often it was back since the first time, and written over again."""
    at: float

    @property
    def pause(self) -> float:
        """Seconds until it may be written over once more."""
        return PAUSE * 2.0 ** min(self.times - 1, 3) if self.times else 0.0

    def fought(self, mine: EniId) -> bool:
        """Tell whether it was written over often enough to leave it what it has."""
        return self.times >= (FOUGHT if mine > self.rival else INSISTS)

    def again(self, rival: EniId, now: float) -> "Back":
        """Give the same after one more write over a rival."""
        same = rival == self.rival and now < self.at + FORGET
        return Back(rival=rival, times=self.times + 1 if same else 0, at=now)


def judge(
    steers: Sequence[DesiredRoute],
    tables: Mapping[RouteTableId, RouteTable],
    *,
    memory: RouteHistory,
    back: Mapping[DesiredRoute, Back],
    now: float,
    repair: bool,
) -> Decision:
    """Decide every steer as the holder does.

    Args:
        steers: what shall be.
        tables: the tables as read.
        memory: from the pass before; only its writes count.
        back: the rivals whose routes were written over.
        now: monotonic seconds.
        repair: whether what is wrong was right before, and is not a takeover's to write.
    """
    memory = memory.of(steers, now)
    judged: list[RouteDecision] = []
    findings: list[Finding] = []
    contests: dict[DesiredRoute, Back] = {}
    rechecks: list[float] = []
    for steer in steers:
        route = tables[steer.table].route_to(steer.destination)
        what = standing(route, steer.eni, frozenset())
        written = memory.written.get(steer)
        known = _returned(steer, route, back) if what is RouteState.RIVAL else None
        if what is not RouteState.OURS and _unseen(written, route, now):
            decided = _waits(steer, route, "written, not visible yet")
            findings.append(not_visible(steer, route))
            rechecks.append(again(written, now))
        elif known is not None:
            decided = _left_to(known, steer, route, now, repair=repair)
            contests[steer] = known
        else:
            decided = _plain(what, steer, route, repair=repair)
        judged.append(decided)
    rechecks += [j.due for j in judged if j.due is not None]
    return Decision(
        judged=tuple(judged),
        memory=memory,
        findings=(*findings, *_contests(contests, steers, tables)),
        recheck=min(rechecks, default=None),
    )


def _unseen(written: Written | None, route: CloudRoute | None, now: float) -> TypeGuard[Written]:
    """Tell whether EC2 may still show what a write of ours replaced."""
    return written is not None and settling(written, route, now, settle=SETTLE)


def _waits(
    steer: DesiredRoute, route: CloudRoute | None, reason: str, due: float | None = None
) -> RouteDecision:
    return RouteDecision(steer=steer, verdict=Verdict.WAIT, reason=reason, route=route, due=due)


def _plain(
    what: RouteState, steer: DesiredRoute, route: CloudRoute | None, *, repair: bool
) -> RouteDecision:
    """Decide a route that nobody contests: what is not ours is written."""
    if what is RouteState.OURS:
        return RouteDecision(steer=steer, verdict=Verdict.RIGHT, reason="right", route=route)
    reason = _reason(what, repair=repair)
    return RouteDecision(
        steer=steer, verdict=Verdict.WRITE, reason=reason, route=route, repair=repair
    )


def _returned(
    steer: DesiredRoute, route: CloudRoute | None, back: Mapping[DesiredRoute, Back]
) -> Back | None:
    """Tell whether a rival that was written over has the route again."""
    known = back.get(steer)
    same = known is not None and route is not None and route.target.id == known.rival
    return known if same else None


def _left_to(
    rival: Back, steer: DesiredRoute, route: CloudRoute | None, now: float, *, repair: bool
) -> RouteDecision:
    """Decide a route that a rival has again."""
    if rival.fought(steer.eni):
        reason = f"displaced by {rival.rival}"
        return RouteDecision(steer=steer, verdict=Verdict.YIELD, reason=reason, route=route)
    due = rival.at + rival.pause - now
    if due > 0.0:
        return _waits(steer, route, f"{rival.rival} is back", due)
    reason = f"repair: {rival.rival} is back"
    return RouteDecision(
        steer=steer, verdict=Verdict.WRITE, reason=reason, route=route, repair=repair
    )


def _contests(
    contests: Mapping[DesiredRoute, Back],
    steers: Sequence[DesiredRoute],
    tables: Mapping[RouteTableId, RouteTable],
) -> Iterator[Finding]:
    """Name each rival that is back, for each destination."""
    total = Counter(s.destination for s in steers)
    groups: dict[tuple[Condition, Network, EniId], list[DesiredRoute]] = {}
    for steer, known in contests.items():
        lost = Condition.DISPLACED if known.fought(steer.eni) else Condition.CONTESTED
        groups.setdefault((lost, steer.destination, known.rival), []).append(steer)
    for (condition, destination, rival), group in groups.items():
        route = tables[group[0].table].route_to(destination)
        more = {"seconds": contests[group[0]].pause} if condition is Condition.CONTESTED else {}
        yield find(
            condition,
            destination,
            destination=destination,
            rival=route.target if route is not None else rival,
            count=len(group),
            total=total[destination],
            **more,
        )


def mostly_elsewhere(judged: Sequence[RouteDecision]) -> bool:
    """Tell whether most routes lead to another living ENI, as they do once it took over."""
    rivals = [
        j
        for j in judged
        if j.verdict is not Verdict.WAIT
        and standing(j.route, j.steer.eni, frozenset()) is RouteState.RIVAL
    ]
    return 2 * len(rivals) > len(judged)


def as_another(judged: Iterable[RouteDecision], role: Role) -> tuple[RouteDecision, ...]:
    """Give the same verdicts as who is no holder reports them: what is not right is another's."""
    return tuple(
        j
        if j.verdict in {Verdict.RIGHT, Verdict.LOST}
        else replace(j, verdict=Verdict.YIELD, reason=role.value, repair=False, due=None)
        for j in judged
    )


def served(judged: RouteDecision) -> bool:
    """Tell whether a route leads to a living ENI: this pod's, or else another's."""
    route = judged.route
    elsewhere = route is not None and route.target.kind is TargetKind.ENI and not route.blackhole
    return judged.verdict is Verdict.RIGHT or (judged.verdict is Verdict.YIELD and elsewhere)


def _reason(what: RouteState, *, repair: bool) -> str:
    if what is RouteState.RIVAL:
        return "repair: the Lease is held here" if repair else "takeover"
    return f"{'repair' if repair else 'takeover'}: {WHY[what]}"
