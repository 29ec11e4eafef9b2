"""What `ip -j` says, read; what it should never say, refused."""

import json
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vipmanager.core.actions import AddRoute, RemoveRoute
from vipmanager.core.failures import Conflict, Failure, Permanent, Transient
from vipmanager.core.values import AddressState, KernelRoute, KernelState, PolicyRule, RouteKind
from vipmanager.edges.kernel import IpRoute

LO = {
    "ifindex": 1,
    "ifname": "lo",
    "flags": ["LOOPBACK", "UP"],
    "address": "00:00:00:00:00:00",
    "addr_info": [],
}
RULES = [{"priority": 0, "src": "all", "table": "255", "protocol": "2"}]


def saying(folder: Path, four: str, six: str = "", code: int = 0) -> IpRoute:
    """An `ip` that gives these answers to the batch and to `-6 rule show`."""
    (folder / "four").write_text(four)
    (folder / "six").write_text(six or json.dumps(RULES))
    script = f'case "$*" in *-6*) cat "$0/six";; *) cat "$0/four"; exit {code};; esac'
    return IpRoute(command=("sh", "-c", script, str(folder)))


def answer(links: Sequence[Any] = (), routes: Sequence[Any] = (), rules: Any = None) -> str:  # noqa: ANN401
    documents = [[LO, *links], list(routes), RULES if rules is None else rules]
    return "\n".join(map(json.dumps, documents))


def link(**addr: object) -> dict[str, object]:
    found = {"local": "192.168.0.1", "prefixlen": 24, "scope": "0", **addr}
    return {
        "ifindex": 3,
        "ifname": "net1",
        "flags": ["UP"],
        "address": "02:AA:00:00:00:01",
        "addr_info": [found],
    }


def test_an_interface_of_any_name_is_read_and_escaped(tmp_path: Path) -> None:
    """The kernel takes every byte but blanks, / and : for a name, and `ip` shows it as it is."""
    shown = answer([link() | {"ifname": "NAME"}])
    ip = saying(tmp_path, "")
    (tmp_path / "four").write_bytes(shown.encode().replace(b"NAME", b"a\x1b[31m\xff\xe2\x80\xae"))
    assert [i.name for i in ip.read().interfaces] == ["lo", r"a\x1b[31m\udcff\u202e"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ({}, AddressState.READY),
        ({"local": "2001:db8::1"}, AddressState.READY),
        ({"local": "2001:db8::1", "tentative": True}, AddressState.TENTATIVE),
        ({"local": "2001:db8::1", "optimistic": True}, AddressState.TENTATIVE),
        ({"local": "2001:db8::1", "tentative": True, "dadfailed": True}, AddressState.DUPLICATE),
        # what is not global, or will not stay, is no address to steer
        ({"local": "fe80::1", "scope": "253"}, None),
        ({"local": "169.254.1.5", "scope": "253"}, None),
        ({"scope": "254"}, None),
        ({"local": "2001:db8::1", "temporary": True}, None),
        ({"local": "2001:db8::1", "temporary": True, "deprecated": True}, None),
        ({"local": "2001:db8::1", "deprecated": True, "dynamic": True}, None),
        ({"deprecated": True, "dynamic": True}, None),
        # deprecated for good: an address that is no source of other connections
        ({"local": "2001:db8::1", "deprecated": True}, AddressState.READY),
        ({"deprecated": True}, AddressState.READY),
        ({"scope": "253"}, AddressState.READY),
        # its time is limited, and a server brings it again
        ({"dynamic": True}, AddressState.READY),
    ],
)
def test_an_address_is_read_with_its_state(
    tmp_path: Path, address: dict[str, object], expected: AddressState | None
) -> None:
    net1 = saying(tmp_path, answer([link(**address)])).read().interfaces[1]
    assert (net1.name, net1.index, net1.mac, net1.up) == ("net1", 3, "02:aa:00:00:00:01", True)
    assert [a.state for a in net1.addresses] == ([expected] if expected else [])


