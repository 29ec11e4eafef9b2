"""What must be true of a group: in the end, on its way, and of what it tells."""

from collections import Counter, deque
from collections.abc import Iterator
from itertools import pairwise

from simulation.aws import Write
from simulation.faults import FAULTS, FOREVER, In
from simulation.pod import Pod
from simulation.stage import GATEWAY, Stage
from simulation.world import Acquired
from vipmanager.core.election.record import OFFER
from vipmanager.core.election.values import ElectionSettings, pod_of
from vipmanager.core.podnet import HELD_TABLE, PROTOCOL, held, held_mark
from vipmanager.core.tenure import Tenure
from vipmanager.core.values import CloudState, Network, RouteTable, host

CALM = 12.0
"""Seconds after a fault that disturbs until a healthy holder can show again that it lives."""
FENCE = ElectionSettings().fence * 1.05
"""Seconds after losing the Lease in which a write may still leave; clocks differ by a percent."""
DISTRUST = ElectionSettings().distrust * 0.95
BEHIND = 15.0
"""Seconds that a reading of EC2 may be behind the truth, call and lag together, at the most."""
STALE = 45.0
"""Seconds beside one and a half ResyncSeconds for which what is told may be untrue."""
TAKEOVERS, WRITES, READINGS = 4, 12, 200
"""The most in a minute, whatever happens: takeovers; writes for each route; readings of a pod."""
WRITES_ON = 15.0
"""Seconds after a write in which a holder counts as one that steers."""
SICK = 8
"""Health checks that fail in a row until an agent has acted upon it."""
TAIL = ElectionSettings().write + ElectionSettings().settle
"""Seconds beside LeaseSeconds after a takeover in which its routes are read again and again."""
LEFT = 4.0
"""Seconds in which a new holder has found and repaired a late write of the one before."""
UNREAD = 150.0
"""Seconds in which an agent at rest reads EC2 again, also where its bucket is nearly empty."""
TIE = 4
"""Moves of a route between two agents without a Lease, until they have come to an end."""


