"""Everything that a seed decides, written down in one way: `s123`, or the name of a row.

`s123:0,2` is the schedule of seed 123 with its first and third fault alone: what shrinking leaves.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random

from simulation.faults import FAULTS, FOREVER, Fault, In
from vipmanager.core.settings import Rate

LENGTH = {In.ALONE: 60.0, In.RIVALS: 60.0, In.STANDBY: 15.0}
"""Seconds in which faults begin."""
FIRST = {In.ALONE: 0.0, In.RIVALS: 0.0, In.STANDBY: 3.0}
"""When the first one may."""

CROWDED = 240.0
"""Seconds until all is right where EC2 refuses most readings: each is minutes from the next."""
BEFORE = 0.06
"""The share of standby groups that hand over before the loss."""

LOST = 0.12
"""The share of groups in which a floating IP is lost."""

LONE = 0.06
"""The share of the groups with a Lease that have one replica."""

FOUGHT = 240.0
"""Seconds until one of two groups with the same addresses leaves them to the other."""

RATE = Rate()
"""What ships."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A group of agents, and what happens to it."""

    name: str
    seed: int
    group: In
    tables: int = 2
    starts: tuple[float, ...] = (0.0,)
    """When each replica starts."""
    nodes: str = "abc"
    """On which node each is: a and c are in zone a, b and d in zone b."""
    before: str = "nothing"
    """`nothing`, a `dead` or a `live` ENI has every route in the beginning."""
    gateway: bool = False
    """Whether the first table routes the first address to a gateway."""
    lease_seconds: float = 5.0
    heartbeat: float = 0.5
    resync: float = 30.0
    preferred_zone: str | None = None
    waits: float = 0.0
    """The most seconds between a decision to call EC2 and the call."""
    checked: bool = False
    """Whether the applications have health checks."""
    rate: Rate = RATE
    """At which an agent writes."""
    named_tables: bool = False
    """Whether VPCRTIds names the tables."""
    two_leases: bool = False
    """Whether each replica has a Lease of its own."""
    leads_to: str | None = None
    """The zone to which connections lead, where it is not drawn."""
    hand_over: bool = False
    """Whether a holder hands over before its node or zone is lost."""
    asks: bool = False
    """Whether agents without a Lease may ask the Kubernetes API for pods."""
    holds_bytes: bool = False
    """Whether kernels send again, once a path is mended, what it did not carry."""
    agents: int = 0
    """Further sidecars at rest in the same account, each with a route of its own."""
    describes: float | None = None
    """Describes a second that EC2 lets all of them make, where that is limited."""
    within: float | None = None
    """Seconds from the last fault until everything is right, where a row says how many."""
    until: float = 0.0
    """When it is looked at first, though nothing happens."""
    watched: float = 0.0
    """Seconds for which it is looked at after the last fault, whether or not it is right."""
    faults: tuple[Fault, ...] = ()

    @property
    def over(self) -> float:
        """When the last fault has ended, as far as faults end."""
        return max([self.until, *self.starts, *(f.over for f in self.faults)])

    def only(self, kept: Iterable[int]) -> "Schedule":
        """Give the schedule with these faults alone."""
        chosen = sorted(set(kept))
        name = f"{self.name.partition(':')[0]}:{','.join(map(str, chosen))}"
        return replace(self, name=name, faults=tuple(self.faults[i] for i in chosen))

    def __str__(self) -> str:
        assert self.group.name is not None
        head = f"{self.name}: {self.group.name.lower()}, {self.tables} tables, {self.before} before"
        default = Schedule(name="", seed=0, group=self.group)
        more = [
            f"{name} {getattr(self, name)}"
            for name in Schedule.__dataclass_fields__
            if name not in {"name", "seed", "group", "tables", "before", "faults"}
            and getattr(self, name) != getattr(default, name)
        ]
        return "\n".join((", ".join((head, *more)), *(f"  {f}" for f in self.faults)))


def drawn(seed: int, still_open: frozenset[str] = frozenset()) -> Schedule:
    """Draw the schedule of a seed.

    Args:
        seed: any number.
        still_open: rows that the code is known to fail: what leads to them is not drawn.
    """
    luck = Random(seed)  # noqa: S311 - a seed shall give the same again
    group = luck.choices((In.STANDBY, In.ALONE, In.RIVALS), weights=(60, 30, 10))[0]
    replicas = 3 if group is In.STANDBY and luck.random() < 0.12 else 2
    replicas = 1 if group is In.ALONE else replicas
    standby = group is In.STANDBY
    before = _before(seed, group, replicas)
    drawn_first = _faults(luck, group, replicas, still_open)
    faults = (*drawn_first, *before, *_lost(seed, group, replicas))
    rare = luck.random()
    doubled = standby and replicas == 2 and not faults and rare < 0.03 and "B4" not in still_open
    crowded = group is In.ALONE and rare < 0.01 and "A9" not in still_open
    others = Random(f"{seed} pods")  # noqa: S311 - as above, and what is drawn above stays as it is
    story = _late_claim(others) if group is In.RIVALS and others.random() < 0.1 else ()
    comes_and_goes = any(f.kind in {"second pod", "pod gone for good"} for f in faults)
    asks = comes_and_goes or (not {"B1", "B2"} & still_open and others.random() < 0.5)
    made = Schedule(
        name=f"s{seed}",
        seed=seed,
        group=group,
        tables=luck.choice((2, 2, 3, 4)),
        starts=_starts(luck, group, replicas),
        before=luck.choice(("nothing", "nothing", "dead", "live")),
        gateway=group is In.ALONE and luck.random() < 0.2,
        lease_seconds=luck.choice((2.0, 5.0, 5.0, 10.0)) if standby else 5.0,
        heartbeat=luck.choice((0.1, 0.25, 0.5, 0.5, 1.0)) if standby else 0.5,
        resync=30.0 if group is In.RIVALS else luck.choice((5.0, 30.0)),
        preferred_zone=luck.choice("ab") if standby and luck.random() < 0.08 else None,
        waits=luck.choice((0.0, 0.01, luck.uniform(0, 1))) if group is In.RIVALS else 0.0,
        rate=Rate(burst=3, refill=3.0) if standby and rare > 0.97 else RATE,
        named_tables=0.05 < rare < 0.15,
        two_leases=doubled,
        agents=50 if crowded else 0,
        describes=3.5 if crowded else None,
        within=CROWDED if crowded else None,
        watched=FOUGHT if doubled else 0.0,
        checked=any(f.kind in {"sick", "sick and robbed", "health flips"} for f in faults),
        asks=asks and not standby and (comes_and_goes or not story),
        holds_bytes="A11" not in still_open,
        hand_over=bool(before),
        faults=tuple(sorted((*faults, *(() if comes_and_goes else story)), key=lambda f: f.at)),
    )
    return _lone(made) if standby and not made.two_leases else made


