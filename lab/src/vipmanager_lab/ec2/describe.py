"""Describes of tables, subnets, interfaces and prefix lists: ids, filters, pages."""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Generic, Protocol, TypeVar

from vipmanager_lab.ec2 import answers, prefix_lists
from vipmanager_lab.ec2.errors import ApiError, invalid
from vipmanager_lab.ec2.filters import ENI_FILTERS, LIST_FILTERS, SUBNET_FILTERS, TABLE_FILTERS
from vipmanager_lab.ec2.query import Filter, Parameters, check_id, filters, indexed
from vipmanager_lab.ec2.view import Eni, PrefixList, Subnet, Table, Tags, View

_FEWEST: Final = 5
"""The least MaxResults EC2 accepts (API reference)."""


class Resource(Protocol):
    """What every described thing has."""

    @property
    def id(self) -> str:
        """EC2's id."""

    @property
    def tags(self) -> Tags:
        """The resource's tags."""


R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe(Generic[R]):
    """How one kind of resource is looked up and shown."""

    id_parameter: str
    prefix: str
    malformed: str
    not_found: str
    text: str
    most: int
    """The largest MaxResults EC2 accepts (API reference)."""
    item_set: str
    filters: Mapping[str, Callable[[View, R], Iterable[str]]]
    all: Callable[[View], Mapping[str, R]]
    item: Callable[[View, R], str]

    def answer(self, view: View, parameters: Parameters) -> str:
        """The content of the answer: one page, and a token when there is more.

        Raises:
            ApiError: a bad id, filter, page size or token.
        """
        found = self._by_id(view, parameters)
        for it in filters(parameters):
            found = [resource for resource in found if self._matches(view, it, resource)]
        found.sort(key=lambda resource: resource.id)
        page, token = self._page(found, parameters)
        items = "".join(self.item(view, resource) for resource in page)
        return f"<{self.item_set}>{items}</{self.item_set}>{answers.element('nextToken', token)}"

    def _by_id(self, view: View, parameters: Parameters) -> list[R]:
        everything = self.all(view)
        ids = indexed(parameters, self.id_parameter)
        for it in ids:
            check_id(it, self.prefix, self.malformed)
            if it not in everything:
                raise ApiError(self.not_found, self.text.format(it))
        return [everything[it] for it in dict.fromkeys(ids)] if ids else list(everything.values())

    def _matches(self, view: View, it: Filter, resource: R) -> bool:
        if it.name.startswith("tag:"):
            key = it.name.removeprefix("tag:")
            have: Iterable[str] = (value for name, value in resource.tags if name == key)
        elif it.name == "tag-key":
            have = (name for name, _ in resource.tags)
        elif it.name == "tag-value":
            have = (value for _, value in resource.tags)
        elif it.name in self.filters:
            have = self.filters[it.name](view, resource)
        else:
            raise invalid(f"The filter '{it.name}' is invalid")
        patterns = [_pattern(value) for value in it.values]
        return any(pattern.fullmatch(value) for value in have for pattern in patterns)

    def _page(self, found: list[R], parameters: Parameters) -> tuple[list[R], str | None]:
        after = self._cursor(parameters.get("NextToken"))
        found = [resource for resource in found if resource.id > after]
        size = self._size(parameters)
        if size is None or len(found) <= size:
            return found, None
        page = found[:size]
        return page, base64.urlsafe_b64encode(page[-1].id.encode()).decode()

    def _cursor(self, token: str | None) -> str:
        """The last id of the page before; a token is opaque to the caller."""
        if token is None:
            return ""
        try:
            last = base64.b64decode(token, altchars="-_", validate=True).decode()
            return check_id(last, self.prefix, self.malformed)
        except (ValueError, ApiError):
            raise ApiError(
                "InvalidNextToken", "The specified NextToken is corrupted or not valid."
            ) from None

    def _size(self, parameters: Parameters) -> int | None:
        given = parameters.get("MaxResults")
        if given is None:
            return None
        if indexed(parameters, self.id_parameter):
            # DescribeInstances's text (aws/aws-cli#1976); GUESS that these actions share it.
            name = self.id_parameter[0].lower() + self.id_parameter[1:]
            raise ApiError(
                "InvalidParameterCombination",
                f"The parameter {name} cannot be used with the parameter maxResults",
            )
        size = int(given) if given.isdecimal() else 0
        if size < _FEWEST:  # aws/aws-sdk-ruby#2575
            raise invalid(
                f"Value ( {given} ) for parameter maxResults is invalid. "
                f"Expecting a value greater than {_FEWEST}."
            )
        if size > self.most:  # GUESS: refused in the same words
            raise invalid(
                f"Value ( {given} ) for parameter maxResults is invalid. "
                f"Expecting a value less than {self.most}."
            )
        return size


@lru_cache(maxsize=1024)
def _pattern(value: str) -> re.Pattern[str]:
    """A filter value: `*` and `?` are wildcards unless a backslash precedes them."""
    parts = re.findall(r"\\.|.", value, re.DOTALL)
    wildcards = {"*": ".*", "?": "."}
    return re.compile(
        "".join(
            wildcards.get(part) or re.escape(part[1:] if part[0] == "\\" and part[1:] else part)
            for part in parts
        ),
        re.DOTALL,
    )


ROUTE_TABLES: Final[Describe[Table]] = Describe(
    id_parameter="RouteTableId",
    prefix="rtb",
    malformed="InvalidRouteTableId.Malformed",
    not_found="InvalidRouteTableID.NotFound",
    text="The routeTable ID '{}' does not exist",
    most=100,
    item_set="routeTableSet",
    filters=TABLE_FILTERS,
    all=lambda view: view.tables,
    item=answers.table,
)
SUBNETS: Final[Describe[Subnet]] = Describe(
    id_parameter="SubnetId",
    prefix="subnet",
    malformed="InvalidSubnetID.Malformed",  # GUESS: the error codes page names NotFound only
    not_found="InvalidSubnetID.NotFound",
    text="The subnet ID '{}' does not exist",
    most=1000,
    item_set="subnetSet",
    filters=SUBNET_FILTERS,
    all=lambda view: view.subnets,
    item=answers.subnet,
)
NETWORK_INTERFACES: Final[Describe[Eni]] = Describe(
    id_parameter="NetworkInterfaceId",
    prefix="eni",
    malformed="InvalidNetworkInterfaceId.Malformed",
    not_found="InvalidNetworkInterfaceID.NotFound",
    text="The networkInterface ID '{}' does not exist",
    most=1000,
    item_set="networkInterfaceSet",
    filters=ENI_FILTERS,
    all=lambda view: view.enis,
    item=answers.eni,
)

PREFIX_LISTS: Final[Describe[PrefixList]] = Describe(
    id_parameter="PrefixListId",
    prefix="pl",
    malformed="InvalidPrefixListId.Malformed",
    not_found="InvalidPrefixListID.NotFound",
    text="The prefix list ID '{}' does not exist",
    most=100,
    item_set="prefixListSet",
    filters=LIST_FILTERS,
    all=lambda view: view.lists,
    item=answers.prefix_list,
)

DESCRIBES: Final[Mapping[str, Callable[[View, Parameters], str]]] = {
    "DescribeRouteTables": ROUTE_TABLES.answer,
    "DescribeSubnets": SUBNETS.answer,
    "DescribeNetworkInterfaces": NETWORK_INTERFACES.answer,
    "DescribeManagedPrefixLists": PREFIX_LISTS.answer,
    "GetManagedPrefixListEntries": prefix_lists.entries,
}
