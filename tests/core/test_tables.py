"""Which route tables an operator's selection means."""

from dataclasses import replace

import pytest

from vipmanager.core.findings import Condition
from vipmanager.core.settings import Settings, TagSelector
from vipmanager.core.tables import peers_first, select
from vipmanager.core.values import RouteTableId, SubnetId, VpcId
from vipmanager.edges.settings import load
from worlds import SUBNETS, VPC, peers, table

TABLES = (
    table(0, tags={"Name": "main"}),
    table(1, tags={"role": "vip", "Name": "a"}),
    table(2, tags={"role": "vip-test", "expr": "a=b"}),
    table(3, tags={"Role": "vip", "star": "*"}),
    replace(table(4, tags={"role": "vip"}), edges=("igw-1",)),
    replace(table(5, tags={"role": "vip"}), vpc=VpcId("vpc-2")),
)


def chosen(settings: Settings) -> list[str]:
    return [t.id for t in select(TABLES, VPC, settings)[0]]


def said(settings: Settings) -> list[Condition]:
    return [f.condition for f in select(TABLES, VPC, settings)[1]]


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("ALL", ["rtb-00", "rtb-01", "rtb-02", "rtb-03"]),
        ("", ["rtb-00", "rtb-01", "rtb-02", "rtb-03"]),
        ("role", ["rtb-01", "rtb-02"]),
        ("role=vip", ["rtb-01"]),
        ("role=vip*", ["rtb-01", "rtb-02"]),
        ("role=vip-????", ["rtb-02"]),
        ("Role=vip", ["rtb-03"]),
        ("?ole=vip", ["rtb-01", "rtb-03"]),
        ("expr=a=b", ["rtb-02"]),
        ("role=vip,Name=main", ["rtb-00", "rtb-01"]),
        ("role= ", []),
        ("VIP", []),
    ],
)
def test_tags_select_as_ec2_filters_do(tag: str, expected: list[str]) -> None:
    assert chosen(load({"VPCRTTag": tag})) == expected


def test_ids_win_over_tags_and_keep_their_order() -> None:
    ids = (RouteTableId("rtb-03"), RouteTableId("rtb-01"))
    settings = Settings(tables=ids, tags=(TagSelector(key="Name"),))
    assert chosen(settings) == ["rtb-03", "rtb-01"]
    tables, _ = select(TABLES, VPC, settings)
    assert [t.id for t in peers_first(tables, SUBNETS, settings)] == ["rtb-03", "rtb-01"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), [Condition.EDGE_TABLE]),
        (Settings(tags=(TagSelector(key="role", value="vip"),)), [Condition.EDGE_TABLE_NAMED]),
        (Settings(tables=(RouteTableId("rtb-04"),)), [Condition.EDGE_TABLE_NAMED]),
        (
            Settings(tables=(RouteTableId("rtb-99"), RouteTableId("rtb-01"))),
            [Condition.TABLE_UNKNOWN],
        ),
        # the table of another VPC is unknown in this one
        (
            Settings(tables=(RouteTableId("rtb-05"), RouteTableId("rtb-01"))),
            [Condition.TABLE_UNKNOWN],
        ),
        (
            Settings(tables=(RouteTableId("rtb-99"),)),
            [Condition.TABLE_UNKNOWN, Condition.NO_TABLE],
        ),
        (Settings(tags=(TagSelector(key="nobody"),)), [Condition.NO_TABLE]),
    ],
)
def test_what_can_not_be_selected_is_said(settings: Settings, expected: list[Condition]) -> None:
    assert said(settings) == expected
    assert "rtb-04" not in chosen(settings)


def test_a_tag_that_selects_nothing_shows_the_tags_in_use() -> None:
    _, (finding,) = select(TABLES, VPC, Settings(tags=(TagSelector(key="rol", value="vip"),)))
    assert "VPCRTTag=rol=vip selects none of the 5 route tables of vpc-1" in str(finding)
    assert "role=vip" in str(finding)


def test_no_table_at_all_is_a_finding_under_all_too() -> None:
    assert [f.condition for f in select((), VPC, Settings())[1]] == [Condition.NO_TABLE]


def test_tables_that_serve_the_peers_are_written_first_and_then_the_main_table() -> None:
    serving = replace(table(7), subnets=(SubnetId("subnet-client"),))
    tables, _ = select((*TABLES, serving), VPC, Settings())
    ordered = peers_first(tables, SUBNETS, peers(n1="10.0.100.7/32,2001:db8:9::/64"))
    assert [t.id for t in ordered] == ["rtb-07", "rtb-00", "rtb-01", "rtb-02", "rtb-03"]