class Watcher:
    """Notes what must never be, while a stage is played."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._world = stage, stage.world
        self.problems: dict[str, str] = {}
        """By kind: one of each is enough."""
        self._spans: dict[tuple[str, str], tuple[float, float]] = {}
        """What is told and untrue, by kind and pod: since when, and when last seen."""
        self._writes: deque[Write] = deque()
        self._readings: deque[tuple[float, int]] = deque()
        self._world.ec2.wrote.append(self._write)
        self._world.ec2.asked.append(self._asked)
        self._world.taken.append(self._taken)
        self._world.told.append(self._tenure)
        self._world.hub.after(1.0, self._look)

    def _note(self, kind: str, text: str) -> None:
        self.problems.setdefault(kind, f"{self._world.now:.2f} s: {text}")

    def _asked(self, by: str, left: float) -> None:
        """No write leaves later than a fence after its sender lost the Lease."""
        late = left - self._world.lost.get(by, float("-inf"))
        if self._stage.plan.group is In.STANDBY and late > FENCE:
            self._note("late", f"{by} writes {late:.2f} s after it lost the Lease: too late")

    def _taken(self, taken: Acquired) -> None:
        """Silence alone moves nothing between two healthy pods while the API is well."""
        if taken.misled and not self._disturbed():
            self._note("misled", f"{taken.by} took {taken.before}, which is well, for dead: misled")
        if self._world.find(pod_of(taken.by)).unwell > SICK:
            self._note("sick", f"{taken.by} takes the Lease: its application is unwell")

    def _disturbed(self) -> bool:
        now = self._world.now
        return any(
            FAULTS[f.kind].disturbs and f.at <= now < f.at + min(f.seconds, 60.0) + CALM
            for f in self._stage.plan.faults
        )

    def _write(self, write: Write) -> None:
        stage, world, action = self._stage, self._world, write.action
        by = world.find(write.by)
        ours = {(host(a), by.node.eni(n)) for n, a in enumerate(by.addresses, start=1)}
        named = stage.template.tables
        if (action.destination, action.eni) not in ours or (named and action.table not in named):
            self._note("foreign", f"{action} is not ours")
        if write.gateway:
            self._note("gateway", f"{action} took a route from a gateway")
        if stage.plan.group is not In.STANDBY:
            self._claimed(write, by)
        elif not stage.plan.two_leases:
            self._landed(write, by)
        self._writes.append(write)
        while self._writes[0].at < write.at - 60.0:
            self._writes.popleft()
        routes = len(world.ec2.state.tables) * len(stage.addresses) * (1 + stage.plan.agents)
        if len(self._writes) > WRITES * routes:
            self._note("writes", f"{len(self._writes)} writes of {routes} routes in a minute")

    def _landed(self, write: Write, by: Pod) -> None:
        """A write that lands after its sender's holding is found and undone."""
        world, action = self._world, write.action
        holder = next((p for p in self._stage.members if p.holds and p is not by), None)
        if holder is None or write.at > world.acquired[-1].at + by.settings.lease_seconds + TAIL:
            return

        def look() -> None:
            table = next((t for t in world.ec2.state.tables if t.id == action.table), None)
            route = table.route_to(action.destination) if table is not None else None
            left = route is not None and route.target.id == action.eni
            if left and holder.holds and not by.holds and self._calm():
                self._note(
                    "left", f"{holder.name} leaves to {by.name} what it wrote late: {action}"
                )

        world.hub.after(LEFT, look)

    def _calm(self) -> bool:
        """Tell whether nothing has happened lately but that a holder was overtaken."""
        return not any(
            f.at <= self._world.now < f.over + CALM
            or (f.seconds == FOREVER and FAULTS[f.kind].lasts)
            for f in self._stage.plan.faults
            if f.kind != "overtaken"
        )

    def _claimed(self, write: Write, pod: Pod) -> None:
        """Nothing is claimed twice, nor taken from a living ENI by who is unwell."""
        action = write.action
        before = any(d == action.destination and at < pod.began for at, d in pod.marked)
        marked = held(pod.kernel.state, action.destination, action.eni)
        if before and marked and not action.repair:
            self._note("again", f"{pod.name} claims {action.destination}, and is marked to hold it")
        lately = self._world.ec2.shown_since(write.left - 5.0)  # a reading may lag
        if pod.unwell > SICK and all(
            any(e.id == write.before != action.eni and e.attached for e in s.enis) for s in lately
        ):
            self._note("sick", f"{pod.name} takes {action}: its application is unwell")

    def _tenure(self, pod: Pod, tenure: Tenure) -> None:
        if tenure.settled is None:
            return
        since = self._world.now - BEHIND
        if not any(leads_to(s, pod) for s in self._world.ec2.shown_since(since)):
            self._note("settled", f"{pod.name} tells that its takeover is complete: untrue")

    def _look(self) -> None:
        world = self._world
        for pod in world.pods:
            if pod.alive and pod.process is not None and not pod.process.stopped:
                for kind, text in self._untrue(pod):
                    self._lasts(kind, pod, text)
        self._count(world.now)
        world.hub.after(1.0, self._look)

    def _count(self, now: float) -> None:
        world, stage = self._world, self._stage
        taken = sum(a.at > now - 60.0 for a in world.acquired)
        allowed = sum(FAULTS[f.kind].cost for f in stage.plan.faults)
        if taken > TAKEOVERS + allowed:
            self._note("takeovers", f"{taken} takeovers in a minute")
        self._readings.append((now, world.ec2.reads))
        while self._readings[0][0] < now - 60.0:
            self._readings.popleft()
        read = world.ec2.reads - self._readings[0][1]
        if read > READINGS * max(1, len(world.pods)):
            self._note("readings", f"{read} readings by {len(world.pods)} pods in a minute")

    def _untrue(self, pod: Pod) -> Iterator[tuple[str, str]]:
        """Give what a pod tells, or does, that is not so now."""
        world, agent = self._world, pod.agent
        if agent is None:
            return
        mine = leads_to(world.ec2.state, pod)
        if pod.ready and "steered here" in agent.record.status.health.why and not mine:
            yield "ready", "says that every floating IP is steered here: untrue"
        seen = agent.record.status.observed
        if seen is not None and seen.judged and not seen.wrong and not mine:
            yield "routes", "tells that all routes are right: untrue"
        if agent.election is None:
            return
        lease = world.kube.leases[pod.settings.lease_name].record
        holder = lease is not None and lease.holder == pod.identity
        if pod.holds and not holder:
            yield "holder", "calls itself the holder: untrue"
        offered = lease is not None and OFFER in lease.annotations
        if holder and pod.unwell > SICK and not offered and not self._disturbed():
            self._note("sick", f"{pod.name} holds the Lease, is unwell, and does not offer it")
        standby = any(p.ready for p in self._stage.members if p is not pod)
        writes = any(w.by == pod.name and w.at > world.now - WRITES_ON for w in self._writes)
        if holder and not mine and not offered and standby and not writes:
            yield "in vain", "holds the Lease, and neither steers nor offers"

    def _lasts(self, kind: str, pod: Pod, text: str) -> None:
        now, key = self._world.now, (kind, pod.name)
        began, last = self._spans.get(key, (now, now))
        began = began if now - last < 2.5 else now
        self._spans[key] = began, now
        if now - began > STALE + 1.5 * pod.settings.resync:
            self._note(kind, f"{pod.name} {text}, for {now - began:.0f} s")


def leads_to(state: CloudState, pod: Pod) -> bool:
    """Tell whether every route leads to a pod; a gateway's is not counted."""
    for number, address in enumerate(pod.addresses, start=1):
        if number - 1 in pod.without:
            continue
        for table in selected(state, pod):
            route = table.route_to(host(address))
            if route is not None and route.target == GATEWAY:
                continue
            if route is None or route.target.id != pod.node.eni(number):
                return False
    return True


def selected(state: CloudState, pod: Pod) -> list[RouteTable]:
    """Give the tables that a pod was told of; all, where it was told of none."""
    named = pod.settings.tables
    return [t for t in state.tables if not named or t.id in named]


def unsettled(stage: Stage) -> Iterator[str]:
    """List what is not right yet."""
    if stage.world.ec2.late:
        yield "writes are under way"
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
        restless = report is None or not report.observed or report.waiting or report.changed
        if restless and readable:
            yield f"the agent of {pod.name} is not at rest"
    if stage.plan.group is In.ALONE and readable:
        yield from _wrong_kernel(stage)
    unread = [p.name for p in stage.others if p.read is None or stage.world.now > p.read + UNREAD]
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
            yield f"{pod.name} is not ready: {pod.agent.record.status.health.why}"


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
    return sum(w.before != w.action.eni for w in stage.world.ec2.writes)


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
    """A mark says: all of it was read back right, or somebody else has taken it over."""
    for pod in stage.members:
        for at, destination in pod.marked:
            number = next(n for n, a in enumerate(pod.addresses, 1) if host(a) == destination)
            ours = pod.node.eni(number)
            states = [
                [t.route_to(destination) for t in selected(s, pod)]
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
