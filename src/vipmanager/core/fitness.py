"""Whether a pod can carry its floating IPs, as its passes show it."""

from dataclasses import replace

from vipmanager.core.actions import AddAddress, AddRoute, AddRule, RemoveRoute, RemoveRule
from vipmanager.core.election.values import Fitness
from vipmanager.core.findings import Condition
from vipmanager.core.podnet import is_mark
from vipmanager.core.report import Report

_LINK = {Condition.INTERFACE_DOWN, Condition.ADDRESS_LOST}
_ATTACHED = {Condition.ENI_NOT_YET, Condition.MAC_UNKNOWN}
_KERNEL = {
    Condition.NO_FLOATING_IP,
    Condition.ADDRESS_TENTATIVE,
    Condition.ADDRESS_DUPLICATE,
    Condition.KERNEL_ROUTE_FOREIGN,
    Condition.SOURCE_DEST_CHECK,
}
"""What keeps an answer from leaving, or a packet from arriving."""


def fitness(report: Report, before: Fitness) -> Fitness:
    """Give the fitness after one more pass; the application's health is not a pass's to tell.

    A reading that failed tells of EC2 alone: what was ready before still is, for all we know.
    """
    if not report.observed:
        return replace(before, ec2=False)
    found = {f.condition for f in report.findings}
    failed = any(
        isinstance(d.action, AddAddress | AddRoute | AddRule | RemoveRoute | RemoveRule)
        and not is_mark(d.action)
        for d in report.failures
    )
    return replace(
        before,
        kernel=bool(report.floating) and not failed and not found & _KERNEL,
        link=not found & _LINK,
        attached=not found & _ATTACHED,
        ec2=before.ec2 or report.fresh,
    )
