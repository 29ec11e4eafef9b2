"""The agent's command line, with something taken out of it: `agent.py [--without PART] run ...`.

Each part is a collaborator that is replaced, in this process, before the command line starts.
"""

import select
import sys
import time
from collections.abc import Callable, Iterable

import vipmanager.app.wiring
import vipmanager.engine.passes
from vipmanager.cli.main import main
from vipmanager.core.actions import CloudAction, CreateRoute, ReplaceRoute
from vipmanager.core.evolve import evolve
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.plan import Plan
from vipmanager.core.values import CloudState, KernelState, RouteTable, VpcId, World
from vipmanager.edges.aws.ec2 import Ec2


class OneTry(Ec2):
    """Every write is tried once: what failed has failed for good."""

    def __init__(self, *, route_role: str | None = None) -> None:
        super().__init__(route_role=route_role)
        self._failed: dict[tuple[str, str], Transient] = {}

    def write(self, action: CloudAction) -> None:
        assert isinstance(action, CreateRoute | ReplaceRoute)
        key = action.table, str(action.destination)
        try:
            if key in self._failed:
                raise self._failed[key]
            super().write(action)
        except Transient as passing:
            self._failed[key] = passing
            raise Permanent(passing.what, passing.hint) from passing


class Trusting(Ec2):
    """What was written is believed to be there: after a write, EC2 is not asked."""

    def __init__(self, *, route_role: str | None = None) -> None:
        super().__init__(route_role=route_role)
        self._last = CloudState()
        self._written: list[CloudAction] = []

    def write(self, action: CloudAction) -> None:
        super().write(action)
        self._written.append(action)

    def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
        if not self._written:
            self._last = CloudState(tables=super().route_tables(vpcs))
        world = World(kernel=KernelState(), cloud=self._last)
        while self._written:
            world = evolve(world, self._written.pop(0))
        self._last = world.cloud
        return self._last.tables


def _without_retry() -> None:
    vipmanager.app.wiring.Ec2 = OneTry  # type: ignore[attr-defined]


def _without_read_back() -> None:
    vipmanager.app.wiring.Ec2 = Trusting  # type: ignore[attr-defined]


def _without_guard() -> None:
    def approve(plan: Plan, *_: object, **__: object) -> Plan:
        return plan

    vipmanager.engine.passes.guard = approve  # type: ignore[attr-defined]


PARTS: dict[str, Callable[[], None]] = {
    "retry": _without_retry,
    "read-back": _without_read_back,
    "guard": _without_guard,
}


def _sleep(seconds: float, /) -> None:
    """Sleep as `time.sleep` does.

    libfaketime 0.9.10 breaks `clock_nanosleep` with an absolute time on a monotonic clock that
    it leaves alone (EINVAL), which is how Python sleeps.
    """
    select.select([], [], [], seconds)


if __name__ == "__main__":
    time.sleep = _sleep  # type: ignore[assignment]
    arguments = sys.argv[1:]
    if arguments[0] == "--without":
        PARTS[arguments[1]]()
        arguments = arguments[2:]
    sys.argv[1:] = arguments
    sys.exit(main(arguments))
