"""What the Kubernetes API tells of this pod and of those that may be behind a rival.

The ENI that a pod was displaced by is its node's: it lives on when its pod is gone. Where the API
is at hand, the pod's object is the evidence. It is believed once for each rival, and again only
after a pause that doubles: a rival whose pods are not seen (another cluster's, another
namespace's) takes its routes back, and then keeps them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vipmanager.core.failures import Failure
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.pods import Rival, behind
from vipmanager.core.values import EniId, Network
from vipmanager.ports import Clock, Pods

LOOKS = 5.0
"""Seconds between the two looks that find no pod: one that starts has its object before that."""

AGAIN = 600.0
"""Seconds before the same rival is taken for one without a pod again; doubled each time."""

MOST = 6
"""Doublings at the most."""


NOBODY: Mapping[Network, frozenset[EniId]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Orphans:
    """What the pods tell of the rivals."""

    hindrance: Finding | None = None
    """Why nothing could be told."""
    enis: Mapping[Network, frozenset[EniId]] = field(default_factory=lambda: NOBODY)
    """By destination, those that no pod is behind."""
    recheck: float | None = None
    """Seconds until another look may tell more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What is known of one rival for one destination."""

    since: float | None = None
    """When no pod was seen first."""
    open: bool = False
    """Whether its routes are being taken."""
    times: int = 0
    """How often they were."""
    not_before: float = float("-inf")
    """When they may be again."""


class Neighbours:
    """Remembers what was seen, so that a wrong conclusion is not drawn for ever."""

    def __init__(self, pods: Pods | None, clock: Clock) -> None:
        """Remember nothing; without the API nothing is ever concluded."""
        self._pods, self._clock = pods, clock
        self._cases: dict[tuple[Network, EniId], _Case] = {}

    def orphaned(self, rivals: Iterable[Rival]) -> Orphans:
        """Give the rivals that no pod is behind.

        Args:
            rivals: everything that is left to a living ENI now.
        """
        rivals = tuple(rivals)
        keys = {(r.destination, r.eni) for r in rivals}
        for key, case in self._cases.items():
            if key not in keys and case.open:  # its routes are here now: that was it
                self._cases[key] = replace(case, open=False)
        if self._pods is None or not rivals:
            return Orphans()
        try:
            me = self._pods.mine()
            pods = self._pods.all() if me is not None and not me.going else ()
        except Failure as failure:
            names = ", ".join(sorted({r.eni for r in rivals}))
            return Orphans(find(Condition.PODS_UNREAD, "pods", rivals=names, what=failure.what))
        if me is None or me.going:
            return Orphans()  # its own successor is to have them
        found: dict[Network, frozenset[EniId]] = {}
        waits: list[float] = []
        for rival in rivals:
            left = self._judge(rival, seen=bool(behind(rival, me, pods)))
            if left == 0.0:
                others = found.get(rival.destination, frozenset())
                found[rival.destination] = others | {rival.eni}
            elif left is not None:
                waits.append(left)
        return Orphans(enis=found, recheck=min(waits, default=None))

    def leaving(self) -> bool:
        """Tell whether this pod is being deleted, or is no more; not, where nobody can tell."""
        if self._pods is None:
            return False
        try:
            me = self._pods.mine()
        except Failure:
            return False  # as without the API: it must not be needed for a claim
        return me is None or me.going

    def _judge(self, rival: Rival, *, seen: bool) -> float | None:
        """Give the seconds until a rival counts as one without a pod; None where it does not."""
        key, now = (rival.destination, rival.eni), self._clock.now()
        case = self._cases.get(key, _Case())
        if seen:
            self._cases[key] = _Case()  # its pods are seen here: their end will be, too
            return None
        if case.open:
            return 0.0
        since = now if case.since is None else case.since
        self._cases[key] = replace(case, since=since)
        ready = max(since + LOOKS, case.not_before)
        if now < ready:
            return ready - now
        self._cases[key] = _Case(
            open=True,
            times=case.times + 1,
            not_before=now + AGAIN * 2.0 ** min(case.times, MOST),
        )
        return 0.0
