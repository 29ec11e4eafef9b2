"""What a person should read about the election."""

from collections.abc import Iterator

from vipmanager.core.election import record as lease_record
from vipmanager.core.election import standby
from vipmanager.core.election.state import Hold, State, lapse
from vipmanager.core.election.values import Order, pod_of
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.lease import LeaseRecord

UNHEARD = 2.0
"""LeaseSeconds after which a holder that never answered is spoken of."""


def plights(state: State, now: float, *, lease: str = "") -> tuple[Finding, ...]:
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
    if now >= hold.proven + state.settings.lease:
        yield find(Condition.LEASE_UNPROVEN, "lease")
    if hold.distrust:
        yield find(Condition.HEARTBEAT_DISTRUSTED, "heartbeat")
    if hold.offer == lease_record.ANY:
        lack = str(state.fitness) or "some route tables could not be written"
        yield find(Condition.OFFERED, "lease", lack=lack)


def _of_standby(state: State, now: float, lease: str) -> Iterator[Finding]:
    sight, record = state.sight, state.sight.record
    if state.order is Order.YIELD:
        yield find(Condition.YIELDED, "pod")
    if not sight.known:
        yield find(Condition.LEASE_UNREAD, "lease")
    if not state.fitness.may_take:
        yield find(Condition.UNFIT, "pod", lack=str(state.fitness))
    if now < state.lame:
        yield find(Condition.LAME, "pod")
    if sight.known and record is None:
        yield find(Condition.LEASE_ABSENT, "lease", lease=lease)
    if record is not None and record.holder is not None:
        yield from _of_held(state, record, now)


def _of_held(state: State, record: LeaseRecord, now: float) -> Iterator[Finding]:
    if standby.foreign(state):
        yield find(Condition.LEASE_FOREIGN, "lease", holder=record.holder)
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
    silent = not state.channel.trusted and now >= state.sight.taken + UNHEARD * state.settings.lease
    if address and silent and now < lapse(state):
        yield find(Condition.HEARTBEAT_SILENT, "heartbeat", holder=record.holder, address=address)
