"""The picture of the demo: from when the floating IPs answer, in seconds since the failure."""

from pathlib import Path

import pytest

from vipmanager_lab.plot import plot, rows, span
from vipmanager_lab.story import Outcome, Story

IP = "192.168.0.1"
START = (0.1, 1.4)
"""What is lost before the pod answers for the first time."""


def outcome(
    *gaps: tuple[float, float | None], outage: float | None = 0.5, mode: str = "sidecar"
) -> Outcome:
    """Fail after 2.0 s, in a story that began to answer at 1.4 s."""
    return Outcome(
        story=Story(pattern=1, mode=mode, version=4),
        events=(),
        outages={IP: outage},
        lost={IP: 100},
        probes={IP: gaps},
        calls={},
        answered=outage is not None,
        answered_at=1.4,
        failed_at=2.0,
        seconds=3.5,
    )


@pytest.mark.parametrize(
    ("gaps", "lost"),
    [
        ([START, (2.01, 2.51)], [(0.01, 0.51)]),
        ([(2.01, 2.51)], [(0.01, 0.51)]),
        ([START], []),
        ([], []),
        # On its way when the zone failed: the failure lost it.
        ([START, (1.998, 2.51)], [(0.0, 0.51)]),
        ([START, (2.01, None)], [(0.01, None)]),
        ([START, (2.01, 2.2), (2.3, 2.51)], [(0.01, 0.2), (0.3, 0.51)]),
    ],
)
def test_nothing_is_red_before_the_failure(
    gaps: list[tuple[float, float | None]], lost: list[tuple[float, float | None]]
) -> None:
    (row,) = rows([outcome(*gaps)])
    assert [(round(a, 3), b and round(b, 3)) for a, b in row.lost] == lost


def test_it_begins_when_every_floating_ip_answers_and_shows_the_whole_loss() -> None:
    left, right = span([outcome(START, (2.01, 2.51))])
    assert (round(left, 3), right) == (-0.6, 1.0)
    assert span([outcome(START, (2.01, 3.31), outage=1.3)])[1] > 1.3
    assert span([outcome(START, (2.01, None), outage=None)])[1] == 1.5


def test_one_picture_of_many_stories_says_in_its_title_how_it_ended(tmp_path: Path) -> None:
    good = [outcome(START, (2.01, 2.51)), outcome(outage=0.0, mode="standby, hand-over")]
    for name, outcomes, title in (
        ("good.svg", good, "Every floating IP answered again within 500 ms"),
        ("bad.svg", [*good, outcome(START, (2.01, None), outage=None)], "1 of 3 floating IPs"),
    ):
        plot(outcomes, tmp_path / name)
        text = (tmp_path / name).read_text()
        assert title in text
        assert "seconds since the failure" in text
