"""Probes of one address, numbered and timed: which were answered, and for how long none was."""

from array import array
from bisect import bisect_left
from typing import NamedTuple

MISSED = 0.1
"""Seconds without an answer after which a count takes a probe for lost: a busy machine's pause."""
HOLE = 0.5
"""Seconds without an answer beyond which answering begins anew."""


class Gap(NamedTuple):
    """A run of probes that were never answered.

    It runs from the send time of the first lost probe to that of the next answered one; None where
    none followed. Times are monotonic seconds.
    """

    first: int
    lost: int
    since: float
    until: float | None


class Count(NamedTuple):
    """What became of the probes since a mark; `sent` are those of which that is known."""

    sent: int
    answered: int
    lost: int
    outage: float
    """Seconds from the first lost probe to the answered one after the last lost, or to now."""
    newest: float
    """When the newest answered probe was sent; 0 for none."""
    up: bool
    """Whether the last known one was answered."""


class Tally:
    """The account of one address: when each number was sent, and which were answered."""

    def __init__(self) -> None:
        """Begin with number 0."""
        self.times = array("d")
        self._answered = bytearray()
        self._oldest = 0  # every number below it is answered or was reported lost
        self._newest = -1  # the highest answered number
        self._mark = 0
        self._began = 0.0  # when the first probe of the present run of answers was sent

    def send(self, now: float) -> int:
        """Number a probe that is about to be sent."""
        self.times.append(now)
        self._answered.append(0)
        return len(self.times) - 1

    def answer(self, number: int) -> bool:
        """Note an answer; False for one that was never sent or is a duplicate."""
        if number >= len(self._answered) or self._answered[number]:
            return False
        self._answered[number] = 1
        if number > self._newest:
            sent, unanswered = self.times[number], self.times[self._newest + 1]
            if self._newest < 0 or sent - unanswered > HOLE:
                self._began = sent
            self._newest = number
        return True

    def overdue(self, before: float) -> int | None:
        """Give the first number sent before a time and not answered yet, once each."""
        answered, times = self._answered, self.times
        while self._oldest < len(times) and times[self._oldest] < before:
            number = self._oldest
            self._oldest += 1
            if not answered[number]:
                return number
        return None

    def recovered(self, number: int) -> None:
        """Take what was sent before this answered number for told: the loss is over."""
        self._oldest = max(self._oldest, number)

    def mark(self) -> None:
        """Count from the probe after the newest answered one."""
        self._mark = self._newest + 1

    def count(self, now: float) -> Count:
        """Count since the mark; what may still be answered is left out until it is missed."""
        answered, mark, known = self._answered, self._mark, self._newest + 1
        up = known > 0 and (known == len(self.times) or self.times[known] > now - MISSED)
        if not up:
            known = len(self.times)
        first, last = answered.find(0, mark, known), answered.rfind(0, mark, known)
        until = self.times[last + 1] if last + 1 < known else now
        return Count(
            sent=known - mark,
            answered=answered.count(1, mark),
            lost=answered.count(0, mark, known),
            outage=until - self.times[first] if first >= 0 else 0.0,
            newest=self.times[self._newest] if self._newest >= 0 else 0.0,
            up=up,
        )

    def steady(self, now: float) -> float:
        """Give the seconds for which it has answered without a `HOLE` up to now; 0 if it does not.

        One lost probe is none: a path that loses a packet now and then is steady. Neither is a
        pause of the prober.
        """
        unanswered = self._newest + 1
        if not unanswered:
            return 0.0
        if unanswered < len(self.times) and now - self.times[unanswered] > HOLE:
            return 0.0
        return now - self._began

    def gaps(self) -> list[Gap]:
        """Give each run of unanswered numbers."""
        found = []
        start = self._answered.find(0)
        while start >= 0:
            end = self._answered.find(1, start)
            until = self.times[end] if end >= 0 else None
            lost = (end if end >= 0 else len(self.times)) - start
            found.append(Gap(start, lost, self.times[start], until))
            start = self._answered.find(0, end) if end >= 0 else -1
        return found

    def sent_and_lost(self, since: float, until: float) -> tuple[int, int]:
        """Count the probes that were sent from one moment to another, and the lost among them."""
        first, end = bisect_left(self.times, since), bisect_left(self.times, until)
        return end - first, self._answered.count(0, first, end)

    @property
    def pause(self) -> float:
        """The longest time between two probes: it tells a paused prober from a lossy network."""
        pauses = (later - sooner for sooner, later in zip(self.times, self.times[1:], strict=False))
        return max(pauses, default=0.0)
