"""Reading both worlds, in as few and as parallel calls as the answers allow.

What can't be read is taken from the last good reading, with our own writes since then on top: EC2's
describes fail for hours when a zone is lost, and its writes go on. Only a pod that has never read
anything, and was not told its tables (VPCRTIds), can decide nothing.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from vipmanager.core.actions import CloudAction
from vipmanager.core.desired import Facts
from vipmanager.core.evolve import evolve
from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.findings import READING, Condition, Finding, find
from vipmanager.core.pod import candidates
from vipmanager.core.podnet import held_marks
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.values import (
    CloudState,
    Eni,
    EniId,
    KernelState,
    Mac,
    NodeMetadata,
    RouteTable,
    Subnet,
    SubnetId,
    VpcId,
    World,
)
from vipmanager.ports import Clock, Cloud, Kernel, Metadata, Steering, Tasks

T = TypeVar("T")

NEVER = float("-inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the facts about the cloud rest on."""

    asked: float = NEVER
    """When the newest reading of the route tables that was answered was sent (monotonic seconds);
    `NEVER` where there was none."""
    fresh: bool = True
    """Whether that was for this pass, and everything else was read as well."""

    @property
    def blind(self) -> bool:
        """Whether no table was ever read."""
        return self.asked == NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What tells of floating IPs that were here, in the pod now or not."""

    vpcs: frozenset[VpcId] = frozenset()
    """Theirs, as this process knows."""
    marked: bool = False
    """Whether a mark tells of one, which may be in any VPC of this instance."""

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return self.marked or bool(self.vpcs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The facts, what they rest on, and what was odd about reading them."""

    facts: Facts
    evidence: Evidence
    findings: tuple[Finding, ...]


class Observer:
    """Reads kernel, IMDS and EC2, and remembers what EC2 showed last."""

    def __init__(
        self,
        kernel: Kernel,
        metadata: Metadata,
        cloud: Cloud,
        settings: Settings,
        *,
        steering: Steering,
        tasks: Tasks,
        clock: Clock,
    ) -> None:
        self._kernel = kernel
        self._metadata = metadata
        self._cloud = cloud
        self._steering = steering
        self._settings = settings
        self._tasks = tasks
        self._clock = clock
        self._node: NodeMetadata | None = None
        self._lock = threading.Lock()
        self._last, self._asked = CloudState(), NEVER
        self._writes: list[tuple[float, CloudAction]] = []
        """What EC2 took since then, and when."""

    def read(self, had: Iterable[VpcId] = ()) -> Observed:
        """Read everything once.

        Args:
            had: the VPCs of floating IPs that were here: their tables are read in any case.

        Raises:
            Failure: a reading without which nothing can be decided did not succeed, and nothing
                stands in for it.
        """
        kernel = self._kernel.read()
        macs = sorted({i.mac for i in candidates(kernel, self._settings.interfaces)})
        findings: list[Finding] = []
        node = self._read_node(macs, findings)
        cloud, evidence = CloudState(), Evidence(asked=self._clock.now())
        held = Held(vpcs=frozenset(had), marked=bool(held_marks(kernel)))
        if macs or held:
            cloud, evidence = self._read_cloud(node, macs, held, findings)
        return Observed(
            facts=Facts(kernel=kernel, node=node, cloud=cloud),
            evidence=evidence,
            findings=tuple(findings),
        )

    def kernel(self) -> KernelState:
        """Read the pod's namespace alone."""
        return self._kernel.read()

    def wrote(self, action: CloudAction) -> None:
        """Remember a write that EC2 took, until it is read back; from any thread."""
        with self._lock:
            self._writes.append((self._clock.now(), action))

    def alive(self, ids: Iterable[EniId]) -> tuple[Eni, ...]:
        """Look up other ENIs."""
        return self._cloud.enis_by_id(ids)

    def inhabitants(self, subnets: Iterable[SubnetId]) -> tuple[Eni, ...]:
        """Look up who lives in some subnets."""
        return self._cloud.enis_in(subnets)

    def _read_node(self, macs: list[Mac], findings: list[Finding]) -> NodeMetadata | None:
        """Ask IMDS; what it told before, or the environment's region, stands in for it."""
        try:
            self._node = self._metadata.read(macs)
        except Failure as failure:
            if self._node is None and self._settings.region is None:
                raise
            findings.append(
                find(Condition.UNREACHABLE, "imds", what=failure.what, hint=failure.hint)
            )
        region = self._settings.region or (self._node.region if self._node else "")
        self._cloud.connect(region)
        return self._node

    def _read_cloud(
        self, node: NodeMetadata | None, macs: list[Mac], held: Held, findings: list[Finding]
    ) -> tuple[CloudState, Evidence]:
        """Read EC2, the parts beside each other; each that fails is stood in for."""
        missed, known_before = _Missed(), self._known()
        asked = self._clock.now()
        known_here = {e.vpc for e in node.enis if e.vpc is not None} if node else set[VpcId]()
        vpcs = sorted(known_here | held.vpcs)
        start = self._tasks.start
        own = start("observe", lambda: self._read_enis(node, macs, findings))
        shown = start("observe", lambda: self._steering.read(vpcs)) if vpcs else None
        early = bool(vpcs) and self._want_subnets(node)
        around = start("observe", lambda: self._cloud.subnets(vpcs)) if early else None
        enis = missed.call(own.result, lambda _: _enis_known(known_before, node))
        # IMDS can be silent or stale about an ENI's VPC and subnet; EC2 is believed.
        ours = [e for e in enis if e.attached and e.mac in macs]
        around_here = {e.vpc for e in ours or (enis if held.marked else ())}
        others = sorted(around_here - set(vpcs))
        apart = _Missed()
        tables = apart.call(shown.result, self._tables_of(known_before, vpcs)) if shown else ()
        if others:
            tables += apart.call(
                lambda: self._steering.read(others), self._tables_of(known_before, others)
            )
        missed.failures += apart.failures
        told = missed.call(around.result, lambda _: known_before.subnets) if around else ()
        subnets = _with_metadata(told, node)
        unknown = {e.vpc for e in ours if e.subnet not in {s.id for s in subnets}}
        wanted = sorted({e.vpc for e in ours})
        if unknown or (wanted and not told and self._order_matters(len(tables))):
            told = missed.call(lambda: self._cloud.subnets(wanted), lambda _: known_before.subnets)
            subnets = _with_metadata(told, node)
        if missed.failures:
            if not tables or not (enis or held):
                raise missed.failures[0]
            findings += [f.finding(READING) for f in missed.failures]
            findings.append(find(Condition.UNVERIFIED, READING))
        cloud = CloudState(tables=tables, enis=enis, subnets=subnets)
        with self._lock:
            self._last, self._asked = cloud, self._asked if apart.failures else asked
            self._writes = [(at, action) for at, action in self._writes if at >= asked]
            return cloud, Evidence(asked=self._asked, fresh=not missed.failures)

    def _known(self) -> CloudState:
        """Give what EC2 showed last, with our own writes since then on top."""
        with self._lock:
            world = World(kernel=KernelState(), cloud=self._last)
            for _, action in self._writes:
                world = evolve(world, action)
            return world.cloud

    def _tables_of(
        self, known: CloudState, vpcs: Sequence[VpcId]
    ) -> Callable[[Failure], tuple[RouteTable, ...]]:
        """Give the tables as last read, or else those that were told, with no route in them."""

        def instead(failure: Failure) -> tuple[RouteTable, ...]:
            before = tuple(t for t in known.tables if t.vpc in vpcs)
            host = self._settings.pattern is Pattern.HOST
            passing = isinstance(failure, Transient)
            if before or not passing or not host or len(vpcs) != 1:
                return before
            return tuple(RouteTable(id=i, vpc=vpcs[0]) for i in self._settings.tables)

        return instead

    def _want_subnets(self, node: NodeMetadata | None) -> bool:
        known = node is not None and all(e.subnet_ipv4 is not None for e in node.enis)
        return self._settings.pattern is Pattern.SUBNET or not known

    def _order_matters(self, tables: int) -> bool:
        """Tell whether some tables must wait for the bucket, so that peers' tables go first."""
        return bool(self._settings.peers) and tables > self._settings.rate.burst

    def _read_enis(
        self, node: NodeMetadata | None, macs: list[Mac], findings: list[Finding]
    ) -> tuple[Eni, ...]:
        """Read this instance's own ENIs, which lie in its own zone, apart from all others."""
        try:
            if node is None:
                return self._cloud.enis_by_mac(macs) if macs else ()
            found = self._cloud.instance_enis(node.instance)
        except Permanent as denied:
            if node is None:
                raise
            findings.append(
                find(Condition.ENI_UNVERIFIED, "ec2:DescribeNetworkInterfaces", what=denied.what)
            )
            return _from_metadata(node)
        if not found:  # it runs, so it has a primary one
            raise Transient(f"EC2 shows no network interface of {node.instance}, which runs")
        return found


