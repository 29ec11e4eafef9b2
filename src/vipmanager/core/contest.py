"""One destination without a fence: how its tables stand, and what follows (`core/claim.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.values import CloudRoute, DesiredRoute, EniId
from vipmanager.core.verdict import (
    WHY,
    Repaired,
    RouteDecision,
    RouteHistory,
    RouteState,
    Sighting,
    Verdict,
    again,
    not_visible,
    settling,
    standing,
    target_of,
)

DRIFT = (5.0, 10.0)
"""Seconds between the two readings that make a drift, drawn evenly: two agents that repair
each other's routes must not do it at the same moment."""

OPEN = 60.0
"""Seconds for which a claim is open. A hiccup of EC2, a new ENI that IMDS does not show yet (30 s)
and a restart of the container fit in. What can put another pod in this one's place takes longer by
itself: Kubernetes notices a lost node after 40 s, and evicts after 300 s more (node controller's
and DefaultTolerationSeconds' defaults)."""

FOUGHT = 6
"""Repairs in a row after which a rival that is back soon is an agent for certain."""

GROWTH = 2
"""Doublings of the pause before a repair, at the most: to 20 to 40 s. More would leave to a person
what a person took by mistake."""

NO_POD = "no pod is behind its target"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """All steers of one destination, and how their tables stand."""

    steers: tuple[DesiredRoute, ...]
    routes: Mapping[DesiredRoute, CloudRoute | None]
    held: bool
    """Whether the pod has its mark."""
    gone: frozenset[EniId]
    """ENIs that carry nothing any more."""
    orphaned: frozenset[EniId]
    """ENIs that no pod is behind."""
    opened: float | None
    """When the claim was opened, where that is known."""
    resync: float
    """Seconds in which a living holder has looked at its routes again."""
    now: float
    jitter: float

    def judge(
        self,
        memory: RouteHistory,
        verdicts: dict[DesiredRoute, RouteDecision],
        findings: list[Finding],
        rechecks: list[float],
    ) -> RouteHistory:
        """Decide the group; add to what is handed in, and give the new memory."""
        contested = self._contested(memory)
        memory = self._sight(contested, memory)
        rival, memory = self._displaced_by(contested, memory)
        if rival is not None:
            findings.append(self._taken(Condition.DISPLACED, rival))
            rechecks += [left for s in contested if (left := self._left(s, memory)) is not None]
        elif contested:
            findings.append(self._contest(contested, memory))
        late = self._late(memory)
        if late:
            findings.append(self._taken(Condition.LATE, next(iter(late.values())), seconds=OPEN))
        for steer in self.steers:
            if rival is None and steer in late:
                verdicts[steer] = self._say(steer, Verdict.YIELD, f"late: left to {late[steer]}")
                continue
            judged, recheck = self._one(steer, memory, contested, rival)
            verdicts[steer] = judged
            if judged.verdict is Verdict.WAIT and steer not in contested:
                findings.append(not_visible(steer, self.routes[steer]))
            if recheck is not None:
                rechecks.append(recheck)
        # A sighting stays until its write is accepted: one that fails is tried again at once.
        return memory.unsighted(s for s in self.steers if s not in contested)

    def _standing(self, steer: DesiredRoute) -> RouteState:
        return standing(self.routes[steer], steer.eni, self.gone | self.orphaned)

    @property
    def _fresh(self) -> bool:
        return self.opened is not None and self.now - self.opened <= OPEN

    def _ours(self, steer: DesiredRoute, memory: RouteHistory) -> bool:
        return self.held or steer in memory.written

    def _settling(self, steer: DesiredRoute, memory: RouteHistory) -> bool:
        return settling(memory.written.get(steer), self.routes[steer], self.now)

    def _rival(self, steer: DesiredRoute) -> EniId | None:
        """Give the other live ENI that has a table."""
        return target_of(self.routes[steer]) if self._standing(steer) is RouteState.RIVAL else None

    @property
    def _some_are_ours(self) -> bool:
        return any(self._standing(s) is RouteState.OURS for s in self.steers)

    def _contested(self, memory: RouteHistory) -> dict[DesiredRoute, EniId]:
        return {
            s: rival
            for s in self.steers
            if self._ours(s, memory)
            and not self._settling(s, memory)
            and (rival := self._rival(s)) is not None
        }

    def _late(self, memory: RouteHistory) -> dict[DesiredRoute, EniId]:
        """Give what a claim that began too late may not take.

        One that wrote a table in time goes on while that table is its own: who claimed after it
        would have taken that one too.
        """
        if self.held or self._fresh or self.opened is None:
            return {}
        end = self.opened + OPEN
        written = memory.written
        if any(
            s in written and written[s].at <= end and self._standing(s) is RouteState.OURS
            for s in self.steers
        ):
            return {}
        return {
            s: rival
            for s in self.steers
            if s not in written and (rival := self._rival(s)) is not None
        }

    def _sight(self, contested: Mapping[DesiredRoute, EniId], memory: RouteHistory) -> RouteHistory:
        """Begin to count the time for which a rival has some tables, and the same ones."""
        if not self._some_are_ours:
            return memory.unsighted(contested)
        known = {
            s: seen
            for s, rival in contested.items()
            if (seen := memory.sighted.get(s)) is not None and seen.rival == rival
        }
        if len(known) == len(contested):
            return memory
        made = {
            s: self._sighting(s, rival, memory, known[s].returns if s in known else None)
            for s, rival in contested.items()
        }
        return replace(memory, sighted=MappingProxyType({**memory.sighted, **made}))

    def _sighting(
        self, steer: DesiredRoute, rival: EniId, memory: RouteHistory, returns: int | None
    ) -> Sighting:
        if returns is None:
            returns = _returns(memory.repaired.get(steer), rival, self.now)
        low, high = DRIFT
        wait = (low + (high - low) * self.jitter) * 2 ** min(returns, GROWTH)
        greater = steer.eni > rival
        if steer.destination in memory.displaced:
            wait = (self.resync + 2 * wait) * (2 if greater else 1)
        elif greater and self._fresh:
            wait *= 3
        return Sighting(rival=rival, since=self.now, wait=wait, returns=returns)

    def _left(self, steer: DesiredRoute, memory: RouteHistory) -> float | None:
        seen = memory.sighted.get(steer)
        return None if seen is None else max(0.0, seen.since + seen.wait - self.now)

    def _displaced_by(
        self, contested: Mapping[DesiredRoute, EniId], memory: RouteHistory
    ) -> tuple[EniId | None, RouteHistory]:
        """Decide whether a rival has the destination; the answer is remembered."""
        destination = self.steers[0].destination
        rival = min(contested.values(), default=None)
        sighted = memory.sighted
        fought = any(
            s in sighted and sighted[s].returns >= FOUGHT and s.eni > c
            for s, c in contested.items()
        )
        # Some tables are ours again, and whoever has the others leaves it at that.
        over = all(self._left(s, memory) == 0.0 for s in contested)
        taken = rival is not None and (
            not self._some_are_ours or fought or (destination in memory.displaced and not over)
        )
        displaced = {d: r for d, r in memory.displaced.items() if d != destination}
        if taken and rival is not None:
            displaced[destination] = rival
        return (rival if taken else None), replace(memory, displaced=MappingProxyType(displaced))

    def _one(
        self,
        steer: DesiredRoute,
        memory: RouteHistory,
        contested: Mapping[DesiredRoute, EniId],
        rival: EniId | None,
    ) -> tuple[RouteDecision, float | None]:
        now = self._standing(steer)
        if now is RouteState.OURS:
            return self._say(steer, Verdict.RIGHT, "right"), None
        if rival is not None:
            return self._say(steer, Verdict.YIELD, f"displaced by {rival}"), None
        if steer in contested:
            left = self._left(steer, memory)
            if left:
                return self._say(
                    steer, Verdict.WAIT, f"drift to {contested[steer]}?", due=left
                ), left
            drifted = f"repair: drifted to {contested[steer]}"
            return self._say(steer, Verdict.WRITE, drifted, repair=True), None
        if self._settling(steer, memory):
            wait = again(memory.written[steer], self.now)
            return self._say(steer, Verdict.WAIT, "written, not visible yet"), wait
        held = self._ours(steer, memory)
        verb = "repair" if held else "claim"
        why = NO_POD if target_of(self.routes[steer]) in self.orphaned else WHY[now]
        return self._say(steer, Verdict.WRITE, f"{verb}: {why}", repair=held), None

    def _say(
        self,
        steer: DesiredRoute,
        verdict: Verdict,
        reason: str,
        *,
        repair: bool = False,
        due: float | None = None,
    ) -> RouteDecision:
        return RouteDecision(
            steer=steer,
            verdict=verdict,
            reason=reason,
            route=self.routes[steer],
            repair=repair,
            due=due,
        )

    def _taken(self, condition: Condition, rival: EniId, **more: object) -> Finding:
        destination = self.steers[0].destination
        theirs = [r for r in self.routes.values() if r is not None and r.target.id == rival]
        return find(
            condition,
            destination,
            destination=destination,
            rival=theirs[0].target if theirs else rival,
            count=len(theirs),
            total=len(self.steers),
            **more,
        )

    def _contest(self, contested: Mapping[DesiredRoute, EniId], memory: RouteHistory) -> Finding:
        steer, rival = next(iter(contested.items()))
        route = self.routes[steer]
        return find(
            Condition.CONTESTED,
            steer.destination,
            destination=steer.destination,
            rival=route.target if route is not None else rival,
            count=len(contested),
            total=len(self.steers),
            seconds=max(memory.sighted[s].wait for s in contested),
        )


def _returns(repaired: Repaired | None, rival: EniId, now: float) -> int:
    """Tell how often in a row a rival has been back soon after a repair."""
    if repaired is None or repaired.rival != rival:
        return 0
    return repaired.times if now - repaired.at <= repaired.soon else max(0, repaired.times - 1)
