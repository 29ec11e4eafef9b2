"""What EC2 makes of managed prefix lists, by the facts of terraform-provider-aws.

Source: hashicorp/terraform-provider-aws, `internal/service/ec2/`: the acceptance tests that are
named, in `vpc_managed_prefix_list_test.go` and `vpc_managed_prefix_list_entry_test.go`; and the
refusals that `vpc_managed_prefix_list.go`, `..._entry.go` and `errors.go` meet. The lab is asked.
"""

from typing import Any

import pytest

from contract.oracles.far import Far, refused
from lab.ec2.test_prefix_lists import changed
from vipmanager_lab.latency import Even

ONE, TWO, THREE = "1.0.0.0/8", "2.0.0.0/8", "3.0.0.0/8"


class List:
    """One prefix list, whose changes are waited for as the provider does."""

    def __init__(self, vpc: Far, *cidrs: str, family: str = "IPv4", most: int = 5) -> None:
        self._account, self._ec2 = vpc.account, vpc.botocores
        entries = [{"Cidr": cidr, "Description": "a"} for cidr in cidrs]
        wish = {"PrefixListName": "list", "AddressFamily": family, "MaxEntries": most}
        made = self._ec2.create_managed_prefix_list(**wish, Entries=entries)["PrefixList"]
        self.id: str = made["PrefixListId"]
        changed(self._account, self.id, "create-complete")

    def now(self) -> dict[str, Any]:
        (found,) = self._ec2.describe_managed_prefix_lists(PrefixListIds=[self.id])["PrefixLists"]
        return dict(found)

    def entries(self) -> dict[str, str | None]:
        found = self._ec2.get_managed_prefix_list_entries(PrefixListId=self.id)["Entries"]
        return {entry["Cidr"]: entry.get("Description") for entry in found}

    def change(self, **fields: Any) -> int:  # noqa: ANN401
        """Change it at the version that it has; gives the one it has then."""
        if "AddEntries" in fields or "RemoveEntries" in fields:
            fields = {"CurrentVersion": self.now()["Version"], **fields}
        self._ec2.modify_managed_prefix_list(PrefixListId=self.id, **fields)
        changed(self._account, self.id, "modify-complete")
        return int(self.now()["Version"])


def entries(*cidrs: str) -> list[dict[str, str]]:
    return [{"Cidr": cidr} for cidr in cidrs]


def test_a_new_list_is_empty_and_of_version_1(vpc: Far) -> None:
    """TestAccVPCManagedPrefixList_basic."""
    made = List(vpc, most=1)
    now = made.now()
    assert made.entries() == {}
    assert (now["AddressFamily"], now["MaxEntries"], now["Version"]) == ("IPv4", 1, 1)
    assert (now["OwnerId"], now["State"]) == ("123456789012", "create-complete")
    assert now["PrefixListArn"] == f"arn:aws:ec2:eu-central-1:123456789012:prefix-list/{made.id}"
    made.change(MaxEntries=2)
    assert made.now()["MaxEntries"] == 2


def test_a_list_is_of_one_family(vpc: Far) -> None:
    """..._AddressFamily_ipv6; ...Entry_ipv4, ...Entry_ipv6; ...Entry_expectInvalidCIDR."""
    six = List(vpc, family="IPv6")
    six.change(AddEntries=entries("::/0"))
    assert six.entries() == {"::/0": None}
    four = List(vpc)
    four.change(AddEntries=entries("10.0.0.0/8"))
    assert four.entries() == {"10.0.0.0/8": None}
    for made, cidr in ((six, "10.0.0.0/8"), (four, "::/0"), (four, "1.2.3.4/33"), (six, "::/244")):
        code, _ = refused(
            vpc.botocores.modify_managed_prefix_list,
            PrefixListId=made.id,
            CurrentVersion=2,
            AddEntries=entries(cidr),
        )
        assert code == "InvalidParameterValue"


def test_a_change_of_entries_is_a_version(vpc: Far) -> None:
    """..._Entry_cidr: one entry goes and another comes, in one call."""
    made = List(vpc, ONE, TWO)
    assert made.now()["Version"] == 1
    assert made.change(RemoveEntries=entries(TWO), AddEntries=entries(THREE)) == 2
    assert {*made.entries()} == {ONE, THREE}


