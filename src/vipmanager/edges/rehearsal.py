"""Worlds that are only read: writes are remembered, and later readings show them as done.

The whole agent runs over them for `vipmanager plan`, so what it prints is what `run` does.
"""

import threading
from collections.abc import Iterable, Sequence
from functools import reduce

from vipmanager.core.actions import (
    AddAddress,
    AddRoute,
    AddRule,
    CloudAction,
    KernelAction,
    RemoveRoute,
    RemoveRule,
)
from vipmanager.core.evolve import evolve
from vipmanager.core.failures import Failure
from vipmanager.core.values import (
    CloudState,
    Eni,
    EniId,
    InstanceId,
    KernelState,
    Mac,
    RouteTable,
    Subnet,
    SubnetId,
    VpcId,
    World,
)
from vipmanager.ports import Cloud, Fence, Kernel


class RehearsalKernel:
    """The `Kernel` port over another one, of which nothing but `read` is used."""

    def __init__(self, real: Kernel) -> None:
        self._real = real
        self._writes: dict[object, KernelAction] = {}
        """The last one about each thing: a dry run goes on for weeks."""

    def read(self) -> KernelState:
        """Give the real state with all writes on top."""
        world = World(kernel=self._real.read(), cloud=CloudState())
        return reduce(evolve, self._writes.values(), world).kernel

    def write(self, actions: Sequence[KernelAction]) -> Sequence[tuple[KernelAction, Failure]]:
        """Remember the actions."""
        for action in actions:
            self._writes.pop(_about(action), None)  # the last one comes last
            self._writes[_about(action)] = action
        return ()


class RehearsalCloud:
    """The `Cloud` port over another one, of which nothing but reads is used."""

    def __init__(self, real: Cloud) -> None:
        self._real = real
        self._lock = threading.Lock()
        self._writes: list[CloudAction] = []
        self._enis: dict[EniId, Eni] = {}

    def connect(self, region: str) -> None:
        """Name the region."""
        self._real.connect(region)

    def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
        """Give the real tables with all writes on top."""
        return self._after(self._real.route_tables(vpcs), ()).tables

    def instance_enis(self, instance: InstanceId) -> tuple[Eni, ...]:
        """Give the ENIs attached to an instance, with all writes on top."""
        return self._after((), self._real.instance_enis(instance)).enis

    def enis_by_mac(self, macs: Iterable[Mac]) -> tuple[Eni, ...]:
        """Give the attached ENIs with these MACs, with all writes on top."""
        return self._after((), self._real.enis_by_mac(macs)).enis

    def enis_by_id(self, ids: Iterable[EniId]) -> tuple[Eni, ...]:
        """Give these ENIs."""
        return self._real.enis_by_id(ids)

    def enis_in(self, subnets: Iterable[SubnetId]) -> tuple[Eni, ...]:
        """Give every ENI in these subnets."""
        return self._real.enis_in(subnets)

    def subnets(self, vpcs: Iterable[VpcId]) -> tuple[Subnet, ...]:
        """Give all subnets of these VPCs."""
        return self._real.subnets(vpcs)

    def write(self, action: CloudAction, fence: Fence) -> None:  # noqa: ARG002 - nothing is sent
        """Remember the action."""
        with self._lock:
            self._writes.append(action)

    def permits(self, action: CloudAction) -> None:
        """Ask the real one."""
        self._real.permits(action)

    def _after(self, tables: tuple[RouteTable, ...], enis: tuple[Eni, ...]) -> CloudState:
        with self._lock:
            # What a route of ours would show depends on whether its ENI is attached.
            self._enis |= {e.id: e for e in enis}
            known = enis or tuple(self._enis.values())
            world = World(kernel=KernelState(), cloud=CloudState(tables=tables, enis=known))
            return reduce(evolve, self._writes, world).cloud


def _about(action: KernelAction) -> object:
    """Tell which thing an action adds or removes."""
    match action:
        case AddRoute(route=route) | RemoveRoute(route=route):
            return route.key
        case AddRule(rule=rule) | RemoveRule(rule=rule):
            return rule
        case AddAddress(interface=interface, address=address):
            return interface, address
