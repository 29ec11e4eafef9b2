"""One Kubernetes Lease: read, compare-and-swap, and a watch that comes back from anything."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.lease import Gone, LeaseRecord
from vipmanager.core.retry import backoff

QUIET = 15
"""Seconds that a watch may be silent before it is made anew."""
SLOWEST = 2.0
"""Seconds between two attempts to watch at the most; ten times that where it is not allowed.

A watch that lasted longer, or as long as it was asked to, was a good one: the next begins within
0.1 s.
"""

Object = Mapping[str, Any]
Heard = Callable[[LeaseRecord | None], None]
"""Takes each state of the Lease; None where it was deleted."""
Failed = Callable[[Failure], None]

_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
"""Metadata that the server writes."""


class Api(Protocol):
    """Leases as JSON values; every method may raise `Transient` or `Permanent`."""

    def get_lease(self, namespace: str, name: str) -> Object | None:
        """Read the newest version; None where there is none."""
        ...

    def create_lease(self, lease: Object) -> Object:
        """Create; `Conflict` where the name is taken."""
        ...

    def replace_lease(self, lease: Object) -> Object:
        """Replace; `Conflict` where the version or the uid is another."""
        ...

    def watch_lease(
        self, namespace: str, name: str, since: str, quiet: int
    ) -> Iterator[tuple[str, Object]]:
        """Give what happens to it, and bookmarks, until the API ends the watch.

        It begins after the version `since`, with `Gone` where that is too long ago; or, where
        that is empty, with what there is.
        """
        ...


class KubeLease:
    """The Lease of one group. Safe to call from several threads at once.

    A `Transient` from `create` or `replace` leaves open whether it was done: read again.
    """

    def __init__(self, api: Api, *, namespace: str, name: str, quiet: int = QUIET) -> None:
        """Call nothing yet."""
        self._api, self._namespace, self._name = api, namespace, name
        self._quiet = quiet
        self._closed = threading.Event()

    def read(self) -> LeaseRecord | None:
        """Read the newest version; None where there is none."""
        found = self._api.get_lease(self._namespace, self._name)
        return None if found is None else parse(found)

    def create(self, record: LeaseRecord) -> LeaseRecord:
        """Create the Lease.

        Raises:
            Conflict: there is one.
        """
        return parse(self._api.create_lease(self._document(record)))

    def replace(self, record: LeaseRecord) -> LeaseRecord:
        """Put a record in the place of the version that it names: a compare-and-swap.

        Raises:
            Conflict: the Lease has changed, or was deleted, since that version.
        """
        return parse(self._api.replace_lease(self._document(record)))

    def watch(self, heard: Heard, failed: Failed) -> None:
        """Tell the present state and each later one, on a thread of its own, until `close`.

        After an interruption it resumes where it was. Where that is too long ago it tells the
        present state again, leaving out those in between. That there is no Lease is told when it
        is deleted, and neither at the start nor after such a gap: `read` it now and then.

        Args:
            heard: takes each state.
            failed: takes each failure, before it is tried again.
        """
        threading.Thread(
            target=self._watch, args=(heard, failed), name="lease", daemon=True
        ).start()

    def close(self) -> None:
        """End the watch with its next message, or silence."""
        self._closed.set()

    def _watch(self, heard: Heard, failed: Failed) -> None:
        since, attempt = "", 0
        while not self._closed.is_set():
            began, cap = time.monotonic(), SLOWEST
            try:
                for type_, changed in self._api.watch_lease(
                    self._namespace, self._name, since, self._quiet
                ):
                    if self._closed.is_set():
                        return
                    record = parse(changed)
                    since = record.resource_version
                    if type_ != "BOOKMARK":
                        heard(None if type_ == "DELETED" else record)
            except Gone:
                since = ""
            except Failure as failure:
                failed(failure)
                cap *= 10 if isinstance(failure, Permanent) else 1
            # However it ended, even in order: a server that ends each watch at once is spared.
            good = time.monotonic() - began >= min(self._quiet, SLOWEST)
            attempt = 0 if good else attempt + 1
            luck = random.random()  # noqa: S311 - jitter
            self._closed.wait(backoff(attempt, luck, cap=cap))

    def _document(self, record: LeaseRecord) -> Object:
        rest = json.loads(record.rest)
        metadata = rest.get("metadata", {}) | {"namespace": self._namespace, "name": self._name}
        if record.annotations:
            metadata["annotations"] = dict(record.annotations)
        if record.resource_version:
            # The uid too: a Lease that was deleted would otherwise be created by a replacement.
            metadata |= {"resourceVersion": record.resource_version, "uid": record.uid}
        spec = rest.get("spec", {}) | {
            "holderIdentity": record.holder,
            "leaseTransitions": record.transitions,
            "leaseDurationSeconds": record.duration,
            "acquireTime": record.acquire_time,
            "renewTime": record.renew_time,
        }
        return {"metadata": metadata, "spec": {k: v for k, v in spec.items() if v is not None}}


def parse(lease: Object) -> LeaseRecord:
    """Make a record of a Lease as the API has it.

    Raises:
        Transient: it is none.
    """
    try:
        metadata, spec = dict(lease["metadata"]), dict(lease.get("spec") or {})
        uid, version, *_ = [metadata.pop(name, "") for name in _SERVER]
        return LeaseRecord(
            uid=uid,
            resource_version=version,
            holder=spec.pop("holderIdentity", None) or None,
            transitions=spec.pop("leaseTransitions", None) or 0,
            duration=spec.pop("leaseDurationSeconds", None),
            acquire_time=spec.pop("acquireTime", None),
            renew_time=spec.pop("renewTime", None),
            annotations=MappingProxyType(metadata.pop("annotations", None) or {}),
            rest=json.dumps({"metadata": metadata, "spec": spec}, sort_keys=True),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Transient(
            f"the Kubernetes API: a Lease is not as expected ({error!r})",
            "check what KUBERNETES_SERVICE_HOST leads to",
        ) from error
