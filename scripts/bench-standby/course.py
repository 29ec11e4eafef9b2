"""The runs: a holder and a standby, a blow, and what the client missed; again and again."""

import gc
import json
import random
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from vipmanager.core.failures import Failure
from vipmanager.lab.client import Client
from vipmanager.lab.closing import Closing
from vipmanager.lab.replicas import HEALTH_PORT, Replica, Replicas
from vipmanager.lab.world import World

TABLES = 10
EC2_MS = (80, 120)
"""Milliseconds of an EC2 call, evenly distributed."""
PROBE_MS = 5
HEALTH_SECONDS, HEALTH_FALL = 0.1, 3
_WANDER = 5 / 3
"""The blow falls within so many seconds after everything is ready: anywhere between two renewals
of the Lease, and so anywhere between two heartbeats."""
_TAIL = 0.1
"""Seconds of probes after the last route was read back."""
_BOUND = 30.0
"""Seconds that anything may take."""


class Kind(Enum):
    """What happens to the holder; the value is its name in the tables."""

    LOSS = "node lost"
    """Every packet from and to its node vanishes. Its processes notice nothing."""
    TERM = "SIGTERM"
    """Agent and application get SIGTERM at the same moment."""
    YIELD = "vipmanager yield"
    """An operator's order; the application serves on."""
    HEALTH = "health check"
    """The application dies: neither clients nor the health check get an answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One blow."""

    kind: Kind
    number: int
    outage: float
    """The client's longest gap in answers: seconds, infinite for one without end."""
    cause: str
    """Why the standby took over, in its own words."""
    settled: float
    """Seconds from the acquisition of the Lease to the reading that showed every route right."""
    pause: float
    """The longest time between two probes: how much of an outage this machine may be itself."""
    logs: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict, repr=False)
    """What each agent said since the blow, and what the APIs answered."""

    @property
    def excess(self) -> float:
        """Seconds of the outage beyond those that the health check takes by its settings."""
        own = HEALTH_SECONDS * HEALTH_FALL if self.kind is Kind.HEALTH else 0.0
        return max(0.0, self.outage - own)


class Course(Closing):
    """One world for any number of runs of one kind; the zones take turns."""

    def __init__(self, kind: Kind, seed: int) -> None:
        self._kind = kind
        self._random = random.Random(f"{kind.name} {seed}")  # noqa: S311 - repeatable on purpose
        self._world = World(tables=TABLES, latency=EC2_MS[0] / 1000)
        self._world.faults.jitter = (EC2_MS[1] - EC2_MS[0]) / 1000
        check = {
            "HealthCheck": f"tcp://127.0.0.1:{HEALTH_PORT}",
            "HealthIntervalMs": f"{HEALTH_SECONDS * 1000:.0f}",
            "HealthFall": str(HEALTH_FALL),
        }
        self._group = Replicas(self._world, config=check if kind is Kind.HEALTH else {})
        self._group.plane.slow()
        try:
            self._holder, self._standby = self._group.pair()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the world."""
        self._group.close()
        self._world.close()

    def run(self, number: int) -> Run:
        """Strike once, and make everything ready again.

        Raises:
            AssertionError: the standby did not take over, or did not become ready.
        """
        holder, heir = self._holder, self._standby
        marks = {r: len(r.agent.records) for r in (holder, heir)}
        client = Client(self._world, self._group.floating, interval_ms=PROBE_MS)
        client.await_answers()
        time.sleep(self._random.uniform(0, _WANDER))
        # A full collection, 0.13 s as measured, would stop both APIs, which live in this process.
        gc.disable()
        struck = time.monotonic()
        try:
            self._strike(holder)
            taken = heir.await_takeover(seconds=_BOUND, since=marks[heir])
        except AssertionError as error:
            error.add_note(self._evidence(struck))
            raise
        finally:
            gc.enable()
        self._world.settle()
        time.sleep(_TAIL)
        client.stop()
        logs = {r.name: r.agent.records[mark:] for r, mark in marks.items()} | self._calls(struck)
        self._holder, self._standby = heir, self._recover(holder)
        client.end()
        return Run(
            kind=self._kind,
            number=number,
            outage=client.longest(struck),
            cause=str(taken["cause"]),
            settled=float(taken["seconds"]),
            pause=client.pause(),
            logs=logs,
        )

    def _calls(self, since: float) -> dict[str, list[dict[str, Any]]]:
        """Give every call that began since a moment, with the seconds that its API took for it."""
        ec2 = [(c.start, c.action, c.finish) for c in self._world.endpoint.calls]
        kubernetes = self._group.plane.cluster.endpoint.calls
        told = {"EC2": ec2, "Kubernetes": [(c.start, c.action, c.finish) for c in kubernetes]}
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

    def _strike(self, holder: Replica) -> None:
        match self._kind:
            case Kind.LOSS:
                self._world.network.cut(holder.zone)
            case Kind.TERM:
                holder.application.signal(signal.SIGTERM)
                holder.agent.signal(signal.SIGTERM)
            case Kind.YIELD:
                holder.order("yield")
            case Kind.HEALTH:
                holder.application.signal(signal.SIGKILL)

    def _recover(self, struck: Replica) -> Replica:
        """Give the standby that the blow leaves, once it could take over."""
        if self._kind is Kind.HEALTH:
            struck.application.close()
            struck.start_application()
        else:
            self._group.end(struck)
            self._world.network.restore(struck.zone)
            struck = self._group.start(struck.zone)
        struck.await_standby(seconds=_BOUND)
        return struck
