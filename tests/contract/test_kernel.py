"""One contract for the pod's kernel: the one in memory and the real one."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import count

import pytest

from vipmanager.core.actions import AddRoute, AddRule, KernelAction, RemoveRoute, RemoveRule
from vipmanager.core.failures import Conflict, Permanent, Transient
from vipmanager.core.podnet import held_mark
from vipmanager.core.values import (
    AddressState,
    EniId,
    KernelRoute,
    PodInterface,
    PolicyRule,
)
from vipmanager.edges.kernel import IpRoute, NetlinkWatch
from vipmanager.edges.memory import MemoryKernel
from vipmanager_lab.netns import Netns

_numbers = count()

POD = """\
link add eth0 type veth peer name eth0p
link add net1 type veth peer name net1p
link set eth0 addrgenmode none
link set eth0p addrgenmode none
link set net1 addrgenmode none
link set net1p addrgenmode none
link set eth0 up
link set eth0p up
link set net1 up
link set net1p up
addr add 10.0.1.11/32 dev eth0
addr add 192.168.0.1/32 dev net1
addr add 2001:db8:1::1/128 dev net1 nodad
route add default via 169.254.1.1 dev eth0 onlink
"""


@pytest.fixture
def pod() -> Iterator[Netns]:
    """A namespace with a primary and one Multus interface, like a pod's."""
    with Netns(f"k{os.getpid()}", str(next(_numbers))) as namespace:
        namespace.ip_batch(POD.splitlines())
        yield namespace


@pytest.fixture
def real(pod: Netns) -> IpRoute:
    return IpRoute(command=("ip", "-n", pod.full_name))


@pytest.fixture(params=["memory", "real"])
def kernel(request: pytest.FixtureRequest, real: IpRoute) -> IpRoute | MemoryKernel:
    return real if request.param == "real" else MemoryKernel(real.read())


Either = IpRoute | MemoryKernel

PEER4 = KernelRoute(
    destination=ip_network("10.0.100.0/24"),
    gateway=ip_address("10.0.11.1"),
    device="net1",
    source=ip_address("192.168.0.1"),
    protocol=86,
    on_link=True,
)
PEER6 = KernelRoute(
    destination=ip_network("2001:db8:0:100::/64"),
    gateway=ip_address("fe80:ec2::1"),
    device="net1",
    source=ip_address("2001:db8:1::1"),
    metric=1024,
    protocol=86,
    on_link=True,
)
ROUTES = {
    "an IPv4 peer": PEER4,
    "an IPv6 peer": PEER6,
    "a host": replace(PEER4, destination=ip_network("10.0.100.7/32")),
    "an IPv4 default in a table of its own": replace(
        PEER4, destination=ip_network("0.0.0.0/0"), table=86_003, source=None
    ),
    "an IPv6 default in a table of its own": replace(
        PEER6, destination=ip_network("::/0"), table=86_003, source=None
    ),
    "a route without a gateway": replace(PEER4, gateway=None, source=None, on_link=False),
    "an IPv4 mark": held_mark(ip_network("192.168.0.1/32"), EniId("eni-0123456789abcdef0")),
    "an IPv6 mark": held_mark(ip_network("2001:db8:1::1/128"), EniId("eni-0123456789abcdef0")),
    "the mark of a subnet": held_mark(ip_network("10.0.254.0/28"), EniId("eni-0")),
    "a mark with the greatest metric": replace(
        held_mark(ip_network("192.168.0.1/32"), EniId("eni-0")), metric=2**32 - 1
    ),
}
RULE4 = PolicyRule(priority=8610, source=ip_network("192.168.0.1/32"), table=86_003, protocol=86)
RULE6 = replace(RULE4, source=ip_network("2001:db8:1::1/128"), version=6)


def add(route: KernelRoute, over: KernelRoute | None = None) -> AddRoute:
    return AddRoute(route=route, over=over, reason="")


def remove(route: KernelRoute) -> RemoveRoute:
    return RemoveRoute(route=route, reason="")


def test_a_pod_is_read_with_its_interfaces_routes_and_rules(kernel: Either) -> None:
    state = kernel.read()
    links = {i.name: i for i in state.interfaces}
    assert set(links) == {"lo", "eth0", "eth0p", "net1", "net1p"}
    assert [str(a.address) for a in links["net1"].addresses] == ["192.168.0.1", "2001:db8:1::1"]
    assert {a.state for a in links["net1"].addresses} == {AddressState.READY}
    assert all(i.up for i in links.values())
    assert len({i.mac for i in links.values()}) == 5
    (default,) = [r for r in state.routes if r.destination.prefixlen == 0]
    assert (default.device, str(default.gateway)) == ("eth0", "169.254.1.1")
    assert {(r.version, r.priority) for r in state.rules} == {
        (4, 0),
        (4, 32766),
        (4, 32767),
        (6, 0),
        (6, 32766),
    }
    assert 86 not in {r.protocol for r in state.routes} | {r.protocol for r in state.rules}


