"""The faults of the field: each row that is open fails, for its own reason and no other."""

from dataclasses import replace

import pytest

from simulation.calls import SHIPPED
from simulation.hub import NEVER
from simulation.play import play
from simulation.pod import Parts
from simulation.rows import ROWS, Row
from simulation.shrink import shrunk, written
from simulation.variants import VARIANTS

NO_LINGER = Parts(sockets=replace(SHIPPED, linger=False))
EARLY_LOOK = VARIANTS["a look at the fence before the stall"].parts


AGELESS = VARIANTS["a claim without an age"].parts


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
    ("row", "left", "parts"),
    [
        pytest.param("A8-late", "A8-late:0,1,2", EARLY_LOOK, id="all of it is needed"),
        pytest.param("A11", "A11:0,1", NO_LINGER, id="both"),
        pytest.param("B1", "B1:0,1", AGELESS, id="an age"),
    ],
)
def test_a_row_that_is_shrunk_fails_as_before_with_what_it_needs_alone(
    row: str, left: str, parts: Parts
) -> None:
    smaller = shrunk(ROWS[row].schedule, parts)
    assert smaller.name == left
    assert written(left) == smaller
    assert any(ROWS[row].said in p for p in play(smaller, parts).problems)


@pytest.mark.parametrize(
    ("row", "parts", "said"),
    [
        ("A5", Parts(sockets=replace(SHIPPED, silent=NEVER, user_timeout=NEVER)), "late: b2"),
        ("A8-late", EARLY_LOOK, "too late"),
        ("A11", NO_LINGER, "too late"),
        ("B1", AGELESS, "leads to ['eni-a1']"),
    ],
)
def test_a_row_that_is_closed_fails_without_what_closed_it(
    row: str, parts: Parts, said: str
) -> None:
    assert any(said in p for p in play(ROWS[row].schedule, parts).problems)
