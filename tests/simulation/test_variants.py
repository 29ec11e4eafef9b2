"""The simulation has teeth: it catches every broken variant, by the words that fit.

The schedules are the first of those with the seeds 0, 1, 2, ... in which the part is missed.
"""

from functools import cache

import pytest

from simulation.play import play
from simulation.rows import ROWS
from simulation.schedule import drawn
from simulation.variants import EVERY, SHIPPED, VARIANTS, caught

WITHIN = 5000


@cache
def _problems_of_what_ships(seed: int) -> tuple[str, ...]:
    return play(drawn(seed, EVERY)).problems


@pytest.mark.parametrize("name", VARIANTS)
def test_a_broken_variant_is_caught_where_what_ships_passes(name: str) -> None:
    variant = VARIANTS[name]
    assert variant.seeds
    assert max(variant.seeds) < WITHIN
    assert {s: p for s in variant.seeds if (p := _problems_of_what_ships(s))} == {}
    assert tuple(caught(variant, variant.seeds)) == variant.seeds


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_broken_today_is_shown_by_a_row_and_a_variant_once_it_is_closed(name: str) -> None:
    assert ROWS[SHIPPED[name]].is_open