class _Missed:
    """Collects what could not be read, and has something stand in for it."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []

    def call(
        self, read: Callable[[], tuple[T, ...]], known: Callable[[Failure], tuple[T, ...]]
    ) -> tuple[T, ...]:
        """Read, or give what is known."""
        try:
            return read()
        except Failure as failure:
            self.failures.append(failure)
            return known(failure)


def _enis_known(known: CloudState, node: NodeMetadata | None) -> tuple[Eni, ...]:
    """Give this instance's ENIs as IMDS tells them; what EC2 showed of them last is kept."""
    before = {e.id: e for e in known.enis}
    if node is None:
        return known.enis
    return tuple(before.get(e.id, e) for e in _from_metadata(node))


def _from_metadata(node: NodeMetadata) -> tuple[Eni, ...]:
    return tuple(
        Eni(
            id=e.id,
            mac=e.mac,
            vpc=e.vpc,
            subnet=e.subnet,
            addresses=e.addresses,
            prefixes=e.prefixes,
            source_dest_check=False,
            instance=node.instance,
            attached=True,
            device_index=e.device_index or 0,
            card_index=e.card_index,
        )
        for e in node.enis
        if e.id is not None and e.vpc is not None and e.subnet is not None
    )


def _with_metadata(subnets: tuple[Subnet, ...], node: NodeMetadata | None) -> tuple[Subnet, ...]:
    """Add the ENIs' own subnets from IMDS, which saves a call where no other is needed."""
    known = {s.id for s in subnets}
    told = {
        e.subnet: Subnet(id=e.subnet, vpc=e.vpc, networks=(e.subnet_ipv4,))
        for e in (node.enis if node else ())
        if e.subnet is not None and e.vpc is not None and e.subnet_ipv4 is not None
    }
    return (*subnets, *(s for i, s in sorted(told.items()) if i not in known))
