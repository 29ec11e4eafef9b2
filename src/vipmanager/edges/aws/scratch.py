"""EC2 for `measure`: a scratch route table and a scratch prefix list, and each call made once."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from vipmanager.core.failures import Failure
from vipmanager.core.measurement import OWNER, OWNER_TAG, Scratch
from vipmanager.core.text import printable
from vipmanager.core.values import EniId, RouteTableId, VpcId
from vipmanager.edges.aws.credentials import signing
from vipmanager.edges.aws.ec2 import CONNECT_TIMEOUT, PAGE
from vipmanager.edges.aws.failures import WouldSucceed, iam_action, refused, unreached
from vipmanager.edges.aws.session import client
from vipmanager.edges.wire.connection import Call, calling

MEASURE_MODELS = Path(__file__).parent / "measure_models"
"""Also has what makes and removes; the agent has no use for it, and would parse it at its start."""

READ_TIMEOUT = 10.0
"""Seconds for an answer: longer than an agent waits, so that a long tail is seen."""

_LISTS = "DestinationPrefixListId"
_FAMILY = "IPv4"


class ScratchEc2:
    """Makes, changes and removes scratch things. For one thread.

    Every call is made once, and may raise `Transient` or `Permanent`.
    """

    def __init__(self, region: str | None) -> None:
        """Prepare nothing yet."""
        self._region = region

    def close(self) -> None:
        """Close every connection."""
        if "_client" in self.__dict__:
            self._client.close()

    def attached(self, vpc: VpcId) -> tuple[EniId, ...]:
        """Read ENIs of a VPC that are attached to instances, a page of them at the most."""
        filters: dict[str, Sequence[str]] = {"vpc-id": [vpc], "attachment.status": ["attached"]}
        page = self._describe("describe_network_interfaces", vpc, filters)
        found = (each for each in page["NetworkInterfaces"] if each["Attachment"].get("InstanceId"))
        return tuple(sorted(EniId(each["NetworkInterfaceId"]) for each in found))

    def read_enis(self, enis: Sequence[EniId]) -> None:
        """Read these ENIs, as an agent does."""
        filters: dict[str, Sequence[str]] = {"network-interface-id": enis}
        self._describe("describe_network_interfaces", ", ".join(enis), filters)

    def make_table(self, vpc: VpcId, tags: Mapping[str, str]) -> Scratch:
        """Make a route table that no subnet uses."""
        made = self._call(
            "create_route_table", vpc, VpcId=vpc, TagSpecifications=_tagged("route-table", tags)
        )
        return Scratch(id=made["RouteTable"]["RouteTableId"], tags=tags)

    def make_list(self, entry: IPv4Network, most: int, tags: Mapping[str, str]) -> Scratch:
        """Make a prefix list with one entry, and room for so many."""
        made = self._call(
            "create_managed_prefix_list",
            "a scratch list",
            PrefixListName="scratch of vipmanager measure",
            AddressFamily=_FAMILY,
            MaxEntries=most,
            Entries=[{"Cidr": str(entry)}],
            TagSpecifications=_tagged("prefix-list", tags),
        )
        return Scratch(id=made["PrefixList"]["PrefixListId"], tags=tags)

    def scratch(self) -> tuple[Scratch, ...]:
        """Find everything that a run of `measure` made in this Region, tables first."""
        own = {f"tag:{OWNER_TAG}": [OWNER]}
        tables = self._all("describe_route_tables", "RouteTables", own)
        lists = self._all("describe_managed_prefix_lists", "PrefixLists", own)
        found = [Scratch(id=each["RouteTableId"], tags=_tags(each)) for each in tables]
        found += [
            Scratch(
                id=each["PrefixListId"],
                tags=_tags(each),
                going=each["State"] == "delete-in-progress",
            )
            for each in lists
            if each["State"] != "delete-complete"
        ]
        return tuple(found)

    def remove(self, what: Scratch) -> None:
        """Delete a table with its routes, or a list."""
        self._remove(what)

    def may_remove(self, what: Scratch) -> None:
        """Ask EC2 whether it would delete it (its DryRun)."""
        try:
            self._remove(what, DryRun=True)
        except WouldSucceed:
            return

    def create_route(self, table: str, to: IPv4Network | str, eni: EniId) -> None:
        """Lead a CIDR, or a prefix list, to an ENI."""
        self._route("create_route", table, to, eni)

    def replace_route(self, table: str, to: IPv4Network | str, eni: EniId) -> None:
        """Lead what is led elsewhere to an ENI."""
        self._route("replace_route", table, to, eni)

    def targets(self, table: RouteTableId) -> Mapping[str, str]:
        """Read to which ENI each CIDR of a table is led."""
        filters = {"route-table-id": [table]}
        page = self._describe("describe_route_tables", table, filters)
        return {
            route["DestinationCidrBlock"]: route.get("NetworkInterfaceId", "")
            for found in page["RouteTables"]
            for route in found["Routes"]
            if "DestinationCidrBlock" in route
        }

    def change_list(self, list_id: str, version: int, entry: IPv4Network, *, add: bool) -> None:
        """Add an entry to a list of this version, or remove it."""
        what = "AddEntries" if add else "RemoveEntries"
        self._call(
            "modify_managed_prefix_list",
            list_id,
            PrefixListId=list_id,
            CurrentVersion=version,
            **{what: [{"Cidr": str(entry)}]},
        )

    def list_state(self, list_id: str) -> tuple[str, int]:
        """Read a list's state and version; nothing and 0 while EC2 does not show it."""
        filters = {"prefix-list-id": [list_id]}
        page = self._describe("describe_managed_prefix_lists", list_id, filters)
        found = [(each["State"], int(each["Version"])) for each in page["PrefixLists"]]
        return found[0] if found else ("", 0)

    def _route(self, operation: str, table: str, to: IPv4Network | str, eni: EniId) -> None:
        field = _LISTS if isinstance(to, str) else "DestinationCidrBlock"
        fields = {"RouteTableId": table, field: str(to), "NetworkInterfaceId": eni}
        self._call(operation, f"{to} in {table}", **fields)

    def _remove(self, what: Scratch, **more: object) -> None:
        if what.is_table:
            self._call("delete_route_table", what.id, RouteTableId=what.id, **more)
        else:
            self._call("delete_managed_prefix_list", what.id, PrefixListId=what.id, **more)

    def _all(
        self, operation: str, key: str, filters: Mapping[str, Sequence[str]]
    ) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        token: dict[str, str] = {}
        while True:
            page = self._describe(operation, "its own things", filters, **token)
            found += page[key]
            if not page.get("NextToken"):
                return found
            token = {"NextToken": page["NextToken"]}

    def _describe(
        self, operation: str, subject: str, filters: Mapping[str, Sequence[str]], **more: str
    ) -> dict[str, Any]:
        wanted = [{"Name": name, "Values": list(values)} for name, values in filters.items()]
        return self._call(operation, subject, Filters=wanted, MaxResults=PAGE, **more)

    def _call(self, operation: str, subject: str, **fields: object) -> dict[str, Any]:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - slow to import

        try:
            call: Callable[..., dict[str, Any]] = getattr(self._client, operation)
            with calling(Call(patient=True)):  # sent again, it would be two calls
                return call(**fields)
        except ClientError as error:
            raise refused(operation, subject, error.response) from error
        except Failure:  # of the credentials
            raise
        except Exception as error:
            raise unreached(iam_action(operation), subject, error) from error

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - botocore makes clients at run time
        session = signing(self._region)
        session.get_component("data_loader").search_paths.insert(0, str(MEASURE_MODELS))
        return client(
            session,
            "ec2",
            self._region,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            tcp_keepalive=True,
            user_agent_extra="vipmanager-measure",
        )


def _tagged(kind: str, tags: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]


def _tags(described: Mapping[str, Any]) -> dict[str, str]:
    return {printable(t["Key"]): printable(t["Value"]) for t in described.get("Tags", ())}
