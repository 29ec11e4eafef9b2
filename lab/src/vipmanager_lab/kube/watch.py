"""A watch: a stream of changes that ends, breaks, or learns that it came too late.

Source: kubernetes.io, "Kubernetes API Concepts", "Efficient detection of changes".
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from vipmanager_lab.kube.api import Asked
from vipmanager_lab.kube.kinds import Object
from vipmanager_lab.kube.status import StatusError, bad_request
from vipmanager_lab.kube.store import Store

LASTS = 1800.0
"""Seconds; the API server draws from 30 to 60 minutes (--min-request-timeout)."""


class Watch:
    """One stream.

    Args:
        store: what is watched.
        asked: which part of it.
        broken: tells whether the stream shall end in the middle; asked after `store.wake()`.
        bookmarks: seconds between bookmarks, for a client that allows them.

    Raises:
        StatusError: 400.
    """

    def __init__(
        self, store: Store, asked: Asked, *, broken: Callable[[], bool], bookmarks: float
    ) -> None:
        self._store, self._asked, self._broken = store, asked, broken
        given = asked.parameters
        try:
            # 0 and none are the server's own.
            lasts = int(given.get("timeoutSeconds") or "0") or LASTS
        except ValueError as error:
            raise bad_request(f"{error}") from error
        try:
            # None and 0 start with what there is; anything else resumes.
            self._since = int(given.get("resourceVersion") or "0")
        except ValueError as error:
            raise StatusError(500, "", f"resourceVersion: Invalid value: {error}") from error
        self._told = given.get("sendInitialEvents") == "true"
        if self._told and given.get("resourceVersionMatch") != "NotOlderThan":
            raise StatusError(
                422,
                "Invalid",
                'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: '
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            )
        now = time.monotonic()
        self._end = now + lasts
        marked = given.get("allowWatchBookmarks") in {"1", "true"}
        self._every = bookmarks if marked else float("inf")
        self._mark_at = now + self._every

    def __iter__(self) -> Iterator[bytes]:
        """Give lines for as long as it lasts.

        Raises:
            ConnectionResetError: it was broken.
        """
        if self._since == 0:
            self._since, found = self._store.list(self._asked.attributes.kind)
            yield from self._lines([("ADDED", one) for one in found])
            if self._told:
                yield self._bookmark({"k8s.io/initial-events-end": "true"})
        while True:
            try:
                changes = self._store.changes(self._since)
            except StatusError as gone:
                yield _line("ERROR", gone.document())
                return
            if changes:
                self._since = changes[-1].version
            kind = self._asked.attributes.kind
            yield from self._lines([(it.type, it.object) for it in changes if it.kind is kind])
            now = time.monotonic()
            over = now >= self._end
            if now >= self._mark_at or (over and self._every < float("inf")):
                self._mark_at = now + self._every
                yield self._bookmark()
            if over:
                return
            wait = min(self._end, self._mark_at) - now
            self._store.await_change(self._since, wait, self._broken)
            if self._broken():
                raise ConnectionResetError

    def _lines(self, changes: Sequence[tuple[str, Object]]) -> Iterator[bytes]:
        lines = [_line(type_, found) for type_, found in changes if self._asked.selects(found)]
        if lines:
            yield b"".join(lines)

    def _bookmark(self, annotations: Mapping[str, str] | None = None) -> bytes:
        kind = self._asked.attributes.kind
        metadata: dict[str, object] = {"resourceVersion": str(self._since)}
        if annotations:
            metadata["annotations"] = annotations
        return _line(
            "BOOKMARK",
            {
                "kind": kind.name,
                "apiVersion": kind.api_version,
                "metadata": metadata,
            },
        )


def _line(type_: str, found: Object) -> bytes:
    return json.dumps({"type": type_, "object": found}).encode() + b"\n"
