"""The pods of this pod's namespace, through the Kubernetes API."""

from vipmanager.core.downward import PodReference
from vipmanager.core.pods import PodObject, pod_object
from vipmanager.edges.kubernetes.answers import unexpected
from vipmanager.edges.kubernetes.client import Kube, Object


class KubePods:
    """The `Pods` port of one pod. It needs `get` on pods; `all` needs `list` too."""

    def __init__(self, api: Kube, pod: PodReference) -> None:
        """Call nothing yet."""
        self._api, self._pod = api, pod

    def uid(self, name: str) -> str | None:
        """Read the UID of the pod with this name; None where there is none.

        One that terminates is there until its kubelet, or a person's force, has it deleted
        (kubernetes.io, "Pod Lifecycle", "Termination of Pods").
        """
        found = self._api.get_pod(self._pod.namespace, name)
        return None if found is None else _read(found).uid

    def mine(self) -> PodObject | None:
        """Read this pod's object; None where there is none, or another pod has its name."""
        document = self._api.get_pod(self._pod.namespace, self._pod.name)
        found = None if document is None else _read(document)
        return found if found is not None and found.uid == self._pod.uid else None

    def all(self) -> tuple[PodObject, ...]:
        """Read every pod of the namespace."""
        return tuple(_read(d) for d in self._api.list_pods(self._pod.namespace))


def _read(document: Object) -> PodObject:
    try:
        return pod_object(document)
    except ValueError as error:
        raise unexpected("the Kubernetes API: a pod", error) from error
