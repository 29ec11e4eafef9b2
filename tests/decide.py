"""The core's whole way from facts to a guarded plan, without an engine."""

from vipmanager.core.claim import judge
from vipmanager.core.desired import Desired, Facts, desired
from vipmanager.core.guard import guard
from vipmanager.core.plan import Plan, plan
from vipmanager.core.podnet import held
from vipmanager.core.settings import Settings
from vipmanager.core.verdict import Decision, RouteHistory


def decide(
    settings: Settings, facts: Facts, *, memory: RouteHistory | None = None, now: float = 0.0
) -> tuple[Decision, Plan, Desired]:
    want = desired(settings, facts)
    marked = frozenset((d, e) for d, e in want.destinations if held(facts.kernel, d, e))
    judgement = judge(
        want.steers,
        want.by_id,
        held=marked,
        gone=frozenset(),
        memory=memory or RouteHistory(),
        now=now,
        jitter=0.5,
    )
    planned = plan(settings, want, facts.kernel, judgement.judged, marked)
    guarded = guard(
        planned, want, settings=settings, subnets=facts.cloud.subnets, enis=facts.cloud.enis
    )
    return judgement, guarded, want
