"""The Kubernetes API as far as Leases and pods go, watches, and the heartbeats between pods."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from simulation.calls import SHIPPED, Client, Service, Sockets
from simulation.hub import Hub, Process
from simulation.network import Network
from vipmanager.core.election.values import Message
from vipmanager.core.failures import Conflict, Failure, Permanent
from vipmanager.core.heartbeat import Count, DropReason
from vipmanager.core.lease import LeaseRecord
from vipmanager.core.pods import PodObject
from vipmanager.edges.kubernetes.client import CONNECT_TIMEOUT, READ_TIMEOUT
from vipmanager.edges.kubernetes.lease import QUIET as ASKED_FOR
from vipmanager.edges.memory import MemoryLease, MemoryPods

T = TypeVar("T")
Heard = Callable[[LeaseRecord | None], None]
QUIET = ASKED_FOR + READ_TIMEOUT
"""Seconds after which a silent watch is made anew."""


class Change(Protocol):
    """Hears of each change of a Lease, in the order of the truth."""

    def __call__(
        self, name: str, before: LeaseRecord | None, after: LeaseRecord | None
    ) -> None: ...


class KubeApi:
    """The API's side: Leases by name."""

    def __init__(self, hub: Hub, network: Network, zones: str) -> None:
        self.hub, self.network = hub, network
        self.leases: dict[str, MemoryLease] = {}
        self.watches: dict[str, list[Watch]] = {}
        self.pods = MemoryPods()
        """Pods by name: they outlive a pod whose node is lost."""
        self.changed: list[Change] = []
        self.watch_delay = (0.002, 0.02)
        self.disorder = False
        """Whether events may overtake each other."""
        self.forbidden: set[str] = set()
        """Pods that lack the rights."""
        self.deaf: set[str] = set()
        """Pods whose watch is dead without a sign."""
        self.objects: Callable[[], Iterable[PodObject]] = tuple
        """Every pod's object, as it is now."""
        self.by_hand = False
        """Whether the change that is told now is a person's."""
        self.service = Service(
            name="kube",
            zones=zones,
            connect=CONNECT_TIMEOUT,
            timeout=READ_TIMEOUT,
            addresses=False,
            latency=(0.01, 0.03),
        )

    def listed(self) -> Iterable[PodObject]:
        """Give every pod's object."""
        return self.objects()

    def lease(self, name: str) -> MemoryLease:
        """Give a Lease; it is made without a holder, as the manifests do."""
        if name not in self.leases:
            made = self.leases[name] = MemoryLease(LeaseRecord())
            self.watches[name] = []
            last = made.record

            def heard(record: LeaseRecord | None) -> None:
                nonlocal last
                before, last = last, record
                for each in self.changed:
                    each(name, before, record)
                for watch in tuple(self.watches[name]):
                    watch.tell(record)

            made.watch(heard, lambda _: None)
        return self.leases[name]

    def edit(self, name: str, record: LeaseRecord) -> None:
        """Change a Lease by a person's hand."""
        present = self.leases[name].record
        if present is not None:
            self.by_hand = True
            self.leases[name].replace(record)
            self.by_hand = False


class Watch:
    """One process's watch of a Lease."""

    def __init__(self, api: KubeApi, lease: str, process: Process, pod: str, heard: Heard) -> None:
        self._api, self._lease, self._process, self._pod = api, lease, process, pod
        self._node = process.host.name
        self._heard = heard
        self._end = f"kube@{api.hub.luck.choice(api.service.zones)}"
        first = api.network.prefer.get("kube")
        if first is not None:
            self._end = f"kube@{first}"
        self._newest = 0.0
        """When the last event is due: those after it come later."""
        self._since = self._born = api.hub.now
        """When it last was told anything, and when it was connected."""
        api.hub.after(0.005, self._begin)

    def _begin(self) -> None:
        """Be connected: told is what there is, and each change from now on."""
        self._api.watches[self._lease].append(self)
        present = self._api.leases[self._lease].record
        if present is not None:
            self.tell(present)

    def tell(self, record: LeaseRecord | None) -> None:
        """Have an event delivered."""
        api, hub = self._api, self._api.hub
        if self._process.dead:
            api.watches[self._lease].remove(self)
            return
        low, high = api.watch_delay
        at = hub.now + low + (high - low) * hub.luck.random()
        if not api.disorder:
            at = self._newest = max(at, self._newest)
        silent = api.network.silent(self._node, self._born)
        if not silent:
            api.network.send(self._end, self._node, at - hub.now, lambda _: self._arrived(record))
        if silent or not api.network.open(self._end, self._node):
            hub.after(QUIET, self._anew)

    def _arrived(self, record: LeaseRecord | None) -> None:
        self._since = self._api.hub.now
        if self._pod not in self._api.deaf:
            self._process.call(self._heard, record)

    def _anew(self) -> None:
        """Connect elsewhere after a silence, and learn what there is."""
        api = self._api
        if self._process.dead or api.hub.now - self._since < QUIET:
            return
        ends = [f"kube@{z}" for z in api.service.zones]
        self._end = next((e for e in ends if api.network.open(e, self._node)), self._end)
        self._born = api.hub.now
        if api.network.open(self._end, self._node):
            self.tell(api.leases[self._lease].record)


