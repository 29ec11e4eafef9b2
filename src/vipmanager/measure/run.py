"""One run of `measure`: makes its scratch things, plays the rounds, and leaves nothing behind."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from vipmanager.core.failures import Failure, Permanent
from vipmanager.core.measurement import (
    OF_LEASES,
    UNTIL_TAG,
    Figures,
    Plan,
    Quantity,
    Samples,
    Scratch,
    tags,
)
from vipmanager.core.values import EniId, VpcId
from vipmanager.edges.aws.scratch import ScratchEc2
from vipmanager.edges.guardian import guarded
from vipmanager.measure.leases import ScratchLease, at_hand
from vipmanager.measure.removal import SETTLE, left_behind, remove
from vipmanager.measure.rounds import ENTRIES, MARKER, Rounds

_TELLS_EVERY = 10.0
"""Seconds between two words on how far it is."""

_AT_THE_START = 10.0
"""Seconds after which an EC2 that does not answer is told."""

FIRST_PACKET = "it needs a subnet with traffic, and measure uses no subnet"

Told = Callable[[str], None]
"""Takes a line for the person who waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be measured, and where."""

    region: str
    vpc: VpcId
    enis: tuple[EniId, ...]
    """Targets for routes; where there are none, two of the VPC are taken."""
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a run found."""

    asked: Asked
    began: datetime
    seconds: float
    rounds: int
    figures: tuple[Figures, ...]
    left_out: Mapping[str, str]
    """Why something was not measured, by its name."""

    @property
    def complete(self) -> bool:
        """Whether all rounds were played, and most calls of each kind were answered."""
        return self.rounds == self.asked.plan.rounds and all(
            each.count > each.failed
            for each in self.figures
            if each.quantity is not Quantity.REPLACE_ROUTE_MEANWHILE  # a refusal is a figure too
        )


@dataclass(slots=True)
class _Made:
    """What there is to remove, as far as the process that makes it knows."""

    things: list[Scratch] = field(default_factory=list)
    sure: bool = False
    """Whether each call that makes something had its answer."""
    removed: bool = False


def measure(asked: Asked, environ: Mapping[str, str], told: Told) -> Measured:
    """Take the times; nothing is left when it returns, raises, or is ended by a signal.

    For the main thread, before there are other threads or connections.

    Raises:
        Transient, Permanent: it could not be done, or something could not be removed.
        SystemExit: a signal ended it.
    """
    run, made = secrets.token_hex(8), _Made()

    def undo() -> None:
        _undo(asked.region, environ, run, made)

    try:
        with guarded(undo), ExitStack() as stack:
            ec2 = stack.enter_context(closing(ScratchEc2(asked.region)))
            return _Run(asked, ec2, run, made, told).measured(environ, stack)
    except SystemExit:
        told(
            "stopped; what it made is removed"
            if made.removed
            else "stopped; a process of its own goes on to remove what it made"
        )
        raise


def clean(region: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Remove what runs left behind that are over; give its ids.

    Raises:
        Transient, Permanent: something is left, or nobody knows.
    """
    with closing(ScratchEc2(region)) as ec2:
        gone = remove(ec2, left_behind)
    if at_hand(environ):
        with closing(ScratchLease(environ, "")) as lease:
            gone += ("the Lease",) if lease.remove_left_behind() else ()
    return gone


def _undo(region: str, environ: Mapping[str, str], run: str, made: _Made) -> None:
    if made.sure and not made.things:  # the list is the first thing that is made
        made.removed = True
        return
    settle = 0.0 if made.sure else SETTLE
    try:
        with closing(ScratchEc2(region)) as ec2:
            remove(ec2, lambda each: each.of(run), known=made.things, settle=settle)
    finally:
        if at_hand(environ):
            with closing(ScratchLease(environ, run)) as lease:
                lease.remove()
    made.removed = True


class _Run:
    """A run while it lasts."""

    def __init__(self, asked: Asked, ec2: ScratchEc2, run: str, made: _Made, told: Told) -> None:
        self._asked, self._ec2, self._run, self._made, self._told = asked, ec2, run, made, told
        self._began, self._start = datetime.now(UTC), time.monotonic()
        self._tags = tags(run, self._began, asked.plan)
        self._left_out = {"first_packet": FIRST_PACKET}

    def measured(self, environ: Mapping[str, str], stack: ExitStack) -> Measured:
        """Do everything."""
        self._made.sure = True  # nothing was asked for yet
        remove(self._ec2, left_behind, patience=_AT_THE_START)
        enis = self._enis()
        of = self._make(lambda: self._ec2.make_list(MARKER, ENTRIES, self._tags))
        table = self._make(lambda: self._ec2.make_table(self._asked.vpc, self._tags))
        lease = self._lease(environ, stack)
        rounds = Rounds(self._ec2, lease, plan=self._asked.plan, enis=enis, table=table, of=of)
        rounds.prepare()
        done = self._play(rounds)
        return self._found(rounds.samples, done, with_leases=lease is not None)

    def _enis(self) -> Sequence[EniId]:
        enis = self._asked.enis or self._ec2.attached(self._asked.vpc)
        if len(set(enis)) < 2:  # noqa: PLR2004 - a route is led from one to the other
            raise Permanent(
                f"{self._asked.vpc} in {self._asked.region}: {len(set(enis))} attached ENIs, "
                "expected at least 2",
                "check --vpc and AWS_REGION, or name two by --eni",
            )
        return enis

    def _make(self, make: Callable[[], Scratch]) -> Scratch:
        """Make something, and see at once whether it may be removed as well."""
        self._made.sure = False
        try:
            thing = make()
        except Permanent:
            self._made.sure = True  # an answer as good as any
            raise
        self._made.things.append(thing)
        self._made.sure = True
        self._ec2.may_remove(thing)
        return thing

    def _lease(self, environ: Mapping[str, str], stack: ExitStack) -> ScratchLease | None:
        if not at_hand(environ):
            why = "this is no pod: the Kubernetes API is not at hand"
        else:
            lease = stack.enter_context(closing(ScratchLease(environ, self._run)))
            try:
                lease.make(self._tags[UNTIL_TAG])
            except Failure as failure:
                why = str(failure)
            else:
                return lease
        self._left_out |= {each.value: why for each in OF_LEASES}
        return None

    def _play(self, rounds: Rounds) -> int:
        """Play rounds until all are played, or it takes too long; give how many."""
        plan, told = self._asked.plan, time.monotonic()
        for number in range(plan.rounds):
            if time.monotonic() - self._start > plan.longest:
                return number
            rounds.play(number)
            if time.monotonic() - told >= _TELLS_EVERY:
                told = time.monotonic()
                left = (told - self._start) / (number + 1) * (plan.rounds - number - 1)
                self._told(f"{number + 1} of {plan.rounds} rounds, about {left:.0f} s more")
        return plan.rounds

    def _found(self, samples: Samples, done: int, *, with_leases: bool) -> Measured:
        of = [each for each in Quantity if with_leases or each not in OF_LEASES]
        return Measured(
            asked=self._asked,
            began=self._began,
            seconds=time.monotonic() - self._start,
            rounds=done,
            figures=samples.figures(of),
            left_out=self._left_out,
        )
