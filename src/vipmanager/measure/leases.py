"""A scratch Lease in the pod's namespace, where the Kubernetes API is at hand."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vipmanager.core.failures import Permanent
from vipmanager.core.lease import micro_time
from vipmanager.core.measurement import RUN_TAG, UNTIL_TAG, over
from vipmanager.edges.kubernetes.client import Kube, Object

NAME = "vipmanager-measure"
"""One name, so that a Role can name it."""


class ScratchLease:
    """The Lease of one run. Every call may raise `Transient` or `Permanent`."""

    def __init__(self, environ: Mapping[str, str], run: str) -> None:
        """Prepare nothing yet."""
        self._api, self._run = Kube(environ), run
        self._lease: Object = {}

    def close(self) -> None:
        """Close every connection."""
        self._api.close()

    def make(self, until: str) -> None:
        """Create it, with the time at which this run is over for certain.

        Raises:
            Permanent: it is there, and of a run that is not over.
        """
        if self._read() is not None and not self.remove_left_behind():
            raise Permanent(f"the Lease {NAME} is another run's", "try again when it is over")
        notes = {f"vipmanager/{RUN_TAG}": self._run, f"vipmanager/{UNTIL_TAG}": until}
        metadata = {"namespace": self._api.namespace, "name": NAME, "annotations": notes}
        self._lease = self._api.create_lease({"metadata": metadata, "spec": self._spec()})

    def read(self) -> None:
        """Read it, as a standby does."""
        self._lease = self._read() or self._lease

    def update(self) -> None:
        """Renew it, as a holder does."""
        self._lease = self._api.replace_lease({**self._lease, "spec": self._spec()})

    def remove(self) -> None:
        """Delete it, if it is this run's."""
        found = self._readable()
        if found is not None and _notes(found).get(f"vipmanager/{RUN_TAG}") == self._run:
            self._delete(found)

    def remove_left_behind(self) -> bool:
        """Delete it, if it is of a run that is over; tell whether it was."""
        found = self._readable()
        until = _notes(found).get(f"vipmanager/{UNTIL_TAG}", "") if found is not None else ""
        if found is None or not over(until, datetime.now(UTC)):
            return False
        self._delete(found)
        return True

    def _spec(self) -> dict[str, object]:
        return {
            "holderIdentity": self._run,
            "leaseDurationSeconds": 15,
            "renewTime": micro_time(time.time()),
        }

    def _read(self) -> Object | None:
        return self._api.get_lease(self._api.namespace, NAME)

    def _readable(self) -> Object | None:
        """Read it; who may not has made none, since `make` begins so."""
        try:
            return self._read()
        except Permanent:
            return None

    def _delete(self, found: Object) -> None:
        self._api.delete_lease(self._api.namespace, NAME, str(found["metadata"].get("uid", "")))


def _notes(lease: Object) -> Mapping[str, Any]:
    return lease["metadata"].get("annotations") or {}


def at_hand(environ: Mapping[str, str]) -> bool:
    """Tell whether this process runs in a pod."""
    return bool(environ.get("KUBERNETES_SERVICE_HOST"))
