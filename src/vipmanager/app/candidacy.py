"""Wires the election to its edges: Lease, heartbeats, label, Events."""

import secrets
from collections.abc import Callable, Iterator

from vipmanager.app.election import lease_of
from vipmanager.app.process import Process
from vipmanager.core.downward import NODE, this_pod
from vipmanager.core.election.machine import Transition
from vipmanager.core.election.role import Role
from vipmanager.core.election.values import election_settings
from vipmanager.core.events import Occurrence, Reason
from vipmanager.core.failures import Transient
from vipmanager.core.pod import primary_addresses
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.settings import HandOver, Settings
from vipmanager.edges.aws.ec2 import WRITE_BOUND
from vipmanager.edges.aws.zonal import ZonalShifts, ZonePlace
from vipmanager.edges.heartbeat import Heartbeat, read_key
from vipmanager.edges.kubernetes.events import PodEvents
from vipmanager.edges.kubernetes.nodes import NodePlace
from vipmanager.edges.kubernetes.pods import KubePods
from vipmanager.edges.kubernetes.role_label import RoleLabel
from vipmanager.edges.logs import log_role
from vipmanager.engine.candidate import Candidate, Heard
from vipmanager.ports import Channel, Kernel, Place


def candidacy(
    settings: Settings,
    process: Process,
    kernel: Kernel,
    *,
    events: PodEvents | None,
    failed: Callable[[Exception], None],
) -> Candidate:
    """Give this pod's part in the election.

    Raises:
        Permanent: the pod's identity, its service account or the heartbeat key is missing.
    """
    environ, kube, log = process.environ, process.kube, process.log
    pod = this_pod(environ, lambda: kube.namespace)
    name, lease = lease_of(settings, environ, kube)
    key = read_key(settings.heartbeat_key_file) if settings.heartbeat_key_file else b""
    label = RoleLabel(kube, environ, say=log.line) if settings.role_label else None

    def channel(identity: str, heard: Heard) -> Channel | None:
        return _channel(settings, kernel, identity, heard, key)

    def traced(transition: Transition) -> None:
        if transition.notable and log.shows("debug"):
            log.line("debug", "election", str(transition))

    if label is not None:
        label.show(Role.STANDBY.value)
    workload, revision = pod.workload
    return Candidate(
        settings=election_settings(settings, write=WRITE_BOUND),
        lease=lease,
        name=name,
        pods=KubePods(kube, pod),
        pod=pod.uid,
        pod_name=f"{pod.namespace}/{pod.name}",
        workload=workload,
        revision=revision,
        nonce=secrets.token_hex(4),
        channel=channel,
        told=_told(name, process, label, events),
        failed=failed,
        traced=traced,
        places=tuple(_places(settings, process)),
    )


def _told(
    lease: str, process: Process, label: RoleLabel | None, events: PodEvents | None
) -> Callable[[RoleStatus], None]:
    """Give what tells of each change of the role: the log, the pod's label, an Event."""

    def told(role_status: RoleStatus) -> None:
        log_role(process.log, role_status)
        if role_status.settled is not None:
            return
        if label is not None:
            label.show(role_status.role.value)
        if events is not None and role_status.role is not Role.RELIEVED:  # nobody would hear
            reason = Reason.HOLDER if role_status.role is Role.HOLDER else Reason.STANDBY
            said = f"{role_status} (Lease {lease})"
            events.tell(Occurrence(reason=reason, subject=lease, message=said))

    return told


def _places(settings: Settings, process: Process) -> Iterator[Place]:
    """Give where the pod runs, as far as it shall be left in time."""
    if HandOver.CORDON in settings.hand_over_on:
        yield NodePlace(process.kube, process.environ[NODE[0]])
    if HandOver.ZONAL_SHIFT in settings.hand_over_on:
        cluster = settings.cluster_arn or ""
        region = cluster.split(":")[3]
        yield ZonePlace(ZonalShifts(region), cluster, process.imds.zone_id)


def _channel(
    settings: Settings,
    kernel: Kernel,
    me: str,
    heard: Heard,
    key: bytes,
) -> Heartbeat | None:
    if not settings.heartbeat_port:
        return None
    addresses = primary_addresses(kernel.read())
    if not addresses:
        raise Transient(
            "heartbeats: the pod's primary interface has no address", "set HeartbeatPort=0"
        )
    channel = Heartbeat(
        address=addresses[0], port=settings.heartbeat_port, me=me, heard=heard, key=key
    )
    channel.start()
    return channel
