"""A node, a pod on it, and the agent that ships, in one process of that pod after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simulation.aws import Ec2Client, Imds
from simulation.calls import SHIPPED, Sockets
from simulation.hub import Host, Process
from simulation.kubernetes import LeaseClient, PodsClient
from simulation.places import CLUSTER, ZONE_IDS, Nodes, Shifts
from vipmanager.core.actions import AddRoute, KernelAction
from vipmanager.core.downward import PodReference
from vipmanager.core.election.machine import Transition
from vipmanager.core.election.values import ElectionSettings, Order, Why, election_settings
from vipmanager.core.failures import Failure, Transient
from vipmanager.core.podnet import is_mark
from vipmanager.core.pods import PodObject
from vipmanager.core.progress import Progress
from vipmanager.core.readiness import Readiness
from vipmanager.core.report import Report
from vipmanager.core.role_status import RoleStatus
from vipmanager.core.settings import Mode, Settings
from vipmanager.core.values import Address, CloudState, EniId, KernelState, Network
from vipmanager.edges.aws.ec2 import WRITE_BOUND
from vipmanager.edges.aws.zonal import ZonePlace
from vipmanager.edges.kubernetes.nodes import NodePlace
from vipmanager.edges.memory import MemoryKernel, MemoryMetadata
from vipmanager.engine.candidate import Candidate, Heard
from vipmanager.engine.checks import Checks, Gate
from vipmanager.engine.inbox import Inbox
from vipmanager.engine.loop import Ending
from vipmanager.engine.pod_agent import Outside, PodAgent
from vipmanager.engine.reconciler import NETLINK
from vipmanager.engine.route_writer import Pace
from vipmanager.ports import Channel, Cloud, Kernel, Lease, Place

if TYPE_CHECKING:
    from simulation.world import World

NAMESPACE = "telco"
REVISIONS = ("6c4b7", "6c5b8", "6c6b9", "7d4b4", "7d5b5")
"""Hashes of a Deployment's template, one after the other; what a pod's name ends with is alike."""
GRACE = 3.0
"""Seconds from SIGTERM to SIGKILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an agent is put together from; a broken variant has other ones."""

    sockets: Sockets = SHIPPED
    election: Callable[[ElectionSettings], ElectionSettings] = lambda times: times
    lease: Callable[[Lease], Lease] = lambda lease: lease
    cloud: Callable[[Cloud], Cloud] = lambda cloud: cloud
    kernel: Callable[[Kernel], Kernel] = lambda kernel: kernel
    gate: Callable[[Gate], Gate] = lambda gate: gate
    channel: Callable[[Channel], Channel] = lambda channel: channel
    place: Callable[[Place], Place] = lambda place: place


SOUND = Parts()


@dataclass(slots=True, kw_only=True)
class App:
    """The application in a pod."""

    well: bool = True
    flips: float = 0.0
    """Seconds after which its health turns, again and again; 0 for never."""
    turn: int = 0

    def is_well(self, now: float) -> bool:
        """Tell whether it serves."""
        return self.well and not (self.flips and int(now / self.flips + self.turn) % 2)


class SimKernel:
    """The `Kernel` port of one process: the pod's kernel, which takes its time."""

    def __init__(self, pod: "Pod", process: Process) -> None:
        self._pod, self._process = pod, process

    def read(self) -> KernelState:
        return self._pod.kernel.read()

    def write(self, actions: Sequence[KernelAction]) -> Sequence[tuple[KernelAction, Failure]]:
        failed: list[tuple[KernelAction, Failure]] = []
        for action in actions:
            self._process.hub.sleep(0.0005)  # the process may die between two of them
            failed += self._pod.kernel.write([action])
            if is_mark(action) and isinstance(action, AddRoute):
                self._pod.marked.append((self._process.hub.now, action.route.destination))
        self._pod.netlink()
        return failed


@dataclass(eq=False, slots=True)
class Node:
    """A machine of the cluster with two secondary ENIs."""

    letter: str
    zone: str
    host: Host
    down: bool = False

    @property
    def name(self) -> str:
        return self.host.name

    def eni(self, number: int) -> EniId:
        return EniId(f"eni-{self.letter}{number}")


