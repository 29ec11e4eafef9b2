"""How long the calls to the APIs took: each one that went out, by what became of it."""

import threading
from collections.abc import Mapping
from types import MappingProxyType

from vipmanager.core.failures import Failure
from vipmanager.core.tally import CALL_BOUNDS, Histogram, outcome

Kind = tuple[str, str, str]
"""API (ec2, sts, kubernetes), action, and result."""


class Calls:
    """Counts calls: the `Seen` port. Safe for several threads."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._counted: dict[Kind, Histogram] = {}

    def __call__(self, api: str, action: str, failure: Failure | None, seconds: float) -> None:
        """Count one."""
        kind = api, action, outcome(failure)
        with self._lock:
            before = self._counted.get(kind) or Histogram.empty(CALL_BOUNDS)
            self._counted[kind] = before.with_one(seconds)

    @property
    def counted(self) -> Mapping[Kind, Histogram]:
        """All calls until now."""
        with self._lock:
            return MappingProxyType(dict(self._counted))
