"""What of the pod's network concerns us: a change of anything else is another program's.

A routing daemon, a VPN or a user plane changes routes, rules and addresses of its own many times a
second. What a pass would make of the pod tells whether that matters: it is a pure function.
"""

from dataclasses import dataclass, replace

from vipmanager.core.actions import KernelAction
from vipmanager.core.desired import Desired, Facts, desired
from vipmanager.core.findings import Finding
from vipmanager.core.plan import plan
from vipmanager.core.pod import macs, managed
from vipmanager.core.podnet import PROTOCOL
from vipmanager.core.settings import Settings
from vipmanager.core.values import KernelRoute, PodInterface, PolicyRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """Two readings of the pod in which it is the same ask for the same pass."""

    want: Desired
    missing: tuple[KernelAction, ...]
    """What is to be added to the pod."""
    conflicts: tuple[Finding, ...]
    ours: frozenset[KernelRoute | PolicyRule]
    """Of our protocol, marks included."""
    interfaces: frozenset[PodInterface]
    """Of Multus and of ENIs, with all that is on them."""


def concern(settings: Settings, facts: Facts) -> Concern:
    """Give what concerns us; of the cloud, and of the node, whatever was read last."""
    kernel = facts.kernel
    want = desired(settings, facts)
    planned = plan(settings, want, kernel, (), frozenset())
    known = macs(facts.node, facts.cloud.enis)
    return Concern(
        want=replace(want, aside=()),
        missing=planned.prepare,
        conflicts=planned.findings,
        ours=frozenset(
            (
                *(r for r in kernel.routes if r.protocol == PROTOCOL),
                *(r for r in kernel.rules if r.protocol == PROTOCOL),
            )
        ),
        interfaces=frozenset(managed(kernel, settings.interfaces, known)),
    )
