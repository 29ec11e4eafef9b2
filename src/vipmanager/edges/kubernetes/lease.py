"""One Kubernetes Lease: read, compare-and-swap, and a watch that comes back from anything."""

import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from vipmanager.core.election.record import PREFIX
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.lease import Gone, LeaseRecord
from vipmanager.core.retry import backoff
from vipmanager.core.text import printable
from vipmanager.edges.kubernetes.answers import unexpected
from vipmanager.edges.kubernetes.client import READ_TIMEOUT, Kube, Object

QUIET = 15
"""Seconds that a watch may be silent before it is made anew."""
SLOWEST = 2.0
"""Seconds between two attempts to watch at the most; ten times that where it is not allowed.

A watch that lasted longer, or as long as it was asked to, was a good one: the next begins within
0.1 s.
"""

LONGEST = 4096
"""Characters of an annotation that are read: it may list all floating IPs of a group."""

Heard = Callable[[LeaseRecord | None], None]
"""Takes each state of the Lease; None where it was deleted."""
Failed = Callable[[Failure], None]

_SERVER = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
"""Metadata that the server writes."""


class KubeLease:
    """The Lease of one group. Safe to call from several threads at once.

    A `Transient` from `create` or `replace` leaves open whether it was done: read again.
    """

    def __init__(
        self,
        api: Kube,
        *,
        namespace: str,
        name: str,
        write: float = READ_TIMEOUT,
        quiet: int = QUIET,
    ) -> None:
        """Call nothing yet.

        Args:
            api: where Leases are.
            namespace: of the Lease.
            name: of the Lease.
            write: seconds that a write may take. One that is given up earlier than the Lease
                expires lands all the same where an admission webhook is slow, and has to be read
                back each time.
            quiet: seconds that a watch may be silent.
        """
        self._api, self._namespace, self._name = api, namespace, name
        self._write, self._quiet = write, quiet
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
        return parse(self._api.create_lease(self._document(record), seconds=self._write))

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        """Put a record in the place of the version that it names: a compare-and-swap.

        Raises:
            Conflict: the Lease has changed, or was deleted, since that version. Where it is urgent
                that may have been by this very call, over its other connection.
        """
        document = self._document(record)
        return parse(self._api.replace_lease(document, seconds=self._write, urgent=urgent))

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
            began, cap, heard_of = time.monotonic(), SLOWEST, ""
            try:
                for type_, changed in self._api.watch_lease(
                    self._namespace, self._name, since, self._quiet
                ):
                    if self._closed.is_set():
                        return
                    record = parse(changed)
                    since = heard_of = record.resource_version
                    if type_ != "BOOKMARK":
                        heard(None if type_ == "DELETED" else record)
                # One that begins after a version to come is silent, bookmarks included: so it is
                # after a restore of etcd, which takes the versions back.
                since = heard_of
            except Gone as gone:
                since = ""
                failed(gone)
            except Failure as failure:
                failed(failure)
                cap *= 10 if isinstance(failure, Permanent) else 1
            # However it ended, even in order: a server that ends each watch at once is spared.
            good = time.monotonic() - began >= min(self._quiet, SLOWEST)
            attempt = 0 if good else attempt + 1
            jitter = random.random()  # noqa: S311 - jitter
            self._closed.wait(backoff(attempt, jitter, cap=cap))

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
            holder=printable(spec.pop("holderIdentity", None) or "") or None,
            transitions=spec.pop("leaseTransitions", None) or 0,
            duration=spec.pop("leaseDurationSeconds", None),
            acquire_time=spec.pop("acquireTime", None),
            renew_time=spec.pop("renewTime", None),
            annotations=MappingProxyType(_printable(metadata.pop("annotations", None) or {})),
            rest=json.dumps({"metadata": metadata, "spec": spec}, sort_keys=True),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise unexpected("the Kubernetes API: a Lease", repr(error)) from error


def _printable(annotations: Mapping[str, str]) -> dict[str, str]:
    """Make those that are read here printable; the others are put back as they are."""
    return {
        key: printable(value, LONGEST) if key.startswith(PREFIX) else value
        for key, value in annotations.items()
    }
