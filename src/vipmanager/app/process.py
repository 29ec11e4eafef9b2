"""What the agents of one process share: clients, EC2's budgets, time, threads and the log.

Nothing here belongs to one pod: that is `PodAgent`, and `app/wiring.py` brings the two together.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from vipmanager.core.downward import this_pod
from vipmanager.core.failures import Permanent
from vipmanager.core.settings import Settings
from vipmanager.edges.aws.ec2 import Ec2
from vipmanager.edges.imds import Imds
from vipmanager.edges.logs import Log
from vipmanager.edges.rehearsal import RehearsalCloud, RehearsalKernel
from vipmanager.engine.calls import Calls
from vipmanager.engine.pod_agent import Outside
from vipmanager.engine.route_writer import Pace
from vipmanager.engine.threads import SystemClock, Threads
from vipmanager.ports import Kernel, Pods

if TYPE_CHECKING:
    from vipmanager.edges.kubernetes.client import Kube


class Process:
    """The parts, ready to be used; nothing has been called yet."""

    def __init__(self, settings: Settings, log: Log, environ: Mapping[str, str]) -> None:
        """Make the parts, as the settings ask."""
        self.environ, self.log = environ, log
        self.tasks, self.clock, self.calls = Threads(), SystemClock(), Calls()
        self.cloud = Ec2(route_role=settings.route_role, spare=settings.elects, seen=self.calls)
        self.imds = Imds(allow_v1=settings.imds_v1, environ=environ)
        self.pace = Pace(settings.rate, self.clock)

    @cached_property
    def kube(self) -> "Kube":
        """The Kubernetes API, for those whom the settings send there."""
        from vipmanager.edges.kubernetes.client import Kube  # noqa: PLC0415 - where it is asked for

        return Kube(self.environ, seen=self.calls)

    def warm(self) -> None:
        """Import botocore, beside: it takes longer than everything before its first call."""
        self.tasks.start("warm", lambda: _warm(self.cloud))

    def outside(self, settings: Settings, kernel: Kernel) -> Outside:
        """Give one pod's agent what it looks at and acts on; `kernel` is its own."""
        return Outside(
            # A dry run is handed nothing that writes.
            kernel=RehearsalKernel(kernel) if settings.dry_run else kernel,
            metadata=self.imds,
            cloud=RehearsalCloud(self.cloud) if settings.dry_run else self.cloud,
            clock=self.clock,
            tasks=self.tasks,
            pace=self.pace,
            pods=self._pods(settings),
        )

    def _pods(self, settings: Settings) -> Pods | None:
        if settings.elects or not settings.kubernetes_events:
            return None
        from vipmanager.edges.kubernetes.pods import KubePods  # noqa: PLC0415 - as above

        try:
            return KubePods(self.kube, this_pod(self.environ, lambda: self.kube.namespace))
        except Permanent:
            return None  # said by the Events, which need the same


def _warm(cloud: Ec2) -> None:
    try:
        cloud.warm()
    except Exception:  # noqa: BLE001 - the first call meets it again, and translates it
        return
