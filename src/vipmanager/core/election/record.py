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
FINGERPRINT = f"{PREFIX}fingerprint"
"""Of the floating IPs: another one tells of another group."""
TAKEN = f"{PREFIX}taken"
"""Why the holder took it."""
OFFER = f"{PREFIX}offer"
"""Who may take it from its living holder: `any`, or `zone=NAME`."""
DISTRUST = f"{PREFIX}distrust"
"""Heartbeats have misled; there only while they are not to be believed."""

ANY = "any"
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


def duration_of(record: LeaseRecord | None, settings: ElectionSettings) -> float:
    """Give the seconds that a holder's silence is borne."""
    written = record.duration if record is not None else None
    return float(written) if written and 1 <= written <= LONGEST else settings.lease


def to_zone(zone: str) -> str:
    """Give the offer to whoever is in a zone."""
    return f"zone={zone}"


def acquired(
    record: LeaseRecord | None, me: Member, settings: ElectionSettings, *, why: Why, distrust: bool
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
        annotations=_annotations(before, me, taken=taken, distrust=distrust),
    )


def renewed(
    record: LeaseRecord, me: Member, settings: ElectionSettings, *, offer: str, distrust: bool
) -> LeaseRecord:
    """Give the record that shows the holder's life; the edge adds the time."""
    taken = record.annotations.get(TAKEN, "")
    return replace(
        record,
        duration=max(1, round(settings.lease)),
        annotations=_annotations(record, me, taken=taken, offer=offer, distrust=distrust),
    )


def released(record: LeaseRecord) -> LeaseRecord:
    """Give the record that anyone may take."""
    distrust = DISTRUST in record.annotations
    kept = _foreign(record) | ({DISTRUST: "true"} if distrust else {})
    return replace(record, holder=None, annotations=MappingProxyType(kept))


def _annotations(
    record: LeaseRecord, me: Member, *, taken: str, distrust: bool, offer: str = ""
) -> Mapping[str, str]:
    ours = {
        ADDRESS: me.address,
        ZONE: me.zone,
        FINGERPRINT: me.fingerprint,
        TAKEN: taken,
        OFFER: offer,
        DISTRUST: "true" if distrust else "",
    }
    return MappingProxyType(_foreign(record) | {k: v for k, v in ours.items() if v})


def _foreign(record: LeaseRecord) -> dict[str, str]:
    """Keep what others wrote."""
    return {k: v for k, v in record.annotations.items() if not k.startswith(PREFIX)}
