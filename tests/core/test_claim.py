"""Claim, hold, yield: row by row."""

import pytest

from claims import ADDRESS, OURS, R, Story, T, W, Y, shown
from vipmanager.core.claim import dead, rivals
from vipmanager.core.contest import DRIFT, FOUGHT, OPEN
from vipmanager.core.values import DesiredRoute, EniId
from vipmanager.core.verdict import (
    REMEMBER,
    SETTLE,
    SOONEST,
    RouteHistory,
    RouteState,
    Verdict,
    standing,
)
from worlds import eni, table

LOW, HIGH = DRIFT
TEN = ("us",) * 10


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("us", RouteState.OURS),
        ("none", RouteState.MISSING),
        ("blackhole", RouteState.DEAD),
        ("eni-dead", RouteState.DEAD),
        ("eni-a1", RouteState.RIVAL),
        ("igw-1", RouteState.FOREIGN),
        ("propagated", RouteState.FOREIGN),
    ],
)
def test_what_a_table_shows_has_one_meaning(what: str, expected: RouteState) -> None:
    assert standing(shown(what), OURS, frozenset({EniId("eni-dead")})) is expected


@pytest.mark.parametrize(
    ("held", "sees", "verdicts", "says"),
    [
        # a fresh pod claims everything, whoever has it
        (False, ("none", "none"), [W, W], []),
        (False, ("eni-a1", "eni-a1"), [W, W], []),
        (False, ("blackhole", "us", "eni-a1"), [W, R, W], []),
        (False, ("us", "us"), [R, R], []),
        # what is held and leads nowhere is repaired at once
        (True, ("none", "us"), [W, R], []),
        (True, ("none", "none"), [W, W], []),
        (True, ("blackhole", "us"), [W, R], []),
        (True, ("eni-dead", "us"), [W, R], []),
        (True, ("eni-dead", "eni-dead"), [W, W], []),
        # another live ENI in some tables may be drift
        (True, ("eni-a1", "us"), [T, R], ["CONTESTED"]),
        (True, ("eni-a1", "none", "us"), [T, W, R], ["CONTESTED"]),
        # in all of them it is somebody else's now
        (True, ("eni-a1", "eni-a1"), [Y, Y], ["DISPLACED"]),
        (True, ("eni-a1",), [Y], ["DISPLACED"]),
        (True, ("eni-a1", "eni-a2"), [Y, Y], ["DISPLACED"]),
        # what is no ENI is written here, and refused by the guard
        (True, ("igw-1", "us"), [W, R], []),
        (False, ("propagated", "none"), [W, W], []),
    ],
)
def test_the_first_reading_decides(
    held: bool,  # noqa: FBT001 - a table's column
    sees: tuple[str, ...],
    verdicts: list[Verdict],
    says: list[str],
) -> None:
    story = Story(held=held, gone=frozenset({EniId("eni-dead")}))
    assert story.see(0, *sees) == verdicts
    assert story.said == says


def test_a_claim_is_made_once_and_held_from_the_write_on() -> None:
    story = Story(held=False)
    assert story.see(0, "eni-a1", "eni-a1") == [W, W]
    story.write(0)
    assert story.see(1, "us", "us") == [R, R]
    assert story.see(10, "eni-a1", "eni-a1") == [Y, Y]


def test_a_table_that_refused_the_write_is_claimed_again() -> None:
    story = Story(held=False)
    story.see(0, "eni-a1", "eni-a1")
    assert story.see(1, "eni-a1", "eni-a1") == [W, W]


def test_a_stale_reading_after_our_write_is_waited_out() -> None:
    story = Story(held=False)
    story.see(0, "eni-a1", "none")
    story.write(0)
    assert story.see(0.01, "eni-a1", "none") == [T, T]
    assert story.said == ["NOT_VISIBLE", "NOT_VISIBLE"]
    assert story.recheck == SOONEST
    assert story.see(1, "eni-a1", "us") == [T, R]
    assert story.recheck == 1  # as long again as it has taken
    assert story.see(2, "us", "us") == [R, R]
    assert story.recheck is None


