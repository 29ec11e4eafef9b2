"""What stands in the Lease: a holder's record, and what others read in it."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from vipmanager.core.election.values import ElectionSettings, Generation, Member, Why
from vipmanager.core.lease import LeaseRecord

PREFIX = "vipmanager/"
ADDRESS = f"{PREFIX}address"
"""Where the holder answers probes."""
ZONE = f"{PREFIX}zone"
POD = f"{PREFIX}pod"
"""The holder's pod, as `namespace/name`."""
FINGERPRINT = f"{PREFIX}fingerprint"
"""Of the floating IPs."""
ADDRESSES = f"{PREFIX}addresses"
"""The floating IPs, with commas between them."""
WORKLOAD = f"{PREFIX}workload"
"""What made the holder's pod."""
REVISION = f"{PREFIX}revision"
"""Of its template."""
CLOCK = f"{PREFIX}clock"
"""The holder's monotonic seconds when it wrote this; its replies show the same clock."""
TAKEN = f"{PREFIX}taken"
"""Why the holder took it."""
OFFER = f"{PREFIX}offer"
"""Who may take it from its living holder: `any`, `staying`, or `zone=NAME`."""
DENIED = f"{PREFIX}denied"
"""How many routes EC2 does not let the holder write, beside an offer."""
STANDBYS = f"{PREFIX}standbys"
"""The pods whose probes the holder hears, by UID; there only with `HandOverOn`."""
DISTRUST = f"{PREFIX}distrust"
"""Heartbeats have misled; there only while they are not to be believed."""

ANY = "any"
STAYING = "staying"
"""Any but those that should leave their own node or zone."""
MOST = 2**31 - 1
"""Transitions that the API can write (int32); only a hand's edit comes near."""
LONGEST = 60.0
"""Seconds beyond which a duration is taken for a slip of somebody's hand."""


def generation_of(record: LeaseRecord) -> Generation:
    """Give the holding that a record shows."""
    return Generation(record.uid, record.transitions)


def same_life(one: LeaseRecord | None, other: LeaseRecord | None) -> bool:
    """Tell whether nothing shows life between two records: an annotation alone does not."""
    if one is None or other is None:
        return one is other
    return (
        one.renew_time == other.renew_time
        and one.holder == other.holder
        and one.transitions == other.transitions
        and one.uid == other.uid
    )


def clock_of(record: LeaseRecord | None) -> float | None:
    """Give the holder's clock when it wrote a record; None where the record does not tell."""
    try:
        return float(record.annotations.get(CLOCK, "")) if record is not None else None
    except ValueError:
        return None


def old_news(record: LeaseRecord | None, known: LeaseRecord | None) -> bool:
    """Tell whether a record was written before the known one, in the same holding."""
    if record is None or known is None or record.holder != known.holder:
        return False
    then, now = clock_of(record), clock_of(known)
    same = generation_of(record) == generation_of(known)
    return same and then is not None and now is not None and then < now


def duration_of(record: LeaseRecord | None, settings: ElectionSettings) -> float:
    """Give the seconds that a holder's silence is borne."""
    written = record.duration if record is not None else None
    return float(written) if written and 1 <= written <= LONGEST else settings.lease


def pod_name(record: LeaseRecord, me: Member) -> str:
    """Give the name of the holder's pod in the own namespace; empty where it is not known there."""
    namespace, _, name = record.annotations.get(POD, "").partition("/")
    return name if namespace == me.name.partition("/")[0] else ""


def to_zone(zone: str) -> str:
    """Give the offer to whoever is in a zone."""
    return f"zone={zone}"


def acquired(
    record: LeaseRecord | None,
    me: Member,
    settings: ElectionSettings,
    *,
    why: Why,
    distrust: bool,
    clock: float = 0.0,
) -> LeaseRecord:
    """Give the record that makes this agent the holder, in a new generation."""
    before = record if record is not None else LeaseRecord()
    taken = why.value
    if before.holder == me.identity:  # by an acquisition whose answer was lost: it stands
        taken = before.annotations.get(TAKEN, taken)
    return replace(
        before,
        holder=me.identity,
        transitions=before.transitions % MOST + 1,
        duration=max(1, round(settings.lease)),
        annotations=_annotations(before, me, taken=taken, distrust=distrust, clock=clock),
    )


def renewed(
    record: LeaseRecord,
    me: Member,
    settings: ElectionSettings,
    *,
    offer: str,
    denied: int,
    distrust: bool,
    clock: float,
    standbys: str = "",
) -> LeaseRecord:
    """Give the record that shows the holder's life; the edge adds the time."""
    taken = record.annotations.get(TAKEN, "")
    return replace(
        record,
        duration=max(1, round(settings.lease)),
        annotations=_annotations(
            record,
            me,
            taken=taken,
            offer=offer,
            denied=denied,
            distrust=distrust,
            clock=clock,
            standbys=standbys,
        ),
    )


def released(record: LeaseRecord) -> LeaseRecord:
    """Give the record that anyone may take."""
    stay = {k: v for k, v in record.annotations.items() if k in {DISTRUST, STANDBYS}}
    kept = _foreign(record) | stay
    return replace(record, holder=None, annotations=MappingProxyType(kept))


def _annotations(
    record: LeaseRecord,
    me: Member,
    *,
    taken: str,
    distrust: bool,
    clock: float,
    offer: str = "",
    denied: int = 0,
    standbys: str = "",
) -> Mapping[str, str]:
    ours = {
        ADDRESS: me.address,
        POD: me.name,
        ZONE: me.zone,
        FINGERPRINT: me.fingerprint,
        ADDRESSES: ",".join(me.addresses),
        WORKLOAD: me.workload,
        REVISION: me.revision,
        CLOCK: f"{clock:.3f}",
        TAKEN: taken,
        OFFER: offer,
        DENIED: str(denied) if denied else "",
        STANDBYS: standbys,
        DISTRUST: "true" if distrust else "",
    }
    return MappingProxyType(_foreign(record) | {k: v for k, v in ours.items() if v})


def _foreign(record: LeaseRecord) -> dict[str, str]:
    """Keep what others wrote."""
    return {k: v for k, v in record.annotations.items() if not k.startswith(PREFIX)}