@pytest.mark.parametrize(
    "said",
    [
        "RTNETLINK answers: Address family not supported by protocol\nDump terminated",
        "RTNETLINK answers: Operation not supported\nDump terminated",
    ],
)
def test_a_kernel_without_ipv6_is_read_as_having_no_ipv6_rule(tmp_path: Path, said: str) -> None:
    (tmp_path / "four").write_text(answer([link()]))
    (tmp_path / "said").write_text(said)
    six = 'cat "$0/said" >&2; exit 255'
    script = f'case "$*" in *-6*) {six};; *) cat "$0/four";; esac'
    state = IpRoute(command=("sh", "-c", script, str(tmp_path))).read()
    assert [i.name for i in state.interfaces] == ["lo", "net1"]
    assert {r.version for r in state.rules} == {4}


def test_any_other_failure_to_read_ipv6_rules_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "four").write_text(answer([link()]))
    script = (
        'case "$*" in *-6*) echo "Cannot open netlink socket" >&2; exit 255;; esac; cat "$0/four"'
    )
    with pytest.raises(Transient, match="Cannot open netlink socket"):
        IpRoute(command=("sh", "-c", script, str(tmp_path))).read()


def test_a_link_without_up_is_down(tmp_path: Path) -> None:
    down = {**link(), "flags": ["NO-CARRIER", "BROADCAST"]}
    assert not saying(tmp_path, answer([down])).read().interfaces[1].up


@pytest.mark.parametrize(
    ("flags", "carrier"),
    [
        (["BROADCAST", "UP", "LOWER_UP"], True),
        (["NO-CARRIER", "BROADCAST", "UP", "M-DOWN"], False),
        (["NO-CARRIER", "BROADCAST", "UP"], False),
    ],
)
def test_a_link_over_one_that_is_down_has_no_carrier(
    tmp_path: Path, flags: list[str], *, carrier: bool
) -> None:
    net1 = saying(tmp_path, answer([{**link(), "flags": flags}])).read().interfaces[1]
    assert (net1.up, net1.carrier) == (True, carrier)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (
            {"dst": "default", "gateway": "169.254.1.1", "dev": "eth0", "protocol": "3"},
            KernelRoute(
                destination=ip_network("0.0.0.0/0"),
                gateway=ip_address("169.254.1.1"),
                device="eth0",
                protocol=3,
            ),
        ),
        (
            {
                "dst": "default",
                "gateway": "fe80::1",
                "dev": "eth0",
                "protocol": "9",
                "metric": 1024,
                "pref": "medium",
            },
            KernelRoute(
                destination=ip_network("::/0"),
                gateway=ip_address("fe80::1"),
                device="eth0",
                protocol=9,
                metric=1024,
            ),
        ),
        (
            {"dst": "default", "dev": "eth0", "protocol": "3", "metric": 7, "pref": "medium"},
            KernelRoute(destination=ip_network("::/0"), device="eth0", protocol=3, metric=7),
        ),
        (
            {
                "dst": "10.0.0.5",
                "dev": "net1",
                "gateway": "10.0.11.1",
                "prefsrc": "192.168.0.1",
                "protocol": "86",
                "flags": ["onlink"],
                "table": "8601",
            },
            KernelRoute(
                destination=ip_network("10.0.0.5/32"),
                gateway=ip_address("10.0.11.1"),
                device="net1",
                source=ip_address("192.168.0.1"),
                protocol=86,
                table=8601,
                on_link=True,
            ),
        ),
        (
            {
                "type": "9",
                "dst": "192.168.0.1",
                "table": "8600",
                "metric": 4294967295,
                "protocol": "86",
                "dev": "lo",
            },
            KernelRoute(
                destination=ip_network("192.168.0.1/32"),
                table=8600,
                metric=4294967295,
                protocol=86,
                kind=RouteKind.THROW,
            ),
        ),
        (
            {"dst": "default", "from": "2001:db8::/64", "dev": "eth0", "pref": "medium"},
            KernelRoute(destination=ip_network("::/0"), device="eth0", protocol=3, plain=False),
        ),
        (
            {"dst": "10.9.0.0/16", "tos": "0x10", "dev": "eth0"},
            KernelRoute(
                destination=ip_network("10.9.0.0/16"), device="eth0", protocol=3, plain=False
            ),
        ),
        (
            {"type": "6", "dst": "10.9.0.0/16", "protocol": "4"},
            KernelRoute(destination=ip_network("10.9.0.0/16"), protocol=4, kind=RouteKind.OTHER),
        ),
    ],
)
def test_a_route_is_read(tmp_path: Path, shown: dict[str, object], expected: KernelRoute) -> None:
    assert saying(tmp_path, answer(routes=[shown])).read().routes == (expected,)