def test_a_reading_that_stays_stale_is_taken_for_real() -> None:
    story = Story(held=False)
    story.see(0, "eni-a1", "us")
    story.write(0)
    assert story.see(SETTLE - 0.01, "eni-a1", "us") == [T, R]
    assert story.said == ["NOT_VISIBLE"]
    assert story.see(SETTLE, "eni-a1", "us") == [T, R]
    assert story.said == ["CONTESTED"]


def test_a_route_that_vanishes_after_our_write_is_written_again_after_the_wait() -> None:
    story = Story(held=False)
    story.see(0, "none", "us")
    story.write(0)
    assert story.see(1, "none", "us") == [T, R]
    assert story.see(SETTLE, "none", "us") == [W, R]


def test_another_rival_than_the_one_we_replaced_is_no_stale_reading() -> None:
    story = Story(held=False)
    story.see(0, "eni-a1", "us")
    story.write(0)
    story.see(1, "eni-a2", "us")
    assert story.said == ["CONTESTED"]


@pytest.mark.parametrize(("jitter", "wait"), [(0.0, LOW), (0.5, (LOW + HIGH) / 2), (1.0, HIGH)])
def test_drift_in_one_of_ten_is_repaired_after_two_readings(jitter: float, wait: float) -> None:
    story = Story()
    drifted = ("eni-a1", *TEN[1:])
    assert story.see(100, *drifted, jitter=jitter) == [T] + [R] * 9
    assert story.recheck == wait
    # Luck is drawn anew each pass; the wait is not.
    assert story.see(100 + wait - 0.1, *drifted, jitter=1 - jitter) == [T] + [R] * 9
    assert story.recheck == pytest.approx(0.1)
    assert story.see(100 + wait, *drifted) == [W] + [R] * 9
    story.write(100 + wait)
    assert story.see(100 + wait + 1, *TEN) == [R] * 10
    assert story.said == []


def test_a_repair_that_was_not_accepted_is_decided_again() -> None:
    story = Story(eni=EniId("eni-z1"))
    story.see(0, "eni-b1", "eni-z1")
    assert story.see(10, "eni-b1", "eni-z1") == [W, R]
    assert story.see(11, "eni-b1", "eni-z1") == [W, R]


def test_a_drift_that_ends_by_itself_is_forgotten() -> None:
    story = Story()
    story.see(0, "eni-a1", "us")
    story.see(4, "us", "us")
    assert story.see(20, "eni-a1", "us") == [T, R]
    assert story.recheck == (LOW + HIGH) / 2


def test_a_change_of_the_rival_starts_the_wait_anew() -> None:
    story = Story()
    story.see(0, "eni-a1", "us", jitter=0)
    assert story.see(4.9, "eni-a2", "us", jitter=0) == [T, R]
    assert story.see(9.8, "eni-a2", "us", jitter=0) == [T, R]
    assert story.see(9.9, "eni-a2", "us", jitter=0) == [W, R]


def test_a_rival_that_spreads_is_given_time_and_yielded_to_when_it_has_all() -> None:
    story = Story()
    story.see(0, "eni-a1", "us", "us", jitter=0)
    assert story.see(4, "eni-a1", "eni-a1", "us", jitter=0) == [T, T, R]
    assert story.said == ["CONTESTED"]
    assert story.see(8, "eni-a1", "eni-a1", "us", jitter=0) == [T, T, R]  # counted anew
    assert story.see(8.5, *["eni-a1"] * 3) == [Y, Y, Y]
    assert story.said == ["DISPLACED"]


def test_a_rival_that_stops_spreading_is_no_agent() -> None:
    story = Story()
    story.see(0, "eni-a1", "us", "us", jitter=0)
    story.see(4, "eni-a1", "eni-a1", "us", jitter=0)
    assert story.see(9, "eni-a1", "eni-a1", "us") == [W, W, R]


def test_the_displaced_stays_so_until_the_rival_dies_and_then_takes_back() -> None:
    story = Story()
    story.see(0, "eni-a1", "eni-a1")
    for now in (10, 1000, 10_000):
        assert story.see(now, "eni-a1", "eni-a1") == [Y, Y]
        assert story.said == ["DISPLACED"]
    assert story.see(10_001, "eni-a1", "us") == [Y, R]
    story.gone = frozenset({EniId("eni-a1")})
    assert story.see(10_002, "eni-a1", "eni-a1") == [W, W]
    assert story.said == []


