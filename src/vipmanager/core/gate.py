"""What an agent may write while its application is not known to be well: it takes nothing.

write                                        why
a claim                       held back      another pod may be serving
a repair over a living ENI    held back      the same: that ENI may be a healthy pod's
any other repair              made           nobody else answers there, and a sick pod may
"""

from dataclasses import replace

from vipmanager.core.findings import Finding
from vipmanager.core.values import EniId
from vipmanager.core.verdict import Decision, RouteDecision, RouteState, Verdict, standing


def held_back(judgement: Decision, why: Finding, *, gone: frozenset[EniId]) -> Decision:
    """Let the writes wait that would take something, and say why.

    They wait rather than being refused, so that no mark makes a hold of a claim that is open.

    Args:
        judgement: what would be done otherwise.
        why: what keeps the gate closed.
        gone: ENIs that carry nothing any more.
    """
    return replace(
        judgement,
        judged=tuple(
            replace(j, verdict=Verdict.WAIT, reason=f"held back: {j.reason}")
            if _takes(j, gone)
            else j
            for j in judgement.judged
        ),
        findings=(*judgement.findings, why),
    )


def _takes(judged: RouteDecision, gone: frozenset[EniId]) -> bool:
    if judged.verdict is not Verdict.WRITE:
        return False
    rival = standing(judged.route, judged.steer.eni, gone) is RouteState.RIVAL
    return rival or not judged.repair
