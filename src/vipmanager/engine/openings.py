"""When each claim was opened: those of a fresh pod, and those of what came to it later.

The first process of a pod that may claim writes the time into the pod's namespace
(`podnet.opened_mark`), so that a restart does not make an old pod young. It does so before EC2 is
asked, because an EC2 that can't be reached is what makes a claim late.
"""

from collections.abc import Mapping

from vipmanager.core.actions import AddRoute
from vipmanager.core.contest import OPEN
from vipmanager.core.desired import Desired
from vipmanager.core.failures import Failure
from vipmanager.core.podnet import opened_at, opened_mark
from vipmanager.core.values import EniId, KernelState, Network
from vipmanager.ports import Clock, Kernel


class Openings:
    """Remembers them."""

    def __init__(self, kernel: Kernel, clock: Clock) -> None:
        """Read nothing yet."""
        self._kernel, self._clock = kernel, clock
        self._began: float | None = None
        """When the pod's claim was opened, as far as this process knows."""
        self._known: dict[tuple[Network, EniId], float | None] | None = None
        """None for a claim of the pod itself; before the first judgement nothing is known."""

    def begin(self) -> None:
        """Open the pod's claim, unless an earlier process did."""
        if self._began is not None:
            return
        self._began = self._clock.now()
        try:
            told = opened_at(self._kernel.read())
            if told is None:
                mark = opened_mark(self._began)
                self._kernel.write([AddRoute(route=mark, reason="the claim is open")])
            else:
                self._began = told
        except Failure:
            return  # the pass meets the same, and tells it

    @property
    def young(self) -> bool:
        """Whether the pod's own claim is open and not late."""
        return self._began is not None and self._clock.now() <= self._began + OPEN

    def anew(self) -> None:
        """Open every claim once more: a person asks for it."""
        self._known = {}

    def of(self, want: Desired, kernel: KernelState) -> Mapping[Network, float]:
        """Give when the claim of each destination was opened, in monotonic seconds."""
        now, known = self._clock.now(), self._known
        pod = opened_at(kernel)
        pod = pod if pod is not None else self._began
        self._known = {
            key: None if known is None else known.get(key, now) for key in want.destinations
        }
        return {
            destination: at if at is not None else now if pod is None else pod
            for (destination, _), at in self._known.items()
        }
