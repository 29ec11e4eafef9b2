"""What a person should read about the election."""

from collections.abc import Iterator

from vipmanager.core.election import record as lease_record
from vipmanager.core.election import route_work, standby
from vipmanager.core.election.group import Kin, addresses_of, kin
from vipmanager.core.election.state import Hold, State, healing, lapse, rested
from vipmanager.core.election.values import Member, Order, pod_of
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.lease import LeaseRecord

UNHEARD = 2.0
"""LeaseSeconds after which a holder that never answered is spoken of."""


def election_findings(state: State, now: float, *, lease: str = "") -> tuple[Finding, ...]:
    """Give what is worth a line now, the same as long as nothing changes.

    Args:
        state: of the election.
        now: monotonic seconds.
        lease: the name of the Lease, for people.
    """
    of_role = _of_standby(state, now, lease) if state.hold is None else _of_holder(state, now)
    return tuple(of_role)


def _of_holder(state: State, now: float) -> Iterator[Finding]:
    hold: Hold | None = state.hold
    if hold is None:
        return
    if hold.relieved:
        yield find(Condition.RELIEVED, "lease")
    elif now >= hold.renewed + state.settings.lease:
        yield find(Condition.LEASE_UNPROVEN, "lease")
    if hold.work.stale > 1:
        limit = route_work.fence(state.settings, hold.work.stale)
        yield find(Condition.LEASE_SLOW, "lease", limit=limit)
    if hold.distrust:
        yield find(Condition.HEARTBEAT_DISTRUSTED, "heartbeat")
    yield from _of_place(state)
    if hold.offer == lease_record.ANY:
        denied = f"EC2 does not let this pod write {hold.work.denied} of its routes"
        lack = str(state.fitness) or (
            denied if hold.work.denied else "some route tables could not be written"
        )
        yield find(Condition.OFFERED, "lease", lack=lack)


def _of_place(state: State) -> Iterator[Finding]:
    if state.fitness.leaving:
        yield find(Condition.LEAVING, "pod", why=state.fitness.leaving)


def _of_standby(state: State, now: float, lease: str) -> Iterator[Finding]:
    observed, record = state.observed, state.observed.record
    if state.order is Order.YIELD:
        yield find(Condition.YIELDED, "pod")
    yield from _of_place(state)
    if not observed.known:
        yield find(Condition.LEASE_UNREAD, "lease")
    if not state.fitness.may_take:
        yield find(Condition.UNFIT, "pod", lack=str(state.fitness))
    if state.lookup.forbidden:
        yield find(Condition.POD_UNTOLD, "pod")
    if now < state.takeover_backoff:
        yield find(Condition.TAKEOVER_BACKOFF, "pod")
    elif state.fitness.may_take and now < rested(state):
        yield find(Condition.HEALING, "pod", seconds=healing(state))
    if observed.known and record is None:
        yield find(Condition.LEASE_ABSENT, "lease", lease=lease)
    if record is not None and record.holder is not None:
        yield from _of_held(state, record, now)


def _of_held(state: State, record: LeaseRecord, now: float) -> Iterator[Finding]:
    yield from strangers(state.me, record)
    if record.duration is not None and record.duration != max(1, round(state.settings.lease)):
        yield find(
            Condition.LEASE_DURATION, "lease", written=record.duration, ours=state.settings.lease
        )
    if state.distrusts(now):
        yield find(Condition.HEARTBEAT_DISTRUSTED, "heartbeat")
    other = pod_of(record.holder or "") != state.me.pod
    if other and record.annotations.get(lease_record.ZONE) == state.me.zone:
        yield find(Condition.ONE_ZONE, "pod", holder=record.holder, zone=state.me.zone)
    address = standby.address(state)
    silent = (
        not state.session.trusted and now >= state.observed.taken + UNHEARD * state.settings.lease
    )
    if address and silent and now < lapse(state):
        yield find(Condition.HEARTBEAT_NEVER_UP, "heartbeat", holder=record.holder, address=address)


def strangers(me: Member, record: LeaseRecord) -> Iterator[Finding]:
    """Say that the holder of a Lease has other floating IPs, and what that means."""
    whose, theirs = kin(me, record), ", ".join(addresses_of(record)) or "others"
    if whose is Kin.OTHER:
        yield find(Condition.LEASE_FOREIGN, "lease", holder=record.holder)
    elif whose is Kin.UNCLEAR:
        yield find(Condition.LEASE_UNCLEAR, "lease", holder=record.holder, theirs=theirs)
    elif theirs != "others" and set(addresses_of(record)) != set(me.addresses):
        ours = ", ".join(me.addresses)
        yield find(Condition.OTHER_ADDRESSES, "pod", holder=record.holder, theirs=theirs, ours=ours)
