"""What is known of each route: what its table shows, what became of it, what to do about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from types import MappingProxyType

from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.values import (
    CloudRoute,
    DesiredRoute,
    EniId,
    Network,
    Target,
    TargetKind,
)

SETTLE = 5.0
"""Seconds in which EC2 may still show what a write of ours replaced."""

SOONEST = 0.05
"""Seconds before the first reading that follows one which did not show our write."""

REMEMBER = 600.0
"""Seconds for which a repaired rival is remembered."""

BACK = 60.0
"""Seconds beside four pauses in which an agent would be back after our repair: its own pause may
have doubled once more than ours, and then it has to read. A person is not back so soon."""


class RouteState(Enum):
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
    returns: int = 0
    """How often in a row it has been back soon after a repair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """A rival whose route we took back."""

    rival: EniId
    at: float
    wait: float
    """Seconds that it was given before that."""
    times: int
    """Repairs in a row after which it was back soon, and this one."""

    @property
    def soon(self) -> float:
        """Seconds in which an agent behind it would be back."""
        return 4 * self.wait + BACK


@dataclass(frozen=True, slots=True)
class RouteHistory:
    """What one pass tells the next. Losing it costs time, never correctness."""

    written: Mapping[DesiredRoute, Written] = field(default_factory=lambda: MappingProxyType({}))
    sighted: Mapping[DesiredRoute, Sighting] = field(default_factory=lambda: MappingProxyType({}))
    repaired: Mapping[DesiredRoute, Repaired] = field(default_factory=lambda: MappingProxyType({}))
    displaced: Mapping[Network, EniId] = field(default_factory=lambda: MappingProxyType({}))

    def wrote(self, steer: DesiredRoute, *, at: float, replaced: EniId | None) -> "RouteHistory":
        """Remember an accepted write, and whether it took the table back from a rival."""
        record = Written(at=at, replaced=replaced)
        memory = replace(self, written=MappingProxyType({**self.written, steer: record}))
        sighting = self.sighted.get(steer)
        if sighting is None or sighting.rival != replaced:
            return memory
        record_of = Repaired(
            rival=sighting.rival, at=at, wait=sighting.wait, times=sighting.returns + 1
        )
        repaired = {**self.repaired, steer: record_of}
        return replace(memory, repaired=MappingProxyType(repaired)).unsighted([steer])

    def unsighted(self, steers: Iterable[DesiredRoute]) -> "RouteHistory":
        """Forget what was sighted in some tables."""
        gone = set(steers)
        if gone.isdisjoint(self.sighted):
            return self
        rest = {s: v for s, v in self.sighted.items() if s not in gone}
        return replace(self, sighted=MappingProxyType(rest))

    def of(self, steers: Iterable[DesiredRoute], now: float) -> "RouteHistory":
        """Keep what is remembered of steers that are still wanted, and is not too old.

        Args:
            steers: what shall be.
            now: monotonic seconds.
        """
        known = set(steers)
        destinations = {s.destination for s in known}
        return RouteHistory(
            written=MappingProxyType({s: w for s, w in self.written.items() if s in known}),
            sighted=MappingProxyType({s: w for s, w in self.sighted.items() if s in known}),
            repaired=MappingProxyType(
                {
                    s: r
                    for s, r in self.repaired.items()
                    if s in known and now - r.at < max(REMEMBER, r.soon)
                }
            ),
            displaced=MappingProxyType(
                {d: r for d, r in self.displaced.items() if d in destinations}
            ),
        )


class Verdict(Enum):
    """What to do about one steer."""

    RIGHT = auto()
    WRITE = auto()
    WAIT = auto()
    YIELD = auto()
    LOST = auto()
    """It leads here, where its address is gone: nothing to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteDecision:
    """A steer with its verdict; `reason` is for people."""

    steer: DesiredRoute
    verdict: Verdict
    reason: str
    route: CloudRoute | None
    repair: bool = False
    """Whether a write takes back what we hold, rather than claims it."""
    due: float | None = None
    """Seconds after the reading in which it is written, if it stays as it is."""

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


class Scope(Enum):
    """What a pass may do of its plan."""

    ALL = auto()
    CREATES = auto()
    """In EC2 only what it refuses where a route has come to be: the last reading is an old one."""
    BLIND = auto()
    """The same, where EC2 was never read."""
    ROUTES = auto()
    """Nothing in the pod: it is left as it is."""
    NOTHING = auto()
    """A person asked for it."""


Destinations = frozenset[tuple[Network, EniId]]
"""Destinations of this pod, each with the ENI that it leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdicts of one pass, what it may do about them, and what to remember."""

    judged: tuple[RouteDecision, ...]
    memory: RouteHistory
    findings: tuple[Finding, ...]
    recheck: float | None
    """Seconds until the next reading can change a verdict."""
    marks: Destinations = frozenset()
    """The destinations whose mark shall be in the pod."""
    scope: Scope = Scope.ALL
    unseen: bool = False
    """Whether claims are written without a look at what they replace."""
    dry_run: bool = False
    """Whether what the pass may do is told, and not done."""
    holds: bool = True
    """Whether the routes are to be here: what leads elsewhere is then somebody else's doing."""


def standing(route: CloudRoute | None, ours: EniId, gone: frozenset[EniId]) -> RouteState:
    """Tell what a route means to us.

    `gone` are ENIs that EC2 no longer knows, or shows detached. A route's state `active`
    proves nothing; `blackhole` does.
    """
    if route is None:
        return RouteState.MISSING
    if route.propagated or route.target.kind is not TargetKind.ENI:
        return RouteState.FOREIGN
    if route.target.id == ours:
        return RouteState.OURS
    if route.blackhole or route.target.id in gone:
        return RouteState.DEAD
    return RouteState.RIVAL


def settling(
    written: Written | None, route: CloudRoute | None, now: float, *, settle: float = SETTLE
) -> bool:
    """Tell whether a table may still show what our own write replaced."""
    if written is None or now - written.at >= settle:
        return False
    return target_of(route) == written.replaced


def again(written: Written, now: float) -> float:
    """Give the seconds until a write that did not show is looked for once more.

    Waiting as long again as it has taken so far makes the readings rarer.
    """
    return max(SOONEST, now - written.at)


WHY = {
    RouteState.MISSING: "no route",
    RouteState.DEAD: "its target is gone",
    RouteState.RIVAL: "this pod starts here",
    RouteState.FOREIGN: "no route to a network interface",
}
"""Why a route is written, by what the table shows."""


def target_of(route: CloudRoute | None) -> EniId | None:
    """Give the ENI that a route leads to."""
    return EniId(route.target.id) if route and route.target.kind is TargetKind.ENI else None


def not_visible(steer: DesiredRoute, route: CloudRoute | None) -> Finding:
    """Say that EC2 does not show a write of ours yet."""
    target: Target | str = route.target if route is not None else "no route"
    return find(
        Condition.NOT_VISIBLE,
        steer.destination,
        destination=steer.destination,
        table=steer.table,
        target=target,
    )
