"""One drill from its first probe to its last."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.probes import Tally
from vipmanager.drill.causes import Cause
from vipmanager.drill.holder import Holding, holding
from vipmanager.drill.outcome import Handed, Kept, Moment, Outcome, Seen, seen
from vipmanager.edges.kubernetes.lease import KubeLease
from vipmanager.edges.probing import Channel, Held, Prober

STEADY = 1.0
"""Seconds for which every address has to answer before anything is caused."""
PATIENCE = 10.0
"""Seconds in which that has to be so."""
_LOOK = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a drill measures; seconds."""

    interval: float
    settle: float
    """For which every address answers, and nothing else happens, at the end."""
    timeout: float
    """From the cause on, at the most."""
    at_most: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The Lease whose holder is watched."""

    name: str
    lease: KubeLease
    before: Holding


@dataclass(slots=True)
class Drill:
    """Probes, one cause, and what was seen."""

    cause: Cause
    pace: Pace
    channels: Mapping[str, Channel]
    held: Mapping[tuple[str, int], Held]
    group: Group | None = None
    recheck: Callable[[], None] = lambda: None
    """Looks right before the cause whether all is still as it was, and raises a `Failure` if not:
    a person may have thought about it for long."""
    began: float = 0.0
    """When the cause began, monotonic seconds."""
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    _told: list[Moment] = field(default_factory=list)
    _holding: Holding | None = None
    _unseen: set[str] = field(default_factory=set)
    _failed: str = ""

    def play(self, sure: Callable[[], None]) -> Outcome:
        """Probe, cause it once every address answers, and wait until all is quiet.

        Args:
            sure: asks whether it shall be, and raises a `Failure` if not.

        Raises:
            Failure: nothing was caused.
        """
        prober = Prober(self.channels, tuple(self.held.values()), interval=self.pace.interval)
        try:
            prober.start()
            self._await_answers(prober)
            sure()
            self._await_answers(prober)
            self.recheck()
            self._cause(prober)
            states = {place: one.state() for place, one in self.held.items()}
        finally:
            prober.close()
        self.tallies = prober.tallies()
        end = max(t.times[-1] for t in self.tallies.values())
        found = tuple(seen(a, t, since=self.began, until=end) for a, t in self.tallies.items())
        kept = tuple(
            Kept(
                address=address,
                port=port,
                broken=None if state.broken is None else state.broken - self.began,
                how=state.how,
                known=state.acknowledged - self.began > _recovered(found, address),
            )
            for (address, port), state in states.items()
        )
        return Outcome(
            cause=str(self.cause),
            seen=found,
            kept=kept,
            told=tuple(self._told),
            handed=self._handed(),
            at_most=self.pace.at_most,
            interval=self.pace.interval,
            pause=max(t.pause for t in self.tallies.values()),
            failed=self._failed,
            span=end - self.began,
        )

    def _await_answers(self, prober: Prober) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            silent = [a for a, seconds in prober.steady().items() if seconds < STEADY]
            if not silent:
                return
            if time.monotonic() > deadline:
                raise Permanent(
                    f"{', '.join(silent)} does not answer from here for {STEADY:g} s, so nothing "
                    "was caused",
                    "see that this host is among the peers, and what answers: --icmp, --udp PORT "
                    "or --tcp PORT",
                )
            time.sleep(_LOOK)

    def _cause(self, prober: Prober) -> None:
        self.began = time.monotonic()
        self._tell(str(self.cause))
        try:
            self.cause.begin(self._tell)
        except Failure as failure:
            self._failed = str(failure)
        done: float | None = None
        while True:
            now = time.monotonic()
            if done is None and (self._failed or self._look()):
                done = time.monotonic()
            moved = self._moved() or bool(self._failed)
            steady = min(prober.steady().values())
            settled = done is not None and min(steady, now - done) >= self.pace.settle
            if (settled and moved) or now > self.began + self.pace.timeout:
                break
            time.sleep(_LOOK)
        if done is None and not self._failed:
            self._failed = f"it had not ended after {self.pace.timeout:g} s"

    def _look(self) -> bool:
        """See how far the cause is."""
        try:
            return self.cause.look(self._tell)
        except Transient as failure:
            self._tell_once(str(failure))
        except Failure as failure:
            self._failed = str(failure)
        return False

    def _moved(self) -> bool:
        """See who has the Lease; True once it is another, or where there is none to see."""
        if self.group is None:
            return True
        try:
            found = holding(self.group.lease)
        except Failure as failure:
            self._tell_once(str(failure))
            return self._has_moved()
        before = self._holding or self.group.before
        if found is not None and found.identity != before.identity:
            self._tell(f"Lease {self.group.name}: held by {found.place}")
        self._holding = found or self._holding
        return self._has_moved()

    def _has_moved(self) -> bool:
        now, group = self._holding, self.group
        if now is None or group is None or not now.identity:
            return False
        return now.identity != group.before.identity or now.transitions > group.before.transitions

    def _handed(self) -> Handed | None:
        if self.group is None:
            return None
        after = self._holding or self.group.before
        return Handed(
            lease=self.group.name,
            before=self.group.before.place,
            after=after.place,
            moved=self._has_moved(),
        )

    def _tell(self, text: str) -> None:
        self._told.append(Moment(at=time.monotonic() - self.began, text=text))

    def _tell_once(self, text: str) -> None:
        if text not in self._unseen:
            self._unseen.add(text)
            self._tell(text)


def _recovered(found: Sequence[Seen], address: str) -> float:
    """Give when an address answered again for good, seconds since the cause; 0 if it always did."""
    (one,) = (s for s in found if s.address == address)
    ends = [g.until for g in one.gaps]
    return float("inf") if None in ends else max((e for e in ends if e is not None), default=0.0)
