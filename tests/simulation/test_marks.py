"""Every row of the tables that people read is true, and is seen.

200 drawn schedules show the common ones. Those that come less than three times in a hundred have a
schedule of their own, so that a change of what is drawn loses none.
"""

import importlib
import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from simulation.faults import In
from simulation.many import play_seeds
from simulation.marks import MARKS, TABLES, Marks, Table
from simulation.play import play
from simulation.rows import ROWS, alone, pair, when
from simulation.schedule import Schedule
from simulation.stage import Stage
from simulation.world import ADDRESSES
from vipmanager.core.election.actions import WriteRoutes
from vipmanager.core.election.machine import Transition
from vipmanager.core.report import Report
from vipmanager.core.settings import Rate
from vipmanager.core.values import DesiredRoute, EniId, RouteTableId, host
from vipmanager.core.verdict import RouteDecision, Verdict

_HANGING = (when(20, "writes hang", seconds=40.0), when(20, "dropped"))
_FAILING = (when(20, "writes fail", seconds=40.0), when(20, "api slow", seconds=40.0))
_DEAF = (when(20, "watch dead", seconds=20.0), when(20.2, "lease edited", amount=0.65))
_UNSEEN = (when(20, "cut from api", seconds=40.0, amount=0.5), when(20, "dropped"))
_ROBBED = (when(20, "stolen", seconds=30.0, amount=0.0), when(21, "dropped", amount=0.0))
_TWICE = tuple(when(at, "stolen", seconds=40.0, amount=0.0) for at in (20, 26))
_SICK = (when(10, "sick", seconds=60.0), when(20, "stolen", seconds=40.0, amount=0.0))

_RELIEVED = (when(20, "cut from api", seconds=40.0, amount=0.5),)


def _robbed(*, api: float, thief: float) -> Schedule:
    """The API is away, and a thief has all routes for a while."""
    taken = [
        when(at, "stolen", seconds=thief, amount=amount) for at, amount in ((27, 0.8), (27.5, 0.65))
    ]
    return pair(when(20, "api away", seconds=api), *taken, resync=5.0, watched=30.0)


RARE: dict[tuple[str, ...], Schedule] = {
    ("(a watch, while", "(any, while", "(unfinished)", "WRITING | failed", "(wrong)"): pair(
        *_HANGING, when(26, "claim", place=1), resync=5.0
    ),
    ("(while it writes)",): pair(*_HANGING, when(26, "yield"), resync=5.0),
    ("(by a renewal)",): pair(*_FAILING, when(20, "dropped"), resync=5.0, seed=5),
    ("late writes may have landed",): pair(
        when(20, "describes fail"), when(60, "node lost"), watched=60.0
    ),
    ("too old already",): pair(when(0, "api crawls"), within=60.0),
    ("a rival that is back | write, after pauses that grow; at last leave it | another's (in",): (
        ROWS["B4"].schedule
    ),
    ("leave it | another's (never",): ROWS["B4"].schedule,
    ("WRITING | out of time",): pair(tables=4, rate=Rate(burst=3, refill=3.0)),
    ("(none)", "after its duration (at once)"): pair(when(20, "lease deleted")),
    ("(after its duration)",): pair(when(20, "lease deleted"), when(20, "node lost")),
    ("(this one)",): pair(when(20, "lease edited", amount=0.35)),
    ("(an earlier one)",): pair(when(20, "crash", amount=0.0)),
    ("unchanged (unheard)",): pair(when(15, "cut apart", amount=0.5), when(20, "node lost")),
    ("(three durations)",): pair(when(20, "lease edited", amount=0.85)),
    ("whose pod is gone",): ROWS["B2-gone"].schedule,
    ("(released)",): pair(when(20, "lease edited", amount=0.95)),
    ("HOLDER (conflict)",): pair(*_DEAF),
    ("unchanged (heard)", "PROVING | no answer"): pair(*_UNSEEN, resync=5.0),
    ("STANDBY | no answer", "wrote unheard"): pair(when(0, "api flaky", seconds=30.0), seed=2),
    ("(misled)", "(believed again)"): pair(when(20, "pause", seconds=3.0), watched=90.0),
    (
        "its routes lead to another (the",
        "RELIEVED | a reading that shows another",
        "one has taken",
    ): (pair(*_RELIEVED, watched=30.0)),
    ("RELIEVED | a reading that shows its",): _robbed(api=60.0, thief=20.0),
    ("RELIEVED | the Lease is",): _robbed(api=30.0, thief=90.0),
    ("(to yield)",): pair(when(20, "yield", seconds=10.0)),
    ("(unfit)", "(to any)"): pair(when(20, "sick", seconds=20.0), checked=True),
    ("(another zone)", "(to a zone)"): pair(preferred_zone="b"),
    ("(to be left)", "(to who may stay)", "other standbys"): pair(
        when(20, "cordoned"), hand_over=True
    ),
    ("lease_verdict: what our own write",): pair(when(0, "ec2 stale", seconds=60.0)),
    ("claim: what our own write",): alone(when(0, "ec2 stale", seconds=60.0)),
    ("(a blackhole)",): alone(when(20, "stolen", seconds=10.0, amount=0.6), resync=5.0),
    ("(no route)", "(until it dies)", "(a dead ENI)"): alone(*_ROBBED),
    ("spreading",): alone(*_TWICE, tables=4, resync=5.0),
    ("the same rival",): ROWS["B5"].schedule,
    ("in some tables",): alone(_TWICE[0], tables=4, resync=5.0),
    ("gate: a claim", "gate: a repair", "gate: any other"): alone(
        *_SICK, tables=4, resync=5.0, checked=True
    ),
}
"""The schedule in which each rare row is seen. A row is told by a part of its name."""


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.module)
def test_a_table_is_here_as_its_docstring_has_it(table: Table[Any]) -> None:
    assert list(table.rows) == list(_read(table))


