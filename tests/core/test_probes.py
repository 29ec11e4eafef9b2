"""The account of probes: what was lost, and for how long."""

import pytest

from vipmanager.core.probes import HOLE, Gap, Tally


@pytest.mark.parametrize(
    ("answered", "gaps"),
    [
        ([0, 1, 2, 3, 4], []),
        ([0, 1, 4], [Gap(2, 2, 12.0, 14.0)]),
        ([4], [Gap(0, 4, 10.0, 14.0)]),
        ([0], [Gap(1, 4, 11.0, None)]),
        ([1, 3], [Gap(0, 1, 10.0, 11.0), Gap(2, 1, 12.0, 13.0), Gap(4, 1, 14.0, None)]),
        ([4, 3, 2, 1, 0], []),
    ],
)
def test_a_gap_runs_from_the_first_lost_to_the_next_answered(
    answered: list[int], gaps: list[Gap]
) -> None:
    tally = Tally()
    for second in range(10, 15):
        tally.send(float(second))
    for number in answered:
        assert tally.answer(number)
    assert tally.gaps() == gaps


def test_duplicates_and_numbers_never_sent_are_no_answers() -> None:
    tally = Tally()
    assert tally.answer(tally.send(1.0))
    assert not tally.answer(0)
    assert not tally.answer(1)


def test_an_overdue_probe_is_told_once_and_may_still_be_answered() -> None:
    tally = Tally()
    for second in range(3):
        tally.send(float(second))
    assert tally.answer(1)
    assert [tally.overdue(2.5) for _ in range(3)] == [0, 2, None]
    assert tally.answer(0)
    assert tally.gaps() == [Gap(2, 1, 2.0, None)]


def test_what_was_lost_before_the_first_answer_is_not_told_as_a_new_loss() -> None:
    tally = Tally()
    for second in range(4):
        tally.send(float(second))
    assert tally.answer(2)
    tally.recovered(2)
    assert tally.overdue(2.5) is None
    assert tally.gaps()[0] == Gap(0, 2, 0.0, 2.0)


def test_a_count_tells_what_is_known_of_the_probes_since_a_mark() -> None:
    tally = Tally()

    def sent_and_lost(now: float) -> tuple[int, int, int, bool]:
        count = tally.count(now)
        return count.sent, count.answered, count.lost, count.up

    assert sent_and_lost(9.0) == (0, 0, 0, False)
    for number in range(4):
        tally.answer(tally.send(10.0 + number / 100))
    assert sent_and_lost(10.03) == (4, 4, 0, True)
    tally.mark()
    for number in range(4, 8):
        tally.send(10.0 + number / 100)
    assert sent_and_lost(10.13) == (0, 0, 0, True), "what may still be answered is not lost"
    assert sent_and_lost(10.15) == (4, 0, 4, False)
    assert tally.count(10.18).outage == pytest.approx(0.14), "and it grows until an answer"
    tally.answer(tally.send(10.09))
    count = tally.count(10.5)
    assert (count.sent, count.answered, count.lost, count.up) == (5, 1, 4, True)
    assert count.outage == pytest.approx(0.05)
    assert count.newest == 10.09


def test_an_answer_that_comes_late_is_taken_off_the_count_of_the_lost() -> None:
    tally = Tally()
    for number in range(3):
        tally.send(10.0 + number / 100)
    assert tally.count(11.0).lost == 3
    tally.answer(1)
    tally.answer(2)
    assert tally.count(11.0)[:3] == (3, 2, 1)
    assert tally.count(11.0).outage == pytest.approx(0.01)


def test_it_is_steady_from_the_first_answer_after_a_hole() -> None:
    tally = Tally()
    assert tally.steady(10.0) == 0.0
    for tenth in range(5):
        tally.answer(tally.send(10.0 + tenth / 10))
    lost = tally.send(10.5)
    tally.answer(tally.send(10.6))
    assert tally.steady(10.6) == pytest.approx(0.6), "one lost probe is no hole"
    assert tally.steady(11.6) == pytest.approx(1.6), "nothing was sent since"
    tally.send(11.0)
    assert tally.steady(11.0 + HOLE + 0.1) == 0.0
    tally.answer(tally.send(12.0))
    assert tally.steady(12.3) == pytest.approx(0.3)
    assert tally.answer(lost), "a late answer changes nothing of it"
    assert tally.steady(12.3) == pytest.approx(0.3)


def test_probes_are_counted_between_two_moments() -> None:
    tally = Tally()
    for second in range(10):
        number = tally.send(float(second))
        if second not in {4, 5}:
            tally.answer(number)
    assert tally.sent_and_lost(3.0, 6.0) == (3, 2)
    assert tally.sent_and_lost(6.0, 100.0) == (4, 0)
