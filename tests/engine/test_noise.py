"""What other programs do in the pod costs no reading of EC2, and delays little."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from engine.scene import ONE, PEERS, PLAIN, give, holding, last, net1, owners, rest
from simulation.pod import Pod
from simulation.world import World
from vipmanager.core.podnet import PROTOCOL
from vipmanager.core.settings import Settings
from vipmanager.core.values import (
    AddressState,
    KernelRoute,
    KernelState,
    Mac,
    PodAddress,
    PodInterface,
    PolicyRule,
)

SBR = Settings(source_routing=True)
MINUTE = 60.0
EVERY = 0.05
"""Seconds between two changes of a noisy program."""

Change = Callable[[KernelState, int], KernelState]


def with_route(route: KernelRoute) -> Change:
    def change(state: KernelState, number: int) -> KernelState:
        kept = tuple(r for r in state.routes if r != route)
        return replace(state, routes=kept if number % 2 else (*kept, route))

    return change


def foreign(destination: str, table: int = 500, device: str = "net1") -> KernelRoute:
    return KernelRoute(
        destination=ip_network(destination), table=table, device=device, protocol=186
    )


def many_routes(state: KernelState, number: int) -> KernelState:
    route = foreign(f"100.64.{number % 250}.0/24")
    kept = tuple(r for r in state.routes if r.destination != route.destination)
    return replace(state, routes=(*kept, route))


def a_rule(state: KernelState, number: int) -> KernelState:
    rule = PolicyRule(priority=20_000 + number, source=ip_network("10.9.0.0/16"), table=500)
    kept = tuple(r for r in state.rules if r.table != 500)
    return replace(state, rules=(*kept, rule))


def a_tunnel(state: KernelState, number: int) -> KernelState:
    kept = tuple(i for i in state.interfaces if i.name != "tun0")
    address = PodAddress(
        address=ip_address(f"10.8.0.{number % 250}"), prefix_length=24, state=AddressState.READY
    )
    tunnel = PodInterface(
        name="tun0", index=90, mac=Mac(""), up=bool(number % 3), addresses=(address,)
    )
    return replace(state, interfaces=(*kept, tunnel))


NOISES = {
    "routes of a table of its own": many_routes,
    "a route beside ours in the main table": with_route(foreign("100.64.0.0/10", table=254)),
    "a route of a table whose number ours could be": with_route(foreign("0.0.0.0/0", table=8700)),
    "rules for other addresses": a_rule,
    "a tunnel that comes and goes": a_tunnel,
}


def noisy(world: World, pod: Pod, change: Change, seconds: float = MINUTE) -> None:
    """Change something in the pod twenty times a second."""

    def make(number: int) -> None:
        pod.kernel.state = change(pod.kernel.state, number)
        pod.netlink()

    for number in range(round(seconds / EVERY)):
        world.at(world.now + number * EVERY, lambda number=number: make(number))


@pytest.mark.parametrize("settings", [PLAIN, PEERS, SBR], ids=["plain", "peers", "UseSBR"])
@pytest.mark.parametrize("change", NOISES.values(), ids=NOISES)
def test_what_is_not_ours_costs_no_pass(change: Change, settings: Settings) -> None:
    world, pod = holding(settings)
    noisy(world, pod, change)
    rest(world, MINUTE)
    assert {r.reasons for r in pod.reports} <= {("resync",)}
    assert len(pod.reports) <= 3


def test_what_is_ours_is_seen_within_a_second_in_any_noise() -> None:
    world, pod = holding()
    noisy(world, pod, many_routes)
    rest(world, 10)
    fresh = PodAddress(address=ip_address("192.168.0.3"), prefix_length=32)
    give(pod, replace(net1(pod), addresses=(*net1(pod).addresses, fresh)))
    rest(world, 1.0)
    assert owners(world, "192.168.0.3/32") == {"eni-a1"}
    assert owners(world, ONE) == {"eni-a1"}


def test_a_program_that_takes_our_rules_away_again_and_again_costs_few_passes() -> None:
    world, pod = holding(SBR)
    ours = [r for r in pod.kernel.state.rules if r.protocol == PROTOCOL]
    assert ours
    noisy(world, pod, lambda s, _: replace(s, rules=tuple(r for r in s.rules if r not in ours)))
    rest(world, MINUTE)
    assert 10 <= len(pod.reports) <= 60
    rest(world, 20)
    assert set(ours) <= set(pod.kernel.state.rules)
    assert last(pod).clean


def test_an_order_is_not_kept_waiting_by_noise() -> None:
    world, pod = holding()
    noisy(world, pod, many_routes)
    rest(world, 10)
    pod.wake("asked to look")
    rest(world, 0.1)
    assert "asked to look" in pod.reports[-1].reasons
