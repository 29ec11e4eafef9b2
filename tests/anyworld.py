"""Small worlds of every kind, for Hypothesis."""

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

from hypothesis import strategies as st

from vipmanager.core.desired import Facts
from vipmanager.core.podnet import PROTOCOL, held_mark
from vipmanager.core.settings import Pattern, Settings, TagSelector
from vipmanager.core.values import (
    AddressState,
    CloudRoute,
    EniId,
    KernelRoute,
    KernelState,
    Network,
    PodAddress,
    PodInterface,
    PolicyRule,
    RouteTable,
    Target,
    TargetKind,
    host,
)
from worlds import SUBNETS, cloud, enis, interface, kernel, networks, node, route, table

OUTSIDE = ("192.168.0.1", "192.168.0.2", "2001:db8:1::1", "10.9.9.9")
DUMMY = ("10.0.254.1", "10.0.254.2", "10.0.254.17", "2001:db8:0:fe::1")
HOPELESS = ("10.0.11.10", "10.0.200.1", "169.254.7.7", "fe80::5")
PEERS = (
    "10.0.100.0/24",
    "10.0.1.0/24",
    "2001:db8:0:100::/64",
    "0.0.0.0/0",
    "169.254.0.0/16",
    "10.0.100.7/32",
)
TARGETS = (EniId("eni-a1"), EniId("eni-a2"), EniId("eni-b1"), EniId("eni-b1"))


@dataclass(frozen=True)
class Case:
    """One world, and what is wanted of it."""

    settings: Settings
    facts: Facts


states = st.sampled_from([AddressState.READY] * 6 + list(AddressState))


