"""/metrics: what a scrape sees, made when it is asked for.

Nothing is counted here: the core's `Tally` counts, so that an agent that nobody scrapes pays
nothing for its metrics.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from vipmanager import __version__
from vipmanager.core.claim import Verdict
from vipmanager.core.election.actions import Role
from vipmanager.core.election.values import Why
from vipmanager.core.heartbeat import Count, Trouble
from vipmanager.core.retry import Bucket
from vipmanager.core.status import Status
from vipmanager.core.tally import Histogram, Tally
from vipmanager.core.tenure import Tenure

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """Everything that one scrape is made of."""

    status: Status
    tally: Tally
    buckets: Mapping[str, Bucket]
    now: float
    """Monotonic seconds."""
    tenure: Tenure | None = None
    """None without LeaderElection."""
    troubles: Mapping[Trouble, Count] = field(default_factory=dict)


Sample = tuple[tuple[str, ...], float | Histogram]
"""Label values, and the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One row: a metric with its meaning."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    samples: Callable[[Scrape], Iterable[Sample]]


def _one(value: float) -> list[Sample]:
    return [((), value)]


def _verdicts(scrape: Scrape) -> Iterator[Sample]:
    judged = scrape.status.observed.judged if scrape.status.observed else ()
    found = Counter(j.verdict for j in judged)
    for verdict in Verdict:
        yield (verdict.name.lower(),), found[verdict]


def _targets(scrape: Scrape) -> Iterator[Sample]:
    observed = scrape.status.observed
    if observed is None:
        return
    ours = {ip.destination: str(ip.address) for ip in observed.floating}
    found = Counter(
        (
            ours.get(j.steer.destination, str(j.steer.destination)),
            j.route.target.id if j.route else "none",
            "true" if j.verdict is Verdict.RIGHT else "false",
        )
        for j in observed.judged
    )
    yield from sorted(found.items())


def _findings(scrape: Scrape) -> Iterator[Sample]:
    report = scrape.status.report
    found = Counter(
        (f.condition.name, f.kind.name.lower()) for f in (report.findings if report else ())
    )
    yield from sorted(found.items())


def _role(scrape: Scrape) -> Iterator[Sample]:
    if scrape.tenure is not None:
        for role in Role:
            yield (role.value,), float(scrape.tenure.role is role)


def _generation(scrape: Scrape) -> list[Sample]:
    generation = scrape.tenure.generation if scrape.tenure is not None else None
    return _one(generation.transitions) if generation is not None else []


def _takeovers(scrape: Scrape) -> list[Sample]:
    if scrape.tenure is None:
        return []
    return [((why.value,), scrape.tenure.takeovers.get(why.value, 0)) for why in Why]


def _age(scrape: Scrape) -> list[Sample]:
    good = scrape.tally.good_at
    return _one(scrape.now - good) if good is not None else []


