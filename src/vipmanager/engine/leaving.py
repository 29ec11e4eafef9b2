"""Asks again and again whether this pod should leave where it runs, and keeps the last answer.

Nothing that fails here moves anything: the last word stands for `KEPT`, and then none does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from vipmanager.core.failures import Failure, Permanent, Throttled
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.engine.beside import ends_on_a_bug
from vipmanager.engine.candidate import Candidate
from vipmanager.engine.jitter import JITTER
from vipmanager.ports import Clock, Place, Tasks

KEPT = 3600.0
"""Seconds for which an answer stands that can't be renewed: a zone that is lost takes the APIs
that tell of it with it, for hours."""
SLOWEST = 16
"""Times the usual pause, where the answer is that nobody should ask, or not so often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """What is known of one place."""

    why: str | None = None
    """None where nobody has said yet, nor failed to."""
    at: float = 0.0
    """When it was last said."""
    failure: Failure | None = None
    """Of the last question."""
    row: int = 0
    """Refusals in a row."""


class Leaving:
    """Asks each place on a task of its own, and tells each change of the answer."""

    def __init__(
        self,
        candidate: Candidate,
        *,
        changed: Callable[[str | None], None],
        clock: Clock,
        tasks: Tasks,
    ) -> None:
        """Ask nothing yet.

        Args:
            candidate: names the places, and takes a bug, which has ended the questions.
            changed: takes each change of `why`, where a place is asked.
            clock: monotonic time.
            tasks: where the questions are asked, beside everything else.
        """
        self._changed, self._clock, self._tasks = changed, clock, tasks
        self._places, self._failed = candidate.places, candidate.failed
        self._words = {place.name: _Word() for place in self._places}
        self._turn = tasks.condition()

    @property
    def why(self) -> str | None:
        """Why this pod should leave; empty for no reason, None where that is not known yet."""
        words = [word.why for word in self._words.values()]
        said = "; ".join(filter(None, words))
        return None if not said and None in words else said

    def start(self) -> None:
        """Ask at once, and from time to time from then on."""
        for place in self._places:
            live = ends_on_a_bug(partial(self._live, place), self._failed)
            self._tasks.start(f"the {place.name}", live)

    def findings(self) -> tuple[Finding, ...]:
        """Say which places can't be asked, and why."""
        return tuple(
            find(
                Condition.PLACE_UNKNOWN,
                place,
                place=place,
                what=word.failure.what,
                hint=word.failure.hint or "it is asked again",
            )
            for place, word in self._words.items()
            if word.failure is not None
        )

    def _live(self, place: Place) -> None:
        while True:
            word = self._ask(place, self._words[place.name])
            with self._turn:
                before = self.why
                self._words[place.name] = word
                after = self.why
                if after != before:
                    self._changed(after)
                # So that many agents do not ask in step, and none more seldom than it says.
                pause = place.every * min(2**word.row, SLOWEST) * (0.75 + 0.25 * JITTER.random())
                self._turn.wait_for(lambda: False, pause)

    def _ask(self, place: Place, before: _Word) -> _Word:
        try:
            why = place.why_leave()
        except Failure as failure:
            stands = before.why and self._clock.now() < before.at + KEPT
            return replace(
                before,
                why=before.why if stands else "",
                failure=failure,
                # What passes is asked for again as usual; a refusal, more and more seldom.
                row=before.row + 1 if isinstance(failure, Throttled | Permanent) else 0,
            )
        return _Word(why=why, at=self._clock.now())
