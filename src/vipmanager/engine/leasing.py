"""Calls of the Lease, each on a thread of its own: every one is answered by one event."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from vipmanager.core.election.actions import Purpose, WriteLease
from vipmanager.core.election.events import (
    Event,
    LeaseChanged,
    LeaseConflict,
    LeaseFailed,
    LeaseRead,
    LeaseWritten,
)
from vipmanager.core.failures import Conflict, Failure, Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.health import LEASE
from vipmanager.core.lease import LeaseRecord, micro_time
from vipmanager.ports import Clock, Lease

SHORT = 1.0
"""Seconds for which a failure that may pass is not told."""

Spawn = Callable[[Callable[[], Event]], None]
"""Makes a call on a thread of its own, and hands its event to the election."""


class Leasing:
    """Reads, writes and watches the Lease, and knows why it can't."""

    def __init__(
        self, lease: Lease, *, spawn: Spawn, put: Callable[[Event], None], clock: Clock
    ) -> None:
        self._lease, self._spawn, self._put, self._clock = lease, spawn, put, clock
        self._failing: dict[bool, tuple[Failure, float]] = {}
        """Of readings (False) and of writes (True): the first failure of a row, and since when."""
        self._unwatched: Failure | None = None

    def watch(self) -> None:
        """Tell of changes from now on."""
        self._lease.watch(self._heard, self._watch_failed)

    def read(self, now: float) -> None:
        """Read the newest version."""

        def call() -> Event:
            return self._called(None, lambda: LeaseRead(record=self._lease.read(), sent=now))

        self._spawn(call)

    def write(self, action: WriteLease, now: float) -> None:
        """Replace the version that the action's record names, or create the Lease."""
        purpose = action.purpose

        def perform() -> Event:
            record = _stamped(action)
            stored = self._lease.replace(record) if record.uid else self._lease.create(record)
            return LeaseWritten(purpose=purpose, record=stored, sent=now)

        self._spawn(lambda: self._called(purpose, perform))

    @property
    def failure(self) -> Failure | None:
        """Why the last call failed, if it did."""
        return next((failure for failure, _ in list(self._failing.values())), None)

    def findings(self, now: float) -> tuple[Finding, ...]:
        """Say why the Lease can't be had, if that is so."""
        for failure, since in list(self._failing.values()):
            if isinstance(failure, Permanent):
                return (failure.finding(LEASE),)
            if now > since + SHORT:
                # An API that is away is no fault of the configuration.
                what, hint = failure.what, failure.hint
                return (find(Condition.UNREACHABLE, LEASE, what=what, hint=hint),)
        if isinstance(self._unwatched, Permanent):
            return (self._unwatched.finding("watch"),)
        return ()

    def _called(self, purpose: Purpose | None, call: Callable[[], Event]) -> Event:
        writing = purpose is not None
        try:
            event = call()
        except Conflict:
            event = LeaseConflict()
        except Failure as failure:
            lasting = isinstance(failure, Permanent)
            known = self._failing.get(writing)
            if known is None or isinstance(known[0], Permanent) != lasting:
                self._failing[writing] = (failure, self._clock.now())
            return LeaseFailed(purpose=purpose, forbidden=lasting)
        self._failing.pop(writing, None)
        return event

    def _heard(self, record: LeaseRecord | None) -> None:
        self._unwatched = None
        self._put(LeaseChanged(record=record))

    def _watch_failed(self, failure: Failure) -> None:
        self._unwatched = failure


def _stamped(action: WriteLease) -> LeaseRecord:
    """Put in the times that the purpose asks for."""
    now = micro_time(time.time())
    match action.purpose:
        case Purpose.ACQUIRE:
            return replace(action.record, acquire_time=now, renew_time=now)
        case Purpose.RENEW:
            return replace(action.record, renew_time=now)
        case Purpose.RELEASE:
            return action.record
        case _:
            assert_never(action.purpose)
