"""Calls of the Kubernetes API, from inside a pod: JSON values in, failures out."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from vipmanager.core.downward import PodReference
from vipmanager.core.events import Event
from vipmanager.core.failures import Conflict, Failure, Permanent
from vipmanager.edges.kubernetes.answers import (
    FIELD_MANAGER,
    Answer,
    Missing,
    Request,
    document,
    event,
    refused,
)
from vipmanager.edges.kubernetes.hedging import first
from vipmanager.edges.kubernetes.service_account import Account
from vipmanager.ports import Seen, unseen

if TYPE_CHECKING:
    from vipmanager.edges.kubernetes.connections import Connections

T = TypeVar("T")
Object = Mapping[str, Any]

CONNECT_TIMEOUT = 1.0
"""Seconds, as for EC2; part of a call's total."""
READ_TIMEOUT = 3.0
"""Seconds that a call takes at the most, all in all, where nothing else is said."""
TWIN = 0.25
"""Seconds for which a conflict waits for its twin's answer. Longer is of no use: the Lease is read
then, which tells the same."""

COMPONENT = FIELD_MANAGER
ROLE_LABEL = "vipmanager/role"

LEASES = "/apis/coordination.k8s.io/v1"
CORE = "/api/v1"

PAGE = 500
"""Objects that are asked for at once."""

_DRY: Mapping[str, str] = {"dryRun": "All"}
"""Rights, admission and budgets are asked, and nothing is changed."""