def test_the_displacement_is_over_when_the_tables_show_us_again() -> None:
    story = Story()
    story.see(0, "eni-a1", "eni-a1")
    story.see(1, "us", "us")
    assert story.see(2, "eni-a1", "us") == [T, R]


BOTH = [("eni-b1", "eni-a1"), ("eni-a1", "eni-b1")]
"""Us and a rival, by the ids of the ENIs."""


@pytest.mark.parametrize(("ours", "rival"), BOTH)
@pytest.mark.parametrize(("times", "pauses"), [(0, 1), (1, 2), (2, 4), (3, 4), (5, 4)])
def test_a_rival_that_is_back_soon_after_a_repair_is_given_more_time(
    ours: str, rival: str, times: int, pauses: int
) -> None:
    story = Story(eni=EniId(ours))
    now = fight(story, rival, times)
    assert story.see(now, rival, ours, jitter=0) == [T, R]
    assert story.recheck == pauses * LOW
    assert story.see(now + pauses * LOW, rival, ours) == [W, R]


@pytest.mark.parametrize(("ours", "rival"), BOTH)
def test_of_two_agents_that_repair_each_other_the_greater_id_yields_in_the_end(
    ours: str, rival: str
) -> None:
    story = Story(eni=EniId(ours))
    now = fight(story, rival, FOUGHT)
    yields = ours > rival
    assert story.see(now, rival, ours, jitter=0) == [Y if yields else T, R]
    assert story.said == ["DISPLACED" if yields else "CONTESTED"]
    assert story.see(now + 1000, rival, ours) == [Y if yields else W, R]


@pytest.mark.parametrize(("ours", "rival"), BOTH)
def test_who_is_back_minutes_after_a_repair_is_a_person_and_repaired_as_before(
    ours: str, rival: str
) -> None:
    story = Story(eni=EniId(ours))
    for now in range(0, 3000, 250):
        assert story.see(now, rival, ours, jitter=0) == [T, R]
        assert story.recheck == LOW
        assert story.see(now + LOW, rival, ours) == [W, R]
        story.write(now + LOW)
        story.see(now + LOW + 1, ours, ours)


def fight(story: Story, rival: str, times: int) -> float:
    """Let a rival be back soon after each repair; give the time of its next visit."""
    now = 0.0
    for _ in range(times):
        story.see(now, rival, story.eni, jitter=0)
        assert story.recheck is not None
        now += story.recheck
        assert story.see(now, rival, story.eni) == [W, R]
        story.write(now)
        story.see(now + 0.5, story.eni, story.eni)
        now += SETTLE
    return now


def test_a_displacement_is_over_when_nobody_repairs_what_is_ours_again() -> None:
    story = Story()
    story.see(0, "eni-a1", "eni-a1")
    story.see(10, "eni-a1", "us", jitter=0)
    assert story.recheck == 2 * (30 + 2 * LOW)  # eni-a1 would wait for half of that
    assert story.see(89.9, "eni-a1", "us") == [Y, R]
    assert story.see(90, "eni-a1", "us") == [W, R]


@pytest.mark.parametrize(("ours", "rival"), BOTH)
def test_of_two_that_have_just_claimed_the_lesser_id_repairs_first(ours: str, rival: str) -> None:
    story = Story(held=False, eni=EniId(ours), opened=0.0)
    story.see(1, "none", "none")
    story.write(1)
    story.see(2, rival, ours, jitter=0)
    wait = 3 * LOW if ours > rival else LOW
    assert story.recheck == wait
    assert story.last is not None
    assert f"if it stays so for {wait:.0f} s" in str(story.last.findings[0])


