"""The runs: a holder and a standby, a blow, and what the client missed; again and again."""

import gc
import json
import random
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from cases import Case, Kind
from silence import Api, silence

from vipmanager.core.failures import Failure
from vipmanager_lab.client import Client
from vipmanager_lab.closing import Closing
from vipmanager_lab.control_plane import MakeCluster
from vipmanager_lab.ec2.faults import Impairment
from vipmanager_lab.kube.cluster import Cluster
from vipmanager_lab.latency import latencies
from vipmanager_lab.replicas import HEALTH_PORT, Replica, Replicas
from vipmanager_lab.world import World

PROBE_MS = 5
HEALTH_SECONDS, HEALTH_FALL = 0.1, 3
_WANDER = 5 / 3
"""The blow falls within so many seconds after everything is ready: anywhere between two renewals
of the Lease, and so anywhere between two heartbeats."""
_TAIL = 0.15
"""Seconds of probes after the last route was written."""
_BOUND = 30.0
"""Seconds that anything may take."""
_CATCH_UP = 1.0
"""Seconds in which a holder has to read EC2 once it answers again, else its pod is replaced: each
run begins with two that have read."""
_LOOK = 0.01
_IMPAIRMENTS: Sequence[Impairment] = get_args(Impairment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One blow."""

    case: Case
    number: int
    outage: float
    """The client's longest gap in answers: seconds, infinite for one without end."""
    cause: str
    """Why the standby took over, in its own words."""
    last: float
    """Seconds from the blow until the last route was written, by EC2's own record."""
    pause: float
    """The longest time between two probes: how much of an outage this machine may be itself."""
    silenced: str = ""
    """How many of the standby's open connections led into the lost zone, and what describes did."""
    logs: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict, repr=False)
    """What each agent said since the blow, and what the APIs answered."""

    @property
    def excess(self) -> float:
        """Seconds of the outage beyond those that the health check takes by its settings."""
        own = HEALTH_SECONDS * HEALTH_FALL if self.case.kind is Kind.HEALTH else 0.0
        return max(0.0, self.outage - own)