def _read(table: Table[Any]) -> Iterator[str]:
    """Give the rows of a docstring's table, their cells joined by bars."""
    text = importlib.import_module(f"vipmanager.core.{table.module}").__doc__ or ""
    found = re.search(rf"^ *{re.escape(table.head)}  .*(\n.+)*", text, re.MULTILINE)
    assert found is not None, table.module
    head, *rest = found[0].splitlines()
    columns = [cell.start() for cell in re.finditer(r"\S+( \S+)*", head)]
    key = 1 if len(columns) == 4 else 0
    rows: list[list[str]] = []
    for line in rest if table.headed else (head, *rest):
        ends = [*columns[1:], None]
        cells = [" ".join(line[a:b].split()) for a, b in zip(columns, ends, strict=True)]
        if rows and (not cells[key] or _open(rows[-1][key])):
            rows[-1] = [f"{old} {new}".strip() for old, new in zip(rows[-1], cells, strict=True)]
        else:
            rows.append([cells[0] or rows[-1][0], *cells[1:]])
    return (" | ".join(filter(None, row)) for row in rows)


def _open(cell: str) -> bool:
    """Tell whether a cell goes on in the next line."""
    return cell.endswith(",") or cell.count("(") > cell.count(")")


@pytest.mark.parametrize("rows", RARE, ids=lambda rows: rows[0])
def test_a_rare_row_is_seen_in_its_schedule(rows: tuple[str, ...]) -> None:
    seen = play(RARE[rows]).marks.seen
    for row in rows:
        (name,) = (m.name for m in MARKS if row in m.name)
        assert name in seen


def test_every_other_row_is_seen_in_what_is_drawn() -> None:
    marks = play_seeds(range(200)).marks
    assert [m for m in marks.missing() if not any(r in m for rows in RARE for r in rows)] == []
    assert pickle.loads(pickle.dumps(marks)).missing() == marks.missing()  # noqa: S301 - our own


class Kept(Marks):
    """Keeps the steps that show a row."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: dict[str, tuple[Transition, float]] = {}

    def transition(self, transition: Transition, now: float) -> None:
        for name in _shown(transition, now):
            self.steps[name] = transition, now


def _shown(transition: Transition, now: float) -> set[str]:
    marks = Marks()
    marks.transition(transition, now)
    return set(marks.seen)


@pytest.fixture(scope="module")
def steps() -> Mapping[str, tuple[Transition, float]]:
    """Give a true step for many rows of the election."""
    kept = Kept()
    for plan in RARE.values():
        if plan.group is In.STANDBY and not plan.checked:
            world = Stage(plan).world
            world.marks = kept
            world.run(60.0)
            world.end()
    return kept.steps


def test_a_step_that_does_nothing_shows_only_rows_that_say_so(
    steps: Mapping[str, tuple[Transition, float]],
) -> None:
    for name, (true, now) in steps.items():
        assert name in _shown(true, now)
        rests = "| rest |" in name or "as in READING (right)" in name
        assert (name in _shown(replace(true, actions=()), now)) == rests


def test_a_step_that_becomes_something_else_shows_no_row(
    steps: Mapping[str, tuple[Transition, float]],
) -> None:
    for name, (true, now) in steps.items():
        # Nothing has become of it, or what was is gone.
        for after in (true.before, replace(true.after, hold=None)):
            same = str(replace(true, after=after)) == str(true)
            assert same or name not in _shown(replace(true, after=after), now)


@pytest.mark.parametrize(
    "name", ["(a third)", "its time has come", "(three durations)", "(after its duration)"]
)
def test_a_step_that_comes_too_early_shows_no_row(
    steps: Mapping[str, tuple[Transition, float]], name: str
) -> None:
    (name, (true, now)) = next(it for it in steps.items() if name in it[0])
    assert name not in _shown(true, now - 1.0)


def test_a_fence_that_is_too_long_shows_no_row(
    steps: Mapping[str, tuple[Transition, float]],
) -> None:
    (true, now) = next(step for name, step in steps.items() if "(by a reading)" in name)
    (fence,) = (a for a in true.actions if isinstance(a, WriteRoutes))
    longer = replace(true, actions=(replace(fence, until=fence.until + 0.1),))
    assert _shown(longer, now) == set()


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_that_the_table_does_not_give_shows_no_row(verdict: Verdict) -> None:
    wanted = DesiredRoute(
        table=RouteTableId("rtb-00"), destination=host(ADDRESSES[0]), eni=EniId("eni-a")
    )
    judged = RouteDecision(
        steer=wanted, verdict=verdict, reason="repair: no route", route=None, repair=True
    )
    marks = Marks()
    marks.report("a1", Report(number=1, reasons=(), seconds=0, observed=True, judged=(judged,)))
    assert len(marks.seen) == (verdict is Verdict.WRITE)
