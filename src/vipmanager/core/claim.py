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
    another live ENI, spreading          displaced
    the same rival after a repair        the greater ENI id yields, so that two agents that each
                                         repair come to an end
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import MappingProxyType

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.values import (
    CloudRoute,
    Eni,
    EniId,
    Network,
    RouteTable,
    RouteTableId,
    Steer,
    Target,
    TargetKind,
)

SETTLE = 5.0
"""Seconds in which EC2 may still show what a write of ours replaced."""

SOONEST = 0.05
"""Seconds before the first reading that follows one which did not show our write."""

DRIFT = (5.0, 10.0)
"""Seconds between the two readings that make a drift, drawn evenly: two agents that repair
each other's routes must not do it at the same moment."""

REMEMBER = 600.0
"""Seconds for which a repaired rival is remembered."""


class Standing(Enum):
    """What a table shows for a destination."""

    OURS = auto()
    MISSING = auto()
    DEAD = auto()
    """A blackhole, or an ENI that is attached to nothing."""
    RIVAL = auto()
    """Another live ENI."""
    FOREIGN = auto()
    """A gateway, or a propagated route; the guard refuses to override it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A write of ours that EC2 accepted."""

    at: float
    replaced: EniId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A rival first seen in a table that we hold."""

    rival: EniId
    since: float
    wait: float
    """Seconds that it must stay unchanged before it is drift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A rival whose route we took back."""

    rival: EniId
    at: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What one pass tells the next. Losing it costs time, never correctness."""

    written: Mapping[Steer, Written] = field(default_factory=lambda: MappingProxyType({}))
    sighted: Mapping[Steer, Sighting] = field(default_factory=lambda: MappingProxyType({}))
    repaired: Mapping[Steer, Repaired] = field(default_factory=lambda: MappingProxyType({}))
    displaced: Mapping[Network, EniId] = field(default_factory=lambda: MappingProxyType({}))

    def wrote(self, steer: Steer, *, at: float, replaced: EniId | None) -> "Memory":
        """Remember an accepted write, and whether it took the table back from a rival."""
        record = Written(at=at, replaced=replaced)
        memory = replace(self, written=MappingProxyType({**self.written, steer: record}))
        sighting = self.sighted.get(steer)
        if sighting is None or sighting.rival != replaced:
            return memory
        repaired = {**self.repaired, steer: Repaired(rival=sighting.rival, at=at)}
        return _unsight(replace(memory, repaired=MappingProxyType(repaired)), steer)


class Verdict(Enum):
    """What to do about one steer."""

    RIGHT = auto()
    WRITE = auto()
    WAIT = auto()
    YIELD = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A steer with its verdict; `reason` is for people."""

    steer: Steer
    verdict: Verdict
    reason: str
    route: CloudRoute | None
    repair: bool = False
    """Whether a write takes back what we hold, rather than claims it."""

    def document(self) -> dict[str, object]:
        """Give it as JSON values."""
        return {
            "table": self.steer.table,
            "destination": str(self.steer.destination),
            "wanted": self.steer.eni,
            "target": str(self.route.target) if self.route else None,
            "blackhole": self.route.blackhole if self.route else False,
            "verdict": self.verdict.name.lower(),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdicts of one pass, and what to remember."""

    judged: tuple[Judged, ...]
    memory: Memory
    findings: tuple[Finding, ...]
    recheck: float | None
    """Seconds until the next reading can change a verdict."""


def standing(route: CloudRoute | None, ours: EniId, lost: frozenset[EniId]) -> Standing:
    """Tell what a route means to us.

    `lost` are ENIs that EC2 no longer knows, or shows detached. A route's state `active`
    proves nothing; `blackhole` does.
    """
    if route is None:
        return Standing.MISSING
    if route.propagated or route.target.kind is not TargetKind.ENI:
        return Standing.FOREIGN
    if route.target.id == ours:
        return Standing.OURS
    if route.blackhole or route.target.id in lost:
        return Standing.DEAD
    return Standing.RIVAL


def settling(
    written: Written | None, route: CloudRoute | None, now: float, *, settle: float = SETTLE
) -> bool:
    """Tell whether a table may still show what our own write replaced."""
    if written is None or now - written.at >= settle:
        return False
    return _eni(route) == written.replaced


def again(written: Written, now: float) -> float:
    """Give the seconds until a write that did not show is looked for once more.

    Waiting as long again as it has taken so far makes the readings rarer.
    """
    return max(SOONEST, now - written.at)