def test_the_kernel_s_own_local_table_is_left_out(tmp_path: Path) -> None:
    local = {"type": "2", "dst": "127.0.0.1", "dev": "lo", "table": "255", "protocol": "2"}
    assert saying(tmp_path, answer(routes=[local])).read().routes == ()


def test_rules_of_both_families_are_read(tmp_path: Path) -> None:
    four = [
        {"priority": 8610, "src": "192.168.0.1", "table": "86003", "protocol": "86"},
        {"priority": 9, "src": "10.0.0.0", "srclen": 8, "table": "100", "fwmark": "0x1"},
    ]
    six = [{"priority": 8610, "src": "2001:db8::1", "table": "86003", "protocol": "86"}]
    found = saying(tmp_path, answer(rules=four), json.dumps(six)).read().rules
    assert found == (
        PolicyRule(priority=8610, source=ip_network("192.168.0.1/32"), table=86003, protocol=86),
        PolicyRule(priority=9, source=ip_network("10.0.0.0/8"), table=100, protocol=2, plain=False),
        PolicyRule(
            priority=8610, source=ip_network("2001:db8::1/128"), table=86003, protocol=86, version=6
        ),
    )


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({"src": "all", "dst": "10.0.3.0", "dstlen": 24}, {"destination": "10.0.3.0/24"}),
        ({"src": "192.168.0.1"}, {"source": "192.168.0.1"}),
        ({"src": "all", "action": "6", "table": "0"}, {"table": 0, "refuses": True}),
        ({"src": "all", "action": "unreachable", "table": "0"}, {"table": 0, "refuses": True}),
        ({"src": "all", "iif": "lo"}, {}),
        ({"src": "all", "iif": "net1"}, {"plain": False}),
        ({"src": "192.168.0.1", "not": None}, {"source": "192.168.0.1", "plain": False}),
        ({"src": "all", "goto": 32766}, {"plain": False}),
        ({"src": "all", "suppress_prefixlen": 0}, {"plain": False}),
    ],
)
def test_a_rule_is_read_with_all_that_decides_where_it_sends_an_answer(
    tmp_path: Path, shown: dict[str, object], expected: dict[str, Any]
) -> None:
    rule = {"priority": 7, "table": "100", "protocol": "3"} | shown
    (found, *_) = saying(tmp_path, answer(rules=[rule]), json.dumps(RULES)).read().rules
    fields: dict[str, Any] = expected | {
        k: ip_network(v) for k, v in expected.items() if isinstance(v, str)
    }
    plain = PolicyRule(priority=7, source=None, table=100, protocol=3)
    assert found == replace(plain, **fields)


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "[]",
        "no json",
        "[{",
        "[][]",  # a document is missing
        answer()[:-1],
        "1 2 3",
        "null null null",
        "{} {} {}",
        '["lo"] [] []',
        answer([{"ifname": "net1"}]),
        answer([{**link(), "address": None}]),
        answer([link(local="10.0.0.300")]),
        answer(routes=[{}, {"gateway": "10.0.0.1"}]),
        answer(routes=[{"dst": "10.0.0.1/8"}]),
        answer(routes=[{"dst": "10.0.0.0/8", "table": "main"}]),
        answer(routes=[{"dst": "10.0.0.0/8", "metric": "much"}]),
        answer(rules=[{"src": "all"}]),
        answer(routes=[{"dst": "10.0.0.0/8", "metric": float("inf")}]),
        "[" * 100_000,
        "[] [] []",  # a namespace always has `lo`
    ],
)
def test_garbage_is_a_failed_reading_and_never_an_empty_pod(tmp_path: Path, garbage: str) -> None:
    with pytest.raises(Transient):
        saying(tmp_path, garbage).read()