class Pod:
    """A pod: its kernel outlives its containers."""

    def __init__(
        self,
        world: "World",
        name: str,
        node: Node,
        settings: Settings,
        *,
        addresses: Sequence[Address],
        parts: Parts = SOUND,
        checked: bool = False,
        init: bool = False,
        asks: bool = False,
        called: str = "",
    ) -> None:
        self.world, self.name, self.node = world, name, node
        self.called = called or f"app-{REVISIONS[0]}-{REVISIONS[1]}"
        """Its name in Kubernetes; `name` stands for its UID."""
        self.settings = replace(settings, mode=Mode.INIT if init else Mode.SIDECAR)
        self.parts, self.checked, self.asks = parts, checked, asks
        self.addresses = tuple(addresses)
        self.kernel = MemoryKernel(world.pod_state(node, addresses))
        self.imds = MemoryMetadata(world.node_data(node))
        self.app = App()
        self.without: set[int] = set()
        """Floating IPs that are not in the pod for the moment, by their place."""
        self.born = world.hub.now
        self.gone = False
        self.fresh_starts = 0
        """Processes that found no mark in the pod."""
        self.marked: list[tuple[float, Network]] = []
        self.process: Process | None = None
        self.agent: PodAgent | None = None
        self.gate = Gate()
        self.inbox: Inbox | None = None
        self.reports: list[Report] = []
        self.progress: list[tuple[float, Progress]] = []
        """What its agent said of routes under way, and when."""
        self.read: float | None = None
        """When its agent last read the worlds."""
        self.ending: Ending | None = None
        self.deleted = False
        """Whether its object has a deletionTimestamp."""
        self.leaving = False
        self.yielded = False
        """Whether it was asked to yield."""
        self.stale = 0
        """Proofs of the Lease that came too late in a row, in its last wave."""
        self.unwell = 0
        """Health checks that failed in a row, of its present process."""
        self.began = 0.0
        """When its present process did."""
        self._lives = 0

    # its life

    def start(self) -> "Pod":
        """Be a new process of the pod."""
        world, node = self.world, self.node
        if self.gone or node.down:
            return self
        self._lives += 1
        self.began, self.unwell = world.hub.now, 0
        if self._lives == 1:
            world.kube.pods.there[self.name] = self.name
        self.leaving = self.yielded = False
        self.process = process = Process(world.hub, node.host)
        self.fresh_starts += not any(r.table == 8600 for r in self.kernel.state.routes)
        self.inbox = inbox = Inbox(process)
        parts, settings = self.parts, self.settings
        cloud = Ec2Client(
            world.ec2, process, self.name, sockets=parts.sockets, spare=settings.leader_election
        )
        outside = Outside(
            kernel=parts.kernel(SimKernel(self, process)),
            metadata=Imds(world.hub, self.imds),
            cloud=parts.cloud(cloud),
            clock=process,
            tasks=process,
            pace=Pace(settings.rate, process),
            pods=PodsClient(world.kube, process, self.name) if self.asks else None,
        )
        checks = Checks(
            self._examine,
            interval=settings.health_interval,
            rise=settings.health_rise,
            fall=settings.health_fall,
            clock=process,
            tasks=process,
            failed=self.bug,
        )
        self.gate = gate = parts.gate(Gate(checks if self.checked else None))
        self.agent = agent = PodAgent(
            settings,
            outside,
            inbox=inbox,
            reporters=(self,),
            told=lambda progress: self.progress.append((world.hub.now, progress)),
            gate=gate,
            candidate=self._candidate(process) if settings.leader_election else None,
        )
        gate.start()
        process.start("loop", lambda: self._live(agent))
        world.say(f"{self.identity} starts")
        return self

    def _live(self, agent: PodAgent) -> None:
        try:
            if self.settings.mode is Mode.INIT:
                self.ending, _ = agent.loop.init()
            else:
                self.ending = agent.loop.sidecar()
        except Exception as bug:  # noqa: BLE001 - what would be exit code 70
            self.bug(bug)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and not self.process.dead:
            self.world.say(f"{self.identity} dies")
            self.process.kill()

    def suspend(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        process = self.process
        if process is not None and not process.dead:
            self.world.say(f"{self.identity} stands still for {seconds:.2f} s")
            process.stop()
            self.world.hub.after(seconds, process.cont)

    def restart(self, seconds: float) -> None:
        """Let the kubelet start the container again in a while."""
        self.world.hub.after(seconds, self._again, self._lives)

    def delete(self) -> None:
        """SIGTERM, and SIGKILL after the grace period; the pod is gone then."""
        self.deleted = True
        self.leave()
        self.world.hub.after(GRACE, self.force_delete)

    def force_delete(self) -> None:
        """Be gone at once, and unknown to the API."""
        self.end()
        self.unlist()

    def unlist(self) -> None:
        """Have the pod's object deleted: a node that nobody reaches may let the pod live on."""
        self.world.kube.pods.there.pop(self.name, None)

    def leave(self) -> None:
        """SIGTERM: what `app/lifecycle.py` does with one."""
        agent, inbox, process = self.agent, self.inbox, self.process
        if agent is None or inbox is None or process is None or process.dead:
            return
        self.leaving = True
        self.world.say(f"{self.identity} gets SIGTERM")
        if agent.election is None:
            process.call(inbox.stop)
        else:
            process.call(agent.election.stop, inbox.stop)

    def end(self) -> None:
        """Be gone, with the network namespace; its node and its ENIs stay."""
        self.kill()
        self.gone = True

    def ask(self, order: Order) -> None:
        """Type `vipmanager yield` or `claim` in it."""
        if self.alive and self.agent is not None and self.process is not None:
            self.world.say(f"{self.identity} is asked to {order.value}")
            self.yielded = order is Order.YIELD
            self.process.call(self._obey, self.agent, order)

    @staticmethod
    def _obey(agent: PodAgent, order: Order) -> None:
        from vipmanager.core import command as commands  # noqa: PLC0415

        try:
            agent.store.obey(commands.Command[order.name])
        except Transient:
            return  # said to who asked

    def _again(self, lives: int) -> None:
        if self._lives == lives and not self.alive:
            self.start()

    # what is seen of it

    @property
    def identity(self) -> str:
        return f"{self.name}/n{self._lives}"

    @property
    def alive(self) -> bool:
        """Whether a process of the agent runs in it."""
        return self.process is not None and not self.process.dead and not self.gone

    @property
    def shown(self) -> PodObject | None:
        """Its object in the Kubernetes API; that of a lost node's pod stays for minutes."""
        if self.gone and not self.node.down:
            return None
        return PodObject(
            uid=self.name,
            going=self.deleted,
            addresses=frozenset(self.addresses),
            macs=frozenset(i.mac for i in self.kernel.state.interfaces if i.name != "eth0"),
        )

    @property
    def serving(self) -> bool:
        """Whether traffic that reaches its node is answered."""
        there = all(self.has(n) for n in range(1, 1 + len(self.addresses)))
        passed = all(
            self.passed(n, self.world.ec2.state) for n in range(1, 1 + len(self.addresses))
        )
        alive = not self.gone and not self.node.down
        return there and passed and alive and self.app.is_well(self.world.hub.now)

    def has(self, number: int) -> bool:
        """Tell whether its kernel answers for a floating IP."""
        found = (i for i in self.kernel.state.interfaces if i.name == f"net{number}")
        return any(
            i.up and any(a.address == self.addresses[number - 1] for a in i.addresses)
            for i in found
        )

    def passed(self, number: int, state: CloudState) -> bool:
        """Tell whether EC2 lets the packets for a floating IP through to its node."""
        eni = next((e for e in state.enis if e.id == self.node.eni(number)), None)
        on = eni is not None and eni.attached and eni.instance == f"i-{self.node.letter}"
        return on and eni is not None and not eni.source_dest_check

    @property
    def ready(self) -> bool:
        """What the kubelet's readiness probe is told."""
        return self.alive and self.readiness.ready

    @property
    def readiness(self) -> Readiness:
        """What its agent, or the last one, made of its passes."""
        return self.agent.store.status.readiness if self.agent is not None else Readiness()

    @property
    def holds(self) -> bool:
        """Whether its agent calls itself the holder."""
        agent = self.agent
        return (
            self.alive
            and agent is not None
            and agent.election is not None
            and agent.election.role_status.role.value == "holder"
        )

    @property
    def should_leave(self) -> bool:
        """Whether its agent knows that it should leave its node or zone."""
        election = self.agent.election if self.agent is not None else None
        return self.alive and election is not None and bool(election.role_status.leaving)

    @property
    def insists(self) -> bool:
        """Whether a person claimed what it holds."""
        election = self.agent.election if self.agent is not None else None
        return election is not None and election.role_status.why == Why.CLAIMED.value

    @property
    def last(self) -> Report | None:
        """What its agent reported last."""
        return self.reports[-1] if self.reports else None

    def conditions(self) -> set[str]:
        """Give the names of what its last pass found."""
        return {f.condition.name for f in self.last.findings} if self.last is not None else set()

    # what its agent tells and needs

    def report(self, report: Report) -> None:
        if self.agent is not None and self.agent.store.status.report is not report:
            self.world.problems.append(
                f"{self.world.hub.now:.2f} s: {self.name} says pass {report.number}, "
                "and /readyz and /status do not know of it yet"
            )
        self.world.marks.report(self.name, report)
        if report.observed and report.fresh:
            self.read = self.world.hub.now
        self.reports.append(report)

    def bug(self, bug: Exception) -> None:
        self.world.problems.append(f"{self.world.hub.now:.2f} s: a bug in {self.name}: {bug!r}")
        if not isinstance(bug, Failure):
            raise bug

    def netlink(self) -> None:
        """Tell of a change in the pod."""
        self.wake(NETLINK)

    def wake(self, reason: str) -> None:
        """Leave its loop a reason to look again."""
        if self.process is not None and self.inbox is not None:
            self.process.call(self.inbox.put, reason)

    def _told(self, role_status: RoleStatus) -> None:
        self.world.say(f"{self.name} is {role_status}")
        for hears in self.world.told:
            hears(self, role_status)

    def look(self) -> None:
        """Let its time for a reading have come."""
        if self.process is not None and self.inbox is not None:
            self.process.call(self.inbox.put, "resync")

    def _examine(self, timeout: float) -> None:
        self.world.hub.sleep(min(0.01, timeout))
        well = self.app.is_well(self.world.hub.now)
        self.unwell = 0 if well else self.unwell + 1
        if not well:
            raise Transient("the application answered 503")

    def _candidate(self, process: Process) -> Candidate:
        world, settings = self.world, self.settings
        client = LeaseClient(
            world.kube, settings.lease_name, process, self.name, sockets=self.parts.sockets
        )

        def channel(_identity: str, heard: Heard) -> Channel | None:
            if not settings.heartbeat_port:
                return None
            return self.parts.channel(world.heartbeats.open(self.name, process, heard))

        def traced(transition: Transition) -> None:
            world.marks.transition(transition, process.now())
            if transition.after.hold is not None:
                self.stale = transition.after.hold.work.stale
            if world.trace is not None and transition.notable:
                world.say(f"{self.name}: {transition}")

        pod = PodReference(namespace="telco", name=self.called, uid=self.name)
        workload, revision = pod.workload
        return Candidate(
            workload=workload,
            revision=revision,
            settings=self.parts.election(election_settings(settings, write=WRITE_BOUND)),
            lease=self.parts.lease(client),
            name=settings.lease_name,
            pods=PodsClient(world.kube, process, self.name),
            pod=self.name,
            pod_name=f"{NAMESPACE}/{self.name}",
            nonce=f"n{self._lives}",
            channel=channel,
            told=self._told,
            failed=self.bug,
            traced=traced,
            places=self._places(process) if settings.hand_over_on else (),
        )

    def _places(self, process: Process) -> tuple[Place, ...]:
        node, shifts = self.node, Shifts(self.world, process)
        places = (
            NodePlace(Nodes(self.world, process), node.name),
            ZonePlace(shifts, CLUSTER, lambda: ZONE_IDS[node.zone]),
        )
        return self.parts.place(places[0]), self.parts.place(places[1])
