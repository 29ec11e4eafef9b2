"""What is drawn is what the presets say."""

import argparse
import json
import random
from pathlib import Path
from statistics import median, quantiles

import pytest

from vipmanager_lab.ec2.faults import Faults as Ec2Faults
from vipmanager_lab.kube.faults import Faults as KubeFaults
from vipmanager_lab.latency import LATENCIES, Even, latencies

REAL, TODAY = LATENCIES["real"], LATENCIES["today"]
COUNT = 50_000


@pytest.mark.parametrize(
    ("action", "middle", "share", "within"),
    [
        ("DescribeRouteTables", 0.08, 98, 0.25),
        ("DescribeNetworkInterfaces", 0.08, 98, 0.25),
        ("ReplaceRoute", 0.3, 95, 0.5),
        ("CreateRoute", 0.3, 95, 0.5),
    ],
)
def test_real_latencies_of_ec2_have_the_published_spread(
    action: str, middle: float, share: int, within: float
) -> None:
    faults = Ec2Faults(seed=5)
    faults.pace = REAL.ec2
    drawn = [faults.delay(action) for _ in range(COUNT)]
    assert median(drawn) == pytest.approx(middle, rel=0.02)
    assert quantiles(drawn, n=100)[share - 1] == pytest.approx(within, rel=0.05)


def test_real_latencies_of_kubernetes_have_the_published_spread() -> None:
    faults = KubeFaults()
    faults.pace = {"*": REAL.kubernetes}
    drawn = [faults.delay("update leases") for _ in range(COUNT)]
    assert median(drawn) == pytest.approx(0.02, rel=0.03)
    assert quantiles(drawn, n=100)[98] == pytest.approx(0.2, rel=0.1)


def test_a_seed_gives_the_same_again() -> None:
    def drawn(seed: int) -> list[float]:
        faults = Ec2Faults(seed=seed)
        faults.pace = REAL.ec2
        return [faults.delay("ReplaceRoute") for _ in range(5)]

    assert drawn(3) == drawn(3) != drawn(4)


def test_today_is_even_and_bounded() -> None:
    luck = random.Random(1)  # noqa: S311 - repeatable on purpose
    drawn = [TODAY.writes.draw(luck) for _ in range(1000)]
    assert 0.08 <= min(drawn) < max(drawn) <= 0.12


def test_a_pace_comes_before_a_latency_where_it_matches() -> None:
    faults = Ec2Faults()
    faults.latency = 0.5
    faults.pace = {"Describe*": Even(0.1, 0.1)}
    assert faults.delay("DescribeSubnets") == 0.1
    assert faults.delay("ReplaceRoute") == 0.5
    faults.clear()
    assert faults.delay("DescribeSubnets") == 0.0


def test_the_presets_say_what_they_are() -> None:
    assert str(TODAY) == (
        "An EC2 describe takes 80 to 120 ms, a route write 80 to 120 ms, a call of Kubernetes "
        "10 to 30 ms"
    )
    assert "300 ms (95 % within 500 ms)" in str(REAL)


def figure(name: str, p50: float | None, p99: float | None) -> dict[str, object]:
    return {"name": name, "p50": p50, "p99": p99}


FIGURES = [
    figure("replace_route", 0.2, 0.9),
    figure("create_route", 0.25, 0.5),
    figure("create_route_seen", 0.4, 1.0),
    figure("modify_list", 0.3, 0.6),
    figure("modify_list_complete", 1.3, 2.3),
    figure("describe_route_tables", 0.05, 0.3),
    figure("describe_prefix_lists", None, None),
    figure("get_lease", 0.004, 0.02),
    figure("update_lease", 0.01, 0.05),
]


@pytest.mark.parametrize(
    ("action", "middle", "tail"),
    [
        ("ReplaceRoute", 0.2, 0.9),
        ("DeleteRoute", 0.2, 0.9),
        ("CreateRoute", 0.25, 0.5),
        ("ModifyManagedPrefixList", 0.3, 0.6),
        ("ModifyManagedPrefixList carried out", 1.0, 2.0),
        ("DescribeRouteTables", 0.05, 0.3),
        ("DescribeManagedPrefixLists", 0.05, 0.3),
    ],
)
def test_what_measure_found_is_drawn_through_its_p50_and_p99(
    tmp_path: Path, action: str, middle: float, tail: float
) -> None:
    file = tmp_path / "latencies.json"
    file.write_text(json.dumps({"figures": FIGURES}))
    faults = Ec2Faults(seed=5)
    faults.pace = latencies(str(file)).ec2
    drawn = [faults.delay(action) for _ in range(COUNT)]
    assert median(drawn) == pytest.approx(middle, rel=0.03)
    assert quantiles(drawn, n=100)[98] == pytest.approx(tail, rel=0.07)


def test_leases_are_as_they_were_measured_or_as_published(tmp_path: Path) -> None:
    file = tmp_path / "latencies.json"
    file.write_text(json.dumps({"figures": FIGURES}))
    faults = KubeFaults()
    faults.pace = latencies(str(file)).leases
    assert median(faults.delay("get leases") for _ in range(COUNT)) == pytest.approx(0.004, rel=0.1)
    drawn = [faults.delay("update leases") for _ in range(COUNT)]
    assert median(drawn) == pytest.approx(0.01, rel=0.1)
    file.write_text(json.dumps({"figures": FIGURES[:-2]}))
    assert latencies(str(file)).kubernetes == REAL.kubernetes


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"figures": []}',
        json.dumps({"figures": [figure("replace_route", 0.5, 0.1)]}),
        json.dumps({"figures": [figure("first_packet", 0.5, 0.6)]}),
    ],
)
def test_a_file_that_measure_did_not_write_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "latencies.json"
    file.write_text(text)
    with pytest.raises(
        argparse.ArgumentTypeError, match="expected the JSON of `vipmanager measure"
    ):
        latencies(str(file))


def test_a_name_that_is_none_is_told_with_those_that_are() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"today, real, or FILE of `vipmanager"):
        latencies("rael")