class LeaseClient:
    """The `Lease` port of one process."""

    def __init__(
        self, api: KubeApi, lease: str, process: Process, pod: str, sockets: Sockets = SHIPPED
    ) -> None:
        api.lease(lease)
        self._api, self._name, self._process, self._pod = api, lease, process, pod
        self._client = Client(api.network, api.service, process, sockets)

    @property
    def calls(self) -> int:
        """Calls so far."""
        return self._client.calls

    def read(self) -> LeaseRecord | None:
        return self._call(lambda lease: lease.read())

    def create(self, record: LeaseRecord) -> LeaseRecord:
        return self._call(lambda lease: lease.create(record))

    def replace(self, record: LeaseRecord, *, urgent: bool = False) -> LeaseRecord:
        if not urgent:
            return self._call(lambda lease: lease.replace(record))
        return _first_of(self._process, partial(self._replace, record, set[str]()))

    def _replace(self, record: LeaseRecord, apart: set[str]) -> LeaseRecord:
        return self._call(lambda lease: lease.replace(record), apart)

    def watch(self, heard: Heard, failed: Callable[[Failure], None]) -> None:  # noqa: ARG002 - the port
        Watch(self._api, self._name, self._process, self._pod, heard)

    def _call(self, perform: Callable[[MemoryLease], T], apart: set[str] | None = None) -> T:
        def served(_left: float) -> T:
            if self._pod in self._api.forbidden:
                raise Permanent("leases: 403 Forbidden", "allow it in a Role")
            return perform(self._api.leases[self._name])

        return self._client.call(served, kind="lease", apart=apart)


def _first_of(process: Process, call: Callable[[], T]) -> T:
    """Make a call twice at once; give what the first success gives, or raise the last failure."""
    given, failed, over = list[T](), list[Failure](), process.condition()

    def one() -> None:
        try:
            result = call()
        except Failure as failure:
            with over:
                failed.append(failure)
                over.notify_all()
        else:
            with over:
                given.append(result)
                over.notify_all()

    for _ in range(2):
        process.start("lease", one)
    with over:
        over.wait_for(lambda: given or len(failed) == 2)
    if given:
        return given[0]
    raise next((f for f in failed if isinstance(f, Conflict)), failed[-1])


class PodsClient:
    """The `Pods` port of one process."""

    def __init__(self, api: KubeApi, process: Process, pod: str) -> None:
        self._api, self._pod = api, pod
        self._truth = MemoryPods(pod, api.listed)
        self._truth.there = api.pods.there
        self._client = Client(api.network, api.service, process)

    def uid(self, name: str) -> str | None:
        return self._call(lambda truth: truth.uid(name))

    def mine(self) -> PodObject | None:
        return self._call(lambda truth: truth.mine())

    def all(self) -> tuple[PodObject, ...]:
        return self._call(lambda truth: truth.all())

    def _call(self, perform: Callable[[MemoryPods], T]) -> T:
        def served(_left: float) -> T:
            if self._pod in self._api.forbidden:
                raise Permanent("pods: 403 Forbidden", "allow it in a Role")
            return perform(self._truth)

        return self._client.call(served, kind="pods")


class Heartbeats:
    """Datagrams between the agents of all groups, by the address of a pod."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._ends: dict[str, tuple[Process, Callable[[Message, str], None]]] = {}

    def open(
        self, address: str, process: Process, heard: Callable[[Message, str], None]
    ) -> "Channel":
        """Bind an address."""
        self._ends[address] = (process, heard)
        return Channel(self, address, process)

    def send(self, sender: "Channel", to: str, message: Message) -> None:
        """Carry a datagram."""
        end = self._ends.get(to)
        if end is None or end[0].dead:
            return
        process, heard = end
        target = process.host.name

        def arrive() -> None:
            if self._ends.get(to) == end:
                process.call(heard, message, sender.address)

        self.network.datagram(sender.node, target, arrive)


class Channel:
    """The `Channel` port of one process."""

    def __init__(self, heartbeats: Heartbeats, address: str, process: Process) -> None:
        self._heartbeats, self.address = heartbeats, address
        self.node = process.host.name

    def send(self, to: str, message: Message) -> None:
        self._heartbeats.send(self, to, message)

    def drops(self) -> Mapping[DropReason, Count]:
        return {}
