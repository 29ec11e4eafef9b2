"""Who may write a route when a Lease decides: its holder, and every one of them.

The election tells who holds, and when a write may be sent; here it is told which are wrong.

    what a table shows              for the holder         for a standby
    our ENI                         right                  right, until the holder points it away
    what our own write replaced     wait: EC2 is           as below
                                    eventually consistent
    anything else                   write                  another's
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from vipmanager.core.claim import (
    WHY,
    Judged,
    Judgement,
    Memory,
    Standing,
    Verdict,
    again,
    forget,
    not_visible,
    settling,
    standing,
)
from vipmanager.core.findings import Finding
from vipmanager.core.values import RouteTable, RouteTableId, Steer, TargetKind

SETTLE = 1.0
"""Seconds in which EC2 may still show what a write of ours replaced. Shorter than without a Lease:
it may as well be a late write of the last holder, and to write once more harms nobody."""


def judge(
    steers: Sequence[Steer],
    tables: Mapping[RouteTableId, RouteTable],
    *,
    memory: Memory,
    now: float,
    repair: bool,
) -> Judgement:
    """Decide every steer as the holder does.

    Args:
        steers: what shall be.
        tables: the tables as read.
        memory: from the pass before; only its writes count.
        now: monotonic seconds.
        repair: whether what is wrong was right before, and is not a takeover's to write.
    """
    memory = forget(memory, set(steers), now)
    judged: list[Judged] = []
    findings: list[Finding] = []
    rechecks: list[float] = []
    for steer in steers:
        route = tables[steer.table].route_to(steer.destination)
        what = standing(route, steer.eni, frozenset())
        written = memory.written.get(steer)
        if what is Standing.OURS:
            verdict, reason = Verdict.RIGHT, "right"
        elif written is not None and settling(written, route, now, settle=SETTLE):
            verdict, reason = Verdict.WAIT, "written, not visible yet"
            findings.append(not_visible(steer, route))
            rechecks.append(again(written, now))
        else:
            verdict, reason = Verdict.WRITE, _reason(what, repair=repair)
        judged.append(
            Judged(
                steer=steer,
                verdict=verdict,
                reason=reason,
                route=route,
                repair=repair and verdict is Verdict.WRITE,
            )
        )
    return Judgement(
        judged=tuple(judged),
        memory=memory,
        findings=tuple(findings),
        recheck=min(rechecks, default=None),
    )


def as_standby(judged: Iterable[Judged]) -> tuple[Judged, ...]:
    """Give the same verdicts as a standby reports them: what is not right is another's."""
    return tuple(
        j
        if j.verdict is Verdict.RIGHT
        else replace(j, verdict=Verdict.YIELD, reason="standby", repair=False)
        for j in judged
    )


def served(judged: Judged) -> bool:
    """Tell whether a route leads to a living ENI: this pod's, or else another's."""
    route = judged.route
    elsewhere = route is not None and route.target.kind is TargetKind.ENI and not route.blackhole
    return judged.verdict is Verdict.RIGHT or (judged.verdict is Verdict.YIELD and elsewhere)


def _reason(what: Standing, *, repair: bool) -> str:
    if what is Standing.RIVAL:
        return "repair: the Lease is held here" if repair else "takeover"
    return f"{'repair' if repair else 'takeover'}: {WHY[what]}"
