"""Core and engine through tens of thousands of schedules, in memory and in virtual time."""

import pytest

from chaos.core_checks import play
from chaos.core_schedule import core_schedule

SCHEDULES = 20_000
BLOCK = 1_000


@pytest.mark.parametrize("first", range(0, SCHEDULES, BLOCK))
def test_in_memory_everything_comes_right_and_nothing_went_wrong(first: int) -> None:
    for seed in range(first, first + BLOCK):
        problems = play(seed)
        assert not problems, f"{core_schedule(seed)}\n" + "\n".join(problems)