METRICS = (
    Metric(
        name="vipmanager_build_info",
        kind="gauge",
        labels=("version",),
        meaning="1; its label tells the version",
        samples=lambda _: [((__version__,), 1.0)],
    ),
    Metric(
        name="vipmanager_ready",
        kind="gauge",
        labels=(),
        meaning="1 while /readyz says yes",
        samples=lambda s: _one(float(s.status.health.ready)),
    ),
    Metric(
        name="vipmanager_routes",
        kind="gauge",
        labels=("verdict",),
        meaning="VPC routes that shall be, by what the last reading made of them: right, write "
        "(wrong, to be written), wait (not decided yet), yield (another live ENI has it)",
        samples=_verdicts,
    ),
    Metric(
        name="vipmanager_floating_ip_route_tables",
        kind="gauge",
        labels=("floating_ip", "target", "right"),
        meaning="route tables in which a floating IP points at a target; `none` for no route",
        samples=_targets,
    ),
    Metric(
        name="vipmanager_findings",
        kind="gauge",
        labels=("condition", "kind"),
        meaning="problems that stand now; docs/operations.md explains each condition",
        samples=_findings,
    ),
    Metric(
        name="vipmanager_writes_total",
        kind="counter",
        labels=("action", "result"),
        meaning="EC2 writes by result: ok, throttled, conflict, failed, refused",
        samples=lambda s: sorted(s.tally.writes.items()),
    ),
    Metric(
        name="vipmanager_throttled_total",
        kind="counter",
        labels=("action",),
        meaning="EC2 writes refused because the account's bucket was empty, retried ones included",
        samples=lambda s: [((a,), b.refused) for a, b in sorted(s.buckets.items())],
    ),
    Metric(
        name="vipmanager_write_budget",
        kind="gauge",
        labels=("action",),
        meaning="EC2 writes that may be made at once, as this agent believes (ApiRate)",
        samples=lambda s: [((a,), b.left(s.now)) for a, b in sorted(s.buckets.items())],
    ),
    Metric(
        name="vipmanager_repairs_total",
        kind="counter",
        labels=(),
        meaning="routes taken back that were missing, dead or had drifted",
        samples=lambda s: _one(s.tally.repairs),
    ),
    Metric(
        name="vipmanager_passes_total",
        kind="counter",
        labels=("outcome",),
        meaning="passes by outcome: clean (all right), unclean, unread (EC2 or IMDS unreachable)",
        samples=lambda s: [((o,), n) for o, n in sorted(s.tally.passes.items())],
    ),
    Metric(
        name="vipmanager_pass_duration_seconds",
        kind="histogram",
        labels=(),
        meaning="how long a pass took",
        samples=lambda s: [((), s.tally.passing)],
    ),
    Metric(
        name="vipmanager_failover_duration_seconds",
        kind="histogram",
        labels=(),
        meaning="from the first look that found something wrong (or the start) to the reading "
        "that showed every route right, where a route was written",
        samples=lambda s: [((), s.tally.failovers)],
    ),
    Metric(
        name="vipmanager_last_good_pass_age_seconds",
        kind="gauge",
        labels=(),
        meaning="seconds since a pass last found everything right; absent before the first",
        samples=_age,
    ),
    Metric(
        name="vipmanager_role",
        kind="gauge",
        labels=("role",),
        meaning="1 for what this agent is, holder or standby; absent without LeaderElection",
        samples=_role,
    ),
    Metric(
        name="vipmanager_lease_generation",
        kind="gauge",
        labels=(),
        meaning="the Lease's transitions when this agent took it; absent on a standby",
        samples=_generation,
    ),
    Metric(
        name="vipmanager_takeovers_total",
        kind="counter",
        labels=("cause",),
        meaning="times that this agent took the Lease: absent, free (released), own (after a "
        "restart), offered, preferred, silent (its holder died), expired, claimed",
        samples=_takeovers,
    ),
    Metric(
        name="vipmanager_takeover_duration_seconds",
        kind="histogram",
        labels=(),
        meaning="from asking for the Lease to the reading that showed every route right",
        samples=lambda s: [((), s.tenure.durations)] if s.tenure is not None else [],
    ),
    Metric(
        name="vipmanager_heartbeat_troubles_total",
        kind="counter",
        labels=("trouble",),
        meaning="heartbeats that were not sent, taken or heard: malformed, unauthentic (another "
        "key), replayed, misdirected, refused, unreachable, unsent",
        samples=lambda s: [
            ((t.value,), c.number)
            for t, c in sorted(s.troubles.items(), key=lambda item: item[0].value)
        ],
    ),
)
"""Every metric, in the order of docs/metrics.md, which is made of this table."""


def render(scrape: Scrape) -> bytes:
    """Give the text that Prometheus reads."""
    from prometheus_client import generate_latest  # noqa: PLC0415 - 60 ms, where it is asked for

    return generate_latest(_Collected(scrape))


class _Collected:
    """What prometheus_client takes for a registry."""

    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape

    def collect(self) -> Iterator["Family"]:
        return (_family(metric, self._scrape) for metric in METRICS)


def _family(metric: Metric, scrape: Scrape) -> "Family":
    from prometheus_client import core  # noqa: PLC0415 - as above

    kinds: dict[str, Any] = {
        "gauge": core.GaugeMetricFamily,
        "counter": core.CounterMetricFamily,
        "histogram": core.HistogramMetricFamily,
    }
    family = kinds[metric.kind](metric.name, metric.meaning, labels=metric.labels)
    for labels, value in metric.samples(scrape):
        if isinstance(value, Histogram):
            family.add_metric(labels, _buckets(value), value.total)
        else:
            family.add_metric(labels, value)
    made: Family = family
    return made


def _buckets(histogram: Histogram) -> list[tuple[str, int]]:
    bounds = [*map(str, histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
