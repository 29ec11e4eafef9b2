"""A real cluster in the shape of the lab's own: what a test does to the one, it does to the other.

Its nodes and pods are objects alone, until a `Kubelet` joins.
"""

from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from vipmanager_lab.kube.account import ServiceAccount
from vipmanager_lab.kube.front import Front
from vipmanager_lab.kube.kinds import EVENTS, LEASES, NODES, PODS
from vipmanager_lab.kubernetes.api import ApiError
from vipmanager_lab.kubernetes.objects import AT_ONCE, RealStore, collection, told
from vipmanager_lab.kubernetes.plane import Plane
from vipmanager_lab.kubernetes.rights import OURS, RBAC, RealAccess
from vipmanager_lab.kubernetes.upstream import Upstream


class RealCluster(Front):
    """One plane's objects, and an endpoint before it with the lab's faults.

    Args:
        plane: the control plane; it outlives this.
        addresses: where the endpoint answers; its certificate names them.
        namespace: what is made here, and removed by `close`.
    """

    def __init__(
        self,
        plane: Plane,
        addresses: Sequence[IPv4Address | IPv6Address] = (IPv4Address("127.0.0.1"),),
        *,
        namespace: str,
    ) -> None:
        self.plane, self.namespace = plane, namespace
        self._objects = RealStore(plane.admin, (LEASES, namespace))
        self._upstream = Upstream(plane.url, plane.authority)
        super().__init__(
            self._objects,
            RealAccess(plane.admin),
            self._upstream,
            authority=plane.authority.read_text(),
            tls=plane.server(addresses),
        )
        self._clear()
        self._objects.start()

    def close(self) -> None:
        """End the endpoint, with every connection; remove what was made."""
        self._objects.close()
        super().close()
        self._upstream.close()
        self._clear()

    def restart(self) -> None:
        """Kill the API server, and start it again: every watch ends, and none resumes from before.

        Raises:
            ProcessError: it does not start.
        """
        self.plane.apiserver.kill()
        self.plane.start_apiserver()

    def service_account(self, namespace: str, name: str, folder: Path) -> ServiceAccount:
        """Make a service account in the API server too."""
        where = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        for one in (name, "default"):  # the controller manager makes the latter, in its time
            made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": one}}
            told(partial(self.plane.admin.patch, f"{where}/{one}", made, "apply"))
        return super().service_account(namespace, name, folder)

    @classmethod
    def maker(
        cls, plane: Plane, namespace: str
    ) -> Callable[[Sequence[IPv4Address | IPv6Address]], Front]:
        """Give what makes one."""
        return lambda addresses: cls(plane, addresses, namespace=namespace)

    def _clear(self) -> None:
        """Leave the namespace empty; the controller manager would take its time."""
        namespace, api = self.namespace, self.plane.admin
        spaces = "/api/v1/namespaces"
        try:
            api.create(spaces, {"metadata": {"name": namespace}})
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        api.delete(collection(PODS, namespace), **AT_ONCE)
        for kind in (LEASES, EVENTS):
            api.delete(collection(kind, namespace))
        api.delete(collection(NODES, None))
        api.delete(f"{spaces}/{namespace}/serviceaccounts")
        for found in api.get(f"{spaces}/{namespace}/secrets", labelSelector=OURS)["items"]:
            api.delete(f"{spaces}/{namespace}/secrets/{found['metadata']['name']}")
        for where in (f"{RBAC}/namespaces/{namespace}/role", f"{RBAC}/clusterrole"):
            for plural in ("bindings", "s"):
                for found in api.get(f"{where}{plural}", labelSelector=OURS)["items"]:
                    api.delete(f"{where}{plural}/{found['metadata']['name']}")
