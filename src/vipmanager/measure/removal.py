"""Removes scratch things of this run, or of runs that are over; and looks whether they are gone."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.findings import Condition
from vipmanager.core.measurement import UNTIL_TAG, Scratch
from vipmanager.edges.aws.scratch import ScratchEc2

SETTLE = 3.0
"""Seconds for which nothing must be seen where a call that makes something had no answer.

EC2 is eventually consistent (EC2 API reference); how far a describe lags is not published (guess).
"""

PATIENCE = 120.0
"""Seconds after which it is given up: a list can't be deleted while it is modified."""

_EVERY = 0.5
"""Seconds between two looks."""

FOR_A_PERSON = frozenset({Condition.ACCESS_DENIED, Condition.NO_CREDENTIALS})
"""What stays so until somebody changes something."""


def remove(
    ec2: ScratchEc2,
    which: Callable[[Scratch], bool],
    *,
    known: Iterable[Scratch] = (),
    settle: float = 0.0,
    patience: float = PATIENCE,
) -> tuple[str, ...]:
    """Delete, and look again until nothing is there; give the ids.

    Args:
        ec2: where.
        which: what is to go, of all that runs of `measure` made.
        known: what is there for certain, even where EC2 does not show it yet.
        settle: seconds for which nothing must be seen.
        patience: seconds after which it is given up.

    Raises:
        Transient, Permanent: something is left, or nobody knows.
    """
    began = seen = time.monotonic()
    gone = dict.fromkeys(each.id for each in known)
    for each in known:
        with suppress(Failure):  # it is looked for below
            ec2.remove(each)
    while True:
        refused: dict[str, Failure] = {}
        try:
            found = _look(ec2, which, refused)
        except Transient as failure:
            if time.monotonic() - began > patience:
                raise _unknown(gone, failure) from failure
            found = None
        now = time.monotonic()
        if found:
            seen = now
            gone |= dict.fromkeys(each.id for each in found)
        elif found is not None and now - seen >= settle:
            return tuple(gone)
        if found and (now - began > patience or _hopeless(found, refused)):
            raise _left(found, refused)
        time.sleep(_EVERY)


def _look(
    ec2: ScratchEc2, which: Callable[[Scratch], bool], refused: dict[str, Failure]
) -> Sequence[Scratch]:
    """Find and delete; give what was there, and add what could not be deleted to `refused`."""
    found = [each for each in ec2.scratch() if which(each)]
    for each in found:
        if each.going:
            continue
        try:
            ec2.remove(each)
        except Failure as failure:
            refused[each.id] = failure
    return found


def _hopeless(found: Iterable[Scratch], refused: Mapping[str, Failure]) -> bool:
    return all(each.id in refused and refused[each.id].condition in FOR_A_PERSON for each in found)


def _unknown(gone: Iterable[str], failure: Failure) -> Transient:
    things = " and ".join(gone)
    return Transient(
        f"{f'{things} may be left' if things else 'nobody knows whether something is left'}: "
        f"{failure.what}",
        "then type vipmanager measure --clean; it removes what runs left behind that are over",
    )


def _left(found: Iterable[Scratch], refused: Mapping[str, Failure]) -> Permanent:
    lines = [str(refused[each.id]) for each in found if each.id in refused]
    ids = [each.id for each in found]
    commands = [
        f"aws ec2 delete-route-table --route-table-id {each.id}"
        if each.is_table
        else f"aws ec2 delete-managed-prefix-list --prefix-list-id {each.id}"
        for each in found
    ]
    until = max(each.tags.get(UNTIL_TAG, "") for each in found)
    return Permanent(
        f"left, and used by no traffic: {' and '.join(ids)}: {'; '.join(lines)}",
        f"then type {' && '.join(commands)}, or after {until} vipmanager measure --clean",
    )


def left_behind(each: Scratch) -> bool:
    """Tell whether something is of a run that is over."""
    return each.left_behind(datetime.now(UTC))
