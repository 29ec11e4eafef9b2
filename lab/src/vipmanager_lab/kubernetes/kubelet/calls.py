"""What a kubelet asks of the API for its pods."""

import itertools
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from vipmanager_lab.kubernetes.api import Api, ApiError
from vipmanager_lab.kubernetes.kubelet.environment import Object
from vipmanager_lab.kubernetes.kubelet.status import stamp
from vipmanager_lab.kubernetes.kubelet.volumes import Token, token

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one node's kubelet, and of Multus on it."""

    node: str
    api: Api
    multus: Api

    def tell_pod(self, namespace: str, name: str, uid: str, status: Object) -> None:
        """Write a pod's status.

        Raises:
            ApiError: it was refused; `Conflict` where another pod has the name by now.
        """
        body = {"metadata": {"uid": uid}, "status": status}
        self.api.patch(f"{_pods(namespace)}/{name}/status", body, "strategic")

    def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Delete the object of a pod that has ended.

        Raises:
            ApiError: it was refused; `Conflict` where another pod has the name by now.
        """
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        self.api.delete(f"{_pods(namespace)}/{name}", **options)

    def post_event(self, pod: Object, kind: str, reason: str, message: str) -> None:
        """Post an Event about a pod; one that can't be posted is lost, as a kubelet's are."""
        metadata, now = pod["metadata"], stamp(datetime.now(UTC))
        event = {
            "metadata": {
                "name": f"{metadata['name']}.{time.time_ns():x}.{next(_numbers)}",
                "namespace": metadata["namespace"],
            },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": "kubelet", "host": self.node},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self.api.create(f"/api/v1/namespaces/{metadata['namespace']}/events", event)
        except ApiError:
            return

    def token(self, pod: Object, spec: Object) -> Token:
        """Ask for a token of a pod's service account, which is good as long as the pod is there.

        Raises:
            ApiError: it was refused.
        """
        metadata = pod["metadata"]
        bound = {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        account = pod["spec"].get("serviceAccountName") or "default"
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        issued = time.time()
        return token(self.api.create(path, {"spec": {**spec, "boundObjectRef": bound}}), issued)


class NamespaceSources:
    """ConfigMaps and Secrets of a namespace; a node may read those alone that its pods use.

    Where the API does not answer they are as they were, as a kubelet keeps them.
    """

    def __init__(self, calls: Calls, namespace: str) -> None:
        self._calls, self._namespace = calls, namespace
        self._kept: dict[str, Object | None] = {}

    def config_map(self, name: str) -> Object | None:
        """Read one; None where there is none. Raises ApiError."""
        return self._read(f"configmaps/{name}")

    def secret(self, name: str) -> Object | None:
        """Read one; None where there is none. Raises ApiError."""
        return self._read(f"secrets/{name}")

    def _read(self, path: str) -> Object | None:
        try:
            found = self._calls.api.get(f"/api/v1/namespaces/{self._namespace}/{path}")
        except ApiError as error:
            if error.reason == "NotFound":
                found = None
            elif path in self._kept:
                return self._kept[path]
            else:
                raise
        self._kept[path] = found
        return found


def _pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"
