"""Managed prefix lists: pure functions from a view to what a list is now, and what it becomes.

A change is accepted at once and carried out later (`...-in-progress`), as EC2 does it; meanwhile
the list has its old entries and version. How long that takes is not published. Sources: the API
reference, terraform-provider-aws's acceptance tests (they run against EC2) and its retries.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from ipaddress import ip_network
from secrets import token_hex
from typing import Final

from vipmanager_lab.ec2 import answers
from vipmanager_lab.ec2.errors import ApiError, invalid, missing
from vipmanager_lab.ec2.query import Parameters, check_id, indexed_fields, require, tags
from vipmanager_lab.ec2.view import Network, PrefixList, View

LISTS_PER_REGION: Final = 100
ENTRIES_PER_LIST: Final = 1000
PER_CALL: Final = 100
"""Additions, and removals, in one call. All three: VPC quotas page, API reference."""

VERSIONS: Final = {"IPv4": 4, "IPv6": 6}

Change = tuple[PrefixList, PrefixList | None]
"""What the list is now, and what it becomes; None for nothing."""


def create(view: View, parameters: Parameters) -> Change:
    """CreateManagedPrefixList; the same client token gives the same list.

    Raises:
        ApiError: as EC2 refuses the call.
    """
    token = parameters.get("ClientToken", "")
    known = next((it for it in view.lists.values() if token and it.token == token), None)
    if known is not None:
        return known, replace(known, state=known.state.replace("in-progress", "complete"))
    name, family = require(parameters, "PrefixListName"), require(parameters, "AddressFamily")
    if family not in VERSIONS:  # GUESS at the text
        raise invalid(f"Value ({family}) for parameter addressFamily is invalid.")
    most = _most(require(parameters, "MaxEntries"))
    if len(view.lists) >= LISTS_PER_REGION:
        # GUESS at code and text.
        raise ApiError("PrefixListLimitExceeded", "The maximum number of prefix lists is reached.")
    entries = _fitting(_entries(parameters, "Entry", family), most)
    now = PrefixList(
        id=f"pl-{token_hex(8)}0",
        name=name,
        family=family,
        most=most,
        state="create-in-progress",
        versions=(entries,),
        tags=tags(parameters, "prefix-list"),
        token=token,
    )
    return now, replace(now, state="create-complete")


def modify(view: View, parameters: Parameters) -> Change:
    """ModifyManagedPrefixList: CurrentVersion, when given, is compared first.

    Raises:
        ApiError: as EC2 refuses the call.
    """
    found = _settled(view, parameters)
    version = parameters.get("CurrentVersion")
    if version is not None and version != str(found.version):
        raise ApiError(
            "PrefixListVersionMismatch", "The prefix list has the incorrect version number."
        )
    added = _entries(parameters, "AddEntry", found.family)
    removed = _entries(parameters, "RemoveEntry", found.family)
    wanted = parameters.get("MaxEntries")
    if wanted is not None and (added or removed):
        raise ApiError(  # GUESS at the text; "not in one call": VPC user guide
            "InvalidParameterCombination",
            "You cannot modify the entries and the maximum entries of a prefix list at once.",
        )
    if both := added.keys() & removed.keys():
        raise invalid(
            f"Request cannot contain Cidr {min(map(str, both))} in both AddPrefixListEntries and "
            "RemovePrefixListEntries"
        )
    if absent := removed.keys() - found.entries.keys():
        # Code and end of the text: terraform-provider-aws, vpc_managed_prefix_list_entry.go.
        raise ApiError(
            "InvalidPrefixListModification", f"The entry {min(map(str, absent))} does not exist."
        )
    later = replace(
        found, state="modify-complete", name=parameters.get("PrefixListName", found.name)
    )
    if wanted is not None:
        later = replace(later, most=_most(wanted))
        _fitting(found.entries, later.most)
    if added or removed:
        kept = {cidr: said for cidr, said in found.entries.items() if cidr not in removed}
        later = replace(later, versions=(*found.versions, _fitting(kept | added, found.most)))
    return replace(found, state="modify-in-progress"), later


def delete(view: View, parameters: Parameters) -> Change:
    """DeleteManagedPrefixList, refusing one that a route table refers to.

    Raises:
        ApiError: as EC2 refuses the call.
    """
    found = _settled(view, parameters)
    users = sorted(table.id for table in view.tables.values() if found.id in table.listed)
    if users:  # GUESS at code and text; refused for certain (VPC user guide)
        raise ApiError(
            "DependencyViolation", f"The prefix list '{found.id}' is in use by {', '.join(users)}."
        )
    return replace(found, state="delete-in-progress"), None


LIST_ACTIONS: Final[Mapping[str, Callable[[View, Parameters], Change]]] = {
    "CreateManagedPrefixList": create,
    "ModifyManagedPrefixList": modify,
    "DeleteManagedPrefixList": delete,
}


def entries(view: View, parameters: Parameters) -> str:
    """GetManagedPrefixListEntries, of the newest version or of TargetVersion, on one page.

    Raises:
        ApiError: there is no such list, or version.
    """
    found = existing(view, parameters)
    version = parameters.get("TargetVersion", str(found.version))
    if not version.isdecimal() or not 0 < int(version) <= found.version:
        raise invalid(f"Value ({version}) for parameter targetVersion is invalid.")  # GUESS at text
    items = [
        {"cidr": str(cidr), "description": said or None}
        for cidr, said in found.versions[int(version) - 1].items()
    ]
    return answers.element("entrySet", [dict(item) for item in items])


def existing(view: View, parameters: Parameters, name: str = "PrefixListId") -> PrefixList:
    """The list that a parameter names.

    Raises:
        ApiError: there is none.
    """
    wanted = check_id(require(parameters, name), "pl", "InvalidPrefixListId.Malformed")
    if wanted not in view.lists:
        raise ApiError(
            "InvalidPrefixListID.NotFound", f"The prefix list ID '{wanted}' does not exist"
        )
    return view.lists[wanted]


def _settled(view: View, parameters: Parameters) -> PrefixList:
    found = existing(view, parameters)
    if found.state.endswith("in-progress"):
        # Code and the middle of the text: what terraform-provider-aws retries.
        raise ApiError(
            "IncorrectState",
            f"The request cannot be completed in the current state ({found.state}).",
        )
    return found


def _entries(parameters: Parameters, prefix: str, family: str) -> dict[Network, str]:
    given = indexed_fields(parameters, prefix)
    if len(given) > PER_CALL:
        # The middle of the text: what public scripts look for that add by batches.
        raise invalid(
            f"The request cannot contain more than {PER_CALL} entry additions or removals"
        )
    found: dict[Network, str] = {}
    for fields in given:
        cidr = fields.get("Cidr")
        if cidr is None:
            raise missing("cidr")
        found[_network(cidr, family)] = fields.get("Description", "")
    return found


def _network(cidr: str, family: str) -> Network:
    try:
        network = ip_network(cidr, strict=False)
    except ValueError:
        network = None
    if network is None or network.version != VERSIONS[family]:
        raise invalid(f"The CIDR {cidr} is not valid for the address family {family}.")  # GUESS
    return network


def _most(given: str) -> int:
    if not given.isdecimal() or not 0 < int(given) <= ENTRIES_PER_LIST:
        raise invalid(f"Value ({given}) for parameter maxEntries is invalid.")  # GUESS at the text
    return int(given)


def _fitting(wanted: Mapping[Network, str], most: int) -> Mapping[Network, str]:
    if len(wanted) > most:  # GUESS at code and text
        raise ApiError(
            "PrefixListMaxEntriesExceeded",
            f"The prefix list can have at most {most} entries, and would have {len(wanted)}.",
        )
    return dict(wanted)


def expanded(view: View, listed: Mapping[str, str]) -> Iterable[tuple[Network, str]]:
    """The routes that a table's references mean, the first list's where two have an entry."""
    seen: set[Network] = set()
    for list_id, target in sorted(listed.items()):
        for cidr in view.lists[list_id].entries:
            if cidr not in seen:
                seen.add(cidr)
                yield cidr, target
