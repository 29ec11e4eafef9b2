"""What must be true of a group in the end, and of how it came there; and where its routes lead."""

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import pairwise

from simulation.faults import FAULTS, In
from simulation.pod import Pod
from simulation.stage import GATEWAY, Stage
from vipmanager.core.election.values import ElectionSettings
from vipmanager.core.podnet import HELD_TABLE, PROTOCOL, held_mark
from vipmanager.core.values import Address, CloudState, Network, RouteTable, host

DISTRUST = ElectionSettings().distrust * 0.95
BEHIND = 15.0
"""Seconds that a reading of EC2 may be behind the truth, call and lag together, at the most."""
UNREAD = 240.0
"""Seconds in which an agent at rest reads EC2 again, also where its bucket is nearly empty."""
TIE = 4
"""Moves of a route between two agents without a Lease, until they have come to an end."""


def leads_to(state: CloudState, pod: Pod, of: Collection[Address] | None = None) -> bool:
    """Tell whether every route leads to a pod, or those of some addresses; no gateway's counts."""
    for number, address in enumerate(pod.addresses, start=1):
        if number - 1 in pod.without or (of is not None and address not in of):
            continue
        for table in selected(state, pod):
            route = table.route_to(host(address))
            if route is not None and route.target == GATEWAY:
                continue
            if route is None or route.target.id != pod.node.eni(number):
                return False
    return True


def comes(state: CloudState, pod: Pod, number: int) -> bool:
    """Tell whether some route for a pod's floating IP leads to the pod."""
    routes = (t.route_to(host(pod.addresses[number - 1])) for t in selected(state, pod))
    return any(r is not None and r.target.id == pod.node.eni(number) for r in routes)


def selected(state: CloudState, pod: Pod) -> list[RouteTable]:
    """Give the tables that a pod was told of; all, where it was told of none."""
    named = pod.settings.tables
    return [t for t in state.tables if not named or t.id in named]


def unsettled(stage: Stage) -> Iterator[str]:
    """List what is not right yet."""
    if stage.world.ec2.late:
        yield "writes are under way"
    if stage.rolling:
        yield "a rollout is under way"
    if stage.plan.group is In.STANDBY:
        yield from _standby_unsettled(stage)
        return
    living = [p for p in stage.members if p.alive]
    # Who can't read EC2 can't be at rest, nor mark what it has not read back.
    readable = not stage.world.ec2.ills.reads and not stage.plan.agents
    for number, address in enumerate(stage.addresses, start=1):
        tables = selected(stage.world.ec2.state, stage.members[0])
        routes = (t.route_to(host(address)) for t in tables)
        owners = {"none" if r is None else r.target.id for r in routes} - {GATEWAY.id}
        if len(owners) != 1 or not owners <= {p.node.eni(number) for p in living}:
            yield f"{address} leads to {sorted(owners)}"
    for pod in living:
        report = pod.last
        restless = (
            report is None
            or not report.observed
            or report.waiting
            or report.changed
            or report.failures
        )
        if restless and readable:
            yield f"the agent of {pod.name} is not at rest"
    if stage.plan.group is In.ALONE and readable:
        yield from _wrong_kernel(stage)
    late = stage.world.now - UNREAD
    unread = [p.name for p in stage.others if late > (p.born if p.read is None else p.read)]
    if unread:
        yield f"{len(unread)} of {len(stage.others)} agents have not read EC2 for {UNREAD:.0f} s"


def _standby_unsettled(stage: Stage) -> Iterator[str]:
    world = stage.world
    holders = [p for p in stage.members if p.holds]
    if stage.plan.two_leases:
        if not any(leads_to(world.ec2.state, p) for p in stage.members if p.alive and p.serving):
            yield f"the routes lead to {_shown(stage)}"
        return
    if len(holders) != 1:
        others = [
            f"{p.name} ({', '.join(sorted(p.conditions()))})" for p in stage.members if p.alive
        ]
        yield f"{len(holders)} agents hold it; alive: {', '.join(others)}"
    for pod in holders:
        lease = world.kube.leases[pod.settings.lease_name].record
        if lease is None or lease.holder != pod.identity:
            yield f"{pod.identity} thinks it holds the Lease"
        if not pod.serving:
            yield f"{pod.name} holds it, and does not answer"
        if not leads_to(world.ec2.state, pod):
            yield f"{pod.name} holds it, and the routes lead to {_shown(stage)}"
    for pod in stage.members:
        asked = pod.yielded or pod.leaving
        if pod.alive and pod.serving and not pod.ready and not asked and pod.agent is not None:
            yield f"{pod.name} is not ready: {pod.agent.store.status.readiness.why}"


