"""The real agent through fixed seeds of faults; `make chaos` plays any others."""

import pytest

from chaos.draw import schedule
from chaos.run import missing, play_seeds
from chaos.schedule import Fault, Kind

SEEDS = range(120)
BLOCK = 20
"""Seeds of one test: enough to keep several worlds busy, few enough for two workers."""


@pytest.mark.parametrize("first", SEEDS[::BLOCK])
def test_after_the_last_fault_everything_comes_right_and_nothing_went_wrong(first: int) -> None:
    failed = [o for o in play_seeds(range(first, first + BLOCK)) if o.problems]
    assert not failed, "\n\n".join(map(str, failed))


def test_nothing_is_left_out_on_this_machine() -> None:
    left_out = missing()
    if left_out is not None:
        pytest.skip(left_out)


def test_a_seed_makes_the_same_schedule_every_time() -> None:
    assert [str(schedule(s)) for s in SEEDS] == [str(schedule(s)) for s in SEEDS]


def test_the_fixed_seeds_hold_every_kind_of_life_and_of_fault() -> None:
    plans = [schedule(s) for s in SEEDS]
    assert {p.kind for p in plans} == set(Kind)
    struck = {type(s.fault) for p in plans for s in p.strikes}
    assert struck == set(Fault.__args__)
