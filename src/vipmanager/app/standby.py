"""Wires the election to its edges: Lease, heartbeats, termination notices, label, Events."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from vipmanager.app.election import lease_of
from vipmanager.core.downward import this_pod
from vipmanager.core.election.actions import Role
from vipmanager.core.election.values import ElectionSettings, Member, Message
from vipmanager.core.events import Occurrence, Reason
from vipmanager.core.failures import Transient
from vipmanager.core.notice import Notice
from vipmanager.core.pod import primary_address
from vipmanager.core.report import Report
from vipmanager.core.settings import Settings
from vipmanager.core.tenure import Tenure
from vipmanager.core.values import FloatingIP
from vipmanager.edges.events import PodEvents
from vipmanager.edges.heartbeat import Heartbeat, read_key
from vipmanager.edges.imds import Imds
from vipmanager.edges.kube import Kube
from vipmanager.edges.logs import Log, log_tenure
from vipmanager.edges.notices import Notices
from vipmanager.edges.role import RoleLabel
from vipmanager.engine.elector import Elector
from vipmanager.engine.steering import Steering
from vipmanager.ports import Channel, Clock, Inbox, Kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the election shares with the rest of the agent."""

    environ: Mapping[str, str]
    kube: Kube
    imds: Imds
    kernel: Kernel
    steering: Steering
    inbox: Inbox
    clock: Clock
    log: Log
    events: PodEvents | None
    healthy: bool
    failed: Callable[[Exception], None]


def elector(settings: Settings, around: Surroundings) -> Elector:
    """Make the agent's elector; it begins once the pod is fit.

    Raises:
        Permanent: the pod's identity, its service account or the heartbeat key is missing.
    """
    pod = this_pod(around.environ, lambda: around.kube.namespace)
    name, lease = lease_of(settings, around.environ, around.kube)
    key = read_key(settings.heartbeat_key_file) if settings.heartbeat_key_file else b""
    label = (
        RoleLabel(around.kube, around.environ, say=around.log.line) if settings.role_label else None
    )

    def begin(
        report: Report, heard: Callable[[Message, str], None]
    ) -> tuple[Member, Channel | None]:
        nonce = secrets.token_hex(4)
        channel = _channel(settings, around.kernel, f"{pod.uid}/{nonce}", heard, key)
        member = Member(
            pod=pod.uid,
            nonce=nonce,
            address=channel.address if channel is not None else "",
            zone=next((ip.zone for ip in report.floating if ip.zone), ""),
            fingerprint=fingerprint(report.floating),
        )
        return member, channel

    def told(tenure: Tenure) -> None:
        log_tenure(around.log, tenure)
        if tenure.settled is not None:
            return
        if label is not None:
            label.show(tenure.role.value)
        if around.events is not None:
            reason = Reason.HOLDER if tenure.role is Role.HOLDER else Reason.STANDBY
            around.events.tell(Occurrence(reason=reason, subject=name, message=str(tenure)))

    made = Elector(
        ElectionSettings(
            lease=settings.lease_seconds,
            heartbeat=settings.heartbeat,
            preferred_zone=settings.preferred_zone,
            resync=settings.resync,
        ),
        lease=lease,
        name=name,
        begin=begin,
        steering=around.steering,
        inbox=around.inbox,
        clock=around.clock,
        told=told,
        failed=around.failed,
        healthy=around.healthy,
    )
    if label is not None:
        label.show(Role.STANDBY.value)
    _heed_notices(around.imds, made, around.log)
    return made


def fingerprint(floating: Iterable[FloatingIP]) -> str:
    """Tell one group's floating IPs from another's."""
    addresses = ",".join(sorted(str(ip.address) for ip in floating))
    return hashlib.sha256(addresses.encode()).hexdigest()[:16]


def _channel(
    settings: Settings,
    kernel: Kernel,
    me: str,
    heard: Callable[[Message, str], None],
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


def _heed_notices(imds: Imds, made: Elector, log: Log) -> None:
    def heard(notice: Notice) -> None:
        log.line("warning", "notice", f"{notice}: handing over")
        made.leave()

    Notices(read=imds.notices, heard=heard).start()
