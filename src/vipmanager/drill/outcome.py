"""What a client saw of a drill, and whether that is within the limit: pure."""

import enum
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vipmanager.core.probes import HOLE, Gap, Tally

TOLD = 5
"""Gaps of one address that the timeline tells; more are counted."""


class Verdict(enum.Enum):
    """How a drill ended, the gravest first."""

    FAILED = "failed"
    """It was not caused, or not to its end."""
    UNANSWERED = "unanswered"
    """An address does not answer again."""
    STAYED = "stayed"
    """The Lease is held by the same pod as before: nothing failed over."""
    BEYOND = "beyond"
    WITHIN = "within"
    ANSWERED = "answered"
    """There is no limit, and every address answers again."""

    @property
    def good(self) -> bool:
        """Whether the exit code is 0."""
        return self in {Verdict.WITHIN, Verdict.ANSWERED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A line of the timeline."""

    at: float
    """Seconds since the cause."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a client saw of one address; times are seconds since the cause."""

    address: str
    sent: int
    lost: int
    """Of those sent."""
    gaps: tuple[Gap, ...]
    outage: float | None
    """Seconds without an answer, all gaps together; None where it does not answer again."""
    before: int
    """Probes that were lost before the cause: what the path loses by itself."""

    @property
    def first_loss(self) -> float | None:
        """When the first lost probe was sent."""
        return self.gaps[0].since if self.gaps else None

    @property
    def first_answer(self) -> float | None:
        """When the first answered probe after the longest gap was sent."""
        longest = self.longest
        return longest.until if longest is not None else None

    @property
    def longest(self) -> Gap | None:
        """The longest gap."""
        return max(self.gaps, key=_length, default=None)


def seen(address: str, tally: Tally, *, since: float, until: float) -> Seen:
    """Account for one address.

    Args:
        address: its name.
        tally: of its probes.
        since: when the cause began, monotonic seconds.
        until: when the last probe was sent.
    """
    # A probe that was sent right before the cause is lost by it too; one at the end is on its way.
    found = [
        g
        for g in tally.gaps()
        if (g.until is None and g.since <= until - HOLE) or (g.until or 0.0) > since
    ]
    begin = min([since, *(g.since for g in found)])
    sent, _ = tally.sent_and_lost(begin, until)
    gaps = tuple(
        Gap(
            g.first, g.lost, max(0.0, g.since - since), None if g.until is None else g.until - since
        )
        for g in found
    )
    ends = [None if g.until is None else g.until - g.since for g in found]
    outage = None if None in ends else sum(e for e in ends if e is not None)
    before = tally.sent_and_lost(0.0, begin)[1]
    lost = sum(g.lost for g in found)
    return Seen(address=address, sent=sent, lost=lost, gaps=gaps, outage=outage, before=before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """Who had the Lease before and after, for people; the same where it stayed."""

    lease: str
    before: str
    after: str
    moved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What became of a connection that was open before."""

    address: str
    port: int
    broken: float | None
    """When that was noticed, seconds since the cause; None where it was not."""
    how: str
    """`reset`, for one; empty for a connection that is not broken."""
    known: bool = True
    """Whether the other end was heard of after the last gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a drill ended."""

    cause: str
    seen: tuple[Seen, ...]
    kept: tuple[Kept, ...]
    told: tuple[Moment, ...]
    """What was done, and what the cluster told."""
    handed: Handed | None
    at_most: float | None
    interval: float
    pause: float
    """The longest time between two probes, seconds: what a busy machine adds to an outage."""
    failed: str = ""
    """Why it was not caused to its end."""
    span: float
    """Seconds from the cause to the last probe."""

    @property
    def worst(self) -> float | None:
        """The longest outage; None where an address does not answer again."""
        outages = [s.outage for s in self.seen]
        return None if None in outages else max(o for o in outages if o is not None)

    @property
    def verdict(self) -> Verdict:
        """Judge."""
        if self.failed:
            return Verdict.FAILED
        worst = self.worst
        if worst is None:
            return Verdict.UNANSWERED
        if self.handed is not None and not self.handed.moved:
            return Verdict.STAYED
        if self.at_most is None:
            return Verdict.ANSWERED
        return Verdict.WITHIN if worst <= self.at_most else Verdict.BEYOND

    @property
    def noticed(self) -> bool:
        """Whether anything shows that there was a failover."""
        moved = self.handed is not None and self.handed.moved
        broken = any(one.broken is not None for one in self.kept)
        return moved or broken or any(s.gaps for s in self.seen)

    def timeline(self) -> tuple[Moment, ...]:
        """Give everything in the order in which it happened."""
        moments = [*self.told, *self._breaks()]
        for each in self.seen:
            moments += _losses(each)
        return tuple(sorted(moments, key=lambda m: m.at))

    def _breaks(self) -> Iterator[Moment]:
        for one in self.kept:
            if one.broken is not None:
                text = f"the connection to {one.address} port {one.port} is {one.how}"
                yield Moment(at=one.broken, text=text)


def _losses(each: Seen) -> Iterator[Moment]:
    """Tell the longest gaps of an address."""
    told = sorted(each.gaps, key=_length, reverse=True)[:TOLD]
    for gap in sorted(told):
        yield Moment(at=gap.since, text=f"{each.address}: no answer")
        if gap.until is not None:
            yield Moment(at=gap.until, text=f"{each.address}: answers again")


def _length(gap: Gap) -> float:
    return float("inf") if gap.until is None else gap.until - gap.since


def strips(
    tallies: Mapping[str, Tally], *, since: float, edges: Sequence[float]
) -> Mapping[str, str]:
    """Draw each address as a strip: `-` answered, `x` some lost, `X` all lost.

    A column that is too narrow for a probe continues the one before it.

    Args:
        tallies: of each address.
        since: when the cause began, monotonic seconds.
        edges: the bounds of the columns, seconds since then; one more than there are columns.
    """
    drawn = {}
    for address, tally in tallies.items():
        columns = [" "]
        for left, right in itertools.pairwise(edges):
            sent, lost = tally.sent_and_lost(since + left, since + right)
            here = "-" if not lost else "X" if lost == sent else "x"
            columns.append(here if sent else columns[-1])
        drawn[address] = "".join(columns[1:])
    return drawn