def _before(seed: int, group: In, replicas: int) -> tuple[Fault, ...]:
    """Draw what tells of a loss before it comes, by a luck that nothing else is drawn from."""
    luck = Random(f"{seed} a loss is told")  # noqa: S311 - a seed shall give the same again
    if group is not In.STANDBY or luck.random() > BEFORE:
        return ()
    return tuple(
        Fault(
            kind=luck.choice(("cordoned", "zone shifted")),
            at=FIRST[group] + luck.uniform(0.0, LENGTH[group]),
            seconds=luck.choice((luck.uniform(1.0, 15.0), luck.uniform(30.0, 90.0))),
            place=luck.randrange(replicas),
            amount=luck.random(),
        )
        for _ in range(luck.choice((1, 1, 2)))
    )


def _lost(seed: int, group: In, replicas: int) -> tuple[Fault, ...]:
    """Draw what a floating IP is lost by, by a luck that nothing else is drawn from."""
    luck = Random(f"{seed} it is lost")  # noqa: S311 - as above
    if group is In.RIVALS or luck.random() > LOST:
        return ()
    kinds = ("address lost", "interface deleted", "check switched on", "link down", "detached")
    return tuple(
        Fault(
            kind=kind,
            at=FIRST[group] + luck.uniform(0.0, LENGTH[group]),
            seconds=luck.choice((luck.uniform(1.0, 15.0), luck.uniform(30.0, 120.0))),
            place=luck.randrange(replicas),
            amount=luck.random(),
        )
        for kind in luck.sample(kinds, luck.choice((1, 1, 2)))
    )


def _lone(plan: Schedule) -> Schedule:
    """Draw whether there is one replica alone, with luck of its own."""
    luck = Random(f"{plan.seed} of one")  # noqa: S311 - as above
    if luck.random() >= LONE:
        return plan
    kind = luck.choice(("", "object deleted", "second pod claims"))
    at = FIRST[plan.group] + luck.uniform(0, LENGTH[plan.group])
    fault = Fault(kind=kind, at=at, seconds=luck.uniform(8.0, 20.0), amount=luck.random())
    faults = (*plan.faults, fault) if kind else plan.faults
    return replace(plan, starts=plan.starts[:1], faults=tuple(sorted(faults, key=lambda f: f.at)))


def _late_claim(luck: Random) -> tuple[Fault, ...]:
    """A pod can't reach EC2 from its start for minutes, and is deleted after that."""
    place = luck.randrange(2)
    cut = Fault(
        kind="cut from ec2", at=0.0, seconds=luck.uniform(100, 150), place=place, amount=0.5
    )
    gone = Fault(kind="pod gone for good", at=luck.uniform(200, 220), place=place)
    return cut, gone


def _starts(luck: Random, group: In, replicas: int) -> tuple[float, ...]:
    if group is In.RIVALS:
        apart = luck.choice((0.0, luck.uniform(0, 1), luck.uniform(0, 30)))
        return (0.0, apart)
    return tuple(0.5 * luck.random() for _ in range(replicas))


def _faults(
    luck: Random, group: In, replicas: int, still_open: frozenset[str]
) -> tuple[Fault, ...]:
    menu = [name for name, kind in FAULTS.items() if group in kind.where]
    barred = {name for name in menu if still_open.intersection(FAULTS[name].rows)}
    return tuple(
        sorted(
            (
                _fault(luck, group, replicas, menu, barred)
                for _ in range(luck.choice((0, 1, 1, 2, 2, 3, 3, 4)))
            ),
            key=lambda f: f.at,
        )
    )


def _fault(luck: Random, group: In, replicas: int, menu: list[str], barred: set[str]) -> Fault:
    # Always the same draws: a row that is closed changes no schedule but those it was kept out of.
    first = _one_of(luck, menu)
    second = _one_of(luck, [name for name in menu if not FAULTS[name].rows])
    lasting = luck.choice((luck.uniform(0.1, 2.0), luck.uniform(0.1, 15.0)))
    at = FIRST[group] + luck.uniform(0, luck.choice((0.5, LENGTH[group])))
    place, amount = luck.randrange(replicas), luck.random()
    name = second if first in barred else first
    seconds = lasting if FAULTS[name].lasts else FOREVER
    return Fault(kind=name, at=at, seconds=seconds, place=place, amount=amount)


def _one_of(luck: Random, names: list[str]) -> str:
    weights = [FAULTS[name].weight for name in names]
    return luck.choices(names, weights=weights)[0]
