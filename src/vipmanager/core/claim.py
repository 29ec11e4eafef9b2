"""Claim, hold, yield: who may write a route when there is no fence between two agents.

An agent *claims* a destination once: in a fresh pod, for a new address, for a changed ENI. From
the moment it has written a table, it *holds* that table; once every table was read back, a mark
in the pod's namespace makes a restarted container hold instead of claiming again.

    what a held table shows              verdict
    our ENI                              right
    nothing, a blackhole, a dead ENI     write at once
    what our own write replaced          wait: EC2 is eventually consistent
    another live ENI, in some tables     drift: write once it is unchanged over two readings
    another live ENI, in all tables      displaced: yield, until that ENI dies; tables without a
                                         route count as its own
    another live ENI, spreading          wait anew: it may be a takeover under way
    the same rival after a repair        drift, after a longer pause each time that it is back soon

An agent that takes over writes all tables, and soon; a person or another tool may write one. So
what decides is how many tables a rival has. Two agents still come to an end:

- Each holds some tables: who repairs first has all, and the other is displaced. Of two that have
  just claimed, the one with the greater ENI id waits three times as long.
- Each saw the other everywhere, and yet each has some: a living holder would have repaired those
  that are ours by its next reading. When it has not, the displacement is over.
- Their tables overlap and are not the same, so that neither ever has all of the other's: after
  `FOUGHT` quick returns there is an agent behind the rival, and the greater ENI id yields.

A claim is for a pod's start. One that could not begin within `OPEN` seconds is *late*: another pod
may have claimed and served meanwhile, and this one may be on its way out. It takes missing and
dead routes as a hold does, and nothing from a living ENI.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from vipmanager.core.contest import Contest
from vipmanager.core.findings import Finding
from vipmanager.core.values import DesiredRoute, Eni, EniId, Network, RouteTable, RouteTableId
from vipmanager.core.verdict import Decision, RouteDecision, RouteHistory, RouteState, standing


def rivals(
    steers: Iterable[DesiredRoute], tables: Mapping[RouteTableId, RouteTable]
) -> frozenset[EniId]:
    """List the ENIs whose fate decides a verdict: other targets of the steers' routes."""
    found: set[EniId] = set()
    for steer in steers:
        route = tables[steer.table].route_to(steer.destination)
        if standing(route, steer.eni, frozenset()) is RouteState.RIVAL and route is not None:
            found.add(EniId(route.target.id))
    return frozenset(found)


def dead(looked_up: Iterable[EniId], found: Iterable[Eni]) -> frozenset[EniId]:
    """Of the ENIs that were looked up, give those that carry nothing any more."""
    alive = {e.id for e in found if e.attached}
    return frozenset(looked_up) - alive


NOBODY: Mapping[Network, frozenset[EniId]] = MappingProxyType({})
NEVER: Mapping[Network, float] = MappingProxyType({})


def judge(
    steers: Sequence[DesiredRoute],
    tables: Mapping[RouteTableId, RouteTable],
    *,
    held: frozenset[tuple[Network, EniId]],
    gone: frozenset[EniId],
    memory: RouteHistory,
    now: float,
    jitter: float,
    opened: Mapping[Network, float] = NEVER,
    orphaned: Mapping[Network, frozenset[EniId]] = NOBODY,
    resync: float = 30.0,
) -> Decision:
    """Decide every steer.

    Args:
        steers: what shall be; all with one destination form a group.
        tables: the tables as read.
        held: destinations with their mark in the pod.
        gone: ENIs that carry nothing any more.
        memory: from the pass before.
        now: monotonic seconds.
        jitter: 0..1, drawn anew by the caller for each pass.
        opened: when the claim of a destination was opened, where that is known.
        orphaned: ENIs that no pod is behind, as far as a destination goes.
        resync: seconds in which a living holder has looked at its routes again.
    """
    memory = memory.of(steers, now)
    verdicts: dict[DesiredRoute, RouteDecision] = {}
    findings: list[Finding] = []
    rechecks: list[float] = []
    for destination, group in _by_destination(steers).items():
        decide = Contest(
            steers=tuple(group),
            routes={s: tables[s.table].route_to(destination) for s in group},
            held=(destination, group[0].eni) in held,
            gone=gone,
            orphaned=orphaned.get(destination, frozenset()),
            opened=opened.get(destination),
            resync=resync,
            now=now,
            jitter=jitter,
        )
        memory = decide.judge(memory, verdicts, findings, rechecks)
    return Decision(
        judged=tuple(verdicts[s] for s in steers),
        memory=memory,
        findings=tuple(findings),
        recheck=min(rechecks, default=None),
    )


def _by_destination(steers: Iterable[DesiredRoute]) -> Mapping[Network, Sequence[DesiredRoute]]:
    groups: dict[Network, list[DesiredRoute]] = {}
    for steer in steers:
        groups.setdefault(steer.destination, []).append(steer)
    return groups