@pytest.mark.parametrize("name", ROUTES)
def test_a_route_is_read_back_as_it_was_written_and_goes_without_a_trace(
    kernel: Either, name: str
) -> None:
    route, before = ROUTES[name], kernel.read()
    assert kernel.write([add(route)]) == []
    after = kernel.read()
    assert set(after.routes) - set(before.routes) == {route}
    assert set(before.routes) <= set(after.routes)
    assert (after.interfaces, after.rules) == (before.interfaces, before.rules)
    assert kernel.write([remove(route)]) == []
    assert set(kernel.read().routes) == set(before.routes)


@pytest.mark.parametrize("rule", [RULE4, RULE6])
def test_a_rule_is_read_back_as_it_was_written_and_goes_without_a_trace(
    kernel: Either, rule: PolicyRule
) -> None:
    before = kernel.read()
    assert kernel.write([AddRule(rule=rule, reason="")]) == []
    after = kernel.read()
    assert set(after.rules) - set(before.rules) == {rule}
    assert kernel.write([RemoveRule(rule=rule, reason="")]) == []
    assert set(kernel.read().rules) == set(before.rules)


def test_both_families_are_written_in_one_go(kernel: Either) -> None:
    actions: list[KernelAction] = [add(r) for r in (PEER6, PEER4)]
    actions += [AddRule(rule=r, reason="") for r in (RULE6, RULE4)]
    assert kernel.write(actions) == []
    state = kernel.read()
    assert {PEER4, PEER6} <= set(state.routes)
    assert {RULE4, RULE6} <= set(state.rules)


@pytest.mark.parametrize("route", [PEER4, PEER6])
def test_our_own_route_is_replaced_in_place(kernel: Either, route: KernelRoute) -> None:
    old = replace(route, source=None)
    kernel.write([add(old)])
    assert kernel.write([add(route, over=old)]) == []
    assert [r for r in kernel.read().routes if r.key == route.key] == [route]


@pytest.mark.parametrize("route", [PEER4, PEER6])
def test_a_route_of_another_program_is_not_overwritten(kernel: Either, route: KernelRoute) -> None:
    foreign = replace(route, device="eth0", source=None, protocol=4)
    assert kernel.write([add(foreign)]) == []
    ((action, failure),) = kernel.write([add(route)])
    assert action == add(route)
    assert isinstance(failure, Conflict)
    assert "File exists" in failure.what
    assert [r for r in kernel.read().routes if r.key == route.key] == [foreign]


@pytest.mark.parametrize("rule", [RULE4, RULE6])
def test_a_rule_of_ours_never_takes_the_place_of_another_program_s(
    kernel: Either, rule: PolicyRule
) -> None:
    foreign = replace(rule, protocol=4)
    kernel.write([AddRule(rule=foreign, reason="")])
    # Some kernels take the second for a duplicate, others keep both.
    failed = kernel.write([AddRule(rule=rule, reason="")])
    assert all(isinstance(f, Conflict) for _, f in failed)
    assert kernel.write([RemoveRule(rule=rule, reason="")]) == []
    assert foreign in kernel.read().rules


@pytest.mark.parametrize("rule", [RULE4, RULE6])
def test_a_rule_that_is_there_already_is_a_conflict(kernel: Either, rule: PolicyRule) -> None:
    kernel.write([AddRule(rule=rule, reason="")])
    ((_, failure),) = kernel.write([AddRule(rule=rule, reason="")])
    assert isinstance(failure, Conflict)


@pytest.mark.parametrize(
    "action",
    [
        remove(PEER4),
        remove(PEER6),
        remove(replace(PEER4, device="net9")),
        RemoveRule(rule=RULE4, reason=""),
        RemoveRule(rule=RULE6, reason=""),
    ],
)
def test_removing_what_is_gone_already_is_fine(kernel: Either, action: KernelAction) -> None:
    before = kernel.read()
    assert kernel.write([action]) == []
    assert kernel.read() == before


def test_a_batch_goes_on_past_failures_and_names_them(kernel: Either) -> None:
    foreign = replace(PEER4, device="eth0", source=None, protocol=4)
    kernel.write([add(foreign)])
    good = replace(PEER4, destination=ip_network("10.0.101.0/24"))
    last = replace(PEER4, destination=ip_network("10.0.102.0/24"))
    failed = kernel.write([add(good), add(PEER4), remove(PEER6), add(PEER6), add(last)])
    assert [a for a, _ in failed] == [add(PEER4)]
    assert {good, PEER6, last} <= set(kernel.read().routes)