def test_a_late_claim_takes_what_is_missing_or_dead_and_nothing_that_lives() -> None:
    story = Story(held=False, opened=0.0, gone=frozenset({EniId("eni-dead")}))
    sees = ("eni-a1", "none", "blackhole", "eni-dead", "us")
    assert story.see(OPEN, *sees) == [W, W, W, W, R]
    assert story.see(OPEN + 1, *sees) == [Y, W, W, W, R]
    assert story.said == ["LATE"]
    assert "vipmanager claim" in story.last.findings[0].remedy  # type: ignore[union-attr]
    story.write(OPEN + 1)
    # What it took late makes it no owner of the rest.
    assert story.see(OPEN + 2, "eni-a1", "us", "us", "us", "us") == [Y, R, R, R, R]
    assert story.see(OPEN + 9000, "eni-a1", "us", "us", "us", "us") == [Y, R, R, R, R]


def test_a_late_claim_takes_all_when_the_rival_dies() -> None:
    story = Story(held=False, opened=0.0)
    assert story.see(1000, "eni-a1", "eni-a1") == [Y, Y]
    story.gone = frozenset({EniId("eni-a1")})
    assert story.see(1001, "eni-a1", "eni-a1") == [W, W]
    assert story.said == []


def test_a_claim_that_wrote_in_time_goes_on_while_that_is_its_own() -> None:
    story = Story(held=False, opened=0.0)
    story.see(1, "none", "us")
    story.write(1)
    assert story.see(OPEN + 40, "us", "us", "eni-a1") == [R, R, W]
    story.see(OPEN + 41, "eni-a1", "us", "eni-a1")
    assert story.see(OPEN + 41, "eni-a1", "eni-a1", "eni-a1") == [Y, Y, Y]


def test_a_hold_is_never_late() -> None:
    story = Story(opened=0.0)
    assert story.see(1000, "eni-a1", "us") == [T, R]
    assert story.said == ["CONTESTED"]


def test_a_rival_without_a_pod_is_taken_from_as_a_dead_one() -> None:
    story = Story()
    assert story.see(0, "eni-a1", "eni-a1") == [Y, Y]
    story.orphaned = frozenset({EniId("eni-a1")})
    assert story.see(9, "eni-a1", "eni-a1") == [W, W]
    assert story.last is not None
    assert {j.reason for j in story.last.judged} == {"repair: no pod is behind its target"}


def test_a_repair_long_ago_is_no_repeat() -> None:
    story = Story()
    story.see(0, "eni-a1", "us")
    story.see(10, "eni-a1", "us")
    story.write(10)
    story.see(11, "us", "us")
    assert story.see(10 + REMEMBER, "eni-a1", "us") == [T, R]


def test_a_table_added_later_is_ours_to_write_if_it_is_empty() -> None:
    story = Story()
    story.see(0, "us", "us")
    assert story.see(1, "us", "us", "none") == [R, R, W]


def test_a_table_added_later_that_points_elsewhere_is_drift() -> None:
    story = Story()
    story.see(0, "us", "us")
    assert story.see(1, "us", "us", "eni-a1") == [R, R, T]
    assert story.see(11, "us", "us", "eni-a1") == [R, R, W]


def test_memory_forgets_what_is_no_longer_wanted() -> None:
    story = Story(held=False)
    story.see(0, "eni-a1", "eni-a1", "none")
    story.write(0)
    assert len(story.memory.written) == 3
    story.see(1, "us")
    assert [s.table for s in story.memory.written] == ["rtb-00"]
    story.eni = EniId("eni-c1")
    story.see(2, "us")
    assert story.memory == RouteHistory()


def test_the_marks_of_another_eni_do_not_hold() -> None:
    story = Story(held=False)
    story.see(0, "eni-a1")
    story.write(0)
    story.eni = EniId("eni-c1")
    assert story.see(1, "us") == [W]


def test_only_other_live_looking_enis_are_looked_up() -> None:
    found = {
        t.id: t
        for t in (
            table(n, [r for r in [shown(w)] if r is not None])
            for n, w in enumerate(["us", "none", "blackhole", "igw-1", "propagated", "eni-a1"])
        )
    }
    steers = [DesiredRoute(table=t, destination=ADDRESS, eni=OURS) for t in found]
    assert rivals(steers, found) == {"eni-a1"}


def test_an_eni_is_dead_when_it_is_unknown_or_detached() -> None:
    ids = [EniId(f"eni-{i}") for i in ("a1", "a2", "a3")]
    assert dead(ids, [eni("a", 1), eni("a", 2, attached=False)]) == {"eni-a2", "eni-a3"}
