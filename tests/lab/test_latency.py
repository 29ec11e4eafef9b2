"""What is drawn is what the presets say."""

import random
from statistics import median, quantiles

import pytest

from vipmanager_lab.ec2.faults import Faults as Ec2Faults
from vipmanager_lab.kube.faults import Faults as KubeFaults
from vipmanager_lab.latency import LATENCIES, Even

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
