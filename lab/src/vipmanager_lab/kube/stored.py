"""The lab's own API: authentication, RBAC, then the store."""

from collections.abc import Callable
from http import HTTPStatus

from vipmanager_lab.kube import api
from vipmanager_lab.kube.access import Access
from vipmanager_lab.kube.status import StatusError, forbidden
from vipmanager_lab.kube.store import Store
from vipmanager_lab.kube.watch import Watch
from vipmanager_lab.server import HttpAnswer, HttpRequest


class Stored:
    """What an endpoint answers from a store.

    Args:
        store: what is served.
        access: who may do what.
        bookmark_seconds: between the bookmarks of a watch; about a minute in a real cluster.
    """

    def __init__(self, store: Store, access: Access, *, bookmark_seconds: float = 60.0) -> None:
        self._store, self._access, self._bookmarks = store, access, bookmark_seconds

    def perform(
        self, http: HttpRequest, asked: api.Asked | StatusError, broken: Callable[[], bool]
    ) -> HttpAnswer:
        """Answer a request; see `endpoint.Backend`."""
        user = self._access.user(http.headers.get("authorization"))
        if isinstance(asked, StatusError):
            if asked.code == HTTPStatus.NOT_FOUND and http.path.startswith("/api"):
                raise forbidden(user, http.path)  # no Role grants what is not there
            raise asked
        self._access.check(user, asked.attributes)
        if asked.attributes.verb != "watch":
            return api.perform(self._store, asked)
        return HttpAnswer(
            headers={"Content-Type": "application/json"},
            pieces=Watch(self._store, asked, broken=broken, bookmarks=self._bookmarks),
        )

    def wake(self) -> None:
        """Make every watch look again."""
        self._store.wake()
