"""Looks at both worlds as the agent does, and writes nothing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address

from vipmanager.app.healthcheck import checks
from vipmanager.core.actions import CloudAction
from vipmanager.core.census import Entry, census, kin
from vipmanager.core.election.role import Role
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.report import Report
from vipmanager.core.settings import Rate, Settings
from vipmanager.core.values import (
    Address,
    Eni,
    EniId,
    KernelState,
    MetadataEni,
    NodeMetadata,
    PodAddress,
    PodInterface,
    RouteTable,
    VpcId,
)
from vipmanager.edges.aws.ec2 import Ec2
from vipmanager.edges.downward import networks
from vipmanager.edges.imds import Imds
from vipmanager.edges.kernel import IpRoute
from vipmanager.edges.memory import MemoryKernel, MemoryMetadata
from vipmanager.edges.rehearsal import RehearsalCloud, RehearsalKernel
from vipmanager.engine.checks import Gate
from vipmanager.engine.inbox import Inbox
from vipmanager.engine.pod_agent import Outside, PodAgent
from vipmanager.engine.route_tables import RouteTables
from vipmanager.engine.route_writer import Fence, Pace, RouteWriter
from vipmanager.engine.threads import SystemClock, Threads
from vipmanager.ports import Cloud, Kernel, Metadata

PASSES = 4
"""Passes of a rehearsal: write, read back, mark, and one to spare."""

_UNBOUNDED = Rate(burst=1_000_000, refill=1_000_000.0)
"""No EC2 bucket is emptied by a rehearsal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worlds:
    """What the agent of one pod looks at."""

    kernel: Kernel
    metadata: Metadata
    cloud: Cloud
    gate: Gate = field(default_factory=Gate)
    """What keeps the pod from taking anything over: its application's health check."""


def here(settings: Settings, environ: Mapping[str, str]) -> Worlds:
    """Give the worlds of the pod that this process runs in."""
    return Worlds(
        kernel=IpRoute(networks=networks(settings.pod_addresses, environ)),
        metadata=Imds(allow_v1=settings.imds_v1, environ=environ),
        cloud=Ec2(route_role=settings.route_role),
        gate=Gate(checks(settings, SystemClock(), Threads(), _raise)),
    )


def _raise(bug: Exception) -> None:
    raise bug


def region(settings: Settings) -> str:
    """Give the region of commands that run outside of a pod.

    Raises:
        Permanent: the environment names none.
    """
    if settings.region is None:
        raise Permanent("no region is known here", "set AWS_REGION")
    return settings.region


def elsewhere(settings: Settings, vpc: VpcId, addresses: Mapping[Address, EniId]) -> Worlds:
    """Give the worlds of a pod that would have these floating IPs over these ENIs.

    Raises:
        Permanent: an ENI is unknown, not attached or of another VPC.
    """
    cloud = Ec2(route_role=settings.route_role)
    cloud.connect(region(settings))
    enis = {e.id: e for e in cloud.enis_by_id(set(addresses.values()))}
    for eni in addresses.values():
        _must_serve(eni, enis.get(eni), vpc)
    instances = {e.instance for e in enis.values() if e.instance is not None}
    if len(instances) != 1:
        raise Permanent(
            f"{', '.join(sorted(enis))} are attached to {len(instances)} instances",
            "a pod runs on one; name ENIs of one instance",
        )
    return Worlds(
        kernel=MemoryKernel(_pod(addresses, enis)),
        metadata=MemoryMetadata(
            NodeMetadata(
                instance=instances.pop(),
                region=region(settings),
                enis=tuple(_told(e) for e in enis.values()),
            )
        ),
        cloud=cloud,
    )


def _must_serve(wanted: EniId, eni: Eni | None, vpc: VpcId) -> None:
    if eni is None:
        raise Permanent(
            f"{wanted}: EC2 knows no such network interface", "check --eni and AWS_REGION"
        )
    if eni.vpc != vpc:
        raise Permanent(f"{wanted} is in {eni.vpc}, not in {vpc}", "check --vpc and --eni")
    if not eni.attached:
        raise Permanent(f"{wanted} is attached to no instance", "name an ENI of a running node")