def often(usual: tuple[str, ...], seldom: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Draw mostly from the first."""
    return st.sampled_from(usual * 4 + seldom)


def fitting(pattern: Pattern) -> tuple[str, ...]:
    """The addresses that can float under a pattern."""
    return OUTSIDE if pattern is Pattern.HOST else DUMMY


@st.composite
def interfaces(draw: st.DrawFn, number: int, pattern: Pattern) -> PodInterface:
    """An interface with up to three addresses in any state."""
    some = often(fitting(pattern), OUTSIDE + DUMMY + HOPELESS)
    chosen = draw(
        st.lists(some, min_size=draw(st.sampled_from([1, 1, 1, 0])), max_size=3, unique=True)
    )
    found = tuple(
        PodAddress(address=ip_address(a), prefix_length=24, state=draw(states)) for a in chosen
    )
    up = draw(st.sampled_from([True] * 7 + [False]))
    # Now and then two interfaces share an ENI.
    carrier = draw(st.sampled_from([number, number, number, 1]))
    return replace(interface("a", number, up=up), addresses=found, mac=interface("a", carrier).mac)


def destinations(pattern: Pattern) -> tuple[Network, ...]:
    """Everything that is routed for one of the addresses."""
    if pattern is Pattern.HOST:
        return tuple(host(ip_address(a)) for a in OUTSIDE)
    return tuple(n for s in SUBNETS if "dummy" in s.id for n in s.networks)


@st.composite
def cloud_routes(draw: st.DrawFn, destination: Network) -> CloudRoute:
    """A route in any standing."""
    found = route(str(destination), draw(st.sampled_from(TARGETS)))
    match draw(st.integers(0, 8)):
        case 0 if found.target.kind is TargetKind.ENI:
            return replace(found, blackhole=True)
        case 1:
            target = Target(kind=TargetKind.OTHER, id="vgw-1")
            return replace(found, target=target, propagated=True)
        case 2:
            return route(str(destination), "igw-1")
        case _:
            return found


@st.composite
def tables(draw: st.DrawFn, number: int, pattern: Pattern) -> RouteTable:
    """A table with some routes; perhaps tagged, perhaps an edge table."""
    routed = draw(
        st.lists(st.sampled_from((*destinations(pattern), *networks("172.31.0.0/16"))), unique=True)
    )
    routes = [draw(cloud_routes(d)) for d in routed]
    made = table(number, routes, tags=draw(st.sampled_from([{"role": "vip"}] * 2 + [{}])))
    return replace(made, edges=("igw-9",) if draw(st.integers(0, 8)) == 0 else ())


def leftovers() -> tuple[KernelRoute, ...]:
    """Routes of ours and of others, wanted and not, one for each key of the kernel."""
    gateway = ip_address("10.0.11.1")
    mine = KernelRoute(
        destination=ip_network("10.0.100.0/24"),
        gateway=gateway,
        device="net1",
        source=ip_address("192.168.0.1"),
        protocol=PROTOCOL,
    )
    foreign = replace(mine, gateway=ip_address("10.0.1.1"), device="eth0", protocol=4)
    return (
        mine,
        foreign,
        replace(mine, source=None),
        replace(mine, protocol=3),
        replace(mine, destination=ip_network("10.77.0.0/16")),
        replace(foreign, destination=ip_network("10.78.0.0/16")),
        replace(mine, destination=ip_network("0.0.0.0/0"), table=86_003, source=None),
        replace(foreign, destination=ip_network("0.0.0.0/0"), table=86_004, source=None),
        replace(foreign, destination=ip_network("0.0.0.0/0"), table=100),
        held_mark(host(ip_address("192.168.0.1")), EniId("eni-b1")),
    )


def old_rules() -> tuple[PolicyRule, ...]:
    """Rules of ours and of others, wanted and not."""
    mine = PolicyRule(
        priority=8610, source=ip_network("192.168.0.1/32"), table=86_003, protocol=PROTOCOL
    )
    return (
        mine,
        replace(mine, protocol=4),
        replace(mine, source=ip_network("192.168.99.1/32")),
        PolicyRule(priority=100, source=ip_network("192.168.0.1/32"), table=100, protocol=4),
        PolicyRule(priority=32766, source=None, table=254, protocol=2),
    )


def _rule_key(rule: PolicyRule) -> object:
    return replace(rule, protocol=0)


@st.composite
def kernels(draw: st.DrawFn, pattern: Pattern) -> KernelState:
    """A pod with up to two Multus interfaces and what others left in it."""
    count = draw(st.sampled_from([2, 1, 2, 0]))
    state = kernel(*(draw(interfaces(n, pattern)) for n in range(1, count + 1)))
    routes = draw(st.lists(st.sampled_from(leftovers()), max_size=6, unique_by=lambda r: r.key))
    held = draw(st.lists(st.sampled_from(destinations(pattern)), max_size=4, unique=True))
    marks = [held_mark(d, draw(st.sampled_from(TARGETS[:2]))) for d in held]
    rules = draw(st.lists(st.sampled_from(old_rules()), max_size=3, unique_by=_rule_key))
    return replace(state, routes=(*state.routes, *routes, *marks), rules=tuple(rules))


peer_lists = st.lists(st.sampled_from(PEERS), max_size=3, unique=True)


@st.composite
def all_settings(draw: st.DrawFn) -> Settings:
    """Any settings that decide something here."""
    selectors = draw(st.sampled_from([(), (), (TagSelector(key="role", value="v*"),)]))
    return Settings(
        peers={n: networks(*chosen) for n in (1, 2) if (chosen := draw(peer_lists))},
        tags=selectors,
        pattern=draw(st.sampled_from(Pattern)),
        source_routing=draw(st.booleans()),
        manage_source_dest_check=draw(st.booleans()),
        floating=draw(st.sampled_from([(), (), networks("192.168.0.0/16", "2001:db8::/32")])),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A whole world."""
    count = draw(st.integers(1, 3))
    asked = draw(all_settings())
    carried = tuple(
        replace(e, source_dest_check=draw(st.sampled_from([False, False, True]))) for e in enis()
    )
    state = replace(
        cloud(), tables=tuple(draw(tables(n, asked.pattern)) for n in range(count)), enis=carried
    )
    imds = node(listed=draw(st.booleans())) if draw(st.booleans()) else None
    facts = Facts(kernel=draw(kernels(asked.pattern)), node=imds, cloud=state)
    return Case(settings=asked, facts=facts)
