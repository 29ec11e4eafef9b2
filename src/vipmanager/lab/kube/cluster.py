"""One cluster's API with everything that belongs to it, ready for pods to call."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from socket import socket

from vipmanager.lab.closing import Closing
from vipmanager.lab.kube.access import Access
from vipmanager.lab.kube.account import ServiceAccount
from vipmanager.lab.kube.certificates import Authority
from vipmanager.lab.kube.endpoint import Endpoint
from vipmanager.lab.kube.faults import Faults
from vipmanager.lab.kube.kinds import PODS
from vipmanager.lab.kube.store import Store


class Cluster(Closing):
    """A cluster's store, RBAC, faults, certificates and HTTPS endpoint.

    Args:
        addresses: where the API answers; its certificate names them.
        bookmark_seconds: between the bookmarks of a watch.
    """

    def __init__(
        self,
        addresses: Sequence[IPv4Address | IPv6Address] = (IPv4Address("127.0.0.1"),),
        *,
        bookmark_seconds: float = 60.0,
    ) -> None:
        self.store, self.access, self.faults = Store(), Access(), Faults()
        self._authority = Authority()
        self.endpoint = Endpoint(
            self.store,
            self.access,
            self.faults,
            tls=self._authority.server(addresses),
            bookmark_seconds=bookmark_seconds,
        )

    def close(self) -> None:
        """End the endpoint, with every connection."""
        self.endpoint.close()

    def listen(self, listener: socket) -> None:
        """Serve a bound socket, such as one opened in another network namespace."""
        self.endpoint.listen(listener)

    def service_account(self, namespace: str, name: str, folder: Path) -> ServiceAccount:
        """Make a service account that may do nothing yet; `mount` writes its files."""
        return ServiceAccount(
            access=self.access,
            namespace=namespace,
            name=name,
            ca=self._authority.pem,
            folder=folder,
        )

    def pod_environ(
        self, account: ServiceAccount, pod: str, address: str, port: int
    ) -> Mapping[str, str]:
        """Create a pod, and give the environment that kubelet and the downward API give it."""
        made = self.store.create(PODS, account.namespace, {"metadata": {"name": pod}, "spec": {}})
        return {
            "KUBERNETES_SERVICE_HOST": str(ip_address(address)),
            "KUBERNETES_SERVICE_PORT": str(port),
            "VIPMANAGER_SERVICE_ACCOUNT": str(account.folder),
            "POD_NAMESPACE": account.namespace,
            "POD_NAME": pod,
            "POD_UID": made["metadata"]["uid"],
        }
