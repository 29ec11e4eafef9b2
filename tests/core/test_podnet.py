"""The routes and rules a pod needs to answer, and those that would cut it off."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from decide import decide
from vipmanager.core.actions import show_route
from vipmanager.core.desired import Desired, Facts, desired
from vipmanager.core.findings import Condition, Kind
from vipmanager.core.plan import Plan
from vipmanager.core.podnet import (
    HELD_TABLE,
    PRIMARY_TABLE,
    PRIORITIES,
    PROTOCOL,
    SOURCE_TABLES,
    held,
    held_mark,
)
from vipmanager.core.settings import Settings
from vipmanager.core.values import (
    MAIN_TABLE,
    EniId,
    KernelRoute,
    KernelState,
    Mac,
    PodAddress,
    PolicyRule,
)
from worlds import cloud, interface, kernel, node, peers, pod

SBR = Settings(source_routing=True)
DUAL = kernel(interface("a", 1, "192.168.0.1", "2001:db8:1::1"))
PEER, SIX = ip_network("10.0.100.0/24"), ip_network("2001:db8:9::/64")


def want(settings: Settings, state: KernelState = DUAL) -> Desired:
    return desired(settings, Facts(kernel=state, node=node(), cloud=cloud()))


def planned(settings: Settings, state: KernelState) -> Plan:
    return decide(settings, Facts(kernel=state, node=node(), cloud=cloud()))[1]


def main_routes(found: Desired) -> list[str]:
    return [show_route(r) for r in found.routes if r.table == MAIN_TABLE]


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("10.0.100.0/24", "10.0.100.0/24 via 10.0.11.1 dev net1 onlink src 192.168.0.1 proto 86"),
        ("10.0.100.7", "10.0.100.7/32 via 10.0.11.1 dev net1 onlink src 192.168.0.1 proto 86"),
        (
            "2001:db8:0:100::/64",
            (
                "2001:db8:0:100::/64 via fe80:ec2::1 dev net1 onlink src 2001:db8:1::1"
                " metric 1024 proto 86"
            ),
        ),
    ],
)
def test_a_peer_is_answered_through_the_gateway_of_the_eni_s_subnet(
    peer: str, expected: str
) -> None:
    assert main_routes(want(peers(n1=peer))) == [expected]


@pytest.mark.parametrize(
    "peer",
    [
        "0.0.0.0/0",  # the default route
        "::/0",
        "169.254.1.1/32",  # the pod's default gateway
        "169.254.0.0/16",  # the gateway and the metadata service
        "169.254.169.254",
        "fd00:ec2::254",
        "169.254.170.2",  # credentials
        "169.254.170.23",
        "fd00:ec2::23",
        "172.20.0.0/16",  # the cluster's API
        "172.20.0.1",
        "128.0.0.0/1",  # a half of everything
        "fc00::/7",
    ],
)
def test_a_peer_that_would_cut_the_pod_off_is_refused(peer: str) -> None:
    named = peers(n1=f"{peer},{PEER},{SIX}")
    settings = replace(named, protected=(ip_address("172.20.0.1"),))
    found = want(settings)
    assert [f.condition for f in found.findings] == [Condition.PEER_CUTS_OFF]
    assert peer in found.findings[0].text
    assert [r.destination for r in found.routes if r.table == MAIN_TABLE] == [PEER, SIX]


def test_a_peer_of_a_family_that_the_interface_lacks_is_said() -> None:
    four = kernel(interface("a", 1, "192.168.0.1"))
    found = want(peers(n1="10.0.100.0/24,2001:db8:9::/64"), four)
    assert [f.condition for f in found.findings] == [Condition.PEER_FAMILY]
    assert len(main_routes(found)) == 1


def test_an_eni_in_a_subnet_without_ipv4_has_no_ipv4_gateway() -> None:
    six_only = tuple(
        replace(s, networks=tuple(n for n in s.networks if n.version == 6)) for s in cloud().subnets
    )
    found = desired(
        peers(n1="10.0.100.0/24,2001:db8:9::/64"),
        Facts(kernel=DUAL, node=node(), cloud=replace(cloud(), subnets=six_only)),
    )
    assert [f.condition for f in found.findings] == [Condition.NO_GATEWAY]
    assert [r.destination.version for r in found.routes if r.table == MAIN_TABLE] == [6]


def test_peers_of_an_interface_that_is_not_there_are_skipped_and_said() -> None:
    found = want(peers(n1=f"{PEER},{SIX}", n3="10.0.101.0/24"))
    (finding,) = found.findings
    assert (finding.condition, finding.subject) == (
        Condition.PEERS_WITHOUT_INTERFACE,
        "Intf3Peers",
    )
    assert len(main_routes(found)) == 2


def test_a_deprecated_address_is_steered_and_is_no_source_where_there_is_another() -> None:
    net1 = interface("a", 1, "192.168.0.1", "192.168.0.2")
    first, second = net1.addresses
    state = kernel(replace(net1, addresses=(replace(first, deprecated=True), second)))
    found = want(peers(n1="10.0.100.0/24"), state)
    assert [str(ip.address) for ip in found.floating] == ["192.168.0.1", "192.168.0.2"]
    (route,) = main_routes(found)
    assert " src 192.168.0.2 " in route
    alone = kernel(replace(net1, addresses=(replace(first, deprecated=True),)))
    (route,) = main_routes(want(peers(n1="10.0.100.0/24"), alone))
    assert " src 192.168.0.1 " in route


def test_the_primary_of_an_ipv6_cluster_s_pod_is_kept_on_its_interface() -> None:
    """With the VPC CNI's IPv4 egress beside it, as EKS lays it out."""
    net1 = interface("a", 1, "192.168.0.1", "fd00:100::1")
    eth0 = replace(
        kernel().interfaces[0],
        addresses=(PodAddress(address=ip_address("2001:db8:0:1::5"), prefix_length=128),),
    )
    egress = replace(
        eth0,
        name="v4if0",
        index=3,
        mac=Mac("0a:00:00:00:00:02"),
        addresses=(PodAddress(address=ip_address("169.254.172.5"), prefix_length=22),),
    )
    routes = (
        KernelRoute(
            destination=ip_network("0.0.0.0/0"),
            gateway=ip_address("169.254.172.1"),
            device="v4if0",
        ),
        KernelRoute(destination=ip_network("::/0"), gateway=ip_address("fe80::1"), device="eth0"),
        KernelRoute(destination=ip_network("fe80::1/128"), device="eth0"),
    )
    state = KernelState(interfaces=(eth0, egress, net1), routes=routes)
    found = want(peers(n1="10.0.100.0/24,2001:db8:0:100::/64"), state)
    assert [f for f in found.findings if f.kind is not Kind.SKIPPED] == []
    (rule,) = found.rules
    assert (str(rule.source), rule.version, rule.table) == (
        "2001:db8:0:1::5/128",
        6,
        PRIMARY_TABLE,
    )
    copied = {str(r.destination) for r in found.routes if r.table == PRIMARY_TABLE}
    assert copied == {"::/0", "fe80::1/128"}
    assert {r.destination.version for r in found.routes if r.device == "net1"} == {4, 6}
    cut = want(peers(n1="169.254.172.0/22"), state)
    assert Condition.PEER_CUTS_OFF in {f.condition for f in cut.findings}


