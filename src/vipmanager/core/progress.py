"""How far the route writes under way are: one value for log, /status, /readyz and metrics."""

import math
from dataclasses import dataclass

EVERY = 2.0
"""Seconds between two lines of the log that tell it; what is over sooner has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Routes that EC2 has taken, of those that are to be written in one go.

    A reading may fall between two waves: what the second one still has to do belongs to the first.
    """

    written: int
    total: int
    failed: int = 0
    """Refused, or given up; the next pass reads before it tries them again."""
    seconds: float = 0.0
    """Until EC2's bucket lets the rest go, as this agent believes."""

    @property
    def left(self) -> int:
        """Routes that were not tried to the end."""
        return self.total - self.written - self.failed

    def __str__(self) -> str:
        """Say it in one line."""
        failed = f", {self.failed} failed" if self.failed else ""
        return (
            f"{self.written} of {self.total} routes written{failed}, "
            f"about {math.ceil(self.seconds)} s to go"
        )

    def document(self) -> dict[str, object]:
        """Give it as JSON values."""
        return {
            "written": self.written,
            "failed": self.failed,
            "total": self.total,
            "seconds": round(self.seconds, 1),
            "text": str(self),
        }
