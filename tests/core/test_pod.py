"""Which interfaces are ours to manage, which number each has, which ENI carries it."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from vipmanager.core.findings import Condition, Kind
from vipmanager.core.pod import (
    Attachment,
    attach,
    left_alone,
    managed,
    misnumbered,
    numbered,
    primary,
    primary_addresses,
    with_peers,
)
from vipmanager.core.settings import Settings
from vipmanager.core.values import (
    KernelRoute,
    KernelState,
    Mac,
    PodAddress,
    PodInterface,
    PodNetworks,
    RouteKind,
)
from worlds import enis, interface, node, peers

DEFAULT = ip_network("0.0.0.0/0")
MACS = [Mac(f"02:00:00:00:00:{n:02x}") for n in range(1, 9)]
"""As if every link of `links` lay on an ENI."""


def links(*names: str) -> KernelState:
    """A pod with these links, in the order of their index."""
    return KernelState(
        interfaces=tuple(
            PodInterface(name=n, index=i, mac=Mac(f"02:00:00:00:00:{i:02x}"))
            for i, n in enumerate(names, 1)
        ),
        routes=(KernelRoute(destination=DEFAULT, device="eth0"),),
    )


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        # names that only look like the loopback or the primary interface are no exception
        ((), ["eth01", "eth0.100", "flow0", "dummylo1", "net1", "lo0"]),
        (("net*",), ["net1"]),
        (("eth0", "net1"), ["net1"]),
        (("eth0?", "eth0.*"), ["eth01", "eth0.100"]),
        (("[ef]*",), ["eth01", "eth0.100", "flow0"]),
        (("nothing",), []),
    ],
)
def test_what_has_the_mac_of_an_eni_is_managed_but_for_lo_and_the_primary(
    patterns: tuple[str, ...], expected: list[str]
) -> None:
    pod = links("lo", "eth0", "eth01", "eth0.100", "flow0", "dummylo1", "net1", "lo0")
    assert {i.name for i in managed(pod, patterns, MACS)} == set(expected)


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ((), "eth0"),
        ((KernelRoute(destination=DEFAULT, device="ens5"),), "ens5"),
        ((KernelRoute(destination=ip_network("::/0"), device="ens6"),), "ens6"),
        # default routes of other tables, or that lead nowhere, prove nothing
        ((KernelRoute(destination=DEFAULT, device="net1", table=100),), "eth0"),
        ((KernelRoute(destination=DEFAULT, kind=RouteKind.OTHER),), "eth0"),
        ((KernelRoute(destination=ip_network("10.0.0.0/8"), device="net1"),), "eth0"),
    ],
)
def test_the_primary_is_the_interface_of_the_default_route(
    routes: tuple[KernelRoute, ...], expected: str
) -> None:
    assert primary(KernelState(routes=routes)) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("net1", "net2"), {1: "net1", 2: "net2"}),
        (("net2", "net1"), {1: "net1", 2: "net2"}),
        (("net3",), {3: "net3"}),
        (("sig", "oam"), {1: "sig", 2: "oam"}),
        (("sig", "net1", "oam"), {1: "net1", 2: "sig", 3: "oam"}),
        (("sig", "net2"), {1: "sig", 2: "net2"}),
        (("a", "net5", "b"), {1: "a", 2: "b", 5: "net5"}),
        (("net01", "net0"), {1: "net01", 2: "net0"}),
        (("net10", "net2"), {2: "net2", 10: "net10"}),
    ],
)
def test_interfaces_are_numbered_by_name_and_then_by_order(
    names: tuple[str, ...], expected: dict[int, str]
) -> None:
    pod = links("lo", "eth0", *names)
    assert {n: i.name for n, i in numbered(managed(pod, (), MACS)).items()} == expected


def test_the_eni_is_found_by_mac_among_those_of_our_own_instance() -> None:
    stranger = replace(enis()[2], mac=enis()[0].mac)  # a MAC is unique in a VPC only
    found, problems = attach(
        {1: interface("a", 1, "192.168.0.1")}, node(), (stranger, *enis()), settings=Settings()
    )
    assert [a.eni.id for a in found] == ["eni-a1"]
    assert problems == ()


def test_several_interfaces_on_one_mac_share_its_eni() -> None:
    one = interface("a", 1, "192.168.0.1")
    two = replace(interface("a", 1, "192.168.0.2"), name="net2", index=9)
    found, _ = attach({1: one, 2: two}, node(), enis(), settings=Settings())
    assert [(a.interface.name, a.eni.id) for a in found] == [("net1", "eni-a1"), ("net2", "eni-a1")]


STRANGE = replace(interface("a", 1, "192.168.0.1"), mac=Mac("0e:00:00:00:00:99"))


def test_a_mac_of_no_eni_is_a_finding() -> None:
    _, (finding,) = attach({1: STRANGE}, node(), enis(), settings=Settings())
    assert finding.condition is Condition.MAC_UNKNOWN
    assert "macvlan" in finding.remedy


@pytest.mark.parametrize("settings", [Settings(), peers(n2="10.0.100.0/24")])
def test_a_link_without_addresses_and_peers_may_have_any_mac(settings: Settings) -> None:
    bare = replace(STRANGE, addresses=())
    assert attach({1: bare}, node(), enis(), settings=settings) == ((), ())


def test_a_mac_that_only_imds_lists_is_waited_for() -> None:
    one = interface("a", 1, "192.168.0.1")
    _, (finding,) = attach({1: one}, node(), (), settings=Settings())
    assert finding.condition is Condition.ENI_NOT_YET


def test_an_eni_that_is_being_attached_is_waited_for() -> None:
    one = interface("a", 1, "192.168.0.1")
    coming = [replace(e, attached=False) for e in enis()]
    _, (finding,) = attach({1: one}, node(), coming, settings=Settings())
    assert finding.condition is Condition.ENI_NOT_YET


def test_without_imds_a_mac_must_name_exactly_one_attached_eni() -> None:
    one = interface("a", 1, "192.168.0.1")
    found, _ = attach({1: one}, None, enis(), settings=Settings())
    assert [a.eni.id for a in found] == ["eni-a1"]
    twin = replace(enis()[2], mac=one.mac)
    found, (finding,) = attach({1: one}, None, (*enis(), twin), settings=Settings())
    assert found == ()
    assert finding.condition is Condition.ENI_NOT_YET


def own(*addresses: str) -> tuple[PodAddress, ...]:
    return tuple(PodAddress(address=ip_address(a), prefix_length=32) for a in addresses)


def laid_out(
    routes: dict[str, str], told: PodNetworks | None = None, **addresses: tuple[str, ...]
) -> KernelState:
    """A pod whose links have these addresses, and default routes by these devices."""
    state = links("lo", *addresses)
    return replace(
        state,
        interfaces=tuple(
            replace(i, addresses=own(*addresses.get(i.name, ()))) for i in state.interfaces
        ),
        routes=tuple(
            KernelRoute(destination=ip_network(n), device=device) for n, device in routes.items()
        ),
        networks=told or PodNetworks(),
    )


V4IF0 = ("169.254.172.5",)
V6IF0 = ("fd00::ac:10",)
FLOATING = ("192.168.0.1", "fd00:100::1")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        # an IPv6 cluster: the IPv4 default route leads to the VPC CNI's own egress
        (
            laid_out(
                {"0.0.0.0/0": "v4if0", "::/0": "eth0"},
                eth0=("2001:db8::5",),
                v4if0=V4IF0,
                net1=FLOATING,
            ),
            "eth0",
        ),
        (
            laid_out({"0.0.0.0/0": "v4if0", "::/0": "ens5"}, ens5=("2001:db8::5",), v4if0=V4IF0),
            "ens5",
        ),
        # an IPv4 cluster with IPv6 egress
        (
            laid_out({"0.0.0.0/0": "eth0", "::/0": "v6if0"}, v6if0=V6IF0, eth0=("10.0.1.11",)),
            "eth0",
        ),
        (
            laid_out({"0.0.0.0/0": "ens5", "::/0": "v6if0"}, v6if0=V6IF0, ens5=("10.0.1.11",)),
            "ens5",
        ),
        # a Multus attachment with `default-route`
        (laid_out({"0.0.0.0/0": "net1"}, eth0=("10.0.1.11",), net1=FLOATING), "eth0"),
        (
            laid_out(
                {"0.0.0.0/0": "sig"},
                PodNetworks(wanted=("sig",)),
                pod0=("10.0.1.11",),
                sig=FLOATING,
            ),
            "eth0",
        ),
        # what Kubernetes tells goes before all of it
        (
            laid_out(
                {"0.0.0.0/0": "sig"},
                PodNetworks(addresses=(ip_address("10.0.1.11"),)),
                pod0=("10.0.1.11",),
                sig=FLOATING,
            ),
            "pod0",
        ),
        (
            laid_out(
                {"0.0.0.0/0": "eth0"},
                PodNetworks(addresses=(ip_address("10.99.0.1"),)),  # of no interface
                eth0=("10.0.1.11",),
            ),
            "eth0",
        ),
    ],
)
def test_the_primary_is_the_interface_by_which_the_cluster_knows_the_pod(
    state: KernelState, expected: str
) -> None:
    assert primary(state) == expected


def test_the_primary_addresses_are_those_that_the_cluster_reaches() -> None:
    state = laid_out(
        {"0.0.0.0/0": "eth0", "::/0": "eth0"},
        eth0=("fe80::1", "2001:db8::5", "10.0.1.11"),
        net1=FLOATING,
    )
    assert [str(a) for a in primary_addresses(state)] == ["10.0.1.11", "2001:db8::5"]


@pytest.mark.parametrize(
    "mac",
    ["", "0.0.0.0", "::", "00:00:00:00:00:00", "void", "00:" * 15 + "00", "10.0.0.1"],
)
@pytest.mark.parametrize("name", ["tunl0", "sit0", "wg0", "net1"])
def test_a_link_without_a_mac_is_left_alone(mac: str, name: str) -> None:
    ghost = PodInterface(name=name, index=1, mac=Mac(mac), addresses=own("10.9.0.1"))
    state = links("sig", "oam")
    state = replace(state, interfaces=(ghost, *(replace(i, index=9) for i in state.interfaces)))
    ours = managed(state, (), MACS)
    assert {n: i.name for n, i in numbered(ours).items()} == {1: "sig", 2: "oam"}
    assert [i.name for i in left_alone(state, ours)] == [name]


@pytest.mark.parametrize("name", ["v4if0", "v6if0", "mNicIf1", "dummy0", "vrf-blue", "br0", "lxc1"])
def test_a_link_that_is_neither_multus_nor_an_eni_is_left_alone(name: str) -> None:
    state = laid_out({"0.0.0.0/0": "eth0"}, None, **{name: ("10.9.0.1",)}, net1=FLOATING)
    assert [i.name for i in managed(state, (), MACS[2:3])] == ["net1"]
    (other,) = left_alone(state, managed(state, (), MACS[2:3]))
    assert other.name == name


STATUS = PodNetworks(attached=("sig", "oam"))


@pytest.mark.parametrize(
    ("told", "patterns", "expected"),
    [
        # without a word from Kubernetes, a name may be Multus'
        (PodNetworks(), (), ["net1"]),
        (PodNetworks(), ("sig", "o*"), ["sig"]),
        # what Multus is asked for
        (PodNetworks(wanted=("sig",)), (), ["sig", "net1"]),
        # what it did
        (STATUS, (), ["sig", "oam"]),
        (STATUS, ("net*",), []),
        (PodNetworks(wanted=("sig",), attached=()), (), []),
    ],
)
def test_a_mac_of_no_eni_is_told_of_what_multus_attached_alone(
    told: PodNetworks, patterns: tuple[str, ...], expected: list[str]
) -> None:
    state = laid_out({}, told, sig=(), oam=(), br0=(), net1=())
    assert [i.name for i in managed(state, patterns)] == expected


def test_multus_interfaces_are_numbered_before_others_on_an_eni() -> None:
    state = laid_out({}, STATUS, vlan100=("10.9.0.1",), sig=FLOATING, oam=FLOATING)
    ours = numbered(managed(state, (), MACS))
    assert {n: i.name for n, i in ours.items()} == {1: "sig", 2: "oam", 3: "vlan100"}


def on_device(name: str, number: int, index: int) -> Attachment:
    return Attachment(
        number=number,
        interface=replace(interface("a", 1, "192.168.0.1"), name=name),
        eni=replace(enis()[0], device_index=index),
    )


@pytest.mark.parametrize(
    ("devices", "named", "expected"),
    [
        # the AWS sample's numbers, where the pod's own have no such interface
        ([2], [2], {"net1": 2}),
        ([3], [3], {"net1": 3}),
        ([2, 3], [2, 3], {"net1": 2, "net2": 3}),
        ([2, 3], [3], {"net1": 2, "net2": 3}),
        # the pod's own
        ([2, 3], [2], {"net1": 1, "net2": 2}),
        ([2, 1], [1, 2], {"net1": 1, "net2": 2}),
        ([2], [1], {"net1": 1}),
        # neither fits all
        ([2], [1, 2], {"net1": 1}),
        ([2], [3], {"net1": 1}),
    ],
)
def test_peers_are_numbered_as_the_pod_s_interfaces_or_else_as_the_node_s(
    devices: list[int], named: list[int], expected: dict[str, int]
) -> None:
    attachments = tuple(on_device(f"net{n}", n, d) for n, d in enumerate(devices, start=1))
    numbers = {a.number: a.interface for a in attachments}
    settings = peers(**{f"n{n}": "10.0.100.0/24" for n in named})
    found, _ = with_peers(attachments, numbers, settings)
    assert {a.interface.name: a.number for a in found} == expected


def test_peers_that_no_interface_has_say_how_to_write_them() -> None:
    one = on_device("net1", 1, 2)
    numbers = {1: one.interface}
    finding = misnumbered((one,), numbers, peers(n3="10.0.100.0/24"))
    assert finding is not None
    assert finding.kind is Kind.FAILED
    assert str(finding) == (
        "Intf3Peers: the pod has no such interface (it has net1), and can answer nobody; "
        "write Intf1Peers for net1, or set UseSBR=True"
    )
    for fine in (Settings(), peers(n1="10.0.100.0/24"), peers(n1="10.0.100.1", n3="10.0.100.2")):
        assert misnumbered((one,), numbers, fine) is None
    as_sample, _ = with_peers((one,), numbers, peers(n2="10.0.100.0/24"))
    assert misnumbered(as_sample, numbers, peers(n2="10.0.100.0/24")) is None


def test_peers_of_an_interface_whose_eni_is_not_known_yet_keep_their_number() -> None:
    one, two = on_device("net1", 1, 2), on_device("net2", 2, 3)
    numbers = {1: one.interface, 2: two.interface}
    assert with_peers((one,), numbers, peers(n2="10.0.100.0/24")) == ((one,), ())
