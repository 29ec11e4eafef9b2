"""The last look: whatever a planner might get wrong never reaches a route table."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from decide import decide
from vipmanager.core.actions import (
    Action,
    AddRoute,
    AddRule,
    CreateRoute,
    DisableSourceDestCheck,
    RemoveRoute,
    RemoveRule,
    ReplaceRoute,
)
from vipmanager.core.desired import Desired, Facts, desired
from vipmanager.core.findings import Condition
from vipmanager.core.guard import guard
from vipmanager.core.plan import Plan
from vipmanager.core.podnet import PROTOCOL
from vipmanager.core.settings import Pattern, Settings
from vipmanager.core.values import (
    CloudState,
    DesiredRoute,
    Eni,
    EniId,
    KernelRoute,
    PolicyRule,
    RouteTableId,
    SubnetId,
    eni_target,
)
from worlds import cloud, eni, enis, interface, kernel, node, pod, pointed

T0, A1 = RouteTableId("rtb-00"), EniId("eni-a1")
ONE = ip_network("192.168.0.1/32")


def create(destination: str = "192.168.0.1/32", table: str = T0, to: str = A1) -> CreateRoute:
    return CreateRoute(
        steer=DesiredRoute(
            table=RouteTableId(table), destination=ip_network(destination), eni=EniId(to)
        ),
        reason="",
    )


def wish(state: CloudState | None = None) -> Desired:
    return desired(Settings(), Facts(kernel=pod(), node=node(), cloud=state or cloud()))


def guarded(plan: Plan, want: Desired | None = None) -> Plan:
    return guard(plan, want or wish(), settings=Settings(), subnets=(), enis=())


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (create("0.0.0.0/0"), "the default route"),
        (create("::/0"), "the default route"),
        (create("169.254.169.254/32"), "reserved by AWS"),
        (create("fe80::1/128"), "link-local"),
        (create("192.168.0.3/32"), "no floating IP of this pod"),
        (create("192.168.0.0/24"), "no floating IP of this pod"),
        (create("10.0.0.0/16"), "no floating IP of this pod"),
        (create(to="eni-a2"), "no floating IP of this pod"),
        (create(to="eni-b1"), "no floating IP of this pod"),
        (create(table="rtb-77"), "not selected"),
        (DisableSourceDestCheck(eni=EniId("eni-b1"), reason=""), "carries no interface"),
    ],
)
def test_a_cloud_write_that_is_not_ours_is_taken_out_and_said(
    action: CreateRoute | DisableSourceDestCheck, why: str
) -> None:
    good = create()
    plan = guarded(Plan(steer=(action, good)))
    assert plan.steer == (good,)
    (finding,) = plan.findings
    assert why in finding.text


def capped(most: int) -> Plan:
    routes = (create(), create(table="rtb-01"))
    check = DisableSourceDestCheck(eni=A1, reason="")
    return guard(
        Plan(steer=(check, *routes), spare=routes),
        wish(),
        settings=Settings(max_route_writes=most),
        subnets=(),
        enis=(),
    )


def test_a_plan_as_large_as_a_person_has_allowed_is_left_as_it_is() -> None:
    plan = capped(2)
    assert (len(plan.steer), len(plan.spare), plan.findings) == (3, 2, ())


def test_a_larger_plan_writes_no_route_at_all_and_says_what_would_allow_it() -> None:
    plan = capped(1)
    assert [type(a) for a in plan.steer] == [DisableSourceDestCheck]
    assert plan.spare == ()
    (finding,) = plan.findings
    assert finding.text == (
        "2 routes in 2 route tables are to be written, and MaxRouteWrites allows 1: none is written"
    )
    assert finding.remedy.endswith("or allow it: MaxRouteWrites=2")


@pytest.mark.parametrize("target", ["igw-1", "nat-1", "vgw-1", "pcx-1", "local"])
def test_a_route_to_anything_but_an_eni_is_never_replaced(target: str) -> None:
    state = pointed(cloud(), str(ONE), target, only=0)
    action = ReplaceRoute(
        steer=DesiredRoute(table=T0, destination=ONE, eni=A1),
        before=eni_target(EniId("eni-b1")),
        reason="",
    )
    plan = guarded(Plan(steer=(action,)), wish(state))
    assert plan.steer == ()
    assert [f.condition for f in plan.findings] == [Condition.ROUTE_FOREIGN]


def test_a_propagated_route_is_not_overridden_though_it_names_an_eni() -> None:
    state = pointed(cloud(), str(ONE), "eni-b1", only=0)
    first, *others = state.tables
    learnt = replace(
        first, routes=tuple(replace(r, propagated=r.destination == ONE) for r in first.routes)
    )
    plan = guarded(Plan(steer=(create(),)), wish(replace(state, tables=(learnt, *others))))
    assert plan.steer == ()
    assert "propagated" in plan.findings[0].text


MINE = KernelRoute(destination=ONE, device="net1", protocol=PROTOCOL)
RULE = PolicyRule(priority=8610, source=ONE, table=86003, protocol=PROTOCOL)


@pytest.mark.parametrize(
    ("action", "kept"),
    [
        (AddRoute(route=MINE, reason=""), True),
        (AddRoute(route=MINE, over=MINE, reason=""), True),
        (AddRoute(route=MINE, over=replace(MINE, protocol=3), reason=""), False),
        (AddRoute(route=replace(MINE, protocol=4), reason=""), False),
        (RemoveRoute(route=MINE, reason=""), True),
        (RemoveRoute(route=replace(MINE, protocol=3), reason=""), False),
        (AddRule(rule=RULE, reason=""), True),
        (AddRule(rule=replace(RULE, priority=100), reason=""), False),
        (AddRule(rule=replace(RULE, protocol=4), reason=""), False),
        (RemoveRule(rule=RULE, reason=""), True),
        (RemoveRule(rule=replace(RULE, protocol=2, priority=0), reason=""), False),
        (RemoveRule(rule=replace(RULE, priority=32766), reason=""), False),
    ],
)
def test_kernel_writes_outside_our_protocol_and_priorities_are_taken_out(
    action: AddRoute | AddRule | RemoveRoute | RemoveRule,
    kept: bool,  # noqa: FBT001 - a table's column
) -> None:
    expected: tuple[Action, ...] = (action,) if kept else ()
    assert guarded(Plan(prepare=(action,))).prepare == expected
    assert guarded(Plan(tidy=(action,))).tidy == expected


DUMMY = ip_network("10.0.254.0/28")
RESIDENT = replace(
    eni("b", 2),
    id=EniId("eni-resident"),
    subnet=SubnetId("subnet-dummy1"),
    addresses=frozenset({ip_address("10.0.254.5")}),
)


@pytest.mark.parametrize(
    ("routed", "resident", "writes", "says"),
    [
        # a first capture of an empty subnet
        (None, (), 2, set()),
        # of a subnet in which something lives
        (None, (RESIDENT,), 0, {Condition.SUBNET_OCCUPIED}),
        # a failover must not be blocked by a stray ENI, in no table
        ("all", (RESIDENT,), 2, set()),
        ("one", (RESIDENT,), 2, set()),
    ],
)
def test_a_subnet_in_use_is_not_captured_but_a_failover_goes_on(
    routed: str | None, resident: tuple[Eni, ...], writes: int, says: set[Condition]
) -> None:
    state = replace(cloud(), enis=(*enis(), *resident))
    if routed is not None:
        state = pointed(state, str(DUMMY), "eni-b1", only=0 if routed == "one" else None)
    facts = Facts(kernel=kernel(interface("a", 1, "10.0.254.1")), node=node(), cloud=state)
    _, plan, _ = decide(Settings(pattern=Pattern.SUBNET), facts)
    assert len(plan.steer) == writes
    assert {f.condition for f in plan.findings} == says


def test_an_occupied_subnet_is_refused_with_the_names_of_who_lives_there() -> None:
    state = replace(cloud(), enis=(*enis(), RESIDENT))
    facts = Facts(kernel=kernel(interface("a", 1, "10.0.254.1")), node=node(), cloud=state)
    _, plan, _ = decide(Settings(pattern=Pattern.SUBNET), facts)
    assert "subnet-dummy1" in plan.findings[0].text
    assert "eni-resident" in plan.findings[0].text
    assert plan.findings[0].remedy
