"""700 agents in one account: each sees enough, a stranger is not kept out, takeovers are as fast.

`pytest -s` prints the figures.
"""

import gc
from collections.abc import Iterator

import pytest

from simulation.account import Account, Figures
from simulation.ends import UNREAD

AGENTS = 700
STARTING = 400.0
"""Virtual seconds in which all that started at once spread out."""
RESTING = 300.0
GROUPS = 6


def told(text: str) -> None:
    print(f"\n{text}")  # noqa: T201 - shown with -s


@pytest.fixture(scope="module")
def crowd() -> Iterator[Account]:
    gc.disable()  # a world is made of cycles, and nothing of it goes before its end
    account = Account(1, AGENTS)
    account.run(STARTING)
    yield account
    account.world.end()
    gc.enable()


@pytest.fixture(scope="module")
def rest(crowd: Account) -> Figures:
    found = crowd.rest(RESTING)
    told(f"{AGENTS} agents, {RESTING:.0f} s at rest: {found}")
    return found


def test_at_rest_hardly_a_describe_is_refused(rest: Figures) -> None:
    assert rest.share < 0.02


def test_a_stranger_describes_within_two_tries(rest: Figures) -> None:
    assert max(rest.tries) <= 2


def test_everyone_reads_and_is_ready(rest: Figures) -> None:
    assert rest.never == 0
    assert sorted(rest.ages)[AGENTS * 99 // 100] <= UNREAD
    assert rest.unready == 0


def test_a_group_takes_over_as_fast_as_alone(crowd: Account, rest: Figures) -> None:
    assert rest.described
    alone = Account(2, 0)
    quiet = alone.takeovers(GROUPS)
    alone.world.end()
    among = crowd.takeovers(GROUPS)
    told(
        f"a takeover among them: {min(among):.2f} to {max(among):.2f} s, alone: "
        f"{min(quiet):.2f} to {max(quiet):.2f} s"
    )
    assert max(among) <= max(quiet) + 0.2
    assert not crowd.world.problems