def test_an_ip_that_fails_is_a_failed_reading(tmp_path: Path) -> None:
    with pytest.raises(Transient):
        saying(tmp_path, answer(), code=2).read()


def test_garbage_about_ipv6_rules_is_a_failed_reading(tmp_path: Path) -> None:
    with pytest.raises(Transient):
        saying(tmp_path, answer(), "no json").read()


def test_without_ip_a_person_is_told_to_install_it() -> None:
    with pytest.raises(Permanent, match="install iproute2"):
        IpRoute(command=("/nonexistent/ip",)).read()


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["default", "10.0.0.0/8", "all", "255", "2001:db8::1", "UP"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "dst",
                    "table",
                    "ifname",
                    "ifindex",
                    "addr_info",
                    "local",
                    "src",
                    "prefixlen",
                    "scope",
                    "gateway",
                    "metric",
                    "type",
                    "flags",
                    "priority",
                    "address",
                    "protocol",
                    "dev",
                    "srclen",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.lists(json_values, max_size=3), min_size=3, max_size=3), st.lists(json_values))
@settings(max_examples=150)
def test_any_json_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[object]], six: list[object]
) -> None:
    folder = tmp_path_factory.mktemp("ip")
    script = "\n".join(map(json.dumps, documents))
    try:
        found = saying(folder, script, json.dumps(six)).read()
    except Failure:
        return
    assert isinstance(found, KernelState)
    assert found.interfaces


# --- writing -----------------------------------------------------------------------------------

ROUTE = KernelRoute(destination=ip_network("10.9.0.0/16"), device="net1", protocol=86)
ADD, REMOVE = AddRoute(route=ROUTE, reason=""), RemoveRoute(route=ROUTE, reason="")
OTHER = AddRoute(route=KernelRoute(destination=ip_network("10.8.0.0/16"), device="x"), reason="")


def failing(errors: str, code: int = 1) -> IpRoute:
    """An `ip` that reads its batch, complains and exits."""
    return IpRoute(
        command=("sh", "-c", f'cat >/dev/null; printf "%b" "$0" >&2; exit {code}', errors)
    )


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("RTNETLINK answers: File exists", Conflict),
        ("RTNETLINK answers: Operation not permitted", Permanent),
        ('Cannot find device "net1"', Transient),
        ("Error: Nexthop device is not up.", Transient),
        ("RTNETLINK answers: Network is down", Transient),
        ("RTNETLINK answers: Network is unreachable", Transient),
        ("Error: Nexthop has invalid gateway.", Permanent),
    ],
)
def test_what_ip_says_becomes_a_failure_of_the_right_kind(said: str, kind: type[Failure]) -> None:
    (failed,) = failing(f"{said}\\nCommand failed -:1\\n").write([ADD])
    assert failed[0] is ADD
    assert type(failed[1]) is kind
    assert said in failed[1].what
    assert str(ADD) in failed[1].what


@pytest.mark.parametrize(
    "said", ["RTNETLINK answers: No such process", 'Cannot find device "net1"']
)
def test_what_is_gone_already_counts_as_removed(said: str) -> None:
    assert failing(f"{said}\\nCommand failed -:1\\n").write([REMOVE]) == []


def test_each_complaint_belongs_to_the_line_after_it() -> None:
    complaints = (
        "File exists\\nCommand failed -:1\\nOperation not permitted\\nCommand failed -:3\\n"
    )
    failed = failing(complaints).write([ADD, REMOVE, OTHER])
    assert [(a, type(f)) for a, f in failed] == [(ADD, Conflict), (OTHER, Permanent)]


def test_an_ip_that_dies_has_written_nothing() -> None:
    failed = failing('Cannot open network namespace "x": No such file\\n').write([ADD, REMOVE])
    assert [a for a, _ in failed] == [ADD, REMOVE]
    assert all(isinstance(f, Transient) for _, f in failed)
