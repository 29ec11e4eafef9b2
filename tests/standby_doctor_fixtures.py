"""A pod of a warm standby in memory, for doctor: its Lease, its agent, and what can ail them."""

import itertools
from collections.abc import Callable
from dataclasses import replace

from doctor_fixtures import Patient
from vipmanager.core.election import record
from vipmanager.core.election.role import Role
from vipmanager.core.election.values import ElectionSettings, Generation, Member, Why
from vipmanager.core.failures import Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.lease import LeaseRecord, micro_time
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.settings import Mode, Settings
from vipmanager.edges.memory import MemoryLease
from vipmanager.engine.candidate import fingerprint
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


class StandbyPatient(Patient):
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
            name="telco/app-1",
            nonce="1",
            address="",
            zone="eu-central-1a",
            fingerprint=fingerprint(self.floating),
        )
        self.other = replace(self.me, pod="uid-2", name="telco/app-2", zone="eu-central-1b")
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
        role_status = RoleStatus()
        if self.role is Role.HOLDER:
            role_status = role_status.became(
                Role.HOLDER, why="free", generation=Generation("lease-1", 1), since=0
            )
        holder = self.me if self.role is Role.HOLDER else self.other
        named = {"lease": "telco/vipmanager", "holder": holder.identity}
        self.agent = {
            "ready": True,
            "why": "well",
            "budget": {},
            "findings": [f.document() for f in findings],
            "election": role_status.document(1.0) | named,
        }


def no_uid(patient: StandbyPatient) -> None:
    patient.environ = {"POD_NAME": "app-1"}


def no_lease(patient: StandbyPatient) -> None:
    patient.lease = LivingLease()


def forbidden(patient: StandbyPatient) -> None:
    patient.lease.away = Permanent("the Kubernetes API: get leases: 403", "allow get on leases")


def renewals_forbidden(patient: StandbyPatient) -> None:
    refused = Permanent("the Kubernetes API: update leases: 403", "allow update on leases")
    patient.finds(refused.finding("lease"))


def expired(patient: StandbyPatient) -> None:
    assert isinstance(patient.lease, LivingLease)
    patient.lease.alive = False


def free(patient: StandbyPatient) -> None:
    patient.held_by(None)


def unproven(patient: StandbyPatient) -> None:
    patient.finds(find(Condition.LEASE_UNPROVEN, "lease"))


def foreign(patient: StandbyPatient) -> None:
    patient.held_by(replace(patient.other, fingerprint="another group's"))


def one_zone(patient: StandbyPatient) -> None:
    patient.held_by(replace(patient.other, zone=patient.me.zone))


def no_key(patient: StandbyPatient) -> None:
    patient.settings = replace(patient.settings, heartbeat_key_file="/nowhere/key")


def short_key(patient: StandbyPatient) -> None:
    patient.settings = replace(patient.settings, heartbeat_key_file="/dev/null")


def silent(patient: StandbyPatient) -> None:
    patient.finds(
        find(Condition.HEARTBEAT_NEVER_UP, "heartbeat", holder="uid-2/1", address="10.0.0.9")
    )


def no_sidecar(patient: StandbyPatient) -> None:
    patient.agent = None


def mute_sidecar(patient: StandbyPatient) -> None:
    patient.agent = Permanent("the agent does not answer", "restart it")


def unfit(patient: StandbyPatient) -> None:
    patient.finds(find(Condition.UNFIT, "pod", lack="an interface is down"))


def slip(patient: StandbyPatient) -> None:
    patient.settings = replace(patient.settings, preferred_zone="eu-central-1z")


FAULTY: tuple[tuple[Callable[[StandbyPatient], None], str, str, str, str], ...] = (
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
    (slip, "preferred-zone", "warning", "zones are eu-central-1a, eu-central-1b", "correct"),
    (no_key, "heartbeats", "error", "/nowhere/key", "mount the Secret"),
    (short_key, "heartbeats", "error", "too few", "openssl rand"),
    (silent, "heartbeats", "warning", "10.0.0.9", "HeartbeatPort (UDP)"),
    (no_sidecar, "fitness", "warning", "no sidecar", "--previous"),
    (mute_sidecar, "fitness", "error", "does not answer", "restart it"),
    (unfit, "fitness", "error", "an interface is down", "see the lines about it"),
)
