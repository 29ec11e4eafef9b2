"""What each action makes of the world."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from vipmanager.core.actions import (
    Action,
    AddRoute,
    AddRule,
    CreateRoute,
    DisableSourceDestCheck,
    RemoveRoute,
    RemoveRule,
    ReplaceRoute,
    show_route,
)
from vipmanager.core.evolve import evolve
from vipmanager.core.podnet import held_mark
from vipmanager.core.values import (
    DesiredRoute,
    EniId,
    KernelRoute,
    PolicyRule,
    RouteTableId,
    World,
    eni_target,
)
from worlds import cloud, eni, enis, pod, pointed

ONE = ip_network("192.168.0.1/32")
A1 = EniId("eni-a1")
T1 = RouteTableId("rtb-01")
ROUTE = KernelRoute(destination=ONE, device="net1", protocol=86)
RULE = PolicyRule(priority=8610, source=ONE, table=86003, protocol=86)
WORLD = World(kernel=pod(), cloud=cloud())


def test_a_route_is_added_replaced_and_removed_by_its_key() -> None:
    added = evolve(WORLD, AddRoute(route=ROUTE, reason=""))
    assert set(added.kernel.routes) - set(WORLD.kernel.routes) == {ROUTE}
    other = replace(ROUTE, device="net2")
    replaced = evolve(added, AddRoute(route=other, over=ROUTE, reason=""))
    assert set(replaced.kernel.routes) - set(WORLD.kernel.routes) == {other}
    aside = evolve(replaced, AddRoute(route=replace(ROUTE, table=8600), reason=""))
    assert len(aside.kernel.routes) == len(replaced.kernel.routes) + 1
    assert evolve(replaced, RemoveRoute(route=other, reason="")) == WORLD


def test_a_rule_is_added_and_removed() -> None:
    added = evolve(WORLD, AddRule(rule=RULE, reason=""))
    assert added.kernel.rules == (RULE,)
    assert evolve(added, RemoveRule(rule=RULE, reason="")) == WORLD


def test_a_cloud_route_is_made_in_its_table_only() -> None:
    after = evolve(
        WORLD, CreateRoute(steer=DesiredRoute(table=T1, destination=ONE, eni=A1), reason="")
    )
    assert after.cloud.tables[0] == WORLD.cloud.tables[0]
    found = after.cloud.tables[1].route_to(ONE)
    assert found is not None
    assert str(found.target) == "eni-a1 (i-a)"
    assert not found.blackhole


def test_a_cloud_route_is_replaced_in_place() -> None:
    before = World(kernel=pod(), cloud=pointed(cloud(), str(ONE), "eni-b1"))
    action = ReplaceRoute(
        steer=DesiredRoute(table=T1, destination=ONE, eni=A1),
        before=eni_target(EniId("eni-b1")),
        reason="",
    )
    after = evolve(before, action).cloud.tables[1]
    assert [r.target.id for r in after.routes if r.destination == ONE] == ["eni-a1"]


def test_a_route_to_an_eni_that_carries_nothing_is_a_blackhole() -> None:
    state = replace(cloud(), enis=(eni("a", 1, attached=False),))
    action = CreateRoute(steer=DesiredRoute(table=T1, destination=ONE, eni=A1), reason="")
    found = evolve(World(kernel=pod(), cloud=state), action).cloud.tables[1].route_to(ONE)
    assert found is not None
    assert found.blackhole


def test_the_check_is_switched_off_on_one_eni() -> None:
    state = replace(cloud(), enis=tuple(replace(e, source_dest_check=True) for e in enis()))
    after = evolve(World(kernel=pod(), cloud=state), DisableSourceDestCheck(eni=A1, reason=""))
    assert {e.id: e.source_dest_check for e in after.cloud.enis} == {
        "eni-a1": False,
        "eni-a2": True,
        "eni-b1": True,
        "eni-b2": True,
    }


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (AddRoute(route=ROUTE, reason=""), "ip route add 192.168.0.1/32 dev net1 proto 86"),
        (
            AddRoute(route=ROUTE, over=ROUTE, reason=""),
            "ip route replace 192.168.0.1/32 dev net1 proto 86",
        ),
        (RemoveRoute(route=ROUTE, reason=""), "ip route del 192.168.0.1/32 dev net1 proto 86"),
        (
            AddRule(rule=RULE, reason=""),
            "ip rule add from 192.168.0.1/32 lookup 86003 priority 8610 protocol 86",
        ),
        (
            RemoveRule(rule=replace(RULE, source=None), reason=""),
            "ip rule del from all lookup 86003 priority 8610 protocol 86",
        ),
        (
            CreateRoute(steer=DesiredRoute(table=T1, destination=ONE, eni=A1), reason=""),
            "192.168.0.1/32 in rtb-01: none -> eni-a1",
        ),
        (DisableSourceDestCheck(eni=A1, reason=""), "eni-a1: source/dest check on -> off"),
    ],
)
def test_an_action_reads_as_an_operator_writes_it(action: Action, text: str) -> None:
    assert str(action) == text


def test_a_mark_is_a_throw_without_a_device() -> None:
    mark = show_route(held_mark(ONE, A1))
    assert mark.startswith("throw 192.168.0.1/32 table 8600 metric ")
    assert mark.endswith(" proto 86")
