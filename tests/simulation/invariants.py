"""What must be true of a group on its way, and of what it tells."""

from collections import deque
from collections.abc import Iterator

from simulation.aws import Write
from simulation.ends import BEHIND, comes, leads_to
from simulation.faults import FAULTS, FOREVER, In
from simulation.pod import Pod
from simulation.stage import Stage
from simulation.world import Acquired
from vipmanager.core.election.record import OFFER
from vipmanager.core.election.route_work import fence
from vipmanager.core.election.values import ElectionSettings, Why, pod_of
from vipmanager.core.podnet import held
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.values import Address, host
from vipmanager.edges.aws.zonal import ZonePlace

CALM = 12.0
"""Seconds after a fault that disturbs until a healthy holder can show again that it lives."""
SPARE = 1.05
"""How much longer than a fence after losing the Lease a write may still leave: clocks differ."""
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
KNOWN = ZonePlace.every + 2.0
"""Seconds in which an agent knows that it should leave."""
SOON = {"keeps": 10.0, "deaf": 10.0, "untold": 10.0, "clings": 10.0}
"""Seconds in which a holder that knows that it should leave has handed over, and in which a pod
that lost a floating IP says so, and offers what it holds."""


class Watcher:
    """Notes what must never be, while a stage is played."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._world = stage, stage.world
        self.problems: dict[str, str] = {}
        """By kind: one of each is enough."""
        self._spans: dict[tuple[str, str], tuple[float, float]] = {}
        """What is told and untrue, by kind and pod: since when, and when last seen."""
        self._condemned: dict[str, float] = {}
        """Pods that should leave where they run, and since when."""
        self._stays: dict[str, float] = {}
        """Pods that could take over and stay, and since when."""
        self._had: dict[str, set[Address]] = {}
        """The floating IPs that each pod was ready with."""
        self._writes: deque[Write] = deque()
        self._readings: deque[tuple[float, int]] = deque()
        self._world.ec2.wrote.append(self._write)
        self._world.ec2.asked.append(self._asked)
        self._world.taken.append(self._taken)
        self._world.told.append(self._role)
        self._world.hub.after(1.0, self._look)

    def _note(self, kind: str, text: str) -> None:
        self.problems.setdefault(kind, f"{self._world.now:.2f} s: {text}")

    def _asked(self, by: str, left: float) -> None:
        """No write leaves later than a fence after its sender lost the Lease."""
        late = left - self._world.lost.get(by, float("-inf"))
        pod = self._world.find(by)
        times = ElectionSettings(lease=pod.settings.lease_seconds)
        # The clock of a machine that was suspended stood still: it can't know how late it is.
        slept = any(f.kind == "host suspended" for f in self._stage.plan.faults)
        if slept or self._stage.plan.group is not In.STANDBY:
            return
        if late > SPARE * fence(times, pod.stale):
            self._note("late", f"{by} writes {late:.2f} s after it lost the Lease: too late")

    def _taken(self, taken: Acquired) -> None:
        """Silence alone moves nothing between two healthy pods while the API is well."""
        if taken.misled and not self._disturbed():
            self._note("misled", f"{taken.by} took {taken.before}, which is well, for dead: misled")
        by = self._world.find(pod_of(taken.by))
        if by.unwell > SICK:
            self._note("sick", f"{taken.by} takes the Lease: its application is unwell")
        self._count_stays()
        gives = pod_of(taken.before) if taken.before is not None else ""
        others = [p for p in self._others(by) if p.name != gives]
        asked = taken.why in {Why.CLAIMED.value, Why.OWN.value} or taken.misled
        if others and self._should_leave(by) and not asked and not self._disturbed():
            self._note(
                "leaves", f"{taken.by} should leave, and takes what {others[0].name} could: wrong"
            )

    def _others(self, pod: Pod) -> list[Pod]:
        """Give those beside a pod that have been able to take over, and stay, for a while."""
        now = self._world.now
        members = (p for p in self._stage.members if p is not pod)
        return [p for p in members if now - self._stays.get(p.name, now) > CALM]

    def _should_leave(self, pod: Pod) -> bool:
        """Tell whether a pod should leave, and its agent knows it or has had the time to."""
        now = self._world.now
        told = now - self._condemned.get(pod.name, now) > KNOWN
        return pod.should_leave or (told and self._stage.plan.hand_over and self._calm())

    def _count_stays(self) -> None:
        """Note who could take over, and would not have to leave again."""
        places, now = self._world.places, self._world.now
        self._condemned = {
            p.name: self._condemned.get(p.name, now)
            for p in self._stage.members
            if places.condemned(p.node)
        }
        able = [
            p.name
            for p in self._stage.members
            if p.ready
            and p.process is not None
            and not p.process.stopped
            and p.serving
            and not (p.leaving or p.yielded or places.condemned(p.node) or p.should_leave)
        ]
        self._stays = {name: self._stays.get(name, now) for name in able}

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
        # Who can't read EC2 can't see it, and says so (`BLIND`).
        if write.gateway and getattr(action, "before", None) is not None:
            self._note("gateway", f"{action} took a route from a gateway")
        if stage.plan.group is not In.STANDBY:
            self._claimed(write, by)
        elif not stage.plan.two_leases:
            self._landed(write, by)
        self._writes.append(write)
        while self._writes[0].at < write.at - 60.0:
            self._writes.popleft()
        groups = 1 + stage.plan.agents
        groups *= len(stage.members) if stage.plan.two_leases else 1
        routes = len(world.ec2.state.tables) * len(stage.addresses) * groups
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
        """Tell whether nothing has happened lately but that a holder was overtaken, or left."""
        return not any(
            f.at <= self._world.now < f.over + CALM
            or (f.seconds == FOREVER and FAULTS[f.kind].lasts)
            for f in self._stage.plan.faults
            if f.kind not in {"overtaken", "cordoned", "zone shifted"}
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

    def _role(self, pod: Pod, role_status: RoleStatus) -> None:
        if role_status.settled is None:
            return
        since = self._world.now - BEHIND
        if not any(leads_to(s, pod) for s in self._world.ec2.shown_since(since)):
            self._note("settled", f"{pod.name} tells that its takeover is complete: untrue")

    def _look(self) -> None:
        world = self._world
        self._count_stays()
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
        if pod.ready and "steered here" in agent.store.status.readiness.why and not mine:
            yield "ready", "says that every floating IP is steered here: untrue"
        yield from self._deaf(pod)
        seen = agent.store.status.observed
        # What is told has an age, which is told too: since then it may have changed.
        since = (world.now if pod.read is None else pod.read) - BEHIND
        if seen is not None and seen.judged and not seen.wrong:
            # It judges the routes of what is ready in the pod; of the rest it says what is missing.
            ready = {ip.address for ip in seen.floating if ip.ready}
            states = (world.ec2.state, *world.ec2.shown_since(since))
            if not any(leads_to(s, pod, ready) for s in states):
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
        could = self._others(pod)
        if (
            holder
            and not self._stage.plan.two_leases
            and self._should_leave(pod)
            and could
            and not pod.insists
            and not self._disturbed()
        ):
            yield "keeps", f"should leave, and keeps what {could[0].name} could take"
        standby = any(p.ready for p in self._stage.members if p is not pod)
        writes = any(w.by == pod.name and w.at > world.now - WRITES_ON for w in self._writes)
        # Who has lost to another Lease says so, and can't know that it is one.
        lost = self._stage.plan.two_leases and pod.last is not None and pod.last.yields
        if holder and not mine and not offered and standby and not writes and not lost:
            yield "in vain", "holds the Lease, and neither steers nor offers"

    def _deaf(self, pod: Pod) -> Iterator[tuple[str, str]]:
        """Give what comes here, is not answered, and is not told as lost.

        What happens in the pod is known at once; what happens in EC2 has the age that is told.
        """
        world, agent = self._world, pod.agent
        since = (world.now if pod.read is None else pod.read) - BEHIND
        seen = world.ec2.shown_since(since)
        deaf = [
            a
            for n, a in enumerate(pod.addresses, start=1)
            if all(comes(s, pod, n) for s in seen)
            and not (pod.has(n) and any(pod.passed(n, s) for s in seen))
        ]
        if not deaf or agent is None:
            if pod.ready:
                self._had.setdefault(pod.name, set()).update(pod.addresses)
            return
        if pod.ready:
            yield "deaf", f"is ready ({pod.readiness.why}), and does not answer for {deaf[0]}"
        observed = agent.store.status.observed
        told = {ip.address for ip in observed.floating if ip.lost} if observed else set()
        had = self._had.get(pod.name, set())
        if observed is not None and not told.issuperset(had.intersection(deaf)):
            yield "untold", f"does not tell that {deaf[0]} is lost"
        lease = world.kube.leases.get(pod.settings.lease_name)
        record = lease.record if lease is not None else None
        offered = record is not None and OFFER in record.annotations
        if pod.holds and not offered and self._others(pod) and not self._disturbed():
            yield "clings", f"holds the Lease, does not answer for {deaf[0]}, and does not offer it"

    def _lasts(self, kind: str, pod: Pod, text: str) -> None:
        now, key = self._world.now, (kind, pod.name)
        began, last = self._spans.get(key, (now, now))
        began = began if now - last < 2.5 else now
        self._spans[key] = began, now
        limit = SOON.get(kind, STALE + 1.5 * pod.settings.resync)
        if now - began > limit:
            self._note(kind, f"{pod.name} {text}, for {now - began:.0f} s")