class Kube:
    """The API of the pod's own cluster. Safe to call from several threads at once.

    Every call may raise `Transient` or `Permanent`.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        now: Callable[[], float] = time.monotonic,
        seen: Seen = unseen,
    ) -> None:
        """Prepare nothing yet.

        Args:
            environ: tells where the API is.
            now: how old a token is.
            seen: takes each call; a watch is none.
        """
        self._environ, self._seen = environ, seen
        self._account = Account(environ, now)
        self._lock = threading.Lock()
        self._connections: Connections | None = None

    @property
    def namespace(self) -> str:
        """The pod's namespace, as its service account has it.

        Raises:
            Permanent: there is no service account.
        """
        return self._account.namespace

    @property
    def ready(self) -> int:
        """How many connections wait for a call; two, once a few calls were made."""
        return self._connections.ready if self._connections is not None else 0

    def close(self) -> None:
        """Close every connection that is idle."""
        if self._connections is not None:
            self._connections.close()

    def record(self, event: Event) -> None:
        """Make the Event with this name be so; repeating it after a lost answer does no harm.

        Raises:
            Transient, Permanent: it is not so, or nobody knows.
        """
        if event.count > 1 and self._repeated(event):
            return
        body, path = _posted(event), _path(CORE, event.pod.namespace, "events")
        try:
            self._call(Request(verb="create", resource="events", path=path, body=body))
        except Conflict:
            return  # the answer to an earlier attempt was lost

    def _repeated(self, event: Event) -> bool:
        """Raise the count of an Event; False where it has expired meanwhile."""
        change = {
            "count": event.count,
            "lastTimestamp": _time(event.last),
            "message": event.message,
        }
        path = _path(CORE, event.pod.namespace, "events", event.name)
        try:
            self._call(Request(verb="patch", resource="events", path=path, body=change))
        except Missing:
            return False
        return True

    def label_pod(self, pod: PodReference, role: str) -> None:
        """Make the pod's label `vipmanager/role` be so.

        Raises:
            Transient, Permanent: it is not so, or nobody knows.
        """
        # The uid is immutable: a pod that took the name of a dead one keeps its own label.
        change = {"metadata": {"uid": pod.uid, "labels": {ROLE_LABEL: role}}}
        path = _path(CORE, pod.namespace, "pods", pod.name)
        self._call(Request(verb="patch", resource="pods", path=path, body=change))

    def get_pod(self, namespace: str, name: str) -> Object | None:
        """Read a pod; None where there is none."""
        return self._get("pods", _path(CORE, namespace, "pods", name))

    def list_pods(self, namespace: str) -> tuple[Object, ...]:
        """Read all pods of a namespace."""
        return self._list("pods", _path(CORE, namespace, "pods"))

    def list_pods_on(self, node: str) -> tuple[Object, ...]:
        """Read all pods of a node, of every namespace."""
        return self._list("pods", f"{CORE}/pods", {"fieldSelector": f"spec.nodeName={node}"})

    def delete_pod(self, namespace: str, name: str, uid: str, *, dry_run: bool = False) -> None:
        """Delete the pod with this UID; `Missing`, or `Conflict` for another UID, if it is gone."""
        options = {"preconditions": {"uid": uid}} | ({"dryRun": ["All"]} if dry_run else {})
        path = _path(CORE, namespace, "pods", name)
        self._call(Request(verb="delete", resource="pods", path=path, body=options))

    def evict_pod(self, namespace: str, name: str, uid: str, *, dry_run: bool = False) -> None:
        """Evict the pod with this UID; `Throttled` while a PodDisruptionBudget forbids it."""
        path, resource = f"{_path(CORE, namespace, 'pods', name)}/eviction", "pods/eviction"
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        dry = _DRY if dry_run else {}
        self._call(Request(verb="create", resource=resource, path=path, body=body, parameters=dry))

    def get_node(self, name: str) -> Object | None:
        """Read a node; None where there is none."""
        return self._get("nodes", f"{CORE}/nodes/{quote(name, safe='')}")

    def list_nodes(self) -> tuple[Object, ...]:
        """Read all nodes."""
        return self._list("nodes", f"{CORE}/nodes")

    def patch_node(self, name: str, change: Object, *, dry_run: bool = False) -> None:
        """Merge a change into a node; `Conflict` where it names a version that is not the node's.

        (apiserver, pkg/endpoints/handlers/patch.go: a patch is tried again on a conflict, but for
        one that has a resourceVersion.)
        """
        path = f"{CORE}/nodes/{quote(name, safe='')}"
        dry = _DRY if dry_run else {}
        self._call(Request(verb="patch", resource="nodes", path=path, body=change, parameters=dry))

    def get_lease(self, namespace: str, name: str) -> Object | None:
        """Read the newest version; None where there is none."""
        return self._get("leases", _path(LEASES, namespace, "leases", name))

    def create_lease(self, lease: Object, *, seconds: float = READ_TIMEOUT) -> Object:
        """Create, within so many seconds; `Conflict` where the name is taken."""
        path = _path(LEASES, lease["metadata"]["namespace"], "leases")
        body = _typed(lease)
        return self._call(Request(verb="create", resource="leases", path=path, body=body), seconds)

    def replace_lease(
        self, lease: Object, *, seconds: float = READ_TIMEOUT, urgent: bool = False
    ) -> Object:
        """Replace, within so many seconds; `Conflict` where the version or the uid is another.

        An urgent replacement is sent over two connections at once, which lead to two addresses
        where there are two; the version that it names sees to it that one of them is done. Who
        gets a `Conflict` has to read: the other one may have been done, with its answer lost.
        """
        metadata = lease["metadata"]
        path = _path(LEASES, metadata["namespace"], "leases", metadata["name"])
        request = Request(verb="update", resource="leases", path=path, body=_typed(lease))
        if not urgent:
            return self._call(request, seconds)
        apart: set[str] = set()
        return first([lambda: self._call(request, seconds, apart)] * 2, patience=TWIN)

    def delete_lease(self, namespace: str, name: str, uid: str) -> None:
        """Delete the Lease with this uid, if it is still there.

        Raises:
            Conflict: another one has its name now.
        """
        path, body = _path(LEASES, namespace, "leases", name), {"preconditions": {"uid": uid}}
        with contextlib.suppress(Missing):
            self._call(Request(verb="delete", resource="leases", path=path, body=body))

    def watch_lease(
        self, namespace: str, name: str, since: str, quiet: int
    ) -> Iterator[tuple[str, Object]]:
        """Give changes and bookmarks after a version, until the API ends it after `quiet` seconds.

        Without a version it begins with what there is, as ADDED (kubernetes.io, "Kubernetes API
        Concepts", "Get State and Start at Most Recent"). A watch of one metadata.name is
        authorized under that name (apiserver, pkg/endpoints/request/requestinfo.go), so a Role
        with resourceNames allows it, and nothing has to be listed.

        Raises:
            Gone: the version is too old, or the API ended the watch with an error.
            Transient, Permanent: the watch broke, or was refused.
        """
        version = {"resourceVersion": since} if since else {}
        request = Request(
            verb="watch",
            resource="leases",
            path=_path(LEASES, namespace, "leases"),
            parameters={
                "watch": "true",
                "fieldSelector": f"metadata.name={name}",
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(quiet),
                **version,
            },
        )
        connections, token, renewed = self._connected(), self._account.token(), ""
        while True:
            for line in connections.stream(request, self._headers(token), quiet + READ_TIMEOUT):
                if isinstance(line, bytes):
                    yield event(request, line)
                    continue
                renewed = self._renewed(line, token)
                if not renewed:
                    raise refused(request, line)
            if not renewed:
                return
            token, renewed = renewed, ""

    def _list(
        self, resource: str, path: str, selected: Mapping[str, str] = {}
    ) -> tuple[Object, ...]:
        found, more = list[Object](), ""
        while True:
            pages = {"limit": str(PAGE), **selected} | ({"continue": more} if more else {})
            page = self._call(Request(verb="list", resource=resource, path=path, parameters=pages))
            found += page.get("items") or ()
            more = (page.get("metadata") or {}).get("continue") or ""
            if not more:
                return tuple(found)

    def _get(self, resource: str, path: str) -> Object | None:
        try:
            return self._call(Request(verb="get", resource=resource, path=path))
        except Missing:
            return None

    def _call(
        self, request: Request, seconds: float = READ_TIMEOUT, apart: set[str] | None = None
    ) -> Object:
        began = time.monotonic()
        connections, token = self._connected(), self._account.token()
        failure: Failure | None = None
        try:
            answer = connections.ask(request, self._headers(token), seconds, apart)
            newer = self._renewed(answer, token)
            if newer:
                left = began + seconds - time.monotonic()
                answer = connections.ask(request, self._headers(newer), left, apart)
            return document(request, answer)
        except Missing:
            raise  # an answer as good as any
        except Failure as refusal:
            failure = refusal
            raise
        finally:
            action = f"{request.verb} {request.resource}"
            self._seen("kubernetes", action, failure, time.monotonic() - began)

    def _renewed(self, answer: Answer, token: str) -> str:
        """Give a newer token in the place of one that is refused; empty where there is none."""
        if answer.status != HTTPStatus.UNAUTHORIZED:
            return ""
        newer = self._account.token(refused=token)
        return newer if newer != token else ""

    def _headers(self, token: str) -> Mapping[str, str]:
        return {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "User-Agent": COMPONENT,
        }

    def _connected(self) -> "Connections":
        with self._lock:
            if self._connections is None:
                from vipmanager.edges.kubernetes.connections import Connections  # noqa: PLC0415 - slow to import

                host = self._environ.get("KUBERNETES_SERVICE_HOST", "")
                port = self._environ.get("KUBERNETES_SERVICE_PORT", "")
                if not host or not port.isdecimal():
                    raise Permanent(
                        "the Kubernetes API: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT "
                        "are not set",
                        "run in a pod, where kubelet sets them",
                    )
                self._connections = Connections(
                    host, int(port), self._account.authority, connect=CONNECT_TIMEOUT
                )
            return self._connections


def _path(group: str, namespace: str, plural: str, *name: str) -> str:
    parts = ("namespaces", namespace, plural, *name)
    return "/".join((group, *(quote(part, safe="") for part in parts)))


def _typed(lease: Object) -> Object:
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **lease}


def _posted(event: Event) -> Object:
    pod = event.pod
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": event.name, "namespace": pod.namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod.name,
            "namespace": pod.namespace,
            "uid": pod.uid,
        },
        "type": event.reason.type,
        "reason": event.reason.value,
        "message": event.message,
        "count": event.count,
        "firstTimestamp": _time(event.first),
        "lastTimestamp": _time(event.last),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": pod.name,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
