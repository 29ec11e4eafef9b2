"""What a scrape tells, read back by Prometheus' own parser."""

import shutil
import subprocess
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reports import ADDRESS, displaced, judged, report, wrote
from vipmanager import __version__
from vipmanager.core.actions import CreateRoute
from vipmanager.core.failures import Permanent, Throttled
from vipmanager.core.progress import Progress
from vipmanager.core.report import Report
from vipmanager.core.retry import Bucket
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.settings import Rate
from vipmanager.core.status import Status
from vipmanager.core.tally import Recovery, Tally
from vipmanager.core.verdict import Verdict
from vipmanager.edges.metrics import METRICS, Scrape, render
from vipmanager.engine.calls import Calls

EPOCH = 1_700_000_000.0
"""When the monotonic clock began."""
Labels = tuple[tuple[str, str], ...]


def scraped(
    *reports: Report, now: float = 10.0, **buckets: Bucket
) -> dict[tuple[str, Labels], float]:
    """Feed reports that end a second apart; give every sample of the scrape after them."""
    status, tally = Status(), Tally(recovery=Recovery(began=0.0))
    for second, each in enumerate(reports, start=1):
        status, tally = status.after(each, float(second)), tally.after(each, float(second))
    scrape = Scrape(status=status, tally=tally, buckets=buckets, now=now, wall=EPOCH + now)
    return samples(scrape)


def samples(scrape: Scrape) -> dict[tuple[str, Labels], float]:
    text = render(scrape).decode()
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_before_the_first_pass_nothing_is_claimed() -> None:
    found = scraped()
    assert found["vipmanager_build_info", (("version", __version__),)] == 1
    assert found["vipmanager_ready", ()] == 0
    assert ("vipmanager_last_good_pass_timestamp_seconds", ()) not in found
    assert ("vipmanager_evidence_timestamp_seconds", ()) not in found


def test_a_counter_begins_at_0_with_every_label_that_can_be_known() -> None:
    found = samples(
        Scrape(
            status=Status(),
            tally=Tally(recovery=Recovery(began=0.0)),
            buckets={},
            now=1.0,
            wall=EPOCH,
            role_status=RoleStatus(),
        )
    )
    for metric in METRICS:
        if metric.kind == "counter":
            assert [v for (name, _), v in found.items() if name == metric.name] != []
    assert {
        v
        for (name, _), v in found.items()
        if name.startswith("vipmanager_") and name.endswith("_total")
    } == {0}

    def has(name: str, **labels: str) -> bool:
        return (name, tuple(sorted(labels.items()))) in found

    assert has("vipmanager_writes_total", action="ReplaceRoute", result="throttled")
    assert has("vipmanager_throttled_total", action="CreateRoute")
    assert has("vipmanager_passes_total", outcome="unread")
    assert has("vipmanager_takeovers_total", cause="silent")
    assert has("vipmanager_heartbeat_troubles_total", trouble="unauthentic")


def test_routes_are_counted_by_verdict() -> None:
    found = scraped(report(judged=(judged(Verdict.RIGHT), judged(Verdict.WRITE, 1))))
    assert found["vipmanager_routes", (("state", "right"),)] == 1
    assert found["vipmanager_routes", (("state", "wrong"),)] == 1
    assert found["vipmanager_routes", (("state", "elsewhere"),)] == 0


def test_each_floating_ip_tells_in_how_many_tables_it_points_where() -> None:
    nowhere = (("floating_ip", str(ADDRESS)), ("state", "wrong"), ("target", "none"))
    found = scraped(report(judged=(judged(Verdict.WRITE), judged(Verdict.WRITE, 1))))
    assert found["vipmanager_floating_ip_route_tables", nowhere] == 2


def test_what_stood_stays_where_the_worlds_could_not_be_read() -> None:
    right = report(judged=(judged(Verdict.RIGHT),))
    found = scraped(right, report(observed=False))
    assert found["vipmanager_routes", (("state", "right"),)] == 1
    assert found["vipmanager_ready", ()] == 1
    assert found["vipmanager_passes_total", (("outcome", "unread"),)] == 1
    assert found["vipmanager_last_good_pass_timestamp_seconds", ()] == EPOCH + 1
    # A pass reads first: its evidence is as old as the pass is long.
    assert found["vipmanager_evidence_timestamp_seconds", ()] == pytest.approx(
        EPOCH + 1 - right.seconds
    )


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


def test_routes_under_way_are_told_by_what_became_of_them() -> None:
    progress = Progress(written=50, failed=1, total=120, seconds=13.8)
    status = replace(Status(), progress=progress)
    found = samples(
        Scrape(
            status=status,
            tally=Tally(recovery=Recovery(began=0.0)),
            buckets={},
            now=1.0,
            wall=EPOCH,
        )
    )
    states = ("written", "failed", "left")
    assert [found["vipmanager_wave_routes", (("state", s),)] for s in states] == [50, 1, 69]
    assert found["vipmanager_wave_remaining_seconds", ()] == 13.8
    assert scraped()["vipmanager_wave_routes", (("state", "left"),)] == 0


def test_calls_are_told_by_api_action_and_result_with_how_long_they_took() -> None:
    calls = Calls()
    calls("ec2", "DescribeRouteTables", None, 0.08)
    calls("ec2", "DescribeRouteTables", Throttled("later"), 0.02)
    calls("sts", "AssumeRoleWithWebIdentity", Permanent("no"), 0.3)
    found = samples(
        Scrape(
            status=Status(),
            tally=Tally(recovery=Recovery(began=0.0)),
            buckets={},
            calls=calls.counted,
            now=1.0,
            wall=EPOCH,
        )
    )

    def told(end: str, **labels: str) -> float:
        return found[f"vipmanager_api_call_duration_seconds_{end}", tuple(sorted(labels.items()))]

    read = {"api": "ec2", "action": "DescribeRouteTables"}
    assert told("sum", **read, result="ok") == 0.08
    assert told("bucket", **read, result="ok", le="0.05") == 0
    assert told("bucket", **read, result="ok", le="0.1") == 1
    assert told("count", **read, result="throttled") == 1
    assert told("count", api="sts", action="AssumeRoleWithWebIdentity", result="refused") == 1


def test_the_process_tells_its_cpu_memory_and_files() -> None:
    found = scraped()
    assert found["process_cpu_seconds_total", ()] > 0
    assert found["process_resident_memory_bytes", ()] > 1_000_000
    assert 0 < found["process_open_fds", ()] <= found["process_max_fds", ()]
    assert found["process_start_time_seconds", ()] > 1_700_000_000


def test_promtool_has_nothing_to_say_about_a_scrape() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    calls = Calls()
    calls("kubernetes", "update leases", None, 0.01)
    tally = Tally(recovery=Recovery(began=0.0)).after(report(displaced(), done=(wrote(),)), 1.0)
    text = render(
        Scrape(
            status=Status().after(report(displaced(), judged=(judged(Verdict.YIELD),)), 1.0),
            tally=tally,
            buckets={"CreateRoute": Bucket.full(Rate(burst=50, refill=5), now=0.0)},
            calls=calls.counted,
            now=2.0,
            wall=EPOCH,
            role_status=RoleStatus(),
        )
    )
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    for metric in METRICS:
        assert f"# TYPE {metric.name} {metric.kind}\n# " in text.decode() or (
            f"# TYPE {metric.name} {metric.kind}\n{metric.name}" in text.decode()
        ), metric.name


def test_every_metric_is_named_as_prometheus_asks() -> None:
    for metric in METRICS:
        assert metric.name.startswith("vipmanager_")
        assert (metric.kind == "counter") == metric.name.endswith("_total")
