"""A pod in memory for doctor: well at first, ready for faults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from vipmanager.app.survey import Worlds
from vipmanager.core.failures import Failure
from vipmanager.core.settings import Pattern, Rate, Settings
from vipmanager.core.values import Address, CloudState, FloatingIP, RouteTable
from vipmanager.doctor.check import Result
from vipmanager.doctor.examine import examine
from vipmanager.doctor.readings import Readings, Sources
from vipmanager.doctor.table import CHECKS
from vipmanager.doctor.vpc import NO_MANAGE
from vipmanager.edges.aws.identity import Credentials
from vipmanager.edges.memory import MemoryCloud, MemoryKernel, MemoryLease, MemoryMetadata
from vipmanager.engine.checks import Checks, Gate
from vipmanager.engine.inbox import Inbox
from vipmanager.engine.pod_agent import Outside, PodAgent
from vipmanager.engine.route_writer import Pace
from vipmanager.engine.threads import SystemClock, Threads
from worlds import cloud, interface, kernel, networks, node, pod

STATIC = Credentials(source="the environment", expires=None)


@dataclass
class FakeHost:
    """A container in memory."""

    admin: bool = True
    filters: Mapping[str, int] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()

    def may_administer(self) -> bool:
        return self.admin

    def rp_filter(self, interface: str) -> int:
        return self.filters.get(interface, 0)

    def answers(self, interface: str, neighbour: Address) -> bool:
        return f"{neighbour} on {interface}" not in self.silent


@dataclass
class FakeAws:
    """AWS's answers to who and when, in memory."""

    found: Credentials | Failure = STATIC
    skew: float | Failure | None = 1.0

    def credentials(self, region: str | None) -> Credentials:
        assert region in {None, "eu-central-1"}
        if isinstance(self.found, Failure):
            raise self.found
        return self.found

    def ahead(self, region: str) -> float | None:
        assert region == "eu-central-1"
        if isinstance(self.skew, Failure):
            raise self.skew
        return self.skew


class Patient:
    """A pod whose agent has done its work, ready for faults."""

    def __init__(self, settings: Settings | None = None) -> None:
        state = cloud()
        tagged = MappingProxyType({NO_MANAGE: "true"})
        enis = tuple(replace(e, tags=tagged) for e in state.enis)
        self.settings = settings or Settings(
            peers={1: networks("10.0.100.0/24"), 2: networks("10.0.101.0/24")}
        )
        self.kernel = MemoryKernel(pod())
        if self.settings.pattern is Pattern.SUBNET:
            self.kernel = MemoryKernel(
                kernel(interface("a", 1, "10.0.254.1"), interface("a", 2, "10.0.254.17"))
            )
        self.metadata = MemoryMetadata(node())
        self.strict = MemoryMetadata(node())
        self.cloud = MemoryCloud(replace(state, enis=enis))
        self.host = FakeHost()
        self.aws = FakeAws()
        self.pod = True
        self.sick: Failure | None = None
        """What the application's health check says."""
        self.environ: Mapping[str, str] = {}
        self.namespace = self.refusal = ""
        """Where the pod is to run, seen from outside, and why it is not let in."""
        self.lease = MemoryLease()
        self.agent: Mapping[str, Any] | Failure | None = None
        """What its sidecar answers, where one runs."""
        self.floating = self._converge()

    def _converge(self) -> tuple[FloatingIP, ...]:
        clock, tasks = SystemClock(), Threads()
        outside = Outside(
            kernel=self.kernel,
            metadata=self.metadata,
            cloud=self.cloud,
            clock=clock,
            tasks=tasks,
            pace=Pace(Rate(), clock),
        )
        alone = replace(self.settings, leader_election=False)
        reconciler = PodAgent(alone, outside, inbox=Inbox(tasks)).reconciler
        return [reconciler.run(("start",)) for _ in range(3)][-1].floating

    def change(self, change: Callable[[CloudState], CloudState]) -> None:
        self.cloud.state = change(self.cloud.state)

    def tables(self, change: Callable[[RouteTable], RouteTable]) -> None:
        self.change(lambda s: replace(s, tables=tuple(map(change, s.tables))))

    def results(self) -> dict[str, Result]:
        worlds = Worlds(
            kernel=self.kernel,
            metadata=self.metadata,
            cloud=self.cloud,
            gate=Gate(self._checks()),
        )
        sources = Sources(
            worlds=lambda: worlds,
            strict=self.strict,
            host=self.host,
            aws=self.aws,
            environ=self.environ,
            agent=self._ask,
            lease=lambda: ("telco/vipmanager", self.lease),
            refusal=lambda: self.refusal,
        )
        readings = Readings(self.settings, sources, pod=self.pod, namespace=self.namespace)
        return {r.check.code: r for r in examine(CHECKS, readings)}

    def _checks(self) -> Checks:
        return Checks(
            self._examine,
            interval=1,
            rise=1,
            fall=1,
            clock=SystemClock(),
            tasks=Threads(),
            failed=print,
        )

    def _examine(self, _timeout: float) -> None:
        if self.sick is not None:
            raise self.sick

    def _ask(self) -> Mapping[str, Any] | None:
        if isinstance(self.agent, Failure):
            raise self.agent
        return self.agent