def test_a_description_is_changed_in_two_calls(vpc: Far) -> None:
    """..._Entry_description: versions 1 to 3, since a call can't have a CIDR on both sides."""
    made = List(vpc, ONE, TWO)
    both = [{"Cidr": cidr, "Description": "b"} for cidr in (ONE, TWO)]
    code, said = refused(
        vpc.botocores.modify_managed_prefix_list,
        PrefixListId=made.id,
        CurrentVersion=1,
        AddEntries=both,
        RemoveEntries=entries(ONE, TWO),
    )
    assert code == "InvalidParameterValue"
    assert said == (
        f"Request cannot contain Cidr {ONE} in both AddPrefixListEntries and "
        "RemovePrefixListEntries"
    )
    assert made.change(RemoveEntries=entries(ONE, TWO)) == 2
    assert made.change(AddEntries=both) == 3
    assert made.entries() == {ONE: "b", TWO: "b"}


@pytest.mark.parametrize("what", ["name", "tags"])
def test_a_name_and_tags_are_no_version(vpc: Far, what: str) -> None:
    """..._name, ..._tags."""
    made = List(vpc, ONE)
    assert made.now()["Tags"] == []
    if what == "name":
        assert made.change(PrefixListName="another") == 1
        assert made.now()["PrefixListName"] == "another"
    else:
        vpc.botocores.create_tags(Resources=[made.id], Tags=[{"Key": "key1", "Value": "value1"}])
        assert made.now()["Version"] == 1
        assert made.now()["Tags"] == [{"Key": "key1", "Value": "value1"}]


def test_room_and_entries_are_changed_one_after_the_other(vpc: Far) -> None:
    """..._updateEntryAndMaxEntry: room first where it grows, entries first where it shrinks."""
    made = List(vpc, ONE, TWO, most=2)
    call = vpc.botocores.modify_managed_prefix_list
    at_once = {"PrefixListId": made.id, "MaxEntries": 3, "CurrentVersion": 1}
    assert refused(call, **at_once, AddEntries=entries(THREE))[0] == "InvalidParameterCombination"
    more = {"PrefixListId": made.id, "CurrentVersion": 1, "AddEntries": entries(THREE)}
    assert refused(call, **more)[0] == "PrefixListMaxEntriesExceeded"
    made.change(MaxEntries=3)
    made.change(AddEntries=entries(THREE))
    assert {*made.entries()} == {ONE, TWO, THREE}
    assert refused(call, PrefixListId=made.id, MaxEntries=1)[0] == "PrefixListMaxEntriesExceeded"
    made.change(RemoveEntries=entries(TWO, THREE))
    made.change(MaxEntries=1)
    assert ({*made.entries()}, made.now()["MaxEntries"]) == ({ONE}, 1)


def test_an_older_version_and_a_change_under_way_are_refused(vpc: Far) -> None:
    """..._entry.go tries again after both."""
    made = List(vpc, ONE)
    call = vpc.botocores.modify_managed_prefix_list
    made.change(AddEntries=entries(TWO))
    late = {"PrefixListId": made.id, "CurrentVersion": 1, "AddEntries": entries(THREE)}
    assert refused(call, **late)[0] == "PrefixListVersionMismatch"
    vpc.endpoint.faults.pace = {"* carried out": Even(3600.0, 3600.0)}
    try:
        call(PrefixListId=made.id, CurrentVersion=2, AddEntries=entries(THREE))
    finally:
        vpc.endpoint.faults.pace = {}
    assert made.now()["State"] == "modify-in-progress"
    assert refused(call, **late)[0] == "IncorrectState"


def test_an_entry_that_is_absent_can_not_be_removed(vpc: Far) -> None:
    """..._entry.go, resourceManagedPrefixListEntryDelete."""
    made = List(vpc, ONE)
    code, said = refused(
        vpc.botocores.modify_managed_prefix_list,
        PrefixListId=made.id,
        CurrentVersion=1,
        RemoveEntries=entries(TWO),
    )
    assert code == "InvalidPrefixListModification"
    assert said.endswith("does not exist.")


def test_a_call_takes_a_hundred_entries(vpc: Far) -> None:
    """The code and the middle of the text: scripts that add by batches look for them."""
    made = List(vpc, most=200)
    many = entries(*(f"10.0.{n}.0/24" for n in range(101)))
    code, said = refused(
        vpc.botocores.modify_managed_prefix_list,
        PrefixListId=made.id,
        CurrentVersion=1,
        AddEntries=many,
    )
    assert code == "InvalidParameterValue"
    assert "cannot contain more than 100 entry additions or removals" in said
    assert made.change(AddEntries=many[:100]) == 2


def test_a_list_that_is_gone_is_not_found(vpc: Far) -> None:
    """..._disappears; vpc_managed_prefix_list.go, resourceManagedPrefixListDelete."""
    made = List(vpc)
    vpc.botocores.delete_managed_prefix_list(PrefixListId=made.id)
    changed(vpc.account, made.id, "gone")
    code, _ = refused(vpc.botocores.delete_managed_prefix_list, PrefixListId=made.id)
    assert code == "InvalidPrefixListID.NotFound"
