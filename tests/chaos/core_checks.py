"""What has to be true of a game in memory, at its end and on its way."""

from collections.abc import Iterator
from itertools import pairwise
from random import seed as seed_luck

from chaos.core_schedule import ADDRESSES, CoreSchedule, Game, What, core_schedule
from vipmanager.core.podnet import HELD_TABLE, PROTOCOL, held_mark
from vipmanager.core.values import EniId, RouteTable, TargetKind

BOUND = {"a": 80.0, "ab": 130.0}
"""Virtual seconds from the last event to everything right: a resync, a wave's life, and the
readings that make a drift, twice where two agents repair."""

REST = 45.0
"""Virtual seconds after that in which nobody writes: another resync."""

TIE = 4


def play(seed: int) -> list[str]:
    """Play a seed's schedule; give what was wrong."""
    plan = core_schedule(seed)
    seed_luck(seed)
    game = Game(plan)
    vpc = game.vpc
    try:
        vpc.run(plan.over)
        vpc.next_writes.clear()
        vpc.run(plan.over + BOUND[plan.zones], done=lambda: not any(unsettled(game)))
        left = list(unsettled(game))
        if left:
            return left
        written = moved(game)
        vpc.run(vpc.now + REST)
        left = list(unsettled(game))
        if moved(game) != written:
            left.append(f"{moved(game) - written} writes after everything was right")
    except AssertionError as endless:
        left = [str(endless)]
    return [*left, *sins(game)]


def moved(game: Game) -> int:
    """Count the writes that changed something; a late one may land on what is right."""
    return sum(w.before != w.action.eni for w in game.vpc.writes)


def unsettled(game: Game) -> Iterator[str]:
    """List what is not right yet."""
    if game.vpc.under_way:
        yield "writes are under way"
    tables = game.vpc.state.tables
    for number, address in enumerate(ADDRESSES, start=1):
        shown = {_target(t, number): t.id for t in tables if not _gateway(game.plan, t, number)}
        if len(game.plan.zones) > 1:
            if len(shown) != 1 or not set(shown) <= {f"eni-a{number}", f"eni-b{number}"}:
                yield f"{address} has the owners {sorted(map(str, shown))}"
        elif set(shown) != {f"eni-a{number}"}:
            yield f"{address} points at {sorted(map(str, shown))}"
    for agent in game.agents.values():
        report = agent.reports[-1] if agent.reports else None
        if report is None or not report.observed or report.waiting or report.changed:
            yield f"the agent in zone {agent.zone} is not at rest"
    if len(game.plan.zones) == 1:
        yield from _wrong_kernel(game)


def _wrong_kernel(game: Game) -> Iterator[str]:
    kernel = game.agents["a"].kernel.state
    marks = {(r.destination, r.metric) for r in kernel.routes if r.table == HELD_TABLE}
    wanted = {
        (a, held_mark(a, EniId(f"eni-a{n}")).metric) for n, a in enumerate(ADDRESSES, start=1)
    }
    if marks != wanted:
        yield f"marks {marks}, not {wanted}"
    if sum(r.protocol == 3 for r in kernel.routes) != 2:
        yield "a foreign kernel route is gone"
    if any(r.protocol not in {3, PROTOCOL} for r in kernel.routes):
        yield "a kernel route has a protocol that is not ours"


def _target(table: RouteTable, number: int) -> str | None:
    route = table.route_to(ADDRESSES[number - 1])
    return None if route is None else route.target.id


def _gateway(plan: CoreSchedule, table: RouteTable, number: int) -> bool:
    return plan.gateway and number == 1 and table.id == "rtb-00"


def sins(game: Game) -> Iterator[str]:
    """List what was done wrong on the way."""
    allowed = {(a, f"eni-{z}{n}") for z in game.plan.zones for n, a in enumerate(ADDRESSES, 1)}
    for write in game.vpc.writes:
        if (write.action.destination, write.action.eni) not in allowed:
            yield f"{write.action} is not ours"
        if write.gateway:
            yield f"{write.action} took a route from a gateway"
    yield from _moved(game)
    yield from _marked_too_early(game)


def _moved(game: Game) -> Iterator[str]:
    claims = sum(max(0, a.unmarked_starts - 1) for a in game.agents.values())
    upset = {What.STOLEN, What.DROPPED, What.ADDRESS_GONE, What.DETACHED}
    upsets = sum(e.what in upset for e in game.plan.events) + game.vpc.landed_late
    bound = TIE + 2 * (claims + upsets)
    owners: dict[object, list[str]] = {}
    for write in game.vpc.writes:
        key = write.action.table, write.action.destination
        owners.setdefault(key, []).append(write.action.eni)
    for where, line in owners.items():
        count = sum(one != other for one, other in pairwise(line))
        if count > bound:
            yield f"{where} moved {count} times, where {bound} are bounded"


def _marked_too_early(game: Game) -> Iterator[str]:
    """A mark says: all of it was read back right, or somebody else has taken it over."""
    vpc = game.vpc
    for agent in game.agents.values():
        for since, destination in agent.marked:
            number = ADDRESSES.index(destination) + 1
            first = since - 5.0  # the most that a reading lags behind
            past = [
                s
                for (at, s), (end, _) in pairwise((*vpc.past, (float("inf"), vpc.state)))
                if end >= first and at <= since + 15.0
            ]
            ours = f"eni-{agent.zone}{number}"
            right = any(
                all(
                    _target(t, number) == ours
                    for t in state.tables
                    if not _gateway(game.plan, t, number)
                )
                for state in past
            )
            taken = any(
                (r := t.route_to(destination)) is not None
                and r.target.kind is TargetKind.ENI
                and r.target.id != ours
                for state in past
                for t in state.tables
            )
            if not right and not taken:
                yield f"zone {agent.zone} marked {destination} at {since:.1f} s: never read right"