def test_an_interface_that_is_down_gets_no_routes() -> None:
    state = kernel(interface("a", 1, "192.168.0.1", up=False))
    assert main_routes(want(peers(n1="10.0.100.0/24"), state)) == []


def test_probes_of_the_node_are_answered_where_they_came_from() -> None:
    found = want(peers(n1="10.0.1.0/24"), pod())
    assert [(r.source, r.table) for r in found.rules] == [
        (ip_network("10.0.1.11/32"), PRIMARY_TABLE)
    ]
    copies = [r for r in found.routes if r.table == PRIMARY_TABLE]
    assert {r.destination for r in copies} == {r.destination for r in pod().routes}
    assert {r.device for r in copies} == {"eth0"}


def test_a_route_for_some_packets_only_is_not_copied_for_all() -> None:
    narrow = KernelRoute(destination=ip_network("10.9.0.0/16"), device="eth0", plain=False)
    found = want(peers(n1="10.0.1.0/24"), replace(pod(), routes=(*pod().routes, narrow)))
    copies = {r.destination for r in found.routes if r.table == PRIMARY_TABLE}
    assert copies == {r.destination for r in pod().routes}


def test_without_peers_the_primary_interface_needs_no_help() -> None:
    assert want(Settings()).routes == ()
    assert want(Settings()).rules == ()


def test_source_routing_sends_answers_out_of_the_interface_of_their_address() -> None:
    found = want(SBR, pod())
    assert {(str(r.source), r.table) for r in found.rules} == {
        ("192.168.0.1/32", SOURCE_TABLES + 3),
        ("192.168.0.2/32", SOURCE_TABLES + 4),
    }
    assert {(r.table, str(r.gateway)) for r in found.routes} == {
        (SOURCE_TABLES + 3, "10.0.11.1"),
        (SOURCE_TABLES + 4, "10.0.12.1"),
    }


