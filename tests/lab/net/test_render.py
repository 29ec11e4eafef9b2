"""The router's lines for a state, in the words of `ip`; no kernel."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from vipmanager_lab.router import link_local, port, render, table_number
from vipmanager_lab.vpc import VpcState

EVERY = frozenset({"eni-a0", "eni-a1", "eni-b0", "eni-b1", "eni-c0"})
NAMES = {str(table_number(name)): name for name in ("rtb-client", "rtb-main", "vpc-1")}


def lines(
    state: VpcState,
    *,
    about: str = "",
    plugged: frozenset[str] = EVERY,
    cut: frozenset[str] = frozenset(),
) -> list[str]:
    """Those that contain `about`, with tables by name."""
    plane = render(state, plugged=plugged, cut=cut)
    named = [" ".join(NAMES.get(word, word) for word in str(one).split()) for one in plane.lines]
    return [one for one in named if about in one]


def test_an_eni_with_the_check_may_send_from_what_it_owns_only(base: VpcState) -> None:
    assert [one for one in lines(base, about="iif enia0") if ":" not in one] == [
        "rule pref 100 from 10.0.1.10 iif enia0 goto 300",
        "rule pref 100 from 10.0.1.50 iif enia0 goto 300",
        "rule pref 200 iif enia0 blackhole",
        "rule pref 400 to 10.0.1.0/24 iif enia0 lookup vpc-1",
        "rule pref 500 iif enia0 lookup rtb-main",
        "rule pref 600 iif enia0 lookup vpc-1",
        "rule pref 200 iif enia0 blackhole",
        "rule pref 500 iif enia0 lookup rtb-main",
        "rule pref 600 iif enia0 lookup vpc-1",
    ]


def test_an_eni_without_the_check_may_send_from_anything(base: VpcState) -> None:
    assert [one for one in lines(base, about="iif enia1") if ":" not in one][:3] == [
        "rule pref 400 to 10.0.11.0/24 iif enia1 lookup vpc-1",
        "rule pref 500 iif enia1 lookup rtb-main",
        "rule pref 600 iif enia1 lookup vpc-1",
    ]


def test_a_subnet_with_an_association_has_its_own_table(base: VpcState) -> None:
    assert "rule pref 500 iif enic0 lookup rtb-client" in lines(base)
    assert "rule pref 500 iif enib0 lookup rtb-main" in lines(base)


def test_a_table_without_subnets_in_use_is_left_out(base: VpcState) -> None:
    assert lines(base, about="table rtb-client")
    assert not lines(base, about="table rtb-client", plugged=EVERY - {"eni-c0"})


def test_local_leads_on_to_the_mapping_and_nothing_else_does(base: VpcState) -> None:
    assert lines(base, about="table rtb-main") == [
        "route blackhole 0.0.0.0/0 table rtb-main",
        "route throw 10.0.0.0/16 table rtb-main",
        "route throw 2001:db8::/56 table rtb-main",
        "route blackhole ::/0 table rtb-main",
    ]


def test_the_mapping_holds_each_address_and_drops_the_rest_of_the_vpc(base: VpcState) -> None:
    found = lines(base, about="table vpc-1")
    assert "route 10.0.1.50/32 table vpc-1 via 10.0.1.10 dev enia0 onlink" in found
    assert "route 2001:db8:0:1::10/128 table vpc-1 via fe80::ff:fe00:110 dev enia0 onlink" in found
    assert "route blackhole 10.0.0.0/16 table vpc-1" in found


Steered = Callable[[VpcState, str, str, str], VpcState]


@pytest.mark.parametrize(
    ("destination", "target", "expected"),
    [
        ("100.64.0.1/32", "eni-a1", "route {} via 10.0.11.10 dev enia1 onlink"),
        ("0.0.0.0/0", "eni-a1", "route {} via 10.0.11.10 dev enia1 onlink"),
        ("10.0.2.0/24", "eni-a1", "route {} via 10.0.11.10 dev enia1 onlink"),
        ("10.0.0.0/16", "eni-a1", "route {} via 10.0.11.10 dev enia1 onlink"),
        ("2001:db8:f::1/128", "eni-a1", "route {} via fe80::ff:fe00:b10 dev enia1 onlink"),
        ("100.64.0.1/32", "eni-a0", "route blackhole {}"),  # source/dest check
        ("0.0.0.0/0", "igw-1", "route blackhole {}"),
        ("100.64.0.1/32", "eni-gone", "route blackhole {}"),
        ("10.0.2.0/24", "local", "route throw {}"),
    ],
)
def test_a_route_becomes_one_of_the_kernel(
    base: VpcState, steered: Steered, destination: str, target: str, expected: str
) -> None:
    state = steered(base, "rtb-client", destination, target)
    key = f"{destination} table rtb-client"
    assert lines(state, about=f"{destination} table rtb-client") == [expected.format(key)]


@pytest.mark.parametrize(
    ("fields", "plugged", "cut"),
    [
        ({"instance": None}, EVERY, frozenset[str]()),
        ({"instance_running": False}, EVERY, frozenset[str]()),
        ({}, EVERY, frozenset({"eni-a1"})),
        ({}, EVERY - {"eni-a1"}, frozenset[str]()),
    ],
    ids=["detached", "stopped", "cut", "unplugged"],
)
def test_a_route_to_a_dark_eni_is_a_blackhole(  # noqa: PLR0917 - fixtures
    base: VpcState,
    steered: Steered,
    changed: Callable[..., VpcState],
    fields: dict[str, object],
    plugged: frozenset[str],
    cut: frozenset[str],
) -> None:
    state = changed(steered(base, "rtb-client", "100.64.0.1/32", "eni-a1"), "eni-a1", **fields)
    assert lines(state, about="100.64.0.1/32", plugged=plugged, cut=cut) == [
        "route blackhole 100.64.0.1/32 table rtb-client"
    ]
    assert not lines(state, about="dev enia1 onlink", plugged=plugged, cut=cut)
    heard = lines(state, about="iif enia1", plugged=plugged, cut=cut)
    silent = [
        "rule pref 5 to 10.0.11.1 iif enia1 lookup local",
        "rule pref 10 iif enia1 blackhole",
        "rule pref 10 iif enia1 blackhole",
    ]
    assert heard == (silent if "eni-a1" in plugged else [])


def test_the_dest_check_lets_the_enis_own_addresses_through_unless_another_route_is_longer(
    base: VpcState, steered: Steered
) -> None:
    state = steered(base, "rtb-client", "10.0.1.0/24", "eni-a0")
    state = steered(state, "rtb-client", "10.0.1.48/28", "eni-b1")
    found = [one for one in lines(state, about="10.0.1.") if "table rtb-client" in one]
    assert found == [
        "route blackhole 10.0.1.0/24 table rtb-client",
        "route 10.0.1.10/32 table rtb-client via 10.0.1.10 dev enia0 onlink",
        "route 10.0.1.48/28 table rtb-client via 10.0.12.10 dev enib1 onlink",
    ]


def test_a_blackhole_route_stays_one_whatever_its_target(base: VpcState, steered: Steered) -> None:
    state = steered(base, "rtb-client", "100.64.0.1/32", "eni-a1")
    table = state.tables[0]
    dead = replace(table, routes=(*table.routes[:-1], replace(table.routes[-1], state="blackhole")))
    state = replace(state, tables=(dead, *state.tables[1:]))
    assert lines(state, about="100.64.0.1/32") == ["route blackhole 100.64.0.1/32 table rtb-client"]


def test_the_same_state_gives_the_same_lines_in_any_order(base: VpcState) -> None:
    backwards = replace(
        base,
        subnets=base.subnets[::-1],
        enis=base.enis[::-1],
        tables=base.tables[::-1],
    )
    assert lines(backwards) == lines(base)


def test_a_new_table_moves_no_other(base: VpcState) -> None:
    extra = replace(base.tables[0], id="rtb-0", subnets=())
    assert lines(replace(base, tables=(extra, *base.tables))) == lines(base)


def test_names_and_addresses_of_a_port() -> None:
    assert port("eni-0123456789abcdef0") == "eni56789abcdef0"
    assert link_local("02:00:00:00:01:10") == IPv6Address("fe80::ff:fe00:110")