def rivals(steers: Iterable[Steer], tables: Mapping[RouteTableId, RouteTable]) -> frozenset[EniId]:
    """List the ENIs whose fate decides a verdict: other targets of the steers' routes."""
    found: set[EniId] = set()
    for steer in steers:
        route = tables[steer.table].route_to(steer.destination)
        if standing(route, steer.eni, frozenset()) is Standing.RIVAL and route is not None:
            found.add(EniId(route.target.id))
    return frozenset(found)


def dead(looked_up: Iterable[EniId], found: Iterable[Eni]) -> frozenset[EniId]:
    """Of the ENIs that were looked up, give those that carry nothing any more."""
    alive = {e.id for e in found if e.attached}
    return frozenset(looked_up) - alive


def judge(
    steers: Sequence[Steer],
    tables: Mapping[RouteTableId, RouteTable],
    *,
    held: frozenset[tuple[Network, EniId]],
    lost: frozenset[EniId],
    memory: Memory,
    now: float,
    luck: float,
) -> Judgement:
    """Decide every steer.

    Args:
        steers: what shall be; all with one destination form a group.
        tables: the tables as read.
        held: destinations with their mark in the pod.
        lost: ENIs known to be gone.
        memory: from the pass before.
        now: monotonic seconds.
        luck: 0..1, drawn anew by the caller for each pass.
    """
    known = set(steers)
    memory = forget(memory, known, now)
    groups: dict[Network, list[Steer]] = {}
    for steer in steers:
        groups.setdefault(steer.destination, []).append(steer)
    verdicts: dict[Steer, Judged] = {}
    findings: list[Finding] = []
    rechecks: list[float] = []
    for destination, group in groups.items():
        decide = _Group(
            steers=tuple(group),
            routes={s: tables[s.table].route_to(destination) for s in group},
            held=(destination, group[0].eni) in held,
            lost=lost,
            now=now,
            luck=luck,
        )
        memory = decide.judge(memory, verdicts, findings, rechecks)
    return Judgement(
        judged=tuple(verdicts[s] for s in steers),
        memory=memory,
        findings=tuple(findings),
        recheck=min(rechecks, default=None),
    )


