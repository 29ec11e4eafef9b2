"""Drawn schedules: everything comes right in the end, and nothing went wrong on the way.

`make simulate` plays more of them, and `make chaos SEED=s123` shows one.
"""

import os

import pytest

from simulation.faults import FAULTS, In
from simulation.many import play_seeds
from simulation.play import play
from simulation.rows import OPEN
from simulation.schedule import drawn
from simulation.shrink import written

SCHEDULES = int(os.environ.get("VIPMANAGER_SCHEDULES", "5000"))
BLOCK = 100


@pytest.mark.parametrize("first", range(0, SCHEDULES, BLOCK))
def test_after_the_last_fault_everything_comes_right(first: int) -> None:
    failed = play_seeds(range(first, min(first + BLOCK, SCHEDULES))).failed
    assert not failed, "\n".join(
        "\n    ".join((str(written(name)), *problems)) for name, problems in failed.items()
    )


@pytest.mark.parametrize("seed", range(0, 500, 50))
def test_a_seed_gives_the_same_run_again(seed: int) -> None:
    runs: list[list[str]] = [[], []]
    for lines in runs:
        play(drawn(seed), trace=lines.append)
    assert runs[0] == runs[1]
    assert runs[0]


def test_what_can_go_wrong_is_drawn_or_belongs_to_a_row() -> None:
    kinds = {f.kind for seed in range(2000) for f in drawn(seed, OPEN).faults}
    missing = {n for n, k in FAULTS.items() if k.where is not In.NONE and not k.rows} - kinds
    assert not missing
    barred = {n for n, k in FAULTS.items() if OPEN.intersection(k.rows)}
    assert not kinds & barred


def test_a_row_that_is_closed_changes_no_schedule_but_those_it_was_kept_out_of() -> None:
    for seed in range(300):
        before, after = drawn(seed, OPEN), drawn(seed, OPEN - {"A8"})
        changed = {f.kind for f in after.faults} - {f.kind for f in before.faults}
        assert before.faults == after.faults or all("A8" in FAULTS[k].rows for k in changed)


@pytest.mark.parametrize("text", ["123", "s", "A99", "s1:", "s1:99", "A8:3"])
def test_what_was_not_written_down_right_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"s123|faults, from 0"):
        written(text)
