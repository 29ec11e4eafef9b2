"""What a person reads about the election, as a table; to be rows of `core/findings.py`."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from vipmanager.core.election import record as lease_record
from vipmanager.core.election import standby
from vipmanager.core.election.state import State, lapse
from vipmanager.core.findings import Kind, Rule
from vipmanager.core.lease import LeaseRecord

UNHEARD = 2.0
"""LeaseSeconds after which a holder that never answered is spoken of."""


class Plight(Enum):
    """Every condition that the election can be in."""

    LEASE_FORBIDDEN = Rule(
        kind=Kind.FAILED,
        text="the Kubernetes API forbids what LeaderElection needs of the Lease",
        remedy="allow get, list, watch, create and update of leases.coordination.k8s.io to the "
        "pod's service account",
    )
    LEASE_UNPROVEN = Rule(
        kind=Kind.SKIPPED,
        text="the Lease could not be renewed for {seconds:.0f} s: routes are kept as they are, "
        "and none is written",
        remedy="nothing to do while traffic flows; see why the Kubernetes API does not answer",
    )
    LEASE_FOREIGN = Rule(
        kind=Kind.FAILED,
        text="the Lease belongs to {holder}, whose floating IPs are others",
        remedy="give each group of floating IPs a LeaseName of its own",
    )
    LEASE_ABSENT = Rule(
        kind=Kind.WAITING,
        text="the Lease is gone",
        remedy="nothing to do: its last holder puts it back, or another after LeaseSeconds",
    )
    LEASE_DURATION = Rule(
        kind=Kind.SKIPPED,
        text="the Lease says {written} s, LeaseSeconds {ours:.0f} s",
        remedy="nothing to do: the holder writes its own again",
    )
    HEARTBEAT_SILENT = Rule(
        kind=Kind.FAILED,
        text="{holder} renews the Lease and does not answer at {address}: its death would be "
        "noticed after LeaseSeconds only",
        remedy="open HeartbeatPort (UDP) between the pods, and give both the same key",
    )
    HEARTBEAT_DISTRUSTED = Rule(
        kind=Kind.WAITING,
        text="heartbeats misled, and are not believed for a while",
        remedy="if it repeats: look for a network policy or a pod short of CPU",
    )
    ONE_ZONE = Rule(
        kind=Kind.SKIPPED,
        text="this pod and {holder} are both in {zone}: a lost zone takes both",
        remedy="spread the replicas (topologySpreadConstraints by topology.kubernetes.io/zone)",
    )
    UNFIT = Rule(
        kind=Kind.FAILED,
        text="not fit to take the floating IPs: {lack}",
        remedy="see the lines about it",
    )
    OFFERED = Rule(
        kind=Kind.FAILED,
        text="the floating IPs are offered to any fit standby: {lack}",
        remedy="none has taken them yet; see the lines about it",
    )
    LAME = Rule(
        kind=Kind.WAITING,
        text="this pod could not point every route here, and leaves it to others for "
        "{seconds:.0f} s",
        remedy="see the lines about the route tables",
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A condition met."""

    plight: Plight
    fields: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        """Show all of it in one line."""
        rule, fields = self.plight.value, dict(self.fields)
        return f"{rule.text.format(**fields)}; {rule.remedy}"


def plights(state: State, now: float) -> tuple[Found, ...]:
    """Give what is worth a line now, the same as long as nothing changes but seconds."""
    found = _of_holder(state, now) if state.hold is not None else _of_standby(state, now)
    return tuple(Found(plight, tuple(fields.items())) for plight, fields in found)


def _of_holder(state: State, now: float) -> Iterator[tuple[Plight, dict[str, object]]]:
    hold, settings = state.hold, state.settings
    if hold is None:
        return
    if state.sight.forbidden:
        yield Plight.LEASE_FORBIDDEN, {}
    if now >= hold.proven + settings.lease:
        yield Plight.LEASE_UNPROVEN, {"seconds": now - hold.proven}
    if hold.distrust:
        yield Plight.HEARTBEAT_DISTRUSTED, {}
    if hold.offer == lease_record.ANY:
        lack = str(state.fitness) or "some route tables could not be written"
        yield Plight.OFFERED, {"lack": lack}


def _of_standby(state: State, now: float) -> Iterator[tuple[Plight, dict[str, object]]]:
    sight, record = state.sight, state.sight.record
    if sight.forbidden:
        yield Plight.LEASE_FORBIDDEN, {}
    if not state.fitness.may_take:
        yield Plight.UNFIT, {"lack": str(state.fitness)}
    if now < state.lame:
        yield Plight.LAME, {"seconds": state.lame - now}
    if sight.known and record is None:
        yield Plight.LEASE_ABSENT, {}
    if record is not None and record.holder is not None:
        yield from _of_held(state, record, now)


def _of_held(
    state: State, record: LeaseRecord, now: float
) -> Iterator[tuple[Plight, dict[str, object]]]:
    if standby.foreign(state):
        yield Plight.LEASE_FOREIGN, {"holder": record.holder}
    if record.duration is not None and record.duration != max(1, round(state.settings.lease)):
        yield Plight.LEASE_DURATION, {"written": record.duration, "ours": state.settings.lease}
    if state.distrusts(now):
        yield Plight.HEARTBEAT_DISTRUSTED, {}
    if record.annotations.get(lease_record.ZONE) == state.me.zone:
        yield Plight.ONE_ZONE, {"holder": record.holder, "zone": state.me.zone}
    address = standby.address(state)
    silent = not state.channel.trusted and now >= state.sight.taken + UNHEARD * state.settings.lease
    if address and silent and now < lapse(state):
        yield Plight.HEARTBEAT_SILENT, {"holder": record.holder, "address": address}
