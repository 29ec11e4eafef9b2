"""A pod of a warm standby in memory, for doctor: its Lease, its agent, and what can ail them."""

import itertools
from collections.abc import Callable
from dataclasses import replace

from vipmanager.core.election import record
from vipmanager.core.election.actions import Role
from vipmanager.core.election.values import ElectionSettings, Generation, Member, Why
from vipmanager.core.failures import Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.lease import LeaseRecord, micro_time
from vipmanager.core.settings import Mode, Settings
from vipmanager.core.tenure import Tenure
from vipmanager.edges.memory import MemoryLease
from vipmanager.engine.candidate import fingerprint
from ward import Ward
from worlds import networks

ELECTION = ElectionSettings(lease=1)


class LivingLease(MemoryLease):
    """A Lease whose holder renews it between any two readings, while it lives."""

    def __init__(self, record: LeaseRecord | None = None) -> None:
        super().__init__(record)
        self.alive = True
        self._times = itertools.count(1)

    def read(self) -> LeaseRecord | None:
        found = super().read()
        if found is None or found.holder is None or not self.alive:
            return found
        return self.replace(replace(found, renew_time=micro_time(next(self._times))))


class StandbyWard(Ward):
    """A holder, or else a standby whose holder is in the other zone: well at first."""

    def __init__(self, role: Role = Role.STANDBY) -> None:
        super().__init__(
            Settings(
                mode=Mode.SIDECAR,
                leader_election=True,
                lease_seconds=ELECTION.lease,
                peers={1: networks("10.0.100.0/24"), 2: networks("10.0.101.0/24")},
            )
        )
        self.role = role
        self.change(
            lambda s: replace(s, enis=tuple(replace(e, zone="eu-central-1a") for e in s.enis))
        )
        self.environ = {"POD_NAME": "app-1", "POD_UID": "uid-1"}
        self.me = Member(
            pod="uid-1",
            nonce="1",
            address="",
            zone="eu-central-1a",
            fingerprint=fingerprint(self.floating),
        )
        self.other = replace(self.me, pod="uid-2", zone="eu-central-1b")
        self.held_by(self.me if role is Role.HOLDER else self.other)
        self.finds()

    def held_by(self, member: Member | None) -> None:
        """Put a holder into the Lease, or none."""
        found = LeaseRecord(duration=round(ELECTION.lease))
        if member is not None:
            found = record.acquired(found, member, ELECTION, why=Why.FREE, distrust=False)
        self.lease = LivingLease(found)

    def finds(self, *findings: Finding) -> None:
        """Let the sidecar say what it found."""
        tenure = Tenure()
        if self.role is Role.HOLDER:
            tenure = tenure.became(
                Role.HOLDER, why="free", generation=Generation("lease-1", 1), since=0
            )
        holder = self.me if self.role is Role.HOLDER else self.other
        named = {"lease": "telco/vipmanager", "holder": holder.identity}
        self.agent = {
            "ready": True,
            "why": "well",
            "budget": {},
            "findings": [f.document() for f in findings],
            "election": tenure.document(1.0) | named,
        }


def no_uid(ward: StandbyWard) -> None:
    ward.environ = {"POD_NAME": "app-1"}


def no_lease(ward: StandbyWard) -> None:
    ward.lease = LivingLease()


def forbidden(ward: StandbyWard) -> None:
    ward.lease.away = Permanent("the Kubernetes API: get leases: 403", "allow get on leases")


def renewals_forbidden(ward: StandbyWard) -> None:
    refused = Permanent("the Kubernetes API: update leases: 403", "allow update on leases")
    ward.finds(refused.finding("lease"))


def expired(ward: StandbyWard) -> None:
    assert isinstance(ward.lease, LivingLease)
    ward.lease.alive = False


def free(ward: StandbyWard) -> None:
    ward.held_by(None)


def unproven(ward: StandbyWard) -> None:
    ward.finds(find(Condition.LEASE_UNPROVEN, "lease"))


def foreign(ward: StandbyWard) -> None:
    ward.held_by(replace(ward.other, fingerprint="another group's"))


def one_zone(ward: StandbyWard) -> None:
    ward.held_by(replace(ward.other, zone=ward.me.zone))


def no_key(ward: StandbyWard) -> None:
    ward.settings = replace(ward.settings, heartbeat_key_file="/nowhere/key")


def short_key(ward: StandbyWard) -> None:
    ward.settings = replace(ward.settings, heartbeat_key_file="/dev/null")


def silent(ward: StandbyWard) -> None:
    ward.finds(find(Condition.HEARTBEAT_SILENT, "heartbeat", holder="uid-2/1", address="10.0.0.9"))


def no_sidecar(ward: StandbyWard) -> None:
    ward.agent = None


def mute_sidecar(ward: StandbyWard) -> None:
    ward.agent = Permanent("the agent does not answer", "restart it")


def unfit(ward: StandbyWard) -> None:
    ward.finds(find(Condition.UNFIT, "pod", lack="an interface is down"))


ILLS: tuple[tuple[Callable[[StandbyWard], None], str, str, str, str], ...] = (
    # what was done, the check that tells, its state, the object, the remedy
    (no_uid, "pod-identity", "error", "POD_UID", "fieldPath: metadata.uid"),
    (no_lease, "lease", "error", "telco/vipmanager", "apply it again"),
    (forbidden, "lease", "error", "get leases: 403", "allow get"),
    (renewals_forbidden, "lease", "error", "update leases: 403", "allow update"),
    (expired, "lease", "error", "uid-2/1 has not renewed", "kubectl logs POD -c vipmanager"),
    (free, "lease", "error", "nobody holds telco/vipmanager", "fitness"),
    (unproven, "lease", "warning", "could not be renewed", "Kubernetes API"),
    (foreign, "replicas", "error", "uid-2/1", "LeaseName of its own"),
    (one_zone, "replicas", "warning", "uid-2/1", "topologySpreadConstraints"),
    (no_key, "heartbeats", "error", "/nowhere/key", "mount the Secret"),
    (short_key, "heartbeats", "error", "too few", "openssl rand"),
    (silent, "heartbeats", "warning", "10.0.0.9", "HeartbeatPort (UDP)"),
    (no_sidecar, "fitness", "warning", "no sidecar", "--previous"),
    (mute_sidecar, "fitness", "error", "does not answer", "restart it"),
    (unfit, "fitness", "error", "an interface is down", "see the lines about it"),
)
