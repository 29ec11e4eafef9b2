"""Whether a pod can carry its floating IPs, as its passes show it."""

from dataclasses import replace

from vipmanager.core.actions import AddAddress, AddRoute, AddRule, RemoveRoute, RemoveRule
from vipmanager.core.election.values import Fitness
from vipmanager.core.findings import FitnessPart
from vipmanager.core.podnet import is_mark
from vipmanager.core.report import Report


def fitness(report: Report, before: Fitness) -> Fitness:
    """Give the fitness after one more pass; the application's health is not a pass's to tell.

    A pass that could decide nothing tells nothing: what was ready before still is, for all we know.
    """
    if not report.observed:
        return before
    missing = {f.condition.value.unfit for f in report.findings}
    failed = any(
        isinstance(d.action, AddAddress | AddRoute | AddRule | RemoveRoute | RemoveRule)
        and not is_mark(d.action)
        for d in report.failures
    )
    return replace(
        before,
        kernel=any(ip.lost is None for ip in report.floating)
        and not failed
        and FitnessPart.KERNEL not in missing,
        link=FitnessPart.LINK not in missing,
        attached=FitnessPart.ATTACHED not in missing,
        absent=tuple(ip.name for ip in report.absent),
        planned=before.planned or bool(report.judged),
    )
