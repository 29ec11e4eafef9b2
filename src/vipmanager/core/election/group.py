"""Whether a Lease's holder and this agent belong to one group.

A group is what one Lease is for: the replicas of one workload, with the same floating IPs. Those
may change in a rollout, one replica after the other, and the group is the same one. Two workloads
may have one Lease by mistake, and neither may take what the other steers.

    the holder's record                                      is of
    has no fingerprint, or ours                              the same group
    names an address of ours                                 the same: one of the two may write its
                                                             routes
    names other ones, and another workload                   another
    ... and another revision of ours                         the same: a rollout changes them
    ... and our revision                                     another: each replica has its own
    ... and a workload that shows no revision                nobody can tell
    names none, as version 0.1.0 writes it                   nobody can tell

What is unclear is left to its holder and taken once it is released, as another group's Lease is, or
where a person asks for it. It keeps no pod from being ready: a rollout would wait for it.
"""

from enum import Enum, auto

from vipmanager.core.election import record as lease_record
from vipmanager.core.election.values import Member
from vipmanager.core.lease import LeaseRecord


class Kin(Enum):
    """Whose a Lease is."""

    SAME = auto()
    OTHER = auto()
    UNCLEAR = auto()
    """Nobody can tell."""


def kin(me: Member, record: LeaseRecord | None) -> Kin:
    """Tell whether a Lease belongs to this agent's group."""
    notes = record.annotations if record is not None else {}
    if notes.get(lease_record.FINGERPRINT, "") in {"", me.fingerprint}:
        return Kin.SAME
    theirs = addresses_of(record)
    if not theirs:
        return Kin.UNCLEAR
    if set(theirs) & set(me.addresses):
        return Kin.SAME
    if not me.workload or notes.get(lease_record.WORKLOAD) != me.workload:
        return Kin.OTHER
    revision = notes.get(lease_record.REVISION, "")
    if not revision or not me.revision:
        return Kin.UNCLEAR
    return Kin.OTHER if revision == me.revision else Kin.SAME


def addresses_of(record: LeaseRecord | None) -> tuple[str, ...]:
    """Give the floating IPs that a Lease names."""
    text = record.annotations.get(lease_record.ADDRESSES, "") if record is not None else ""
    return tuple(filter(None, text.split(",")))
