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
from vipmanager.core.election.role import Role
from vipmanager.core.election.values import Why
from vipmanager.core.heartbeat import Count, DropReason
from vipmanager.core.retry import Bucket
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.status import Status
from vipmanager.core.tally import WRITES, Histogram, Tally
from vipmanager.core.verdict import Verdict

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
    wall: float
    """The same moment in seconds since 1970."""
    calls: Mapping[tuple[str, str, str], Histogram] = field(default_factory=dict)
    """To the APIs: by API, action and result."""
    role_status: RoleStatus | None = None
    """None without LeaderElection."""
    drops: Mapping[DropReason, Count] = field(default_factory=dict)


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


STATES = {
    Verdict.RIGHT: "right",
    Verdict.WRITE: "wrong",
    Verdict.WAIT: "unsure",
    Verdict.YIELD: "elsewhere",
    Verdict.LOST: "lost",
}
"""What people call a verdict."""


def _routes(scrape: Scrape) -> Iterator[Sample]:
    judged = scrape.status.observed.judged if scrape.status.observed else ()
    found = Counter(j.verdict for j in judged)
    for verdict, state in STATES.items():
        yield (state,), found[verdict]


def _targets(scrape: Scrape) -> Iterator[Sample]:
    observed = scrape.status.observed
    if observed is None:
        return
    ours = {ip.destination: ip.name for ip in observed.floating}
    found = Counter(
        (
            ours.get(j.steer.destination, str(j.steer.destination)),
            j.route.target.id if j.route else "none",
            STATES[j.verdict],
        )
        for j in observed.judged
    )
    yield from sorted(found.items())


def _states(scrape: Scrape) -> Iterator[Sample]:
    observed = scrape.status.observed
    for ip in observed.floating if observed is not None else ():
        now = "lost" if ip.lost is not None else "ready" if ip.ready else "waiting"
        for state in ("ready", "waiting", "lost"):
            yield (ip.name, ip.interface, state), float(state == now)


def _findings(scrape: Scrape) -> Iterator[Sample]:
    found = Counter((f.condition.name, f.kind.name.lower()) for f in scrape.status.findings)
    yield from sorted(found.items())


def _wave(scrape: Scrape) -> list[Sample]:
    now = scrape.status.progress
    states = {"written": 0, "failed": 0, "left": 0}
    if now is not None:
        states = {"written": now.written, "failed": now.failed, "left": now.left}
    return [((state,), number) for state, number in states.items()]


def _remaining(scrape: Scrape) -> list[Sample]:
    return _one(scrape.status.progress.seconds if scrape.status.progress is not None else 0.0)


def _throttled(scrape: Scrape) -> list[Sample]:
    refused = {action: b.refused for action, b in scrape.buckets.items()}
    return [((a,), refused.get(a, 0)) for a in sorted({*WRITES, *refused})]


def _role(scrape: Scrape) -> Iterator[Sample]:
    if scrape.role_status is not None:
        for role in Role:
            yield (role.value,), float(scrape.role_status.role is role)


def _leaving(scrape: Scrape) -> list[Sample]:
    return _one(float(bool(scrape.role_status.leaving))) if scrape.role_status is not None else []


def _generation(scrape: Scrape) -> list[Sample]:
    generation = scrape.role_status.generation if scrape.role_status is not None else None
    return _one(generation.transitions) if generation is not None else []


def _takeovers(scrape: Scrape) -> list[Sample]:
    if scrape.role_status is None:
        return []
    return [((why.value,), scrape.role_status.takeovers.get(why.value, 0)) for why in Why]


def _troubles(scrape: Scrape) -> list[Sample]:
    if scrape.role_status is None:
        return []
    met = {reason: count.number for reason, count in scrape.drops.items()}
    return [((reason.value,), met.get(reason, 0)) for reason in DropReason]


def _timestamp(scrape: Scrape, at: float | None) -> list[Sample]:
    """Give a monotonic time in seconds since 1970; the tenths do not tell two clocks apart."""
    return _one(round(scrape.wall - (scrape.now - at), 1)) if at is not None else []


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
        samples=lambda s: _one(float(s.status.readiness.ready)),
    ),
    Metric(
        name="vipmanager_routes",
        kind="gauge",
        labels=("state",),
        meaning="VPC routes that shall be, by what the last reading made of them: right, wrong (to "
        "be written), unsure (not decided yet), elsewhere (left to another ENI), "
        "lost (it leads here, where its address is gone)",
        samples=_routes,
    ),
    Metric(
        name="vipmanager_floating_ip_route_tables",
        kind="gauge",
        labels=("floating_ip", "target", "state"),
        meaning="route tables in which a floating IP leads to a target, by state as above; the "
        "target is `none` where there is no route",
        samples=_targets,
    ),
    Metric(
        name="vipmanager_floating_ip_state",
        kind="gauge",
        labels=("floating_ip", "interface", "state"),
        meaning="1 for what a floating IP is in this pod: ready, waiting (its interface is down, "
        "or the address tentative), lost (it is gone while routes still lead here)",
        samples=_states,
    ),
    Metric(
        name="vipmanager_wave_routes",
        kind="gauge",
        labels=("state",),
        meaning="routes that are being written: written (EC2 took them), failed, left; all 0 at "
        "rest",
        samples=_wave,
    ),
    Metric(
        name="vipmanager_wave_remaining_seconds",
        kind="gauge",
        labels=(),
        meaning="about how long it takes until EC2's bucket lets the routes go that are left "
        "(ApiRate)",
        samples=_remaining,
    ),
    Metric(
        name="vipmanager_findings",
        kind="gauge",
        labels=("condition", "kind"),
        meaning="problems that stand now, no series for any other; docs/operations.md explains "
        "each condition",
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
        samples=_throttled,
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
        name="vipmanager_evidence_timestamp_seconds",
        kind="gauge",
        labels=(),
        meaning="when EC2 was last read whole, seconds since 1970: all that is told rests on that; "
        "absent before the first",
        samples=lambda s: _timestamp(s, s.status.read),
    ),
    Metric(
        name="vipmanager_last_good_pass_timestamp_seconds",
        kind="gauge",
        labels=(),
        meaning="when a pass last found everything right, seconds since 1970; absent before the "
        "first",
        samples=lambda s: _timestamp(s, s.tally.good_at),
    ),
    Metric(
        name="vipmanager_role",
        kind="gauge",
        labels=("role",),
        meaning="1 for what this agent is: standby, holder, or relieved (it held the Lease, can't "
        "read it, and its routes lead to another); absent without LeaderElection",
        samples=_role,
    ),
    Metric(
        name="vipmanager_leaving",
        kind="gauge",
        labels=(),
        meaning="1 while this pod should leave its node or zone (HandOverOn), and lets another one "
        "hold; absent without LeaderElection",
        samples=_leaving,
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
        "restart), gone (the pod of its holder), offered, preferred, silent (its holder died), "
        "expired, claimed",
        samples=_takeovers,
    ),
    Metric(
        name="vipmanager_takeover_duration_seconds",
        kind="histogram",
        labels=(),
        meaning="from asking for the Lease to the reading that showed every route right",
        samples=lambda s: [((), s.role_status.durations)] if s.role_status is not None else [],
    ),
    Metric(
        name="vipmanager_heartbeat_troubles_total",
        kind="counter",
        labels=("trouble",),
        meaning="heartbeats that were not sent, taken or heard: malformed, unauthentic (another "
        "key), replayed, misdirected, refused, unreachable, unsent",
        samples=_troubles,
    ),
    Metric(
        name="vipmanager_api_call_duration_seconds",
        kind="histogram",
        labels=("api", "action", "result"),
        meaning="how long a call to an API took (ec2, sts, kubernetes; no watches), connecting "
        "included, by action and result: ok, throttled, conflict, failed, refused",
        samples=lambda s: sorted(s.calls.items(), key=lambda item: item[0]),
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
        from prometheus_client import PROCESS_COLLECTOR  # noqa: PLC0415 - as above

        yield from (_family(metric, self._scrape) for metric in METRICS)
        yield from PROCESS_COLLECTOR.collect()


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
