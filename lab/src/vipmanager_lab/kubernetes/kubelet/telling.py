"""Tells the API a pod's status: what has changed, and again where it was not taken."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from vipmanager_lab.kubernetes.api import ApiError
from vipmanager_lab.kubernetes.kubelet.calls import Calls
from vipmanager_lab.kubernetes.kubelet.environment import Object
from vipmanager_lab.kubernetes.kubelet.host import Timing
from vipmanager_lab.kubernetes.kubelet.status import Facts, Seen, status


class Telling:
    """What one pod has told."""

    def __init__(self, calls: Calls, timing: Timing) -> None:
        self._calls, self._timing = calls, timing
        self._told: dict[str, Any] = {}
        self._not_before = 0.0
        self.gone = False
        """Whether the API has no such pod any more."""
        self.refusal = ""
        """Why the last status was not taken."""

    @property
    def address(self) -> str:
        """The address that was told last; empty before."""
        return str(self._told.get("podIP", ""))

    def hurry(self) -> None:
        """Wait no longer after a refusal."""
        self._not_before = 0.0

    def tell(self, pod: Object, facts: Facts, seen: Sequence[Seen]) -> bool:
        """Write the status where it has changed; tell whether it is written."""
        if time.monotonic() < self._not_before:
            return False
        had = {one["type"]: one for one in (pod.get("status") or {}).get("conditions", ())}
        had |= {one["type"]: one for one in self._told.get("conditions", ())}
        wanted = status(facts, seen, had.values(), datetime.now(UTC))
        if wanted == self._told:
            return True
        metadata = pod["metadata"]
        try:
            self._calls.tell_pod(metadata["namespace"], metadata["name"], metadata["uid"], wanted)
        except ApiError as error:
            self.gone = error.reason == "NotFound"
            self.refusal = str(error)
            self._not_before = time.monotonic() + self._timing.retry
            return False
        self._told = wanted
        return True
