"""The lab's own cluster, ready for pods to call."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from vipmanager_lab.kube.access import Access
from vipmanager_lab.kube.certificates import Authority
from vipmanager_lab.kube.front import Front
from vipmanager_lab.kube.store import Store
from vipmanager_lab.kube.stored import Stored


class Cluster(Front):
    """A store, RBAC, certificates and the HTTPS endpoint.

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
        self._stored, access, authority = Store(), Access(), Authority()
        super().__init__(
            self._stored,
            access,
            Stored(self._stored, access, bookmark_seconds=bookmark_seconds),
            authority=authority.pem,
            tls=authority.server(addresses),
        )

    def restart(self) -> None:
        """Start the API server again: every watch ends, and none resumes from before."""
        self._stored.forget()
        self.endpoint.break_watches()
