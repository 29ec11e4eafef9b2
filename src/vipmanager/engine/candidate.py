"""The election as one pod takes part in it: who it is, and whom it tells."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vipmanager.core.election.machine import Transition
from vipmanager.core.election.values import ElectionSettings, Member, Message
from vipmanager.core.report import Report
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.values import FloatingIP
from vipmanager.ports import Channel, Lease, Place, Pods

Heard = Callable[[Message, str], None]
"""Takes each authentic message and the address it came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What an elector needs beside the routes."""

    settings: ElectionSettings
    lease: Lease
    name: str
    """The Lease's, for people."""
    pods: Pods
    pod: str
    """The pod's UID."""
    pod_name: str
    """The pod, as `namespace/name`."""
    nonce: str
    """Drawn anew by each process."""
    channel: Callable[[str, Heard], Channel | None]
    """Opens the heartbeats of an identity; None where they are switched off."""
    told: Callable[[RoleStatus], None]
    """Takes each change of the role, where the election runs."""
    failed: Callable[[Exception], None]
    """Takes a bug, which has ended the election."""
    traced: Callable[[Transition], None]
    """Takes each step of the election, where it runs."""
    places: tuple[Place, ...] = ()
    """Which the pod may have to leave (`HandOverOn`)."""
    workload: str = ""
    """What made the pod, as `namespace/name`."""
    revision: str = ""
    """Of its template."""

    @property
    def identity(self) -> str:
        """What stands in the Lease."""
        return f"{self.pod}/{self.nonce}"

    def member(self, report: Report, channel: Channel | None) -> Member:
        """Tell who this agent is, from the first pass that found it fit."""
        return Member(
            pod=self.pod,
            name=self.pod_name,
            nonce=self.nonce,
            address=channel.address if channel is not None else "",
            zone=next((ip.zone for ip in report.floating if ip.zone), ""),
            fingerprint=fingerprint(report.floating),
            addresses=addresses(report.floating),
            workload=self.workload,
            revision=self.revision,
        )


def addresses(floating: Iterable[FloatingIP]) -> tuple[str, ...]:
    """Give the floating IPs as they stand in the Lease."""
    return tuple(sorted(str(ip.address) for ip in floating))


def fingerprint(floating: Iterable[FloatingIP]) -> str:
    """Tell one group's floating IPs from another's, as version 0.1.0 does."""
    return hashlib.sha256(",".join(addresses(floating)).encode()).hexdigest()[:16]
