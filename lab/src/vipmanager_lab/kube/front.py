"""One cluster's API as the lab has it: what pods call, and what an administrator does to it."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from socket import socket
from ssl import SSLContext
from typing import Any, Protocol

from vipmanager_lab.closing import Closing
from vipmanager_lab.kube.account import Grants, ServiceAccount
from vipmanager_lab.kube.endpoint import Backend, Endpoint
from vipmanager_lab.kube.faults import Faults
from vipmanager_lab.kube.kinds import PODS, Kind, Object
from vipmanager_lab.kube.store import Change, Key


class Objects(Protocol):
    """What an administrator does to the objects; all of it may raise a StatusError."""

    def get(self, key: Key) -> Object:
        """Read an object."""
        ...

    def list(self, kind: Kind, namespace: str | None = None) -> tuple[Any, Sequence[Object]]:
        """Give all of a kind, and the version at which they are so."""
        ...

    def create(self, kind: Kind, namespace: str, body: Object) -> Object:
        """Create an object."""
        ...

    def replace(self, key: Key, body: Object) -> Object:
        """Replace an object."""
        ...

    def patch(self, key: Key, patch: Object) -> Object:
        """Merge a patch into an object."""
        ...

    def delete(self, key: Key, preconditions: Mapping[str, str] | None = None) -> object:
        """Delete an object."""
        ...

    def changes(self, since: int) -> Sequence[Change]:
        """Give what happened after a version."""
        ...


class Front(Closing):
    """A cluster's objects and rights, and an endpoint with the lab's faults before its API.

    `lab/kube/cluster.py` has the lab's own API behind it, `lab/kubernetes/cluster.py` a real one:
    what a test does to the one, it does to the other.
    """

    def __init__(
        self, store: Objects, access: Grants, backend: Backend, *, authority: str, tls: SSLContext
    ) -> None:
        """Serve nothing yet.

        Args:
            store: the objects.
            access: who may do what.
            backend: answers what comes through the endpoint.
            authority: the cluster's certificate authority, PEM.
            tls: the endpoint's context.
        """
        self.store, self.access, self.faults = store, access, Faults()
        self.authority = authority
        self.endpoint = Endpoint(backend, self.faults, tls=tls)

    @abstractmethod
    def restart(self) -> None:
        """Start the API server again: every watch ends, and none resumes from before."""

    def close(self) -> None:
        """End the endpoint, with every connection."""
        self.endpoint.close()

    def listen(self, listener: socket) -> None:
        """Serve a bound socket, such as one opened in another network namespace."""
        self.endpoint.listen(listener)

    def service_account(self, namespace: str, name: str, folder: Path) -> ServiceAccount:
        """Make a service account that may do nothing yet; `mount` writes its files."""
        return ServiceAccount(
            access=self.access, namespace=namespace, name=name, ca=self.authority, folder=folder
        )

    def pod_environ(
        self, account: ServiceAccount, pod: str, address: str, port: int, *, node: str = "node"
    ) -> Mapping[str, str]:
        """Create a pod, and give the environment that kubelet and the downward API give it."""
        body = {"metadata": {"name": pod}, "spec": {"nodeName": node}}
        made = self.store.create(PODS, account.namespace, body)
        return {
            "KUBERNETES_SERVICE_HOST": str(ip_address(address)),
            "KUBERNETES_SERVICE_PORT": str(port),
            "VIPMANAGER_SERVICE_ACCOUNT": str(account.folder),
            "POD_NAMESPACE": made["metadata"]["namespace"],
            "POD_NAME": made["metadata"]["name"],
            "NODE_NAME": made["spec"]["nodeName"],
            "POD_UID": made["metadata"]["uid"],
        }