def _pod(addresses: Mapping[Address, EniId], enis: Mapping[EniId, Eni]) -> KernelState:
    lengths = {IPv4Address: 32, IPv6Address: 128}
    return KernelState(
        interfaces=tuple(
            PodInterface(
                name=f"net{number}",
                index=number + 1,
                mac=enis[name].mac,
                addresses=tuple(
                    PodAddress(address=a, prefix_length=lengths[type(a)])
                    for a, eni in addresses.items()
                    if eni == name
                ),
            )
            for number, name in enumerate(dict.fromkeys(addresses.values()), start=1)
        )
    )


def _told(eni: Eni) -> MetadataEni:
    return MetadataEni(
        mac=eni.mac,
        id=eni.id,
        vpc=eni.vpc,
        subnet=eni.subnet,
        device_index=eni.device_index,
        card_index=eni.card_index,
    )


class _Rehearsal:
    """The agent's own passes over worlds that only remember what is written."""

    def __init__(self, settings: Settings, worlds: Worlds, role: Role | None) -> None:
        # Nothing is written here anyway.
        settings = replace(settings, dry_run=False, leader_election=settings.elects)
        clock, tasks = SystemClock(), Threads()
        worlds.gate.look()
        self.reports: list[Report] = []
        self._agent = PodAgent(
            settings,
            Outside(
                kernel=RehearsalKernel(worlds.kernel),
                metadata=worlds.metadata,
                cloud=RehearsalCloud(worlds.cloud),
                clock=clock,
                tasks=tasks,
                pace=Pace(_UNBOUNDED, clock),
            ),
            inbox=Inbox(tasks),
            reporters=(self,),
            gate=worlds.gate,
        )
        self._armed = self._agent.armed
        if self._armed is not None:
            ownership = self._armed.ownership
            ownership.election_findings = ()  # only who takes part in the election has any
            ownership.become(role or Role.STANDBY)

    def report(self, report: Report) -> None:
        """Keep what a wave did."""
        self.reports.append(report)

    def look(self, reason: str) -> Report:
        """Run one pass."""
        found = self._agent.reconciler.run((reason,))
        self.reports.append(found)
        return found

    def act(self, reason: str) -> bool:
        """Run one pass, and with a Lease take it and make the wave; tell if there is more to do."""
        found, before = self.look(reason), len(self.reports)
        if self._armed is None:
            return bool(found.done)
        self._armed.ownership.become(Role.HOLDER)
        self._armed.run(Fence(math.inf, SystemClock()))
        # A standby's pass does not show what its successor as holder finds wrong.
        return bool(found.done) or len(self.reports) > before or found.role is Role.STANDBY


def look(settings: Settings, worlds: Worlds, role: Role | None = None) -> Report:
    """Run one pass as the agent would at its start; write nothing for real.

    Args:
        settings: what the operator asked for.
        worlds: what the agent looks at.
        role: with LeaderElection, what the running agent is; None, where none runs, is a standby.
    """
    return _Rehearsal(settings, worlds, role).look("start")


def rehearse(settings: Settings, worlds: Worlds, role: Role | None = None) -> tuple[Report, ...]:
    """Run passes as the agent would, until one changes nothing; write nothing for real.

    With LeaderElection it takes the Lease after the first pass, whatever it was before (`role`).
    """
    rehearsal = _Rehearsal(settings, worlds, role)
    more = rehearsal.act("start")
    for _ in range(PASSES - 1):
        if not more:
            break
        more = rehearsal.act("read back")
    return tuple(rehearsal.reports)


def count(cloud: Cloud, vpcs: Iterable[VpcId], ours: Iterable[EniId]) -> tuple[Entry, ...]:
    """List every route of this tool's kind in some VPCs."""
    wanted = tuple(vpcs)
    tables: tuple[RouteTable, ...] = cloud.route_tables(wanted)
    routes = kin(tables, cloud.subnets(wanted))
    targets = {EniId(route.target.id) for _, route in routes}
    return census(routes, cloud.enis_by_id(targets) if targets else (), ours)


def write(settings: Settings, cloud: Cloud, actions: Sequence[CloudAction]) -> tuple[Failure, ...]:
    """Make cloud writes as the agent does, paced and retried; give what failed."""
    clock, tasks = SystemClock(), Threads()
    pace = Pace(settings.rate, clock)
    writer = RouteWriter(
        RouteTables(cloud), pace=pace, clock=clock, tasks=tasks, inbox=Inbox(tasks)
    )
    done = writer.run(actions)
    return tuple(d.failure for d in done if d.failure is not None)
