"""What the checks look at: every world is read once, by whoever asks first."""

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from vipmanager.app import election, survey
from vipmanager.app.survey import Worlds
from vipmanager.core.desired import Desired, desired
from vipmanager.core.failures import Failure
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.remote_finding import RemoteFinding
from vipmanager.core.report import Report
from vipmanager.core.settings import Settings
from vipmanager.core.values import Address, EniId, KernelState, NodeMetadata, VpcId
from vipmanager.edges.aws.identity import Credentials, Identity
from vipmanager.edges.imds import Imds
from vipmanager.edges.kubernetes import kubectl
from vipmanager.edges.kubernetes.client import Kube
from vipmanager.edges.proc import Container
from vipmanager.engine.observe import Observed, Observer
from vipmanager.engine.route_tables import RouteTables
from vipmanager.engine.threads import SystemClock, Threads
from vipmanager.ports import Cloud, Lease, Metadata

T = TypeVar("T")


class Host(Protocol):
    """The container's own view of its privileges and its links (`edges.proc`)."""

    def may_administer(self) -> bool:
        """Tell whether the process has NET_ADMIN."""
        ...

    def rp_filter(self, interface: str) -> int:
        """Give the reverse path filter that counts on an interface."""
        ...

    def answers(self, interface: str, neighbour: Address) -> bool:
        """Tell whether a neighbour answers."""
        ...


class Aws(Protocol):
    """Credentials and time (`edges.aws.identity`)."""

    def credentials(self, region: str | None) -> Credentials:
        """Find credentials."""
        ...

    def ahead(self, region: str) -> float | None:
        """Give the seconds by which this clock is ahead of EC2's."""
        ...


class _Once(Generic[T]):
    """A reading that is made once; everyone who asks gets the same answer or failure."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._answers: list[T | Failure] = []

    def __call__(self) -> T:
        with self._lock:
            if not self._answers:
                try:
                    self._answers.append(self._read())
                except Failure as failure:
                    self._answers.append(failure)
        answer = self._answers[0]
        if isinstance(answer, Failure):
            raise answer
        return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where readings come from; each that may take a while is asked once, when it is needed."""

    worlds: Callable[[], Worlds]
    """Opens kernel, IMDS and EC2."""
    strict: Metadata
    """IMDS without its version 1."""
    host: Host
    aws: Aws
    environ: Mapping[str, str]
    """Of the container."""
    agent: Callable[[], Mapping[str, Any] | None]
    """Asks the pod's sidecar for its status; gives None where none runs."""
    lease: Callable[[], tuple[str, Lease]]
    """Gives the group's Lease and its name."""
    refusal: Callable[[], str] = lambda: ""
    """Asks why the namespace does not admit the pod; gives nothing where it does."""


class Readings:
    """The worlds of one pod, real or named, and what the agent makes of them.

    Every reading may raise the `Failure` of the world that it reads.
    """

    def __init__(
        self, settings: Settings, sources: Sources, *, pod: bool, namespace: str = ""
    ) -> None:
        """Take what there is to read.

        Args:
            settings: what the operator asked for.
            sources: where to read it.
            pod: whether this process is in the pod.
            namespace: where a pod is to run; empty where none was named.
        """
        self.settings = settings
        self.pod = pod
        self.namespace = namespace
        self.strict = sources.strict
        self.host = sources.host
        self.aws = sources.aws
        self.environ = sources.environ
        self.refusal = _Once(sources.refusal)
        self.agent = _Once(sources.agent)
        self.lease = _Once(sources.lease)
        self.record: Callable[[], LeaseRecord | None] = _Once(self._record)
        self.worlds = _Once(sources.worlds)
        self.kernel: Callable[[], KernelState] = _Once(self._kernel)
        self.node: Callable[[], NodeMetadata] = _Once(lambda: self.worlds().metadata.read(()))
        self.ahead: Callable[[], float | None] = _Once(lambda: self.aws.ahead(self.region))
        self.cloud: Callable[[], Cloud] = _Once(self._cloud)
        self.observed: Callable[[], Observed] = _Once(self._observed)
        self.report: Callable[[], Report] = _Once(self._report)
        self.want: Callable[[], Desired] = _Once(
            lambda: desired(self.settings, self.observed().facts)
        )

    @property
    def region(self) -> str:
        """The Region: the environment's, or the node's."""
        return self.settings.region or self.node().region

    def election_findings(self) -> tuple[RemoteFinding, ...]:
        """Give what the sidecar found about its election; nothing where it does not answer."""
        return election.election_findings_of(self._heard())

    def _heard(self) -> Mapping[str, Any] | None:
        try:
            return self.agent() if self.pod and self.settings.elects else None
        except Failure:
            return None

    def _record(self) -> LeaseRecord | None:
        return self.lease()[1].read()

    def _kernel(self) -> KernelState:
        return self.worlds().kernel.read()

    def _cloud(self) -> Cloud:
        cloud = self.worlds().cloud
        cloud.connect(self.region)
        return cloud

    def _observed(self) -> Observed:
        worlds = self.worlds()
        observer = Observer(
            worlds.kernel,
            worlds.metadata,
            worlds.cloud,
            self.settings,
            steering=RouteTables(worlds.cloud),
            tasks=Threads(),
            clock=SystemClock(),
        )
        return observer.read()

    def _report(self) -> Report:
        return survey.look(self.settings, self.worlds(), election.role_of(self._heard()))


def here(settings: Settings, environ: Mapping[str, str]) -> Readings:
    """Read the pod that this process runs in."""
    sources = Sources(
        worlds=lambda: survey.here(settings, environ),
        strict=Imds(allow_v1=False, environ=environ),
        host=Container(),
        aws=Identity(),
        environ=environ,
        agent=election.agent,
        lease=lambda: election.lease_of(settings, environ, Kube(environ)),
    )
    return Readings(settings, sources, pod=True)


def elsewhere(
    settings: Settings, vpc: VpcId, addresses: Mapping[Address, EniId], namespace: str
) -> Readings:
    """Read a VPC as a pod with these floating IPs over these ENIs would, in that namespace."""
    survey.region(settings)
    sources = Sources(
        worlds=lambda: survey.elsewhere(settings, vpc, addresses),
        strict=Imds(allow_v1=False, environ=os.environ),
        host=Container(),
        aws=Identity(),
        environ=os.environ,
        agent=lambda: None,
        lease=lambda: election.lease_of(settings, os.environ, Kube(os.environ)),
        refusal=lambda: kubectl.refusal(namespace),
    )
    return Readings(settings, sources, pod=False, namespace=namespace)
