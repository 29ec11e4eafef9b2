"""Which destinations must not be steered: their interface could not be made ready to answer."""

from collections.abc import Iterable

from vipmanager.core.actions import AddAddress, AddRoute, AddRule, RemoveRoute, RemoveRule
from vipmanager.core.desired import Desired
from vipmanager.core.pod import primary
from vipmanager.core.podnet import PRIMARY_PRIORITY, is_mark
from vipmanager.core.report import Done
from vipmanager.core.values import KernelState, Network


def blocked(prepared: Iterable[Done], kernel: KernelState, want: Desired) -> frozenset[Network]:
    """Give the destinations behind kernel writes that failed; all, where the primary is hit."""
    failed = [d.action for d in prepared if d.failure is not None and not is_mark(d.action)]
    first = primary(kernel)
    interfaces: set[str] = set()
    for action in failed:
        match action:
            case AddAddress(interface=interface):
                device: str | None = interface
            case AddRoute(route=route) | RemoveRoute(route=route):
                device = route.device
            case AddRule(rule=rule) | RemoveRule(rule=rule):
                device = first if rule.priority == PRIMARY_PRIORITY else _owner(rule.source, want)
        if device is None or device == first:
            return frozenset(ip.destination for ip in want.floating)
        interfaces.add(device)
    return frozenset(ip.destination for ip in want.floating if ip.interface in interfaces)


def _owner(source: Network | None, want: Desired) -> str | None:
    return next((ip.interface for ip in want.floating if source and ip.address in source), None)
