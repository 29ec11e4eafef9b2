"""The objects, their versions, and the log of changes that watches read.

Source of the rules: kubernetes.io, "Kubernetes API Concepts" (resource versions, watches, 410) and
"API Conventions" (metadata, optimistic concurrency).
"""

import secrets
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vipmanager_lab.kube import kinds, status
from vipmanager_lab.kube.kinds import Kind, Object

_KEPT = ("uid", "creationTimestamp", "namespace", "name", "generation", "managedFields")
"""Metadata that the server owns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the log."""

    version: int
    type: str
    """ADDED, MODIFIED or DELETED."""
    kind: Kind
    object: Object


@dataclass(frozen=True, slots=True)
class Key:
    """Where an object is stored."""

    kind: Kind
    namespace: str
    name: str


class Store:
    """Objects under one resourceVersion that rises with every change, as etcd's revision does."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._objects: dict[Key, Object] = {}
        self._version = 1
        self._log: list[Change] = []
        self._oldest = 1

    @property
    def version(self) -> int:
        """The version of the last change."""
        return self._version

    def copy(self) -> "Store":
        """Give the same objects in a store of their own, for a dry run."""
        other = Store()
        with self._changed:
            other._objects, other._version = dict(self._objects), self._version
        return other

    # Reading

    def get(self, key: Key) -> Object:
        """One object.

        Raises:
            StatusError: 404.
        """
        with self._changed:
            found = self._objects.get(key)
        if found is None:
            raise status.not_found(key.kind, key.name)
        return found

    def list(self, kind: Kind, namespace: str | None = None) -> tuple[int, Sequence[Object]]:
        """The version, and all objects of a kind at it, sorted as etcd's keys are."""
        with self._changed:
            keys = [
                key
                for key in self._objects
                if key.kind is kind and namespace in {None, key.namespace}
            ]
            keys.sort(key=lambda key: (key.namespace, key.name))
            return self._version, [self._objects[key] for key in keys]

    def changes(self, since: int) -> Sequence[Change]:
        """All changes after a version, oldest first.

        Raises:
            StatusError: 410, that version was compacted.
        """
        with self._changed:
            if since < self._oldest:
                raise status.expired(since, self._oldest)
            return [it for it in self._log if it.version > since]

    def await_change(self, since: int, seconds: float, over: Callable[[], bool]) -> None:
        """Wait until something changed after a version, time is over, or `over` after a wake."""
        with self._changed:
            self._changed.wait_for(lambda: self._version > since or over(), max(0.0, seconds))

    def wake(self) -> None:
        """Make those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def forget(self) -> None:
        """Forget the log, as an API server does that starts again: older watches get 410.

        That etcd forgets its own every five minutes is nothing to a watch: the API server
        remembers more.
        """
        with self._changed:
            self._oldest = self._version
            self._log.clear()

    # Writing

    def create(self, kind: Kind, namespace: str, body: Object, manager: str = "lab") -> Object:
        """Store a new object; `manager` writes it.

        Raises:
            StatusError: its name is taken, or the object is not acceptable.
        """
        given = dict(body.get("metadata") or {})
        name = given.get("name") or (
            given["generateName"] + secrets.token_hex(3)[:5] if given.get("generateName") else ""
        )
        if not name:
            raise status.invalid(
                kind, "", "metadata.name: Required value: name or generateName is required"
            )
        if given.get("resourceVersion"):
            raise status.StatusError(
                500, "", "resourceVersion should not be set on objects to be created"
            )
        key = Key(kind, namespace, name)
        with self._changed:
            if key in self._objects:
                raise status.exists(kind, name)
            metadata = given | {
                "name": name,
                **({"namespace": namespace} if kind.namespaced else {}),
                "uid": str(uuid.uuid4()),
                "creationTimestamp": _now(),
            }
            if kind.generation:
                metadata["generation"] = 1
            return self._put("ADDED", key, body, _managed(metadata, kind, manager))

    def replace(self, key: Key, body: Object) -> Object:
        """Overwrite an object, as `put`; give it.

        Raises:
            StatusError: as `put`.
        """
        return self.put(key, body)[0]

    def put(self, key: Key, body: Object, manager: str = "lab") -> tuple[Object, bool]:
        """Overwrite an object: a compare-and-swap where the body has a resourceVersion.

        Give it, and whether it is new.

        Raises:
            StatusError: 404; 409 for another version or uid; 422.
        """
        given = dict(body.get("metadata") or {})
        with self._changed:
            present = self._objects.get(key)
            if present is None:
                if not key.kind.create_on_update:
                    raise status.not_found(key.kind, key.name)
                if given.get("uid"):
                    raise status.other_uid(key.kind, key.name, given["uid"], "")
                given.pop("resourceVersion", None)
                made = {**body, "metadata": given}
                return self.create(key.kind, key.namespace, made, manager), True
            return self._update(key, present, body, manager), False

    def patch(self, key: Key, patch: Object, manager: str = "lab") -> Object:
        """Merge a patch into an object; a resourceVersion in it makes it a compare-and-swap.

        Raises:
            StatusError: as `replace`.
        """
        with self._changed:
            present = self.get(key)
            uid = (patch.get("metadata") or {}).get("uid")
            if uid and uid != present["metadata"]["uid"]:
                problem = f'metadata.uid: Invalid value: "{uid}": field is immutable'
                raise status.invalid(key.kind, key.name, problem)
            changed = merge(present, patch)
            unreadable = kinds.unreadable(key.kind, changed)
            if unreadable:
                raise status.unpatchable(unreadable)
            return self._update(key, present, changed, manager)

    def delete(self, key: Key, preconditions: Mapping[str, str] | None = None) -> Object:
        """Remove an object at once, whatever its grace period; its last version is a new one.

        Raises:
            StatusError: 404; 409 where a precondition does not hold.
        """
        with self._changed:
            present = self.get(key)
            _check(key, present, preconditions or {})
            del self._objects[key]
            return self._record("DELETED", key, present, present["metadata"])

    def _update(self, key: Key, present: Object, body: Object, manager: str) -> Object:
        given = dict(body.get("metadata") or {})
        if given.get("resourceVersion") in {None, "", "0"}:
            given.pop("resourceVersion", None)
            if not key.kind.unconditional_update:
                raise status.invalid(
                    key.kind,
                    key.name,
                    "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
                )
        _check(key, present, given)
        before = present["metadata"]
        metadata = {k: v for k, v in given.items() if k not in _KEPT}
        metadata |= {k: before[k] for k in _KEPT if k in before}
        if key.kind.generation and body.get("spec") != present.get("spec"):
            metadata["generation"] = before["generation"] + 1
        changed = {**body, "metadata": metadata | {"resourceVersion": before["resourceVersion"]}}
        if changed | _type(key.kind) == present:
            return present  # a write that changes nothing makes no version
        return self._put("MODIFIED", key, body, _managed(metadata, key.kind, manager))

    def _put(self, type_: str, key: Key, body: Object, metadata: Mapping[str, Any]) -> Object:
        unreadable = kinds.unreadable(key.kind, body)
        if unreadable:
            raise status.bad_request(unreadable)
        problem = kinds.bad_labels(metadata) or key.kind.problem({**body, "metadata": metadata})
        if problem:
            raise status.invalid(key.kind, key.name, problem)
        stored = self._record(type_, key, body, metadata)
        self._objects[key] = stored
        return stored

    def _record(self, type_: str, key: Key, body: Object, metadata: Mapping[str, Any]) -> Object:
        self._version += 1
        stored = {**body, **_type(key.kind)}
        stored["metadata"] = {**metadata, "resourceVersion": str(self._version)}
        self._log.append(Change(version=self._version, type=type_, kind=key.kind, object=stored))
        self._changed.notify_all()
        return stored


def _type(kind: Kind) -> dict[str, str]:
    return {"kind": kind.name, "apiVersion": kind.api_version}


def _managed(metadata: Mapping[str, Any], kind: Kind, manager: str) -> dict[str, Any]:
    """Enter who writes."""
    entry = {
        "manager": manager,
        "operation": "Update",
        "apiVersion": kind.api_version,
        "time": _now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": {},
    }
    others = [it for it in metadata.get("managedFields", ()) if it["manager"] != manager]
    return {**metadata, "managedFields": [*others, entry]}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check(key: Key, present: Object, wanted: Mapping[str, str]) -> None:
    """Compare what the client believes the object to be."""
    found = present["metadata"]
    if wanted.get("uid") and wanted["uid"] != found["uid"]:
        raise status.other_uid(key.kind, key.name, wanted["uid"], found["uid"])
    version = wanted.get("resourceVersion")
    if version and version != found["resourceVersion"]:
        raise status.modified(key.kind, key.name)


def merge(target: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON values
    """Merge a patch, as RFC 7386 says."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged
