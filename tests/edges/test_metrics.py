"""What a scrape tells, read back by Prometheus' own parser."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from reports import ADDRESS, displaced, judged, report, wrote
from vipmanager import __version__
from vipmanager.core.actions import CreateRoute
from vipmanager.core.claim import Verdict
from vipmanager.core.failures import Permanent, Throttled
from vipmanager.core.report import Report
from vipmanager.core.retry import Bucket
from vipmanager.core.settings import Rate
from vipmanager.core.status import Status
from vipmanager.core.tally import Progress, Tally
from vipmanager.edges.metrics import METRICS, Scrape, render

Labels = tuple[tuple[str, str], ...]


def scraped(
    *reports: Report, now: float = 10.0, **buckets: Bucket
) -> dict[tuple[str, Labels], float]:
    """Feed reports that end a second apart; give every sample of the scrape after them."""
    status, tally = Status(), Tally(progress=Progress(began=0.0))
    for second, each in enumerate(reports, start=1):
        status, tally = status.after(each, float(second)), tally.after(each, float(second))
    text = render(Scrape(status=status, tally=tally, buckets=buckets, now=now)).decode()
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_before_the_first_pass_nothing_is_claimed() -> None:
    found = scraped()
    assert found["vipmanager_build_info", (("version", __version__),)] == 1
    assert found["vipmanager_ready", ()] == 0
    assert ("vipmanager_last_good_pass_age_seconds", ()) not in found


def test_routes_are_counted_by_verdict() -> None:
    found = scraped(report(judged=(judged(Verdict.RIGHT), judged(Verdict.WRITE, 1))))
    assert found["vipmanager_routes", (("verdict", "right"),)] == 1
    assert found["vipmanager_routes", (("verdict", "write"),)] == 1
    assert found["vipmanager_routes", (("verdict", "yield"),)] == 0


def test_each_floating_ip_tells_in_how_many_tables_it_points_where() -> None:
    nowhere = (("floating_ip", str(ADDRESS)), ("right", "false"), ("target", "none"))
    found = scraped(report(judged=(judged(Verdict.WRITE), judged(Verdict.WRITE, 1))))
    assert found["vipmanager_floating_ip_route_tables", nowhere] == 2


def test_what_stood_stays_where_the_worlds_could_not_be_read() -> None:
    right = report(judged=(judged(Verdict.RIGHT),))
    found = scraped(right, report(observed=False))
    assert found["vipmanager_routes", (("verdict", "right"),)] == 1
    assert found["vipmanager_ready", ()] == 1
    assert found["vipmanager_passes_total", (("outcome", "unread"),)] == 1
    assert found["vipmanager_last_good_pass_age_seconds", ()] == 9


def test_writes_are_counted_by_action_and_result() -> None:
    found = scraped(
        report(done=(wrote(), wrote(1), wrote(2, Permanent("no")), wrote(3, Throttled("later"))))
    )

    def count(result: str) -> float:
        return found["vipmanager_writes_total", (("action", "CreateRoute"), ("result", result))]

    assert (count("ok"), count("refused"), count("throttled")) == (2, 1, 1)


def test_a_failover_lasts_from_what_was_wrong_to_its_read_back() -> None:
    right = report(judged=(judged(Verdict.RIGHT),))
    found = scraped(report(done=(wrote(),)), right, right)
    assert found["vipmanager_failover_duration_seconds_count", ()] == 1
    assert found["vipmanager_failover_duration_seconds_sum", ()] == 2


def test_the_time_for_which_another_pod_has_it_is_no_failover_of_this_one() -> None:
    right = report(judged=(judged(Verdict.RIGHT),))
    found = scraped(right, *[report(displaced())] * 60, report(done=(wrote(),)), right)
    assert found["vipmanager_failover_duration_seconds_count", ()] == 1
    assert found["vipmanager_failover_duration_seconds_sum", ()] == 2


def test_a_start_that_finds_all_right_is_no_failover() -> None:
    found = scraped(report(judged=(judged(Verdict.RIGHT),)))
    assert found["vipmanager_failover_duration_seconds_count", ()] == 0


def test_repairs_are_told_from_claims() -> None:
    action = wrote().action
    assert isinstance(action, CreateRoute)
    repaired = replace(wrote(), action=replace(action, repair=True))
    found = scraped(report(done=(repaired, wrote(1))))
    assert found["vipmanager_repairs_total", ()] == 1


def test_findings_stand_until_they_clear() -> None:
    lost = (("condition", "DISPLACED"), ("kind", "failed"))
    assert scraped(report(displaced()))["vipmanager_findings", lost] == 1
    assert ("vipmanager_findings", lost) not in scraped(report(displaced()), report())


def test_the_write_budget_and_what_was_throttled_are_told_by_action() -> None:
    bucket = Bucket.full(Rate(burst=50, refill=5), now=10.0)
    taken, _ = bucket.take(10.0)
    refused = taken.throttled(10.0).throttled(10.1)
    found = scraped(now=10.1, ReplaceRoute=refused, CreateRoute=taken)
    assert found["vipmanager_throttled_total", (("action", "ReplaceRoute"),)] == 2
    assert found["vipmanager_write_budget", (("action", "CreateRoute"),)] == 49.5
    assert found["vipmanager_write_budget", (("action", "ReplaceRoute"),)] < 1


def test_every_metric_is_named_as_prometheus_asks() -> None:
    for metric in METRICS:
        assert metric.name.startswith("vipmanager_")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
