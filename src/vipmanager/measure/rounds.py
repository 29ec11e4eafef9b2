"""The rounds: each call once or twice, at a pace that leaves EC2's bucket to the agents."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network
from typing import TypeVar

from vipmanager.core.failures import Failure, Throttled, Transient
from vipmanager.core.measurement import Plan, Quantity, Samples, Scratch
from vipmanager.core.values import EniId, RouteTableId
from vipmanager.edges.aws.scratch import ScratchEc2
from vipmanager.measure.leases import ScratchLease
from vipmanager.measure.removal import FOR_A_PERSON

T = TypeVar("T")

_ROUTES = IPv4Network("198.18.0.0/16")
MARKER, _ENTRY = IPv4Network("198.19.0.1/32"), IPv4Network("198.19.0.2/32")
"""All of 198.18.0.0/15, which is for measuring (RFC 2544) and no address of anybody."""
ENTRIES = 2

_PATIENCE = 30.0
"""Seconds that a change may take to be shown."""
_SOONEST, _LATEST, _SLOWER = 0.05, 0.5, 1.5
"""Seconds between two looks at a change, and how much longer each is than the one before."""
_YIELD = 5.0
"""Seconds for which nothing is written where EC2's bucket was empty: others need it."""


class _Missed(Exception):
    """A call failed and was counted; what builds on it is left out."""


class Rounds:
    """Takes the times of one run."""

    def __init__(
        self,
        ec2: ScratchEc2,
        lease: ScratchLease | None,
        *,
        plan: Plan,
        enis: Sequence[EniId],
        table: Scratch,
        of: Scratch,
    ) -> None:
        """Ask nothing yet.

        Args:
            ec2: where EC2's calls are made.
            lease: what Lease calls are made of; None: they are not.
            plan: how fast, and how long at the most.
            enis: two targets for routes.
            table: the scratch table.
            of: the scratch list.
        """
        self.samples = Samples()
        self._ec2, self._lease, self._plan = ec2, lease, plan
        self._here, self._there = enis[:2]
        self._table, self._list = RouteTableId(table.id), of.id
        self._turn = 0.0
        self._version = 0
        self._has_entry = False

    def prepare(self) -> None:
        """Lead the list to an ENI, once it is made, so that a change of it concerns a table.

        Raises:
            Transient, Permanent: it could not be done.
        """
        began = time.monotonic()
        while not self._settled():
            if time.monotonic() - began > _PATIENCE:
                raise Transient(f"{self._list} is not complete after {_PATIENCE:.0f} s")
            time.sleep(_LATEST)
        self._wait()
        self._ec2.create_route(self._table, self._list, self._here)

    def play(self, number: int) -> None:
        """Play one round; what fails in it is counted.

        Raises:
            Permanent: a right is missing, or credentials are.
        """
        for part in (self._routes, self._lists, self._others):
            with suppress(_Missed):
                part(number)

    def _routes(self, number: int) -> None:
        to = IPv4Network((int(_ROUTES.network_address) + number + 1, 32))
        create, replace = self._ec2.create_route, self._ec2.replace_route
        seen = Quantity.CREATE_ROUTE_SEEN, Quantity.REPLACE_ROUTE_SEEN
        self._lead(create, to, self._here, Quantity.CREATE_ROUTE, seen[0])
        self._lead(replace, to, self._there, Quantity.REPLACE_ROUTE, seen[1])

    def _lead(
        self,
        write: Callable[[str, IPv4Network, EniId], None],
        to: IPv4Network,
        eni: EniId,
        accepted: Quantity,
        seen: Quantity,
    ) -> None:
        self._wait()
        began = time.monotonic()
        self._timed(accepted, lambda: write(self._table, to, eni))
        self._until(seen, began, lambda: self._targets().get(str(to)) == eni)

    def _lists(self, number: int) -> None:
        began, version = self._change()
        self._until(Quantity.MODIFY_LIST_COMPLETE, began, lambda: self._settled(version))
        _, version = self._change()
        # The way out where a list does not get ready: the list's route itself is led elsewhere.
        eni = self._there if number % 2 == 0 else self._here
        self._turn += 1 / self._plan.rate
        with suppress(_Missed):
            self._timed(
                Quantity.REPLACE_ROUTE_MEANWHILE,
                lambda: self._ec2.replace_route(self._table, self._list, eni),
            )
        self._until(None, time.monotonic(), lambda: self._settled(version))

    def _others(self, _number: int) -> None:
        enis = (self._here, self._there)
        self._timed(Quantity.DESCRIBE_NETWORK_INTERFACES, lambda: self._ec2.read_enis(enis))
        if self._lease is not None:
            self._timed(Quantity.GET_LEASE, self._lease.read)
            self._timed(Quantity.UPDATE_LEASE, self._lease.update)

    def _change(self) -> tuple[float, int]:
        """Change the list; give when the call was made, and the version that it changed."""
        if not self._version:
            self._settled()
        self._wait()
        add, version = not self._has_entry, self._version
        # Also after a call without an answer: one of the two directions fits again.
        self._has_entry, self._version = add, 0
        began = time.monotonic()
        self._timed(
            Quantity.MODIFY_LIST,
            lambda: self._ec2.change_list(self._list, version, _ENTRY, add=add),
        )
        return began, version

    def _settled(self, before: int = 0) -> bool:
        """Look whether the list has a later version, and is not being changed."""
        state, self._version = self._timed(
            Quantity.DESCRIBE_PREFIX_LISTS, lambda: self._ec2.list_state(self._list)
        )
        return state.endswith("-complete") and self._version > before

    def _targets(self) -> Mapping[str, str]:
        return self._timed(Quantity.DESCRIBE_ROUTE_TABLES, lambda: self._ec2.targets(self._table))

    def _timed(self, quantity: Quantity, call: Callable[[], T]) -> T:
        """Make a call, and keep its time."""
        began = time.monotonic()
        try:
            answer = call()
        except Failure as failure:
            self.samples.fail(quantity, failure.what)
            if failure.condition in FOR_A_PERSON:
                raise
            if isinstance(failure, Throttled):
                self._turn = max(self._turn, time.monotonic()) + _YIELD
            raise _Missed from failure
        self.samples.add(quantity, time.monotonic() - began)
        return answer

    def _until(self, quantity: Quantity | None, began: float, so: Callable[[], bool]) -> None:
        """Look until something is so, and keep how long that took."""
        pause = _SOONEST
        while not so():
            if time.monotonic() - began > _PATIENCE:
                if quantity is not None:
                    self.samples.fail(quantity, f"not so after {_PATIENCE:.0f} s")
                raise _Missed
            time.sleep(pause)
            pause = min(pause * _SLOWER, _LATEST)
        if quantity is not None:
            self.samples.add(quantity, time.monotonic() - began)

    def _wait(self) -> None:
        """Wait for this run's turn to write."""
        now = time.monotonic()
        time.sleep(max(0.0, self._turn - now))
        self._turn = max(self._turn, now) + 1 / self._plan.rate