def test_two_metrics_are_two_routes(kernel: Either) -> None:
    marks = [held_mark(ip_network("192.168.0.1/32"), EniId(f"eni-{n}")) for n in range(3)]
    assert kernel.write([add(m) for m in marks]) == []
    assert set(marks) <= set(kernel.read().routes)
    assert kernel.write([remove(marks[1])]) == []
    assert set(marks) & set(kernel.read().routes) == {marks[0], marks[2]}


# --- what only a real kernel does --------------------------------------------------------------


@pytest.mark.parametrize("route", [replace(PEER4, device="net9"), replace(PEER6, device="net9")])
def test_a_device_that_is_not_there_may_be_coming(real: IpRoute, route: KernelRoute) -> None:
    ((_, failure),) = real.write([add(route)])
    assert isinstance(failure, Transient)


def test_a_source_that_is_no_address_of_the_pod_needs_a_person(real: IpRoute) -> None:
    ((_, failure),) = real.write([add(replace(PEER4, source=ip_address("192.168.9.9")))])
    assert isinstance(failure, Permanent)
    assert "10.0.100.0/24" in failure.what


def net1(real: IpRoute) -> PodInterface:
    return next(i for i in real.read().interfaces if i.name == "net1")


def test_a_link_that_goes_down_loses_routes_and_ipv6_addresses_but_no_marks(
    pod: Netns, real: IpRoute
) -> None:
    marks = [ROUTES["an IPv4 mark"], ROUTES["an IPv6 mark"]]
    real.write([add(r) for r in (PEER4, PEER6, *marks)])
    pod.ip_batch(["link set net1 down"])
    assert not net1(real).up
    assert [str(a.address) for a in net1(real).addresses] == ["192.168.0.1"]
    assert not {PEER4, PEER6} & set(real.read().routes)
    assert set(marks) <= set(real.read().routes)
    ((_, failure),) = real.write([add(PEER4)])
    assert isinstance(failure, Transient)
    pod.ip_batch(["link set net1 up", "addr add 2001:db8:1::1/128 dev net1 nodad"])
    assert real.write([add(PEER4), add(PEER6)]) == []
    assert {PEER4, PEER6} <= set(real.read().routes)


def test_a_namespace_that_is_gone_is_no_empty_pod() -> None:
    gone = IpRoute(command=("ip", "-n", "no-such-namespace"))
    with pytest.raises(Transient):
        gone.read()
    assert [a for a, _ in gone.write([add(PEER4), remove(PEER6)])] == [add(PEER4), remove(PEER6)]


def test_rules_with_other_selectors_are_not_taken_for_plain_ones(pod: Netns, real: IpRoute) -> None:
    pod.ip_batch(["rule add from 192.168.0.1 fwmark 7 lookup 100 priority 50"])
    (rule,) = [r for r in real.read().rules if r.priority == 50]
    assert not rule.plain


@pytest.fixture
def stirred(pod: Netns) -> Callable[[], bool]:
    """Start a watch in the pod; the function waits for what it notices next."""
    noticed = threading.Event()
    watch = pod.call(lambda: NetlinkWatch(noticed.set))
    watch.start()

    def wait() -> bool:
        seen = noticed.wait(5)
        noticed.clear()
        return seen

    return wait


@pytest.mark.parametrize(
    "change",
    [
        "addr add 192.168.0.2/32 dev net1",
        "addr add 2001:db8:1::2/128 dev net1 nodad",
        "addr del 192.168.0.1/32 dev net1",
        "link set net1 down",
        "link add net2 type veth peer name net2p",
        "route add 10.7.0.0/16 dev net1",
        "-6 route add 2001:db8:7::/64 dev net1",
        "rule add from 10.7.7.7 lookup 100",
        "-6 rule add from 2001:db8:7::7 lookup 100",
    ],
)
def test_a_change_in_the_pod_is_noticed(
    pod: Netns, stirred: Callable[[], bool], change: str
) -> None:
    pod.run(["ip", *change.split()])
    assert stirred()


def test_duplicate_address_detection_is_followed_to_its_end(
    pod: Netns, real: IpRoute, stirred: Callable[[], bool]
) -> None:
    pod.ip_batch(["addr add 2001:db8:1::9/64 dev net1p nodad"])
    pod.ip_batch(["addr add 2001:db8:1::9/64 dev net1", "addr add 2001:db8:1::8/64 dev net1"])

    def states() -> list[AddressState]:
        return [
            a.state
            for n in (8, 9)
            for a in net1(real).addresses
            if a.address == ip_address(f"2001:db8:1::{n}")
        ]

    assert states() == [AddressState.TENTATIVE, AddressState.TENTATIVE]
    seen = states()
    while AddressState.TENTATIVE in seen and stirred():
        seen = states()
    assert seen == [AddressState.READY, AddressState.DUPLICATE]
