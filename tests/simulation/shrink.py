"""Finds schedules by what was written down, and makes those that fail smaller."""

import re
from collections.abc import Callable

from simulation.play import play
from simulation.pod import SOUND, Parts
from simulation.rows import OPEN, ROWS
from simulation.schedule import Schedule, drawn

_WRITTEN = re.compile(r"(?P<name>s(?P<seed>\d+)|[A-Z]\d+[-a-z]*)(:(?P<kept>\d+(,\d+)*))?")


def written(text: str, still_open: frozenset[str] = OPEN) -> Schedule:
    """Give the schedule that was written down.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None or (found["seed"] is None and found["name"] not in ROWS):
        raise ValueError(
            f"{text}: write s and a seed, or a row ({', '.join(ROWS)}), and after a colon the "
            "faults to keep: s123, s123:0,2, A5:0"
        )
    if found["seed"] is None:
        plan = ROWS[found["name"]].schedule
    else:
        plan = drawn(int(found["seed"]), still_open)
    if found["kept"] is None:
        return plan
    kept = [int(k) for k in found["kept"].split(",")]
    if max(kept) >= len(plan.faults):
        raise ValueError(f"{text}: {found['name']} has {len(plan.faults)} faults, from 0")
    return plan.only(kept)


def shrunk(
    plan: Schedule, parts: Parts = SOUND, told: Callable[[str], None] = lambda _: None
) -> Schedule:
    """Leave faults out as long as the rest still fails in the same way."""
    wanted = _ways(plan, parts)
    kept = list(range(len(plan.faults)))
    smaller = True
    while smaller:
        smaller = False
        for fault in kept:
            rest = [k for k in kept if k != fault]
            if _ways(plan.only(rest), parts) & wanted:
                told(f"fails without {plan.faults[fault]}")
                kept, smaller = rest, True
                break
    return plan.only(kept)


def _ways(plan: Schedule, parts: Parts) -> set[str]:
    """Give how a schedule fails, without times, names and numbers."""
    return {re.sub(r"[\d.]+|\b[a-d]\d+\S*", "", p) for p in play(plan, parts).problems}
