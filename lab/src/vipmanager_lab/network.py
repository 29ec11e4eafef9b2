"""Hosts and pods around the VPC's router, wired as EC2, the VPC CNI and Multus do it."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from vipmanager_lab.closing import Closing
from vipmanager_lab.cni import Cni, Delegate, without_ipvlan
from vipmanager_lab.netns import Netns, NetnsError
from vipmanager_lab.router import GATEWAY_IPV6, Router, port, render
from vipmanager_lab.vpc import Eni, Subnet, VpcState
from vipmanager_lab.vpc_cni import BESIDE, Layout, host_interface, wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """An interface that Multus adds to a pod: ipvlan L2 on an ENI of the node."""

    master: str
    """The node's interface, such as `eth1`."""
    interface: str = "net1"
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()
    dad: bool = False
    """Whether IPv6 addresses go through duplicate address detection: tentative for a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """An instance: its namespace, and its ENIs by the name of the interface."""

    netns: Netns
    interfaces: dict[str, str] = field(default_factory=dict)
    """ENI id to interface name; changes as ENIs come and go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod: its namespace and how the node knows it."""

    netns: Netns
    host: str
    host_interface: str
    attachments: tuple[Attachment | Delegate, ...]


class Network(Closing):
    """One VPC's router with hosts and pods; removed by `close`.

    Methods may be called from several threads. Every method raises `NetnsError` when the kernel
    refuses, and `KeyError` for a host, pod or ENI that does not exist.
    """

    def __init__(self, prefix: str, state: Callable[[], VpcState]) -> None:
        """Make the router.

        Args:
            prefix: unique among the networks of the sandbox, a few letters.
            state: what the VPC looks like now; read at every `refresh`.
        """
        self._prefix = prefix
        self._state = state
        self.vpc = Netns(prefix, "vpc")
        self._router = Router(self.vpc)
        self._hosts: dict[str, Host] = {}
        self._pods: dict[str, Pod] = {}
        self._cut: frozenset[str] = frozenset()
        self._numbers = itertools.count()
        self.ipvlan = _has_ipvlan(self.vpc)
        """Whether the kernel has ipvlan. Where it has not, pods get macvlan in mode passthru
        instead: the same MAC on the wire, but one pod per ENI."""
        self._building = threading.RLock()  # hosts, pods, cuts
        self._rendering = threading.Lock()  # the router
        self._counting = threading.Lock()  # the two numbers below
        self._asked = 0
        self._answered = 0
        self._closed = False

    def host(self, name: str) -> Host:
        """A host by name."""
        return self._hosts[name]

    def pod(self, name: str) -> Pod:
        """A pod by name."""
        return self._pods[name]

    def refresh(self) -> None:
        """Make the router follow the state; returns when it follows one read after the call.

        Level-triggered and coalesced: calls that wait for one another share the next rendering.
        The caller must hold no lock that reading the state needs.
        """
        with self._counting:
            self._asked += 1
            ticket = self._asked
        with self._rendering:
            if self._answered >= ticket or self._closed:
                return
            newest = self._asked
            hosts = tuple(self._hosts.items())
            plugged = frozenset(eni for _, host in hosts for eni in tuple(host.interfaces))
            cut = frozenset(
                eni for name, host in hosts if name in self._cut for eni in tuple(host.interfaces)
            )
            self._router.apply(render(self._state(), plugged=plugged, cut=cut))
            self._answered = newest

    def add_host(self, name: str, enis: Iterable[str], *, forwarding: bool = True) -> Host:
        """Start an instance with these ENIs.

        The first ENI by device index is eth0, with its primary addresses and the default routes;
        the others are up without an address, as AL2023 nodes of EKS leave them.
        """
        with self._building:
            netns = Netns(self._prefix, name)
            host = Host(netns=netns)
            with _undone(netns.close):
                netns.sysctl(
                    {
                        "ipv4/conf/all/rp_filter": 0,
                        "ipv4/conf/default/rp_filter": 0,
                        "ipv4/ip_forward": int(forwarding),
                        "ipv6/conf/all/forwarding": int(forwarding),
                        "ipv6/conf/default/accept_ra": 0,
                        "ipv6/conf/default/accept_dad": 0,
                    }
                )
                found = [self._eni(eni) for eni in enis]
                for eni in sorted(found, key=lambda one: (one.card_index, one.device_index)):
                    self._plug(host, eni)
            self._hosts[name] = host
            self.refresh()
            return host

    def remove_host(self, name: str) -> None:
        """End an instance and its pods; its ENIs are free for another host at once."""
        with self._building:
            for pod in [pod for pod, one in self._pods.items() if one.host == name]:
                self.remove_pod(pod)
            host = self._hosts[name]
            for eni in tuple(host.interfaces):
                self.detach_eni(name, eni)
            del self._hosts[name]
            self._cut -= {name}
            host.netns.close()

    def attach_eni(self, host: str, eni: str) -> str:
        """Plug an ENI into a running host; return the name of its interface."""
        with self._building:
            interface = self._plug(self._hosts[host], self._eni(eni))
            self.refresh()
            return interface

    def detach_eni(self, host: str, eni: str) -> None:
        """Unplug an ENI: the interface vanishes, and with it what a pod had on it."""
        with self._building:
            del self._hosts[host].interfaces[eni]
            self.refresh()
            self._router.unplug(eni)

    def cut(self, *hosts: str) -> None:
        """Let every packet from and to these hosts vanish; their links stay up."""
        with self._building:
            self._cut |= {name for name in hosts if self._hosts[name]}
            self.refresh()

    def restore(self, *hosts: str) -> None:
        """Undo `cut`."""
        with self._building:
            self._cut -= set(hosts)
            self.refresh()

    def add_pod(
        self,
        host: str,
        name: str,
        primary: IPv4Address | IPv6Address,
        attachments: Sequence[Attachment | Delegate] = (),
        *,
        layout: Layout = Layout.IPV4,
        more: Sequence[IPv4Address | IPv6Address] = (),
    ) -> Pod:
        """Start a pod: its interfaces as the VPC CNI makes them, then Multus'.

        `primary` is a secondary address of the node's primary ENI, as the VPC CNI hands out; `more`
        are what the layout has beside it.

        Raises:
            CniError: a plugin of a `Delegate` refused.
        """
        with self._building:
            node = self._hosts[host].netns
            netns = Netns(self._prefix, name)
            pod = Pod(
                netns=netns,
                host=host,
                host_interface=host_interface(name),
                attachments=tuple(self._possible(one) for one in attachments),
            )
            with _undone(netns.close), _undone(lambda: _detach(node, pod)):
                netns.sysctl({"ipv6/conf/default/accept_ra": 0})
                addresses, number = (primary, *more), next(self._numbers)
                wire(node, netns, name, addresses, layout=layout, number=number)
                for attachment in pod.attachments:
                    if isinstance(attachment, Delegate):
                        Cni(node).add(netns, attachment)
                    else:
                        self._attach(node, netns, attachment)
            self._pods[name] = pod
            return pod

    def attach(self, name: str, interface: str) -> None:
        """Give a pod an interface again that it was started with and that is gone."""
        with self._building:
            pod = self._pods[name]
            node = self._hosts[pod.host].netns
            for one in (a for a in pod.attachments if a.interface == interface):
                if isinstance(one, Delegate):
                    Cni(node).add(pod.netns, one)
                else:
                    self._attach(node, pod.netns, one)

    def remove_pod(self, name: str) -> None:
        """Kill a pod; its ENIs are free for another at once."""
        with self._building:
            pod = self._pods.pop(name)
            pod.netns.kill()
            _detach(self._hosts[pod.host].netns, pod)
            # by hand, as the kernel clears a removed namespace some time later
            present = {link["ifname"] for link in pod.netns.ip_json("link")}
            names = ["eth0", *BESIDE, *(attachment.interface for attachment in pod.attachments)]
            pod.netns.ip_batch([f"link del {one}" for one in names if one in present])
            pod.netns.close()

    def close(self) -> None:
        """Remove every namespace; a late `refresh` does nothing."""
        with self._building, self._rendering:
            self._closed = True
            for pod in self._pods.values():
                pod.netns.close()
            for host in self._hosts.values():
                host.netns.close()
            self._pods.clear()
            self._hosts.clear()
            self.vpc.close()

    def _eni(self, name: str) -> Eni:
        return {eni.id: eni for eni in self._state().enis}[name]

    def _subnet(self, name: str) -> Subnet:
        return {subnet.id: subnet for subnet in self._state().subnets}[name]

    def _plug(self, host: Host, eni: Eni) -> str:
        card = f"c{eni.card_index}" if eni.card_index else ""
        interface = f"eth{eni.device_index}{card}"
        self._router.plug(eni, host.netns, interface)
        lines = [f"link set {interface} up"]
        if not host.interfaces:
            subnet = self._subnet(eni.subnet)
            if eni.ipv4 and subnet.ipv4:
                lines += [
                    f"addr add {eni.ipv4[0]}/{subnet.ipv4.prefixlen} dev {interface}",
                    f"route add default via {subnet.ipv4[1]} dev {interface}",
                ]
            if eni.ipv6 and subnet.ipv6:
                lines += [
                    f"addr add {eni.ipv6[0]}/{subnet.ipv6.prefixlen} dev {interface} nodad",
                    f"route add ::/0 via {GATEWAY_IPV6} dev {interface} onlink",
                ]
        host.netns.ip_batch(lines)
        self.vpc.wait_running(port(eni.id))
        host.interfaces[eni.id] = interface
        return interface

    def _possible(self, attachment: Attachment | Delegate) -> Attachment | Delegate:
        if self.ipvlan or isinstance(attachment, Attachment):
            return attachment
        return replace(attachment, definition=without_ipvlan(attachment.definition))

    def _attach(self, node: Netns, pod: Netns, attachment: Attachment) -> None:
        name = attachment.interface
        kind = "ipvlan mode l2" if self.ipvlan else "macvlan mode passthru"
        node.ip_batch(
            [f"link add link {attachment.master} name {name} netns {pod.full_name} type {kind}"]
        )
        lines = [f"link set {name} up"]
        for address in attachment.addresses:
            nodad = " nodad" if isinstance(address, IPv6Interface) and not attachment.dad else ""
            lines.append(f"addr add {address} dev {name}{nodad}")
        pod.ip_batch(lines)


def _has_ipvlan(netns: Netns) -> bool:
    try:
        netns.ip_batch(["link add link lo name probe type ipvlan mode l2"])
    except NetnsError as error:
        return "Unknown device type" not in str(error)
    netns.ip_batch(["link del probe"])
    return True


def _detach(node: Netns, pod: Pod) -> None:
    """Free what CNI plugins gave out, also to a pod that failed halfway."""
    for attachment in pod.attachments:
        if isinstance(attachment, Delegate):
            Cni(node).delete(pod.netns, attachment)


@contextmanager
def _undone(undo: Callable[[], None]) -> Iterator[None]:
    """Undo a half-made namespace when making it fails."""
    try:
        yield
    except BaseException:
        undo()
        raise
