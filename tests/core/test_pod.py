"""Which interfaces are ours to manage, which number each has, which ENI carries it."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from vipmanager.core.findings import Condition
from vipmanager.core.pod import attach, managed, numbered, primary
from vipmanager.core.settings import Settings
from vipmanager.core.values import KernelRoute, KernelState, Mac, PodInterface, RouteKind
from worlds import enis, interface, kernel, node, peers

DEFAULT = ip_network("0.0.0.0/0")


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
def test_everything_but_lo_and_the_primary_is_managed(
    patterns: tuple[str, ...], expected: list[str]
) -> None:
    pod = links("lo", "eth0", "eth01", "eth0.100", "flow0", "dummylo1", "net1", "lo0")
    assert [i.name for i in managed(pod, patterns)] == expected


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
    assert {n: i.name for n, i in numbered(managed(pod, ())).items()} == expected


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


def test_the_pod_s_own_default_route_may_be_named_otherwise_than_eth0() -> None:
    state = kernel(interface("a", 1))
    moved = replace(state, routes=(KernelRoute(destination=DEFAULT, device="net1"),))
    assert [i.name for i in managed(moved, ())] == ["eth0"]
