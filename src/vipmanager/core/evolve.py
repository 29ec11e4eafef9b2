"""What an action makes of the world: the "after" of a plan, and the worlds of the tests."""

from dataclasses import replace
from typing import assert_never

from vipmanager.core.actions import (
    Action,
    AddAddress,
    AddRoute,
    AddRule,
    CloudAction,
    DeleteRoute,
    DisableSourceDestCheck,
    KernelAction,
    RemoveRoute,
    RemoveRule,
    RouteWrite,
)
from vipmanager.core.values import (
    AddressState,
    CloudRoute,
    CloudState,
    EniId,
    KernelState,
    Network,
    PodAddress,
    PodInterface,
    RouteTable,
    RouteTableId,
    World,
    eni_target,
    sort_key,
)


def evolve(world: World, action: Action) -> World:
    """Give the world after one action has succeeded."""
    match action:
        case AddAddress() | AddRule() | RemoveRule() | AddRoute() | RemoveRoute():
            return replace(world, kernel=_kernel(world.kernel, action))
        case _:
            return replace(world, cloud=_cloud(world.cloud, action))


def _kernel(kernel: KernelState, action: KernelAction) -> KernelState:
    match action:
        case AddAddress():
            return replace(kernel, interfaces=tuple(_readded(i, action) for i in kernel.interfaces))
        case AddRule(rule=rule):
            return replace(kernel, rules=(*kernel.rules, rule))
        case RemoveRule(rule=rule):
            return replace(kernel, rules=tuple(r for r in kernel.rules if r != rule))
        case AddRoute(route=route):
            others = tuple(r for r in kernel.routes if r.key != route.key)
            return replace(kernel, routes=(*others, route))
        case RemoveRoute(route=route):
            return replace(kernel, routes=tuple(r for r in kernel.routes if r.key != route.key))
        case _:
            assert_never(action)


def _readded(interface: PodInterface, action: AddAddress) -> PodInterface:
    if interface.name != action.interface:
        return interface
    others = tuple(a for a in interface.addresses if a.address != action.address)
    added = PodAddress(
        address=action.address,
        prefix_length=action.prefix_length,
        state=AddressState.TENTATIVE,
    )
    return replace(interface, addresses=(*others, added))


def _cloud(cloud: CloudState, action: CloudAction) -> CloudState:
    if isinstance(action, RouteWrite):
        return _point(cloud, action.table, action.destination, action.eni)
    match action:
        case DeleteRoute(table=table, destination=destination):
            return _set(cloud, table, destination, None)
        case DisableSourceDestCheck(eni=eni):
            return replace(
                cloud,
                enis=tuple(
                    replace(e, source_dest_check=False) if e.id == eni else e for e in cloud.enis
                ),
            )
        case _:
            assert_never(action)


def _point(cloud: CloudState, table: RouteTableId, destination: Network, eni: EniId) -> CloudState:
    instance = next((e.instance for e in cloud.enis if e.id == eni), None)
    attached = any(e.id == eni and e.attached for e in cloud.enis)
    route = CloudRoute(
        destination=destination,
        target=eni_target(eni, instance),
        blackhole=not attached,
    )
    return _set(cloud, table, destination, route)


def _set(
    cloud: CloudState, table: RouteTableId, destination: Network, route: CloudRoute | None
) -> CloudState:
    added = () if route is None else (route,)

    def pointed(t: RouteTable) -> RouteTable:
        others = [r for r in t.routes if r.destination != destination or r.propagated]
        return replace(
            t, routes=tuple(sorted([*others, *added], key=lambda r: sort_key(r.destination)))
        )

    return replace(cloud, tables=tuple(pointed(t) if t.id == table else t for t in cloud.tables))
