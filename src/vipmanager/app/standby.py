"""Wires the election to its edges: Lease, heartbeats, label, Events."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vipmanager.app.election import lease_of
from vipmanager.core.downward import this_pod
from vipmanager.core.election.actions import Role
from vipmanager.core.election.machine import Transition
from vipmanager.core.election.values import election_settings
from vipmanager.core.events import Occurrence, Reason
from vipmanager.core.failures import Transient
from vipmanager.core.pod import primary_address
from vipmanager.core.settings import Settings
from vipmanager.core.tenure import Tenure
from vipmanager.edges.events import PodEvents
from vipmanager.edges.heartbeat import Heartbeat, read_key
from vipmanager.edges.kube import Kube
from vipmanager.edges.logs import Log, log_tenure
from vipmanager.edges.role import RoleLabel
from vipmanager.engine.candidate import Candidate, Heard
from vipmanager.ports import Channel, Kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the candidacy shares with the rest of the agent."""

    environ: Mapping[str, str]
    kube: Kube
    kernel: Kernel
    log: Log
    events: PodEvents | None
    failed: Callable[[Exception], None]


def candidacy(settings: Settings, around: Surroundings) -> Candidate:
    """Give this pod's part in the election.

    Raises:
        Permanent: the pod's identity, its service account or the heartbeat key is missing.
    """
    pod = this_pod(around.environ, lambda: around.kube.namespace)
    name, lease = lease_of(settings, around.environ, around.kube)
    key = read_key(settings.heartbeat_key_file) if settings.heartbeat_key_file else b""
    label = (
        RoleLabel(around.kube, around.environ, say=around.log.line) if settings.role_label else None
    )

    def channel(identity: str, heard: Heard) -> Channel | None:
        return _channel(settings, around.kernel, identity, heard, key)

    def told(tenure: Tenure) -> None:
        log_tenure(around.log, tenure)
        if tenure.settled is not None:
            return
        if label is not None:
            label.show(tenure.role.value)
        if around.events is not None:
            reason = Reason.HOLDER if tenure.role is Role.HOLDER else Reason.STANDBY
            around.events.tell(Occurrence(reason=reason, subject=name, message=str(tenure)))

    def traced(transition: Transition) -> None:
        if transition.notable and around.log.shows("debug"):
            around.log.line("debug", "election", str(transition))

    if label is not None:
        label.show(Role.STANDBY.value)
    return Candidate(
        settings=election_settings(settings),
        lease=lease,
        name=name,
        pod=pod.uid,
        nonce=secrets.token_hex(4),
        channel=channel,
        told=told,
        failed=around.failed,
        traced=traced,
    )


def _channel(
    settings: Settings,
    kernel: Kernel,
    me: str,
    heard: Heard,
    key: bytes,
) -> Heartbeat | None:
    if not settings.heartbeat_port:
        return None
    address = primary_address(kernel.read())
    if address is None:
        raise Transient(
            "heartbeats: the pod's primary interface has no address", "set HeartbeatPort=0"
        )
    channel = Heartbeat(address=address, port=settings.heartbeat_port, me=me, heard=heard, key=key)
    channel.start()
    return channel
