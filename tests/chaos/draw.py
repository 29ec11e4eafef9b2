"""From a seed to a schedule."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from chaos.schedule import (
    AddressAdded,
    AddressRemoved,
    Away,
    Broken,
    ClockStep,
    Cut,
    Detached,
    Dropped,
    Expiring,
    Fault,
    Forgotten,
    Gateway,
    Hanging,
    Imds,
    Killed,
    Kind,
    LinkDown,
    Paused,
    Refuse,
    Revoked,
    Schedule,
    Slow,
    Squatter,
    Stale,
    Stolen,
    Strike,
    TableAdded,
    TableDeleted,
    Throttle,
)
from vipmanager_lab.ec2.faults import Break, Unreachable

LENGTH = 3.0
"""Seconds in which faults begin; each lasts up to 1.5 more."""

LASTING = 1.5

START = 0.2
"""Seconds that any agent needs before its first call."""

EARLY = 0.6
"""Share of the faults that meet the first calls, where nothing is done after them."""

BASE = 4
"""Tables that are always there; those after them may be deleted."""

_ACTIONS = (None, "CreateRoute", "ReplaceRoute", "DescribeRouteTables", "DescribeNetworkInterfaces")
_ERRORS = (
    ("InternalError", 500),
    ("ServiceUnavailable", 503),
    ("Unavailable", 503),
    ("RequestLimitExceeded", 503),
    ("RequestExpired", 400),
)

Draw = Callable[[Random, Schedule], Fault]

_CALLS: tuple[Draw, ...] = (
    lambda r, _: Slow(round(r.uniform(0, 0.3), 2), round(r.uniform(0, 0.5), 2)),
    lambda r, _: Throttle(
        r.choice(("CreateRoute", "ReplaceRoute", "DescribeRouteTables")),
        r.randint(0, 4),
        r.randint(1, 5),
    ),
    lambda r, _: Refuse(r.choice(_ACTIONS), *r.choice(_ERRORS), r.randint(1, 6)),
    lambda r, _: Broken(r.choice(_ACTIONS), r.choice(tuple(Break)), r.randint(1, 4)),
    lambda r, _: Hanging(r.choice(_ACTIONS), round(r.uniform(0.3, 4), 1), r.randint(1, 3)),
    lambda _r, _s: Cut(),
    lambda r, _: Away(r.choice(tuple(Unreachable))),
    lambda r, _: Stale(round(r.uniform(0.2, 1.5), 1)),
    lambda r, _: Imds(r.choice(("lagging", "missing", "down", "slow"))),
    lambda _r, _s: Revoked(),
    lambda r, _: Expiring(round(r.uniform(0.5, 2), 1)),
    lambda r, _: ClockStep(r.choice((-86_400, -3600, -5, 5, 600, 7200, 86_400))),
    lambda r, s: Killed(r.choice(s.zones), round(r.uniform(0, 0.5), 2)),
    lambda r, s: Killed(r.choice(s.zones), 0.0),
    lambda r, s: Paused(r.choice(s.zones)),
)
_WORLD: tuple[Draw, ...] = (
    lambda r, s: Stolen(_some(r, s), r.randint(1, 2)),
    lambda r, s: Stolen(tuple(range(s.tables)), r.randint(1, 2)),
    lambda r, s: Dropped(_some(r, s), r.randint(1, 2)),
    lambda r, s: Dropped(_some(r, s), r.randint(1, 2)),
    lambda r, _: TableAdded(r.random() < 0.3),
    lambda _r, _s: TableDeleted(),
    lambda r, _: Detached(r.randint(1, 2)),
)
_POD: tuple[Draw, ...] = (
    lambda r, _: AddressAdded(r.randint(1, 2)),
    lambda r, _: AddressRemoved(r.randint(1, 2)),
    lambda r, _: LinkDown(r.randint(1, 2)),
)
_MENU = {
    Kind.SIDECAR: _CALLS + _WORLD * 2 + _POD * 2,
    Kind.STARTUP: (*_CALLS, *_POD, *(2 * (lambda r, _: Forgotten(r.randint(1, 4)),))),
    Kind.INIT: (*_CALLS, *(2 * (lambda r, _: Forgotten(r.randint(1, 4)),))),
    Kind.PAIR: _CALLS,
}
_UNDONE = (
    Slow,
    Throttle,
    Cut,
    Away,
    Stale,
    Imds,
    Expiring,
    Stolen,
    Detached,
    AddressAdded,
    AddressRemoved,
    LinkDown,
    Paused,
)
"""Faults that last; of the others the blow is all."""


def schedule(seed: int) -> Schedule:
    """Make the schedule of a seed: the same one on every machine."""
    luck = Random(seed)  # noqa: S311 - repeatable on purpose
    kind = luck.choices(tuple(Kind), weights=(55, 20, 15, 10))[0]
    empty = Schedule(
        seed=seed,
        kind=kind,
        pattern=luck.choice((1, 1, 2)),
        version=luck.choice((4, 4, 6)),
        tables=luck.randint(BASE, 8),
        source_routing=luck.random() < 0.3,
        # Where a write to a live ENI's route is forgotten, that ENI seems to have taken over.
        before=luck.choice(
            ("nothing", "dead", "live") if kind is Kind.SIDECAR else ("nothing", "nothing", "dead")
        ),
        warm=kind is Kind.SIDECAR and luck.random() < 0.6,
        strikes=(),
    )
    struck = [
        _strike(luck, luck.choice(_MENU[kind])(luck, empty), kind)
        for _ in range(luck.randint(2, 7))
    ]
    if kind is Kind.SIDECAR:
        struck += _from_the_start(luck, empty)
    drawn = sorted(_sensible(struck, empty), key=lambda s: s.at)
    return replace(empty, strikes=tuple(drawn))


def _strike(luck: Random, fault: Fault, kind: Kind) -> Strike:
    # What was true before the start is no state that EC2 ever showed of this VPC.
    earliest = fault.seconds if isinstance(fault, Stale) else 0.0
    early = kind in {Kind.STARTUP, Kind.INIT} and luck.random() < EARLY
    at = round(max(earliest, luck.uniform(0, START if early else LENGTH)), 2)
    lasts = round(luck.uniform(0.05, LASTING), 2)
    return Strike(at=at, fault=fault, until=at + lasts if isinstance(fault, _UNDONE) else None)


def _some(luck: Random, s: Schedule) -> tuple[int, ...]:
    return tuple(sorted(luck.sample(range(s.tables), luck.randint(1, s.tables - 1))))


def _from_the_start(luck: Random, s: Schedule) -> list[Strike]:
    """Draw what is there before the agent, to the end or for a while."""
    drawn: list[Strike] = []
    if luck.random() < 0.3:
        end = round(luck.uniform(0.5, LENGTH), 2) if luck.random() < 0.5 else None
        fault = Gateway(luck.randrange(s.tables), luck.randint(1, 2))
        drawn.append(Strike(at=-1.0, fault=fault, until=end))
    if s.pattern == 2 and s.before == "nothing" and luck.random() < 0.4:
        end = round(luck.uniform(0.5, LENGTH), 2)
        number = luck.randint(1, 2)
        # Where a gateway has a route, the subnet is captured already.
        if not any(isinstance(d.fault, Gateway) and d.fault.number == number for d in drawn):
            drawn.append(Strike(at=-1.0, fault=Squatter(number), until=end))
    return drawn


def _sensible(strikes: list[Strike], s: Schedule) -> list[Strike]:
    """Leave out what has no right answer, and let a lone theft stand."""
    kept = _once_each(strikes, s)
    if s.version == 6 and any(isinstance(x.fault, LinkDown) for x in kept):
        # IPv6 addresses that a link took along are remembered by the process alone.
        kept = [x for x in kept if not isinstance(x.fault, Killed)]
    kept = [y for x in kept if (y := _beside_others(x, strikes)) is not None]
    blows = sum(isinstance(x.fault, Stolen | Dropped) for x in kept)
    calm = s.warm and not any(isinstance(x.fault, Gateway | TableAdded) for x in kept)
    return [
        replace(x, until=None)  # it is drift, and is repaired
        if isinstance(x.fault, Stolen)
        and len(x.fault.tables) < s.tables // 2
        and blows == 1
        and calm
        else x
        for x in kept
    ]


def _once_each(strikes: list[Strike], s: Schedule) -> list[Strike]:
    """Leave each interface at most one blow: one that hides another has no right answer."""
    kept: list[Strike] = []
    touched: set[int] = set()
    for strike in strikes:
        match strike.fault:
            case LinkDown() if s.version == 6 and not s.warm:
                continue  # the kernel drops the address before anybody can have seen it
            case AddressAdded() if s.pattern == 2:
                continue  # it would lie in the same dummy subnet
            case LinkDown(number) | AddressRemoved(number) | AddressAdded(number):
                if number in touched:
                    continue
                touched.add(number)
            case _:
                pass
        kept.append(strike)
    return kept


def _beside_others(strike: Strike, strikes: list[Strike]) -> Strike | None:
    """Keep others off what a gateway has, and off a subnet in which somebody lives."""
    gateways = {x.fault.number: x.fault.table for x in strikes if isinstance(x.fault, Gateway)}
    squatted = {x.fault.number for x in strikes if isinstance(x.fault, Squatter)}
    match strike.fault:
        case TableAdded(gateway=True) if squatted:
            return replace(strike, fault=TableAdded(gateway=False))
        case Stolen(_, number) if number in squatted:
            return None  # where a route exists, the traffic is captured, and writing is right
        case Stolen(tables, number) as fault if number in gateways:
            rest = tuple(t for t in tables if t != gateways[number])
            return replace(strike, fault=replace(fault, tables=rest)) if rest else None
        case Dropped(tables, number) as fault if number in gateways:
            rest = tuple(t for t in tables if t != gateways[number])
            return replace(strike, fault=replace(fault, tables=rest)) if rest else None
        case _:
            return strike