class Course(Closing):
    """One world for any number of runs; the zones take turns."""

    def __init__(
        self, seed: int, *, tables: int, checked: bool, cluster: MakeCluster = Cluster
    ) -> None:
        """Make it, with a pair that is ready.

        Args:
            seed: of the moments of the blows, and of latencies.
            tables: route tables.
            checked: whether the pods have a health check.
            cluster: makes the Kubernetes that they call.
        """
        self._random = random.Random(f"{tables} {checked} {seed}")  # noqa: S311 - repeatable
        self._world = World(tables=tables)
        self._changes: list[float] = []
        self._world.account.subscribe(lambda: self._changes.append(time.monotonic()))
        check = {
            "HealthCheck": f"tcp://127.0.0.1:{HEALTH_PORT}",
            "HealthIntervalMs": f"{HEALTH_SECONDS * 1000:.0f}",
            "HealthFall": str(HEALTH_FALL),
        }
        self._group = Replicas(self._world, config=check if checked else {}, cluster=cluster)
        try:
            self._holder, self._standby = self._group.pair()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the world."""
        self._group.close()
        self._world.close()

    def run(self, case: Case, number: int) -> Run:
        """Strike once, and make everything ready again.

        Raises:
            AssertionError: the standby did not take over, or did not become ready.
            Failure: an agent did not obey.
        """
        holder, heir = self._holder, self._standby
        self._group.pace(latencies(case.latencies))
        marks = {r: len(r.agent.records) for r in (holder, heir)}
        client = Client(self._world, self._group.floating, interval_ms=PROBE_MS)
        client.await_answers()
        time.sleep(self._random.uniform(0, _WANDER))
        self._world.faults.ec2_buckets()  # nobody else's calls: full
        # A full collection, 0.13 s as measured, would stop both APIs, which live in this process.
        gc.disable()
        struck = time.monotonic()
        try:
            struck, silenced = self._strike(case.kind, number)
            taken = self._taken(heir, struck, marks[heir])
            latest = struck
            if case.kind is Kind.BACK_AND_FORTH:
                holder.await_status(_stands_by, seconds=_BOUND)
                latest = time.monotonic()
                holder.order("claim")
                taken = self._taken(holder, latest, marks[holder])
                self._nothing_was_read(struck)
        except (AssertionError, Failure) as error:
            error.add_note(self._evidence(struck))
            raise
        finally:
            gc.enable()
        last = self._changes[-1] - latest
        self._world.settle()
        time.sleep(_TAIL)
        client.stop()
        logs = {r.name: r.agent.records[mark:] for r, mark in marks.items()} | self._calls(struck)
        self._recover(case.kind)
        client.end()
        return Run(
            case=case,
            number=number,
            outage=client.longest(struck),
            cause=str(taken["cause"]),
            last=last,
            pause=client.pause(),
            silenced=silenced,
            logs=logs,
        )

    # the blow

    def _strike(self, kind: Kind, number: int) -> tuple[float, str]:
        """Strike; give the moment, and what was silenced."""
        world, holder, silenced = self._world, self._holder, ""
        if kind.impaired:
            how = _IMPAIRMENTS[number % len(_IMPAIRMENTS)]
            world.faults.impair(how)
            silenced = f"describes {how}"
        if kind in {Kind.ZONE_LOST, Kind.ALL_SILENT}:
            found = silence(world.services, self._standby.address, holder.zone, kind)
            silenced = f"{found}, {silenced}"
        struck = time.monotonic()
        match kind:
            case Kind.NODE_LOST | Kind.ZONE_LOST | Kind.ALL_SILENT:
                world.network.cut(holder.zone)
            case Kind.SIGTERM:
                holder.application.signal(signal.SIGTERM)
                holder.agent.signal(signal.SIGTERM)
            case Kind.YIELD | Kind.BACK_AND_FORTH:
                holder.order("yield")
            case Kind.HEALTH:
                holder.application.signal(signal.SIGKILL)
        return struck, silenced

    def _taken(self, heir: Replica, struck: float, mark: int) -> Mapping[str, Any]:
        """Wait until the heir holds, and every route leads to it; give what it said."""
        taken = heir.await_role("holder", seconds=_BOUND, since=mark)
        deadline, seen = time.monotonic() + _BOUND, -1
        while True:
            # Looking costs this process time that the APIs need: once for each change.
            if len(self._changes) != seen and self._changes[-1:] > [struck]:
                seen = len(self._changes)
                if self._group.points_at(heir.zone):
                    return taken
            if time.monotonic() > deadline:
                raise AssertionError(f"not every route leads to {heir.name} after {_BOUND} s")
            time.sleep(_LOOK)

    def _nothing_was_read(self, since: float) -> None:
        told = [c for c in self._world.endpoint.calls if c.start >= since and c.error is None]
        read = [c.action for c in told if c.action.startswith("Describe")]
        if read:
            raise AssertionError(f"EC2 was read meanwhile: {read}")

    # making everything ready again

    def _recover(self, kind: Kind) -> None:
        """Make a pair of what the blow left, whose standby could take over."""
        struck, heir = self._holder, self._standby
        if kind.impaired:
            self._world.heal_zone(struck.zone)
        healed = time.monotonic()
        if kind is Kind.BACK_AND_FORTH:
            struck, heir = heir, struck
        else:  # a new pod, also after an illness: one that was ill lately has to show its health
            self._group.end(struck)
            self._world.network.restore(struck.zone)
            struck = self._group.start(struck.zone)
        struck.await_standby(seconds=_BOUND)
        self._holder, self._standby = heir, struck
        if kind.impaired and not self._has_read(self._holder, self._standby, since=healed):
            self._replace()

    def _has_read(self, *replicas: Replica, since: float) -> bool:
        """Wait a little until all of these have read EC2."""
        deadline, missing = time.monotonic() + _CATCH_UP, {r.address for r in replicas}
        while missing and time.monotonic() < deadline:
            time.sleep(_LOOK * 5)
            missing -= {
                c.source
                for c in self._world.endpoint.calls_of("DescribeRouteTables")
                if c.start >= since and c.error is None
            }
        return not missing

    def _replace(self) -> None:
        """Put a new pod in the place of each."""
        for one in (self._standby, self._holder):
            one.agent.signal(signal.SIGTERM)  # the Lease is free then
            one.agent.wait(_BOUND)
            self._group.end(one)
        self._holder = self._group.start(self._holder.zone)
        self._holder.await_takeover(seconds=_BOUND)
        self._standby = self._group.start(self._standby.zone)
        self._standby.await_standby(seconds=_BOUND)

    # what is kept

    def _calls(self, since: float) -> dict[str, list[dict[str, Any]]]:
        """Give every call that began since a moment, with the seconds that its API took for it."""
        ec2 = [(c.start, c.action, c.finish) for c in self._world.endpoint.calls]
        kubernetes = self._group.plane.cluster.endpoint.calls
        told = {
            Api.EC2.value: ec2,
            Api.KUBERNETES.value: [(c.start, c.action, c.finish) for c in kubernetes],
        }
        return {
            name: [
                {"monotonic": start, "event": action, "seconds": finish - start}
                for start, action, finish in calls
                if start >= since
            ]
            for name, calls in told.items()
        }

    def _evidence(self, struck: float) -> str:
        """Give all that is known after a takeover that did not come, as JSON."""
        found: dict[str, object] = dict(self._calls(struck)) | {"Lease": self._group.plane.lease()}
        for replica in self._group.running:
            found[replica.name] = list(replica.agent.records)
            try:
                found[f"status of {replica.name}"] = replica.status()
            except Failure as failure:
                found[f"status of {replica.name}"] = str(failure)
        return json.dumps({"struck": struck} | found, indent=1)


def _stands_by(status: Mapping[str, Any]) -> bool:
    return bool(status["election"]["role"] == "standby")
