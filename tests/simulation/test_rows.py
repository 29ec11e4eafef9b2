"""The faults of the field: each row that is open fails, for its own reason and no other."""

import pytest

from simulation.play import play
from simulation.rows import ROWS, Row
from simulation.shrink import shrunk, written


class AsSaid(Exception):
    """A row fails as it says."""


def _open_or_not(name: str) -> object:
    marks = []
    if ROWS[name].is_open:
        marks.append(pytest.mark.xfail(raises=AsSaid, strict=True, reason=f"row {name} is open"))
    return pytest.param(ROWS[name], id=name, marks=marks)


@pytest.mark.parametrize("row", [_open_or_not(name) for name in ROWS])
def test_a_row_of_the_field(row: Row) -> None:
    problems = play(row.schedule).problems
    if row.is_open and any(row.said in p for p in problems):
        raise AsSaid(problems)
    assert not problems, "\n".join((str(row.schedule), row.why, *problems))


@pytest.mark.parametrize(
    ("row", "left"),
    [
        pytest.param("A8", "A8:0,1,2", id="all of it is needed"),
        pytest.param("B6", "B6:0", id="a fault that only passes time is left out"),
        pytest.param("B5", "B5:0,1", id="twice"),
    ],
)
def test_a_row_that_is_shrunk_fails_as_before_with_what_it_needs_alone(row: str, left: str) -> None:
    smaller = shrunk(ROWS[row].schedule)
    assert smaller.name == left
    assert written(left) == smaller
    assert any(ROWS[row].said in p for p in play(smaller).problems)
