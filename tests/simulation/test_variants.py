"""The simulation has teeth: it catches every broken variant, by the words that fit.

The schedules are the first of those with the seeds 0, 1, 2, ... in which the part is missed.
"""

from functools import cache

import pytest

from simulation.play import play
from simulation.rows import ROWS
from simulation.schedule import drawn
from simulation.variants import EVERY, VARIANTS, caught

WITHIN = 5000


@cache
def _problems_of_what_ships(seed: int, row: str | None) -> tuple[str, ...]:
    return play(drawn(seed, EVERY - {row})).problems


@pytest.mark.parametrize("name", VARIANTS)
def test_a_broken_variant_is_caught_where_what_ships_passes(name: str) -> None:
    variant = VARIANTS[name]
    assert variant.seeds or variant.rows
    assert max(variant.seeds, default=0) < WITHIN
    assert {s: p for s in variant.seeds if (p := _problems_of_what_ships(s, variant.row))} == {}
    assert tuple(caught(variant, variant.seeds)) == variant.seeds
    for row in variant.rows:
        assert any(variant.said in p for p in play(ROWS[row].schedule, variant.parts).problems)