def _shown(stage: Stage) -> list[str]:
    return [" ".join(stage.world.owners(a)) for a in stage.addresses]


def _wrong_kernel(stage: Stage) -> Iterator[str]:
    (pod,) = stage.members
    routes = pod.kernel.state.routes
    marks = {(r.destination, r.metric) for r in routes if r.table == HELD_TABLE}
    wanted = {
        (host(a), held_mark(host(a), pod.node.eni(n)).metric)
        for n, a in enumerate(pod.addresses, start=1)
    }
    if marks != wanted:
        yield f"marks {marks}, not {wanted}"
    if sum(r.protocol == 3 for r in routes) != 2:
        yield "a foreign kernel route is gone"
    if any(r.protocol not in {3, PROTOCOL} for r in routes):
        yield "a kernel route has a protocol that is not ours"


def moved(stage: Stage) -> int:
    """Count the writes that changed something; a late one may land on what is right."""
    members = {p.name for p in stage.members}
    writes = [w for w in stage.world.ec2.writes if w.by in members]
    return sum(w.before != w.action.eni for w in writes)


def sins(stage: Stage) -> Iterator[str]:
    """List what was done too often, or too early, on the way."""
    if stage.plan.group is In.STANDBY:
        yield from _too_many_takeovers(stage)
        return
    yield from _too_many_moves(stage)
    yield from _marked_too_early(stage)


def _too_many_takeovers(stage: Stage) -> Iterator[str]:
    plan, world = stage.plan, stage.world
    moves = world.moves
    allowed = sum(FAULTS[f.kind].cost for f in plan.faults)
    allowed = allowed if plan.preferred_zone is None else 2 * allowed + 1  # and back again
    if len(moves) > allowed:
        yield f"{len(moves)} moves, where {allowed} are allowed: {moves}"
    if any(f.kind in {"lease deleted", "lease edited"} for f in plan.faults):
        return
    for one, other in pairwise(a for a in world.acquired if a.misled):
        again = {one.by, one.before} == {other.by, other.before}
        if again and other.at - one.at < DISTRUST:
            yield f"misled twice, at {one.at:.2f} and {other.at:.2f} s"


def _too_many_moves(stage: Stage) -> Iterator[str]:
    """Without a Lease each claim and each upset moves a route once and back."""
    plan, world = stage.plan, stage.world
    claims = sum(max(0, p.fresh_starts - 1) for p in stage.members)
    upsets = sum(FAULTS[f.kind].upsets for f in plan.faults) + world.ec2.landed_late
    bound = TIE + 2 * (claims + upsets)
    owners: dict[tuple[str, Network], list[str]] = {}
    for write in world.ec2.writes:
        key = write.action.table, write.action.destination
        owners.setdefault(key, []).append(write.action.eni)
    for where, line in owners.items():
        count = Counter(one != other for one, other in pairwise(line))[True]
        if count > bound:
            yield f"{where} moved {count} times, where {bound} are bounded"


def _marked_too_early(stage: Stage) -> Iterator[str]:
    """A mark says: all that may be written was read back right, or somebody else has it."""
    for pod in stage.members:
        for at, destination in pod.marked:
            number = next(n for n, a in enumerate(pod.addresses, 1) if host(a) == destination)
            ours = pod.node.eni(number)
            states = [
                [
                    t.route_to(destination)
                    for t in selected(s, pod)
                    if (pod.name, t.id) not in stage.world.ec2.barred
                ]
                for s in stage.world.ec2.shown_between(at - BEHIND, at)
            ]
            right = any(
                all(r is not None and r.target.id in {ours, GATEWAY.id} for r in routes)
                for routes in states
            )
            taken = any(
                r is not None and r.target.id not in {ours, GATEWAY.id}
                for routes in states
                for r in routes
            )
            if not right and not taken:
                yield f"{pod.name} marked {destination} at {at:.1f} s: never read right"