def forget(memory: Memory, known: set[Steer], now: float) -> Memory:
    """Drop what is remembered of steers that are wanted no more."""
    destinations = {s.destination for s in known}
    return Memory(
        written=MappingProxyType({s: w for s, w in memory.written.items() if s in known}),
        sighted=MappingProxyType({s: w for s, w in memory.sighted.items() if s in known}),
        repaired=MappingProxyType(
            {s: r for s, r in memory.repaired.items() if s in known and now - r.at < REMEMBER}
        ),
        displaced=MappingProxyType(
            {d: r for d, r in memory.displaced.items() if d in destinations}
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """All steers of one destination, and how their tables stand."""

    steers: tuple[Steer, ...]
    routes: Mapping[Steer, CloudRoute | None]
    held: bool
    lost: frozenset[EniId]
    now: float
    luck: float

    def judge(
        self,
        memory: Memory,
        verdicts: dict[Steer, Judged],
        findings: list[Finding],
        rechecks: list[float],
    ) -> Memory:
        """Decide the group; add to what is handed in, and give the new memory."""
        contested = self._contested(memory)
        rival, memory = self._displaced_by(contested, memory)
        if rival is not None:
            findings.append(self._displaced(rival))
        elif contested:
            findings.append(self._contest(contested))
        for steer in self.steers:
            judged, memory, recheck = self._one(steer, memory, contested, rival)
            verdicts[steer] = judged
            if judged.verdict is Verdict.WAIT and steer not in contested:
                findings.append(not_visible(steer, self.routes[steer]))
            if recheck is not None:
                rechecks.append(recheck)
        return memory

    def _standing(self, steer: Steer) -> Standing:
        return standing(self.routes[steer], steer.eni, self.lost)

    def _ours(self, steer: Steer, memory: Memory) -> bool:
        return self.held or steer in memory.written

    def _settling(self, steer: Steer, memory: Memory) -> bool:
        return settling(memory.written.get(steer), self.routes[steer], self.now)

    def _contested(self, memory: Memory) -> dict[Steer, EniId]:
        return {
            s: EniId(route.target.id)
            for s in self.steers
            if self._standing(s) is Standing.RIVAL
            and self._ours(s, memory)
            and not self._settling(s, memory)
            and (route := self.routes[s]) is not None
        }

    def _displaced_by(
        self, contested: Mapping[Steer, EniId], memory: Memory
    ) -> tuple[EniId | None, Memory]:
        """Decide whether a rival has the destination; the answer is remembered."""
        destination = self.steers[0].destination
        rival = min(contested.values(), default=None)
        before = memory.displaced.get(destination)
        seen = [s for s in contested if s in memory.sighted]
        spreading = bool(seen) and any(s not in memory.sighted for s in contested)
        everywhere = not any(self._standing(s) is Standing.OURS for s in self.steers)
        repeated = any(
            (r := memory.repaired.get(s)) is not None and r.rival == c and s.eni > c
            for s, c in contested.items()
        )
        lost = rival is not None and (before is not None or everywhere or spreading or repeated)
        displaced = {d: r for d, r in memory.displaced.items() if d != destination}
        if lost and rival is not None:
            displaced[destination] = rival
        return (rival if lost else None), replace(memory, displaced=MappingProxyType(displaced))

    def _one(
        self,
        steer: Steer,
        memory: Memory,
        contested: Mapping[Steer, EniId],
        rival: EniId | None,
    ) -> tuple[Judged, Memory, float | None]:
        now = self._standing(steer)
        if now is Standing.OURS:
            return self._say(steer, Verdict.RIGHT, "right"), _unsight(memory, steer), None
        if rival is not None:
            return self._say(steer, Verdict.YIELD, f"displaced by {rival}"), memory, None
        if steer in contested:
            return self._drift(steer, contested[steer], memory)
        if self._settling(steer, memory):
            wait = again(memory.written[steer], self.now)
            return self._say(steer, Verdict.WAIT, "written, not visible yet"), memory, wait
        held = self._ours(steer, memory)
        verb = "repair" if held else "claim"
        judged = self._say(steer, Verdict.WRITE, f"{verb}: {WHY[now]}", repair=held)
        return judged, _unsight(memory, steer), None

    def _drift(
        self, steer: Steer, rival: EniId, memory: Memory
    ) -> tuple[Judged, Memory, float | None]:
        sighting = memory.sighted.get(steer)
        if sighting is None or sighting.rival != rival:
            low, high = DRIFT
            repeats = 2.0 if steer in memory.repaired else 1.0
            wait = (low + (high - low) * self.luck) * repeats
            sighting = Sighting(rival=rival, since=self.now, wait=wait)
            sighted = MappingProxyType({**memory.sighted, steer: sighting})
            memory = replace(memory, sighted=sighted)
        left = sighting.since + sighting.wait - self.now
        if left > 0:
            return self._say(steer, Verdict.WAIT, f"drift to {rival}?"), memory, left
        # The sighting stays until the write is accepted: one that fails is tried again at once.
        drifted = f"repair: drifted to {rival}"
        return self._say(steer, Verdict.WRITE, drifted, repair=True), memory, None

    def _say(self, steer: Steer, verdict: Verdict, reason: str, *, repair: bool = False) -> Judged:
        return Judged(
            steer=steer, verdict=verdict, reason=reason, route=self.routes[steer], repair=repair
        )

    def _displaced(self, rival: EniId) -> Finding:
        destination = self.steers[0].destination
        theirs = [r for r in self.routes.values() if r is not None and r.target.id == rival]
        return find(
            Condition.DISPLACED,
            destination,
            destination=destination,
            rival=theirs[0].target if theirs else rival,
            count=len(theirs),
            total=len(self.steers),
        )

    def _contest(self, contested: Mapping[Steer, EniId]) -> Finding:
        steer, rival = next(iter(contested.items()))
        route = self.routes[steer]
        return find(
            Condition.CONTESTED,
            steer.destination,
            destination=steer.destination,
            rival=route.target if route is not None else rival,
            count=len(contested),
            total=len(self.steers),
            seconds=DRIFT[1],
        )


WHY = {
    Standing.MISSING: "no route",
    Standing.DEAD: "its target is gone",
    Standing.RIVAL: "this pod starts here",
    Standing.FOREIGN: "no route to a network interface",
}
"""Why a route is written, by what the table shows."""


def _eni(route: CloudRoute | None) -> EniId | None:
    return EniId(route.target.id) if route and route.target.kind is TargetKind.ENI else None


def _unsight(memory: Memory, steer: Steer) -> Memory:
    if steer not in memory.sighted:
        return memory
    rest = {s: v for s, v in memory.sighted.items() if s != steer}
    return replace(memory, sighted=MappingProxyType(rest))


def not_visible(steer: Steer, route: CloudRoute | None) -> Finding:
    """Say that EC2 does not show a write of ours yet."""
    target: Target | str = route.target if route is not None else "no route"
    return find(
        Condition.NOT_VISIBLE,
        steer.destination,
        destination=steer.destination,
        table=steer.table,
        target=target,
    )
