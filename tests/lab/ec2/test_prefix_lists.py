"""Managed prefix lists: asynchronous, versioned, and destinations of routes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from vipmanager_lab.ec2.account import Account
from vipmanager_lab.latency import Even

if TYPE_CHECKING:
    from lab.ec2.conftest import Client, Lab, Refused, Routes

TIME = 10.0
VIP, COVER = "198.51.100.7/32", "198.51.100.0/28"


def changed(account: Account, list_id: str, state: str) -> None:
    """Wait until a list is in a state, or gone."""
    heard = threading.Condition()

    def now() -> str:
        found = account.view.lists.get(list_id)
        return found.state if found else "gone"

    def tell() -> None:
        with heard:
            heard.notify_all()

    account.subscribe(tell)
    with heard:
        assert heard.wait_for(lambda: now() == state, TIME), now()


@pytest.fixture
def made(lab: Lab, ec2: Client) -> dict[str, Any]:
    answer = ec2.create_managed_prefix_list(
        PrefixListName="group",
        AddressFamily="IPv4",
        MaxEntries=3,
        Entries=[{"Cidr": "198.51.100.15/32", "Description": "marker"}],
        TagSpecifications=[
            {"ResourceType": "prefix-list", "Tags": [{"Key": "owner", "Value": "me"}]}
        ],
    )["PrefixList"]
    changed(lab.account, answer["PrefixListId"], "create-complete")
    return dict(answer)


def carried_out_slowly(lab: Lab, seconds: float = 3600.0) -> None:
    lab.faults.pace = {"* carried out": Even(seconds, seconds)}


def cidrs(ec2: Client, list_id: str, **version: int) -> set[str]:
    found = ec2.get_managed_prefix_list_entries(PrefixListId=list_id, **version)["Entries"]
    return {entry["Cidr"] for entry in found}


def test_a_list_is_found_by_the_tags_of_its_creation(ec2: Client, made: dict[str, Any]) -> None:
    assert made["State"] == "create-in-progress"
    [found] = ec2.describe_managed_prefix_lists(
        Filters=[{"Name": "tag:owner", "Values": ["me"]}], MaxResults=100
    )["PrefixLists"]
    assert (found["PrefixListId"], found["State"]) == (made["PrefixListId"], "create-complete")
    assert (found["Version"], found["MaxEntries"], found["AddressFamily"]) == (1, 3, "IPv4")
    assert found["Tags"] == [{"Key": "owner", "Value": "me"}]
    assert cidrs(ec2, made["PrefixListId"]) == {"198.51.100.15/32"}


def test_a_change_is_accepted_first_and_carried_out_later(
    lab: Lab, ec2: Client, refused: Refused, made: dict[str, Any]
) -> None:
    list_id = made["PrefixListId"]
    carried_out_slowly(lab)
    change = {"PrefixListId": list_id, "CurrentVersion": 1, "AddEntries": [{"Cidr": VIP}]}
    now = ec2.modify_managed_prefix_list(**change)["PrefixList"]
    assert (now["State"], now["Version"]) == ("modify-in-progress", 1)
    assert cidrs(ec2, list_id) == {"198.51.100.15/32"}
    _, code, said = refused(ec2.modify_managed_prefix_list, **change)
    assert code == "IncorrectState"
    assert "modify-in-progress" in said
    assert refused(ec2.delete_managed_prefix_list, PrefixListId=list_id)[1] == "IncorrectState"


def test_the_version_is_compared_and_moves(
    lab: Lab, ec2: Client, refused: Refused, made: dict[str, Any]
) -> None:
    list_id = made["PrefixListId"]
    add = {"PrefixListId": list_id, "AddEntries": [{"Cidr": VIP}]}
    assert refused(ec2.modify_managed_prefix_list, **add, CurrentVersion=2)[1] == (
        "PrefixListVersionMismatch"
    )
    ec2.modify_managed_prefix_list(**add, CurrentVersion=1)
    changed(lab.account, list_id, "modify-complete")
    assert refused(ec2.modify_managed_prefix_list, **add, CurrentVersion=1)[1] == (
        "PrefixListVersionMismatch"
    )
    assert cidrs(ec2, list_id) == {"198.51.100.15/32", VIP}
    assert cidrs(ec2, list_id, TargetVersion=1) == {"198.51.100.15/32"}


def test_what_does_not_fit_is_refused(lab: Lab, ec2: Client, refused: Refused) -> None:
    made = ec2.create_managed_prefix_list(
        PrefixListName="small", AddressFamily="IPv4", MaxEntries=1, Entries=[{"Cidr": VIP}]
    )["PrefixList"]["PrefixListId"]
    changed(lab.account, made, "create-complete")
    one = {"PrefixListId": made}
    modify = ec2.modify_managed_prefix_list
    more = refused(modify, **one, AddEntries=[{"Cidr": COVER}])
    assert more[1] == "PrefixListMaxEntriesExceeded"
    other = refused(modify, **one, AddEntries=[{"Cidr": "2001:db8::/64"}])
    assert other[1] == "InvalidParameterValue"
    both = refused(modify, **one, MaxEntries=2, AddEntries=[{"Cidr": COVER}])
    assert both[1] == "InvalidParameterCombination"
    absent = refused(modify, **one, RemoveEntries=[{"Cidr": COVER}])
    assert absent[1] == "InvalidPrefixListModification"
    modify(**one, MaxEntries=2)
    changed(lab.account, made, "modify-complete")
    modify(**one, AddEntries=[{"Cidr": COVER}])


def test_a_route_leads_a_list_to_an_eni_and_can_be_replaced(
    lab: Lab, ec2: Client, refused: Refused, made: dict[str, Any]
) -> None:
    route = {"RouteTableId": lab.table, "DestinationPrefixListId": made["PrefixListId"]}
    assert refused(ec2.replace_route, **route, NetworkInterfaceId=lab.eni_a)[2].startswith(
        "There is no route defined for"
    )
    ec2.create_route(**route, NetworkInterfaceId=lab.eni_a)
    assert refused(ec2.create_route, **route, NetworkInterfaceId=lab.eni_b)[1] == (
        "RouteAlreadyExists"
    )
    ec2.replace_route(**route, NetworkInterfaceId=lab.eni_b)
    [table] = ec2.describe_route_tables(
        Filters=[
            {"Name": "route.destination-prefix-list-id", "Values": [made["PrefixListId"]]},
        ]
    )["RouteTables"]
    [found] = [r for r in table["Routes"] if "DestinationPrefixListId" in r]
    assert (found["NetworkInterfaceId"], found["State"]) == (lab.eni_b, "active")
    in_use = refused(ec2.delete_managed_prefix_list, PrefixListId=made["PrefixListId"])
    assert in_use[1] == "DependencyViolation"
    ec2.delete_route(**route)
    ec2.delete_managed_prefix_list(PrefixListId=made["PrefixListId"])
    changed(lab.account, made["PrefixListId"], "gone")


def test_the_router_sees_entries_below_static_routes(
    lab: Lab, ec2: Client, made: dict[str, Any]
) -> None:
    list_id = made["PrefixListId"]
    ec2.modify_managed_prefix_list(
        PrefixListId=list_id, CurrentVersion=1, AddEntries=[{"Cidr": VIP}]
    )
    changed(lab.account, list_id, "modify-complete")
    ec2.create_route(
        RouteTableId=lab.table, DestinationPrefixListId=list_id, NetworkInterfaceId=lab.eni_a
    )

    def target() -> dict[str, str]:
        table = next(it for it in lab.account.state().tables if it.id == lab.table)
        return {str(it.destination): it.target for it in table.routes}

    assert target()[VIP] == lab.eni_a
    lab.account.put_route(lab.table, VIP, lab.eni_b)
    assert target()[VIP] == lab.eni_b
    assert target()["198.51.100.15/32"] == lab.eni_a


def test_max_entries_count_against_the_quota_of_a_table(lab: Lab, ec2: Client) -> None:
    made = ec2.create_managed_prefix_list(
        PrefixListName="large", AddressFamily="IPv4", MaxEntries=499
    )["PrefixList"]["PrefixListId"]
    route = {"RouteTableId": lab.table, "NetworkInterfaceId": lab.eni_a}
    ec2.create_route(**route, DestinationPrefixListId=made)
    ec2.create_route(**route, DestinationCidrBlock=VIP)
    with pytest.raises(ec2.exceptions.ClientError, match="RouteLimitExceeded"):
        ec2.create_route(**route, DestinationCidrBlock=COVER)


def test_a_table_is_created_with_its_tags_and_deleted_with_its_routes(
    lab: Lab, ec2: Client, routes: Routes
) -> None:
    made = ec2.create_route_table(
        VpcId=lab.vpc,
        TagSpecifications=[
            {"ResourceType": "route-table", "Tags": [{"Key": "owner", "Value": "me"}]}
        ],
    )["RouteTable"]
    assert made["Tags"] == [{"Key": "owner", "Value": "me"}]
    own = [{"Name": "tag:owner", "Values": ["me"]}]
    [found] = ec2.describe_route_tables(Filters=own)["RouteTables"]
    ec2.create_route(
        RouteTableId=found["RouteTableId"],
        DestinationCidrBlock=VIP,
        NetworkInterfaceId=lab.eni_a,
    )
    assert VIP in routes(found["RouteTableId"])
    ec2.delete_route_table(RouteTableId=found["RouteTableId"])
    assert ec2.describe_route_tables(Filters=own)["RouteTables"] == []
