"""The objects of a real API server, as an administrator reads and writes them."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

from vipmanager_lab.closing import Closing
from vipmanager_lab.kube.kinds import NODES, PODS, Kind, Object
from vipmanager_lab.kube.status import StatusError
from vipmanager_lab.kube.store import Change, Key
from vipmanager_lab.kubernetes.api import Api, ApiError

T = TypeVar("T")
_FOLLOW, _LOOK = 1.0, 0.05
"""Seconds that one watch lasts, so that it ends soon when it should; and between two."""
AT_ONCE: Final[Mapping[str, Any]] = {"gracePeriodSeconds": 0}
_POD: Final[Mapping[str, Any]] = {"containers": [{"name": "app", "image": "app"}]}
"""What a pod has to have."""


class RealStore(Closing):
    """What an administrator does to the objects; refusals are those of the API server.

    Args:
        api: an administrator's.
        followed: the kind whose changes are remembered, and in which namespace.
    """

    def __init__(self, api: Api, followed: tuple[Kind, str]) -> None:
        self._api, self._followed = api, followed
        self._changes: list[Change] = []
        self._where = collection(*followed)
        self._version = ""
        self._expired = self._closed = False
        self._follower = threading.Thread(target=self._follow, name="changes", daemon=True)

    def start(self) -> None:
        """Begin to remember changes."""
        self._version = self._resumed()
        self._follower.start()

    def close(self) -> None:
        """End that."""
        self._closed = True
        self._follower.join()

    def changes(self, since: int) -> Sequence[Change]:
        """Give what happened after a version to objects of the kind that is followed."""
        return [one for one in tuple(self._changes) if one.version > since]

    def _follow(self) -> None:
        while not self._closed:
            try:
                self._version = self._resumed()
                for event in self._api.watch(self._where, self._version, seconds=_FOLLOW):
                    self._version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self._keep(event["type"], event["object"])
            except ApiError as error:
                # An API server that is away is a test's doing; it is asked again.
                self._expired = error.reason == "Expired"
            time.sleep(_LOOK)

    def _resumed(self) -> str:
        """Give a version to watch from; what there is counts where none resumes from before.

        That is so after a restart of the API server, and after a restore of etcd, when versions go
        back.
        """
        found, before = self._api.get(self._where), self._version
        newest = str(found["metadata"]["resourceVersion"])
        if before and not self._expired and int(before) <= int(newest):
            return before
        self._expired = False
        for one in found["items"] if before else ():
            self._keep("MODIFIED", one)
        return newest

    def _keep(self, type_: str, found: Object) -> None:
        kind, _ = self._followed
        version = int(found["metadata"]["resourceVersion"])
        self._changes.append(Change(version=version, type=type_, kind=kind, object=found))

    def get(self, key: Key) -> Object:
        """Read an object."""
        return told(lambda: self._api.get(path(key)))

    def list(self, kind: Kind, namespace: str | None = None) -> tuple[str, Sequence[Object]]:
        """Give all of a kind, and the version at which they are so."""
        found = told(lambda: self._api.get(collection(kind, namespace)))
        own = {"apiVersion": kind.api_version, "kind": kind.name}
        return found["metadata"]["resourceVersion"], [{**own, **one} for one in found["items"]]

    def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        """Create an object."""
        own = {"apiVersion": kind.api_version, "kind": kind.name}
        whole: dict[str, Any] = {**own, **body}
        if kind is PODS:
            whole["spec"] = {**_POD, **whole.get("spec", {})}
            self._have_node(whole["spec"].get("nodeName"))
        return told(lambda: self._api.create(collection(kind, namespace), whole))

    def _have_node(self, name: str | None) -> None:
        """Create the node that a pod is bound to.

        The controller manager's pod garbage collection deletes a pod whose node is no object, up
        to a minute after it missed it (kubernetes, pkg/controller/podgc/gc_controller.go:
        `gcCheckPeriod` and `quarantineTime`).
        """
        if name is not None:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
            told(lambda: self._api.patch(path(Key(NODES, "", name)), node, "apply"))

    def replace(self, key: Key, body: Object) -> Object:
        """Replace an object."""
        return told(lambda: self._api.replace(path(key), body))

    def patch(self, key: Key, patch: Object) -> Object:
        """Merge a patch into an object."""
        return told(lambda: self._api.patch(path(key), patch))

    def delete(self, key: Key, preconditions: Mapping[str, str] | None = None) -> None:
        """Delete an object; a pod at once, as there is no kubelet."""
        options: dict[str, Any] = dict(AT_ONCE) if key.kind is PODS else {}
        if preconditions:
            options["preconditions"] = preconditions
        told(lambda: self._api.delete(path(key), **options))


def collection(kind: Kind, namespace: str | None) -> str:
    """Give the path of a collection, in one namespace or in all of them."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    inside = f"/namespaces/{namespace}" if kind.namespaced and namespace else ""
    return f"{root}{inside}/{kind.plural}"


def path(key: Key) -> str:
    """Give the path of an object."""
    return f"{collection(key.kind, key.namespace)}/{quote(key.name, safe='')}"


def told(call: Callable[[], T]) -> T:
    """Call, and raise what the lab's own API raises.

    Raises:
        StatusError: it was refused.
    """
    try:
        return call()
    except ApiError as error:
        raise StatusError(error.status, error.reason, str(error)) from error
