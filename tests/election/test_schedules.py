"""The election through a hundred thousand schedules of crashes, pauses, partitions and bad APIs."""

import pytest

from election.parts import without
from election.play import play, schedule

SCHEDULES = 100_000
BLOCK = 2_000
FIRST = 5_000
"""Schedules within which a lost part has to be missed."""
SAID = {"fence": "too late", "distrust": "misled twice", "read-back": "the routes point at"}
"""By what it is missed."""


@pytest.mark.parametrize("first", range(0, SCHEDULES, BLOCK))
def test_one_live_and_healthy_holder_has_every_route_in_the_end(first: int) -> None:
    for seed in range(first, first + BLOCK):
        problems = play(schedule(seed))
        assert not problems, f"{schedule(seed)}\n" + "\n".join(problems)


@pytest.mark.parametrize("part", SAID)
def test_an_agent_that_lost_a_part_is_caught_within_the_first_schedules(part: str) -> None:
    caught = (
        problem
        for seed in range(FIRST)
        for problem in play(schedule(seed), without(part))
        if SAID[part] in problem
    )
    assert next(caught, None), f"nobody missed the {part}"


@pytest.mark.parametrize("seed", range(0, 500, 25))
def test_a_seed_gives_the_same_run_again(seed: int) -> None:
    runs: list[list[str]] = [[], []]
    for lines in runs:
        play(schedule(seed), trace=lines.append)
    assert runs[0] == runs[1]
    assert runs[0]
