"""Calls of the Kubernetes API, each beside the election: every one is answered by one event."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from vipmanager.core.election.actions import LookUpHolder, Purpose, ReadLease, WriteLease
from vipmanager.core.election.events import (
    Event,
    LeaseChanged,
    LeaseConflict,
    LeaseFailed,
    LeaseRead,
    LeaseWritten,
    PodSeen,
    PodUnseen,
)
from vipmanager.core.failures import Conflict, Failure, Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.lease import LeaseRecord, micro_time
from vipmanager.core.readiness import LEASE
from vipmanager.engine.candidate import Candidate
from vipmanager.ports import Clock, Pods

SHORT = 1.0
"""Seconds for which a failure that may pass is not told."""

OLD = 60.0
"""Seconds after which a refusal that was not met again is told no more: who is a standby writes
nothing, and would never learn that it may by now."""

READ, CREATE, REPLACE = "read", "create", "replace"

Spawn = Callable[[Callable[[], Event]], None]
"""Makes a call beside the election, and hands its event to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failing:
    """Calls of one kind that fail: the latest failure, since when, until when."""

    failure: Failure
    since: float
    last: float


class LeaseClient:
    """Reads, writes and watches the Lease, knows why it can't, and asks after its holder's pod."""

    def __init__(
        self,
        candidate: Candidate,
        *,
        spawn: Spawn,
        put: Callable[[Event], None],
        clock: Clock,
    ) -> None:
        self._lease, self._pods = candidate.lease, candidate.pods
        self._spawn, self._put, self._clock = spawn, put, clock
        self._failing: dict[str, _Failing] = {}
        """Of READ, CREATE and REPLACE."""
        self._unwatched: Failure | None = None

    def watch(self) -> None:
        """Tell of changes from now on."""
        self._lease.watch(self._heard, self._watch_failed)

    def call(self, action: ReadLease | WriteLease | LookUpHolder, now: float) -> None:
        """Do what the election wants to have done."""
        match action:
            case ReadLease():
                self._read(now)
            case WriteLease():
                self._write(action, now)
            case LookUpHolder():
                self._spawn(lambda: _looked_up(self._pods, action))
            case _:
                assert_never(action)

    def _read(self, now: float) -> None:
        """Read the newest version."""

        def perform() -> Event:
            record = self._lease.read()
            self._there(record)
            return LeaseRead(record=record, sent=now)

        self._spawn(lambda: self._called(READ, None, perform))

    def _write(self, action: WriteLease, now: float) -> None:
        """Replace the version that the action's record names, or create the Lease."""
        purpose = action.purpose

        def perform() -> Event:
            record = _stamped(action, self._clock.wall())
            if record.uid:
                stored = self._lease.replace(record, urgent=purpose is Purpose.ACQUIRE)
            else:
                stored = self._lease.create(record)
            return LeaseWritten(purpose=purpose, record=stored, sent=now)

        verb = REPLACE if action.record.uid else CREATE
        self._spawn(lambda: self._called(verb, purpose, perform))

    @property
    def failure(self) -> Failure | None:
        """Why the last call failed, if it did."""
        return next((each.failure for each in list(self._failing.values())), None)

    def findings(self, now: float) -> tuple[Finding, ...]:
        """Say why the Lease can't be had, if that is so."""
        for each in list(self._failing.values()):
            failure = each.failure
            if now >= each.last + OLD:
                continue
            if isinstance(failure, Permanent):
                return (failure.finding(LEASE),)
            if now > each.since + SHORT:
                # An API that is away is no fault of the configuration.
                what, hint = failure.what, failure.hint
                return (find(Condition.UNREACHABLE, LEASE, what=what, hint=hint),)
        if isinstance(self._unwatched, Permanent):
            return (self._unwatched.finding("watch"),)
        return ()

    def _called(self, verb: str, purpose: Purpose | None, call: Callable[[], Event]) -> Event:
        try:
            event = call()
        except Conflict:
            event = LeaseConflict()
        except Failure as failure:
            lasting, now = isinstance(failure, Permanent), self._clock.now()
            known = self._failing.get(verb)
            if known is None or isinstance(known.failure, Permanent) != lasting:
                known = _Failing(failure=failure, since=now, last=now)
            self._failing[verb] = replace(known, failure=failure, last=now)
            return LeaseFailed(purpose=purpose, forbidden=lasting)
        self._failing.pop(verb, None)
        return event

    def _there(self, record: LeaseRecord | None) -> None:
        """Forget that it can't be created once somebody has."""
        if record is not None:
            self._failing.pop(CREATE, None)

    def _heard(self, record: LeaseRecord | None) -> None:
        self._unwatched = None
        self._there(record)
        self._put(LeaseChanged(record=record))

    def _watch_failed(self, failure: Failure) -> None:
        self._unwatched = failure


def _looked_up(pods: Pods, action: LookUpHolder) -> Event:
    """Ask after a holder's pod."""
    try:
        return PodSeen(pod=action.pod, uid=pods.uid(action.name))
    except Failure as failure:
        return PodUnseen(forbidden=isinstance(failure, Permanent))


def _stamped(action: WriteLease, wall: float) -> LeaseRecord:
    """Put in the times that the purpose asks for."""
    now = micro_time(wall)
    match action.purpose:
        case Purpose.ACQUIRE:
            return replace(action.record, acquire_time=now, renew_time=now)
        case Purpose.RENEW:
            return replace(action.record, renew_time=now)
        case Purpose.RELEASE:
            return action.record
        case _:
            assert_never(action.purpose)
