"""Without a Lease: what a pass decides is written at once."""

from collections.abc import Sequence

from vipmanager.core.actions import CloudAction, RouteWrite
from vipmanager.core.report import Done
from vipmanager.engine.ownership import Decided
from vipmanager.engine.route_writer import RouteWriter


class ImmediateWriter:
    """The `Writer` of claims."""

    def __init__(self, writer: RouteWriter) -> None:
        """Write nothing yet."""
        self._writer = writer

    def write(
        self,
        decided: Decided,
        actions: Sequence[CloudAction],
        spare: Sequence[RouteWrite],  # noqa: ARG002 - for who writes later
    ) -> tuple[Done, ...]:
        """Write at once; claims that nobody has looked at take whatever is there."""
        unseen = decided.decision.unseen
        anew = [a for a in actions if unseen and isinstance(a, RouteWrite) and not a.repair]
        others = [a for a in actions if a not in anew]
        done = self._writer.run(anew, turn=True) if anew else ()
        return (*done, *self._writer.run(others)) if others else done
