"""Floating IPs whose clients the pod has no route to are told, by interface and family."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from vipmanager.core.desired import Facts, desired
from vipmanager.core.findings import Condition, Finding, Kind
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.values import KernelRoute, KernelState, PolicyRule, RouteKind
from worlds import cloud, interface, kernel, node, peers, pod

DUAL = kernel(interface("a", 1, "192.168.0.1", "2001:db8:1::1"))
FOUR, SIX, CLIENTS = "10.0.100.0/24", "2001:db8:9::/64", ip_network("10.0.100.0/24")


def told(settings: Settings, state: KernelState) -> list[Finding]:
    found = desired(settings, Facts(kernel=state, node=node(), cloud=cloud()))
    return [f for f in found.findings if f.condition is Condition.UNANSWERED]


def routed(state: KernelState, **fields: object) -> KernelState:
    """Add another program's route by net1."""
    other = KernelRoute(
        destination=CLIENTS, gateway=ip_address("10.0.11.1"), device="net1", protocol=3
    )
    return replace(state, routes=(*state.routes, replace(other, **fields)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "state", "interfaces"),
    [
        (Settings(), pod(), ["net1", "net2"]),
        (peers(n1=FOUR), pod(), ["net2"]),
        (peers(n1=FOUR), DUAL, ["net1"]),  # IPv6 alone
        (peers(n1=SIX), DUAL, ["net1"]),
        (peers(n1=f"{FOUR},{SIX}"), DUAL, []),
        (peers(n3=FOUR), DUAL, ["net1", "net1"]),
        (Settings(source_routing=True), pod(), []),
        (
            Settings(pattern=Pattern.SUBNET),
            kernel(interface("a", 1, "10.0.254.1"), interface("a", 2, "10.0.254.17")),
            ["net1", "net2"],
        ),
        # no floating IP, no clients
        (Settings(floating=(ip_network("192.168.0.2/32"),)), pod(), ["net2"]),
    ],
)
def test_an_interface_without_any_way_back_is_told(
    settings: Settings, state: KernelState, interfaces: list[str]
) -> None:
    found = told(settings, state)
    assert [f.subject for f in found] == interfaces
    assert {f.kind for f in found} <= {Kind.DEGRADED}


def test_the_line_names_the_address_the_interface_and_the_key() -> None:
    (finding,) = told(peers(n1=FOUR), pod())
    assert finding.text.startswith("192.168.0.2 on net2: no client can be answered; Intf2Peers")
    assert finding.remedy == "name the clients' networks in Intf2Peers, or set UseSBR=True"


@pytest.mark.parametrize(
    ("fields", "answered"),
    [
        ({}, True),
        ({"destination": ip_network("0.0.0.0/0"), "metric": 200}, True),
        ({"gateway": None}, True),  # on the link, by whoever wrote it
        ({"protocol": 2, "gateway": None}, False),  # what the kernel adds with an address
        ({"table": 100}, False),  # no rule leads there
        ({"device": "eth0"}, False),
        ({"kind": RouteKind.THROW}, False),
        ({"destination": ip_network("169.254.0.0/16")}, False),
        ({"destination": ip_network(SIX)}, False),
    ],
)
def test_a_route_of_another_program_by_the_interface_is_an_answer(
    fields: dict[str, object],
    answered: bool,  # noqa: FBT001 - a table's column
) -> None:
    state = routed(kernel(interface("a", 1, "192.168.0.1")), **fields)
    assert bool(told(Settings(), state)) is not answered


@pytest.mark.parametrize(
    ("source", "answered"),
    [("192.168.0.1/32", True), ("192.168.0.0/16", True), ("10.0.0.0/8", False)],
)
def test_a_rule_of_another_program_that_leads_out_by_the_interface_is_an_answer(
    source: str,
    answered: bool,  # noqa: FBT001 - a table's column
) -> None:
    state = routed(
        kernel(interface("a", 1, "192.168.0.1")), table=100, destination=ip_network("0.0.0.0/0")
    )
    rule = PolicyRule(priority=32765, source=ip_network(source), table=100)
    assert bool(told(Settings(), replace(state, rules=(rule,)))) is not answered
