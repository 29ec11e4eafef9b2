"""The election, for commands typed beside an agent: its own word, and the Lease itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vipmanager.core.downward import holder_name, pod_in_zone, this_pod
from vipmanager.core.election.record import POD, ZONE
from vipmanager.core.election.role import Role
from vipmanager.core.election.values import Generation
from vipmanager.core.failures import Failure
from vipmanager.core.findings import Finding
from vipmanager.core.remote_finding import RemoteFinding
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.settings import Settings
from vipmanager.edges.control import NoAgent, ask
from vipmanager.edges.kubernetes.client import READ_TIMEOUT, Kube
from vipmanager.edges.kubernetes.lease import KubeLease

_SUBJECTS = frozenset({"lease", "heartbeat", "pod", "node", "zone"})
"""What the election's findings are about."""


def agent() -> Mapping[str, Any] | None:
    """Give the status of this pod's sidecar (docs/schema/agent.json); None where none runs.

    Raises:
        Failure: one runs, and does not answer.
    """
    try:
        return ask("status")
    except NoAgent:
        return None


def role_of(status: Mapping[str, Any] | None) -> Role | None:
    """Give the role that an agent's status tells; None where no Lease decides, or none runs."""
    election = (status or {}).get("election")
    return Role(election["role"]) if election else None


def role_status_of(election: Mapping[str, Any]) -> RoleStatus:
    """Read a status's `election` back."""
    number = election["generation"]
    return RoleStatus(
        role=Role(election["role"]),
        why=election["why"],
        generation=None if number is None else Generation("", number),
        settled=election["settled"],
        takeovers=election["takeovers"],
        leaving=election["leaving"],
    )


def election_findings_of(status: Mapping[str, Any] | None) -> tuple[RemoteFinding, ...]:
    """Give what an agent found about its election: only who takes part in it can tell."""
    if role_of(status) is None or status is None:
        return ()
    return tuple(RemoteFinding(f) for f in status.get("findings", ()) if f["subject"] in _SUBJECTS)


def lease_of(settings: Settings, environ: Mapping[str, str], kube: Kube) -> tuple[str, KubeLease]:
    """Give the name of the group's Lease, for people, and the Lease.

    Raises:
        Permanent: the pod's identity or its service account is missing.
    """
    namespace = settings.lease_namespace or this_pod(environ, lambda: kube.namespace).namespace
    name = settings.lease_name
    write = max(READ_TIMEOUT, settings.lease_seconds)
    return f"{namespace}/{name}", KubeLease(kube, namespace=namespace, name=name, write=write)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseView:
    """The group's Lease, who holds it, and what this pod's agent is."""

    lease: str
    role: Role | None = None
    """None where no agent runs in this pod."""
    holder: str | None = None
    """An identity: pod UID and process."""
    name: str = ""
    """Its pod and zone, for people, where they are known."""
    known: bool = False
    """Whether somebody told who holds it."""
    findings: tuple[Finding, ...] = ()
    """Why the holder is not known."""

    def document(self) -> dict[str, object]:
        """Give it as JSON values."""
        return {
            "lease": self.lease,
            "role": self.role.value if self.role is not None else None,
            "holder": self.holder,
        }


def seat(settings: Settings, environ: Mapping[str, str]) -> LeaseView:
    """Ask the agent of this pod who holds the Lease; without one, the Kubernetes API."""
    try:
        status = agent()
        role = role_of(status)
        if status is not None and role is not None:
            election = status["election"]
            holder = election["holder"]
            name = holder_name(election)
            return LeaseView(
                lease=election["lease"], role=role, holder=holder, name=name, known=True
            )
        name, lease = lease_of(settings, environ, Kube(environ))
        record = lease.read()
    except Failure as failure:
        return LeaseView(lease=settings.lease_name, findings=(failure.finding("lease"),))
    if record is None or record.holder is None:
        return LeaseView(lease=name, known=True)
    named = pod_in_zone(record.annotations.get(POD, ""), record.annotations.get(ZONE, ""))
    return LeaseView(lease=name, holder=record.holder, name=named, known=True)
