"""Other programs' rules that send answers elsewhere: found, named, and overtaken if it can be."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from decide import decide
from vipmanager.core.actions import show_route, show_rule
from vipmanager.core.desired import Facts
from vipmanager.core.findings import Condition, Finding
from vipmanager.core.plan import Plan
from vipmanager.core.settings import Settings
from vipmanager.core.values import KernelRoute, KernelState, PolicyRule, RouteKind
from worlds import cloud, interface, kernel, node, peers

PEERS = peers(n1="10.0.100.0/24")
SBR = Settings(source_routing=True)
POD = kernel(interface("a", 1, "192.168.0.1", "2001:db8:1::1"))
MAIN = PolicyRule(priority=32766, source=None, table=254, protocol=2)


def rule(text: str, priority: int = 32765) -> PolicyRule:
    """Read `[from SOURCE] [to DESTINATION] [TABLE or `unreachable`]`."""
    words = text.split()
    named = dict(zip(words[:-1:2], words[1:-1:2], strict=True))
    networks = {k: ip_network(v) for k, v in named.items()}
    six = any(n.version == 6 for n in networks.values())
    return PolicyRule(
        priority=priority,
        source=networks.get("from"),
        destination=networks.get("to"),
        table=0 if words[-1] == "unreachable" else int(words[-1]),
        refuses=words[-1] == "unreachable",
        protocol=3,
        version=6 if six else 4,
    )


def route(text: str, **fields: object) -> KernelRoute:
    """Read `DESTINATION GATEWAY DEVICE TABLE`."""
    destination, gateway, device, table = text.split()
    made = KernelRoute(
        destination=ip_network(destination),
        gateway=None if gateway == "-" else ip_address(gateway),
        device=device,
        table=int(table),
        protocol=3,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def look(
    rules: list[PolicyRule], routes: list[KernelRoute], settings: Settings = PEERS
) -> tuple[list[Finding], Plan]:
    state = replace(POD, rules=(*POD.rules, *rules, MAIN), routes=(*POD.routes, *routes))
    facts = Facts(kernel=state, node=node(), cloud=cloud())
    _, plan, want = decide(settings, facts)
    told = {Condition.DIVERTED, Condition.OVERTAKEN}
    return [f for f in want.findings if f.condition in told], plan


BY_SBR = route("0.0.0.0/0 192.168.0.6 net1 100")


def test_the_plugin_sbr_is_named_and_ours_goes_before_it() -> None:
    (found,), plan = look([rule("from 192.168.0.1 100")], [BY_SBR])
    assert found.condition is Condition.OVERTAKEN
    assert "`from 192.168.0.1/32 lookup 100 priority 32765`" in found.text
    assert "10.0.100.0/24 by `0.0.0.0/0 via 192.168.0.6 dev net1 table 100" in found.text
    added = [str(a) for a in plan.prepare]
    index = POD.interfaces[-1].index
    ours = f"from 192.168.0.1/32 lookup {86000 + index} priority 8610 protocol 86"
    assert f"ip rule add {ours}" in added
    assert any(
        a.startswith("ip route")
        and f"10.0.100.0/24 via 10.0.11.1 dev net1 onlink table {86000 + index}" in a
        for a in added
    )


@pytest.mark.parametrize(
    ("rules", "routes"),
    [
        ([rule("from 192.168.0.0/16 100", 8000)], [BY_SBR]),
        ([rule("100", 8000)], [BY_SBR]),
        ([rule("to 10.0.0.0/8 100", 8000)], [BY_SBR]),
        ([rule("from 192.168.0.1 to 10.0.100.7 100", 8000)], [BY_SBR]),
        ([rule("from 192.168.0.1 100", 8610)], [BY_SBR]),
        ([rule("from 192.168.0.1 100", 8000)], [route("10.0.100.128/25 10.0.11.1 eth0 100")]),
        ([rule("from 192.168.0.1 unreachable", 8000)], []),
        (
            [rule("from 192.168.0.1 100", 8000)],
            [route("0.0.0.0/0 - net1 100", kind=RouteKind.OTHER)],
        ),
        (
            [rule("from 192.168.0.1 99", 7000), rule("from 192.168.0.1 100", 8000)],
            [BY_SBR, route("0.0.0.0/0 - lo 99", kind=RouteKind.THROW)],
        ),
    ],
)
def test_a_rule_that_comes_before_ours_is_named_with_how_to_remove_it(
    rules: list[PolicyRule], routes: list[KernelRoute]
) -> None:
    (found,), plan = look(rules, routes)
    assert found.condition is Condition.DIVERTED
    written = show_rule(rules[-1]).partition(" protocol")[0]
    assert f"`{written}`" in found.text
    assert f"ip -4 rule del {written}" in found.remedy
    assert not any("8610" in str(a) for a in plan.prepare)


@pytest.mark.parametrize(
    ("rules", "routes"),
    [
        ([rule("from 192.168.0.1 100")], []),
        ([rule("from 192.168.0.1 100")], [route("0.0.0.0/0 10.0.11.1 net1 100")]),
        ([rule("from 192.168.0.1 100")], [route("172.16.0.0/12 10.8.0.1 tun0 100")]),
        ([rule("from 192.168.0.2 100")], [BY_SBR]),
        ([rule("to 10.0.101.0/24 100")], [BY_SBR]),
        ([rule("from 2001:db8:1::1 100")], [BY_SBR]),
        ([replace(rule("from 192.168.0.1 100"), plain=False)], [BY_SBR]),
        ([rule("100", 40_000)], [BY_SBR]),
        ([rule("254", 100), rule("from 192.168.0.1 100")], [BY_SBR]),
    ],
)
def test_a_rule_that_diverts_no_answer_is_left_out(
    rules: list[PolicyRule], routes: list[KernelRoute]
) -> None:
    assert look(rules, routes)[0] == []


def test_with_source_routing_only_an_earlier_rule_diverts() -> None:
    assert look([rule("from 192.168.0.1 100")], [BY_SBR], SBR)[0] == []
    (found,) = look([rule("from 192.168.0.1 100", 100)], [BY_SBR], SBR)[0]
    assert found.condition is Condition.DIVERTED
    assert look([rule("100", 100)], [route("10.8.0.0/16 10.8.0.1 tun0 100")], SBR)[0] == []


def test_six_is_looked_at_by_itself() -> None:
    six = peers(n1="2001:db8:9::/64")
    way = route("::/0 fe80::1 net1 100")
    (found,) = look([rule("from 2001:db8:1::1 100")], [way], six)[0]
    assert found.condition is Condition.OVERTAKEN
    assert "2001:db8:1::1" in found.text


def test_ours_goes_with_the_foreign_rule() -> None:
    _, plan = look([rule("from 192.168.0.1 100")], [BY_SBR])
    ours = [a.rule for a in plan.prepare if hasattr(a, "rule") and a.rule.priority == 8610]
    ways = [a.route for a in plan.prepare if hasattr(a, "route")]
    assert ours
    state = replace(POD, rules=(*ours, MAIN), routes=(*POD.routes, *ways))
    facts = Facts(kernel=state, node=node(), cloud=cloud())
    removed = [str(a) for a in decide(PEERS, facts)[1].tidy]
    assert any("8610" in a for a in removed)
    assert not any("254" in a for a in removed)


def test_routes_are_as_ip_writes_them() -> None:
    assert show_route(BY_SBR).startswith("0.0.0.0/0 via 192.168.0.6 dev net1 table 100")


def test_a_pod_without_foreign_rules_is_as_it_was() -> None:
    state: KernelState = POD
    facts = Facts(kernel=state, node=node(), cloud=cloud())
    assert not any("8610" in str(a) for a in decide(PEERS, facts)[1].prepare)
