"""Reading both worlds, in as few and as parallel calls as the answers allow."""

from collections.abc import Iterable
from dataclasses import dataclass

from vipmanager.core.desired import Facts
from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.findings import Condition, Finding, find
from vipmanager.core.pod import managed
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.values import (
    CloudState,
    Eni,
    EniId,
    KernelState,
    Mac,
    NodeMetadata,
    Subnet,
    SubnetId,
)
from vipmanager.ports import Cloud, Kernel, Metadata, Tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The facts, and what was odd about reading them."""

    facts: Facts
    findings: tuple[Finding, ...]


class Observer:
    """Reads kernel, IMDS and EC2."""

    def __init__(
        self, kernel: Kernel, metadata: Metadata, cloud: Cloud, settings: Settings, tasks: Tasks
    ) -> None:
        self._kernel = kernel
        self._metadata = metadata
        self._cloud = cloud
        self._settings = settings
        self._tasks = tasks
        self._node: NodeMetadata | None = None

    def read(self) -> Observed:
        """Read everything once.

        Raises:
            Failure: a reading without which nothing can be decided did not succeed.
        """
        kernel = self._kernel.read()
        interfaces = managed(kernel, self._settings.interfaces)
        macs = sorted({i.mac for i in interfaces})
        findings: list[Finding] = []
        node = self._read_node(macs, findings)
        if not macs:
            return Observed(
                facts=Facts(kernel=kernel, node=node, cloud=CloudState()),
                findings=tuple(findings),
            )
        cloud = self._read_cloud(node, macs, findings)
        return Observed(
            facts=Facts(kernel=kernel, node=node, cloud=cloud), findings=tuple(findings)
        )

    def kernel(self) -> KernelState:
        """Read the pod's namespace alone."""
        return self._kernel.read()

    def kernel_changed_from(self, facts: Facts) -> bool:
        """Tell whether the pod's namespace differs from what is known of it."""
        now, then = self.kernel(), facts.kernel
        return any(
            set(one) != set(other)
            for one, other in (
                (now.interfaces, then.interfaces),
                (now.routes, then.routes),
                (now.rules, then.rules),
            )
        )

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
        self, node: NodeMetadata | None, macs: list[Mac], findings: list[Finding]
    ) -> CloudState:
        vpcs = sorted({e.vpc for e in node.enis if e.vpc is not None}) if node else []
        start, cloud = self._tasks.start, self._cloud
        enis = start("observe", lambda: self._read_enis(node, macs))
        tables = start("observe", lambda: cloud.route_tables(vpcs)) if vpcs else None
        early = bool(vpcs) and self._want_subnets(node)
        subnets = start("observe", lambda: cloud.subnets(vpcs)) if early else None
        found, unverified = enis.result()
        if unverified is not None:
            findings.append(unverified)
        read_tables = tables.result() if tables else ()
        read_subnets = subnets.result() if subnets else ()
        # IMDS can be silent or stale about an ENI's VPC and subnet; EC2 is believed.
        ours = [e for e in found if e.attached and e.mac in macs]
        missed = sorted({e.vpc for e in ours} - set(vpcs))
        if missed:
            read_tables += self._cloud.route_tables(missed)
        known = _with_metadata(read_subnets, node)
        unknown = {e.vpc for e in ours if e.subnet not in {s.id for s in known}}
        if unknown or (not read_subnets and self._order_matters(len(read_tables))):
            wanted = sorted({e.vpc for e in ours})
            known = _with_metadata(self._cloud.subnets(wanted), node)
        return CloudState(tables=read_tables, enis=found, subnets=known)

    def _want_subnets(self, node: NodeMetadata | None) -> bool:
        known = node is not None and all(e.subnet_ipv4 is not None for e in node.enis)
        return self._settings.pattern is Pattern.SUBNET or not known

    def _order_matters(self, tables: int) -> bool:
        """Tell whether some tables must wait for the bucket, so that peers' tables go first."""
        return bool(self._settings.peers) and tables > self._settings.rate.burst

    def _read_enis(
        self, node: NodeMetadata | None, macs: list[Mac]
    ) -> tuple[tuple[Eni, ...], Finding | None]:
        try:
            if node is None:
                return self._cloud.enis_by_mac(macs), None
            return self._cloud.instance_enis(node.instance), None
        except Permanent as denied:
            if node is None:
                raise
            return _from_metadata(node), find(
                Condition.ENI_UNVERIFIED, "ec2:DescribeNetworkInterfaces", what=denied.what
            )


def _from_metadata(node: NodeMetadata) -> tuple[Eni, ...]:
    return tuple(
        Eni(
            id=e.id,
            mac=e.mac,
            vpc=e.vpc,
            subnet=e.subnet,
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
