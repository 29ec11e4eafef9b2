"""One account's state behind one lock: its view, its past for stale reads, word of changes."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Timer
from typing import Final

from moto.core.request import Request

from vipmanager_lab.ec2.actions import Ec2Actions, StsActions, perform
from vipmanager_lab.ec2.answers import element, prefix_list_fields
from vipmanager_lab.ec2.backend import Backend, Tokens
from vipmanager_lab.ec2.credentials import CredentialRegistry
from vipmanager_lab.ec2.prefix_lists import LIST_ACTIONS
from vipmanager_lab.ec2.projection import empty, project
from vipmanager_lab.ec2.query import Parameters
from vipmanager_lab.ec2.routes import ROUTE_ACTIONS, ROUTES_PER_TABLE, create_route
from vipmanager_lab.ec2.state import vpc_state
from vipmanager_lab.ec2.view import PrefixList, View
from vipmanager_lab.vpc import VpcState

_HISTORY: Final = 1_000
"""How many past views are kept for stale reads; they share all that did not change."""


class Store:
    """An AWS account in one Region, as the endpoint needs it.

    Every method may be called from any thread.

    Args:
        account_id: twelve digits.
        region: a Region that moto knows.
        routes_per_table: the quota on static routes per table and address family.
    """

    def __init__(
        self,
        account_id: str,
        region: str = "eu-central-1",
        *,
        routes_per_table: int = ROUTES_PER_TABLE,
    ) -> None:
        self.id = account_id
        self.region = region
        self.credentials = CredentialRegistry()
        self._limit = routes_per_table
        self._backend = Backend(region, account_id)
        self._sts = Tokens(account_id)
        self._lock = threading.RLock()
        self._seeded: frozenset[str] = frozenset()
        self._subscribers: tuple[Callable[[], None], ...] = ()
        self._view = project(self._backend, empty(self._backend), self._seeded)
        self._history: deque[tuple[float, View]] = deque([(time.monotonic(), self._view)], _HISTORY)
        self._state: tuple[View, VpcState] | None = None

    @property
    def view(self) -> View:
        """Everything at this moment, as the endpoint sees it."""
        return self._view

    def state(self) -> VpcState:
        """Everything at this moment, for the router and the IMDS."""
        view, known = self._view, self._state
        if known is None or known[0] is not view:
            known = self._state = (view, vpc_state(view))
        return known[1]

    def view_before(self, *, seconds: float = 0.0, writes: int = 0) -> View:
        """The view as it was `seconds` ago, or `writes` changes ago, whichever is older."""
        with self._lock:
            moment, history = time.monotonic() - seconds, list(self._history)
        at = len(history) - 1
        while at > 0 and history[at][0] > moment:
            at -= 1
        return history[max(0, min(at, len(history) - 1 - writes))][1]

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each change, from the thread that made it, outside the lock."""
        with self._lock:
            self._subscribers = (*self._subscribers, callback)

    def write_route(self, action: str, parameters: Parameters) -> None:
        """CreateRoute, ReplaceRoute or DeleteRoute.

        Raises:
            ApiError: as EC2 refuses the call; nothing has changed then.
        """
        with self._change():
            if action == "CreateRoute":
                table = create_route(self._view, parameters, self._limit)
            else:
                table = ROUTE_ACTIONS[action](self._view, parameters)
            self._publish(self._view.with_table(table))

    def write_list(self, action: str, parameters: Parameters, seconds: float) -> str:
        """Create, modify or delete a managed prefix list; gives the answer's content.

        Args:
            action: EC2's.
            parameters: of the request.
            seconds: until what was accepted is carried out.

        Raises:
            ApiError: as EC2 refuses the call; nothing has changed then.
        """
        with self._change():
            now, later = LIST_ACTIONS[action](self._view, parameters)
            if now != self._view.lists.get(now.id):  # not of a client token that was seen before
                if now.id not in self._view.lists and now.tags:
                    self._backend.create_tags([now.id], dict(now.tags))
                self._publish(self._view.with_list(now.id, now))
                carried_out = Timer(seconds, self._carry_out, (now.id, later))
                carried_out.daemon = True
                carried_out.start()
            return element("prefixList", prefix_list_fields(self._view, now))

    def _carry_out(self, list_id: str, later: PrefixList | None) -> None:
        with self._change():
            if later is not None:  # it may have been tagged meanwhile
                later = replace(later, tags=self._view.lists[list_id].tags)
            self._publish(self._view.with_list(list_id, later))

    def perform(self, action: str, request: Request, *, sts: bool) -> str:
        """Any other action, by moto; gives its XML.

        Raises:
            ApiError: as moto refuses the call.
        """
        with self._change():
            if sts:
                return perform(StsActions(self._sts, self.region), request, action)
            try:
                return perform(Ec2Actions(self._backend), request, action)
            finally:
                if not action.startswith("Describe"):
                    self._refresh()

    def caller(self, key: str | None) -> str:
        """The ARN behind an access key, as an authorization failure shows it."""
        with self._lock:
            role = self._sts.get_assumed_role_from_access_key(key) if key else None
        return role.arn if role else f"arn:aws:iam::{self.id}:user/lab"

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A change of moto's state: read it back whatever happens."""
        with self._change():
            try:
                yield
            finally:
                self._refresh()

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Hold the lock; tell the subscribers after it is free, if anything changed."""
        before = after = self._view
        try:
            with self._lock:
                before = self._view
                try:
                    yield
                finally:
                    after = self._view
        finally:
            if after is not before:
                for callback in self._subscribers:
                    callback()

    def _refresh(self) -> None:
        self._publish(project(self._backend, self._view, self._seeded))

    def _publish(self, view: View) -> None:
        if view != self._view:
            self._view = view
            self._history.append((time.monotonic(), view))