@pytest.mark.parametrize("settings", [SBR, peers(n1="10.0.100.0/24,2001:db8:9::/64")])
def test_our_numbers_keep_clear_of_the_main_table_s_and_of_the_cni_sbr_plugin_s(
    settings: Settings,
) -> None:
    found = want(settings)
    mark = held_mark(ip_network("192.168.0.1/32"), EniId("eni-a1"))
    tables = {r.table for r in (*found.routes, mark)} - {MAIN_TABLE}
    assert all(t in {HELD_TABLE, PRIMARY_TABLE} or t >= SOURCE_TABLES for t in tables)
    assert all(r.priority in PRIORITIES for r in found.rules)
    assert {r.protocol for r in found.routes} | {r.protocol for r in found.rules} == {PROTOCOL}


FOREIGN = KernelRoute(destination=PEER, gateway=ip_address("10.0.1.1"), device="eth0", protocol=4)
MINE = KernelRoute(
    destination=PEER,
    gateway=ip_address("10.0.11.1"),
    device="net1",
    source=ip_address("192.168.0.1"),
    protocol=PROTOCOL,
    on_link=True,
)


def having(*routes: KernelRoute, rules: tuple[PolicyRule, ...] = ()) -> KernelState:
    return replace(DUAL, routes=(*DUAL.routes, *routes), rules=rules)


@pytest.mark.parametrize(
    ("there", "writes", "says"),
    [
        ((FOREIGN,), [], [Condition.KERNEL_ROUTE_FOREIGN]),
        ((replace(MINE, protocol=4),), [], []),
        ((MINE,), [], []),
        ((replace(MINE, source=None),), [f"ip route replace {show_route(MINE)}"], []),
        (
            (replace(MINE, gateway=ip_address("10.0.11.9")),),
            [f"ip route replace {show_route(MINE)}"],
            [],
        ),
        # another metric is another route
        ((replace(FOREIGN, metric=100),), [f"ip route add {show_route(MINE)}"], []),
        # ours, and no longer wanted
        (
            (MINE, replace(MINE, destination=ip_network("10.9.0.0/16"))),
            ["ip route del 10.9.0.0/16 via 10.0.11.1 dev net1 onlink src 192.168.0.1 proto 86"],
            [],
        ),
        ((MINE, replace(FOREIGN, destination=ip_network("10.9.0.0/16"))), [], []),
    ],
)
def test_what_is_in_the_pod_already_is_respected(
    there: tuple[KernelRoute, ...], writes: list[str], says: list[Condition]
) -> None:
    plan = planned(peers(n1="10.0.100.0/24"), having(*there))
    kernel_writes = [str(a) for a in (*plan.prepare, *plan.tidy)]
    assert [w for w in kernel_writes if "8601" not in w] == writes
    assert [f.condition for f in plan.findings] == says


def test_a_rule_that_another_program_made_is_taken_as_it_is() -> None:
    rule = want(SBR).rules[0]
    state = having(rules=(replace(rule, protocol=4),))
    plan = planned(SBR, state)
    assert str(rule.source) not in "\n".join(str(a) for a in plan.prepare if "rule" in str(a))
    assert plan.tidy == ()


def test_our_rules_for_addresses_that_are_gone_are_removed() -> None:
    old = PolicyRule(
        priority=8610, source=ip_network("192.168.9.9/32"), table=86003, protocol=PROTOCOL
    )
    plan = planned(SBR, having(rules=(old, replace(old, priority=99, protocol=4))))
    assert [str(a) for a in plan.tidy] == [
        "ip rule del from 192.168.9.9/32 lookup 86003 priority 8610 protocol 86"
    ]


def test_a_mark_tells_its_eni() -> None:
    destination = ip_network("192.168.0.1/32")
    state = having(held_mark(destination, EniId("eni-a1")))
    assert held(state, destination, EniId("eni-a1"))
    assert not held(state, destination, EniId("eni-b1"))
    assert not held(having(replace(state.routes[-1], protocol=4)), destination, EniId("eni-a1"))


def test_the_rules_stand_before_a_peer_route_could_cut_the_primary_off() -> None:
    kinds = [str(a).split()[1] for a in planned(peers(n1="10.0.1.0/24"), pod()).prepare]
    assert kinds == ["route", "route", "rule", "route"]


def test_every_address_of_the_primary_interface_is_kept_there() -> None:
    state = pod()
    eth0, *others = state.interfaces
    second = PodAddress(address=ip_address("10.0.1.12"), prefix_length=32)
    eth0 = replace(eth0, addresses=(*eth0.addresses, second))
    found = want(peers(n1="10.0.1.0/24"), replace(state, interfaces=(eth0, *others)))
    assert [str(r.source) for r in found.rules] == ["10.0.1.11/32", "10.0.1.12/32"]
