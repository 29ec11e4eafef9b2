"""The EC2 API through botocore: reads become values, error codes become failures."""

import gc
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, TypeVar

from vipmanager.core import refusals
from vipmanager.core.actions import (
    CloudAction,
    CreateRoute,
    DeleteRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
    RouteWrite,
)
from vipmanager.core.failures import Failure, Transient
from vipmanager.core.text import all_printable
from vipmanager.core.values import (
    Eni,
    EniId,
    InstanceId,
    Mac,
    RouteTable,
    Subnet,
    SubnetId,
    VpcId,
)
from vipmanager.edges.aws import answers, credentials
from vipmanager.edges.aws.failures import (
    WouldSucceed,
    iam_action,
    is_silent,
    refused,
    unreached,
)
from vipmanager.edges.aws.session import client, pools, trimmed_session
from vipmanager.edges.wire.connection import SILENT, Call, calling, current
from vipmanager.ports import Fence, Seen, unseen

if TYPE_CHECKING:
    from botocore.session import Session

T = TypeVar("T")

CONNECT_TIMEOUT = 1.0
"""Seconds for DNS and all addresses together, and as many for TLS."""
READ_TIMEOUT = 3.0
"""Seconds for the whole answer.

botocore tries once: the engine retries, so that its bucket sees every call. What was not
acknowledged is sent again, at once, since every call here may be made twice.
"""

IMPATIENT = 2
"""Sendings that are given up when they are silent: as many as connections are kept warm."""

WRITE_BOUND = CONNECT_TIMEOUT + CONNECT_TIMEOUT + READ_TIMEOUT
"""Seconds after which a write that was begun in time can't land any more.

The fence is looked at between the connecting and the sending, so that of its three parts the last
is what a write may be late; the others are EC2's own, to carry out what it has taken (guess).
"""

CALL_BOUND = credentials.PATIENCE + 3 * (CONNECT_TIMEOUT + CONNECT_TIMEOUT + SILENT) + READ_TIMEOUT
"""Seconds after which a call has ended, in whatever way; by then it was made three times."""

CONNECTIONS = 40
"""Room for a whole wave and the readings beside it."""

PAGE = 100
"""Results a page, the most that DescribeRouteTables gives."""


class Ec2:
    """The `Cloud` port. Safe to call from several threads at once."""

    def __init__(
        self, *, route_role: str | None = None, spare: bool = False, seen: Seen = unseen
    ) -> None:
        """Prepare nothing yet.

        Args:
            route_role: is assumed for route tables.
            spare: whether a connection to a second address of the endpoint is kept ready.
            seen: takes each call, to EC2 and to STS.
        """
        self._seen = seen
        self._route_role = route_role
        self._spare = spare
        self._region: str | None = None
        self._lock = threading.RLock()

    def warm(self) -> None:
        """Import botocore and find credentials, which takes longer than any call.

        Meant for a thread that runs beside the first readings; failures show up where they
        matter, in the first call.
        """
        with self._lock:
            _ = self._session

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for name in ("_eni_client", "_route_client"):
                client = self.__dict__.pop(name, None)
                if client is not None:
                    client.close()

    def connect(self, region: str) -> None:
        """Name the region, once, before anything else is asked."""
        self._region = region

    def route_tables(self, vpcs: Iterable[VpcId]) -> tuple[RouteTable, ...]:
        """Read all route tables of these VPCs."""
        filters = {"vpc-id": vpcs}
        return self._describe(
            "routes", "describe_route_tables", "RouteTables", filters, answers.route_table
        )

    def instance_enis(self, instance: InstanceId) -> tuple[Eni, ...]:
        """Read the ENIs attached to an instance."""
        return self._enis({"attachment.instance-id": [instance]})

    def enis_by_mac(self, macs: Iterable[Mac]) -> tuple[Eni, ...]:
        """Read the attached ENIs with these MACs, of any VPC of the account."""
        return self._enis({"mac-address": macs, "attachment.status": ["attached"]})

    def enis_by_id(self, ids: Iterable[EniId]) -> tuple[Eni, ...]:
        """Read these ENIs; one that EC2 does not know is left out."""
        # A filter, since an unknown id in NetworkInterfaceIds fails the whole call.
        return self._enis({"network-interface-id": ids})

    def enis_in(self, subnets: Iterable[SubnetId]) -> tuple[Eni, ...]:
        """Read every ENI in these subnets."""
        return self._enis({"subnet-id": subnets})

    def subnets(self, vpcs: Iterable[VpcId]) -> tuple[Subnet, ...]:
        """Read all subnets of these VPCs."""
        return self._describe(
            "enis", "describe_subnets", "Subnets", {"vpc-id": vpcs}, answers.subnet
        )

    def write(self, action: CloudAction, fence: Fence) -> None:
        """Make one call that changes something; `Conflict` where the route changed meanwhile.

        `TooLate` where the fence does not stand any more when the call is to go out.
        """
        with calling(Call(fence=fence)):
            self._write(action)

    def permits(self, action: CloudAction) -> None:
        """Ask EC2 whether it would make a call, without making it (its DryRun)."""
        try:
            self._write(action, DryRun=True)
        except WouldSucceed:
            return

    def _write(self, action: CloudAction, **more: object) -> None:
        match action:
            case CreateRoute():
                whose, operation, fields = "routes", "create_route", _route_fields(action)
            case ReplaceRoute():
                whose, operation, fields = "routes", "replace_route", _route_fields(action)
            case DeleteRoute():
                whose, operation, fields = "routes", "delete_route", _route_fields(action)
            case DisableSourceDestCheck(eni=eni):
                whose, operation = "enis", "modify_network_interface_attribute"
                fields = {"NetworkInterfaceId": eni, "SourceDestCheck": {"Value": False}}
        self._call(whose, operation, str(action), **fields, **more)

    def _enis(self, filters: Mapping[str, Iterable[str]]) -> tuple[Eni, ...]:
        operation, key = "describe_network_interfaces", "NetworkInterfaces"
        return self._describe("enis", operation, key, filters, answers.eni)

    def _describe(
        self,
        whose: str,
        operation: str,
        key: str,
        filters: Mapping[str, Iterable[str]],
        parse: Callable[[Mapping[str, Any]], T],
    ) -> tuple[T, ...]:
        """Read all pages."""
        wanted = [{"Name": n, "Values": sorted(set(v))} for n, v in filters.items()]
        found: list[T] = []
        token: dict[str, str] = {}
        subject = ", ".join(v for f in wanted for v in f["Values"])
        while True:
            page = self._call(whose, operation, subject, Filters=wanted, MaxResults=PAGE, **token)
            try:
                found += [parse(all_printable(one)) for one in page.get(key, ())]
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                what = f"{iam_action(operation)} for {subject}: an unexpected answer ({error!r})"
                raise Transient(what, "check what AWS_ENDPOINT_URL leads to") from error
            if not page.get("NextToken"):
                self._keep_spare(whose)
                return tuple(found)
            token = {"NextToken": page["NextToken"]}

    def _call(self, whose: str, operation: str, subject: str, **fields: object) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - slow to import

        client: Any = None
        try:
            client = self._client(whose)
            call: Callable[..., dict[str, Any]] = getattr(client, operation)
            for _ in range(IMPATIENT):
                try:
                    return call(**fields)
                except BotoCoreError as error:
                    if not is_silent(error):
                        raise
            # Where acknowledgements are always late: until the kernel gives up.
            with calling(replace(current(), patient=True)):
                return call(**fields)
        except ClientError as error:
            if _outlived(error):
                self._forget(client)
            raise refused(operation, subject, error.response) from error
        except Failure as failure:  # of the credentials: nothing was sent
            if _outlived(failure.__cause__):
                self._forget(client)
            raise
        except Exception as error:
            # No exception of botocore, or of what is under it, ends an agent.
            raise unreached(iam_action(operation), subject, error) from error

    def _keep_spare(self, whose: str) -> None:
        if self._spare:
            client = self._client(whose)
            threading.Thread(target=_spare, args=(client,), name="spare", daemon=True).start()

    def _forget(self, used: object) -> None:
        """Look for credentials anew at the next call; botocore keeps them until they expire."""
        with self._lock:
            if not any(
                self.__dict__.get(name) is used for name in ("_eni_client", "_route_client")
            ):
                return  # a call beside this one was refused as well, and was first
            for made in ("_session", "_eni_client", "_route_client"):
                self.__dict__.pop(made, None)
        # botocore's clients are in reference cycles, and hold 10 MB and their connections.
        gc.collect()

    def _client(self, whose: str) -> Any:  # noqa: ANN401 - botocore makes clients at run time
        with self._lock:
            if whose == "routes" and self._route_role is not None:
                return self._route_client
            return self._eni_client

    @cached_property
    def _session(self) -> "Session":
        return credentials.signing(self._region, self._seen)

    @cached_property
    def _eni_client(self) -> Any:  # noqa: ANN401
        return self._connect(self._session)

    @cached_property
    def _route_client(self) -> Any:  # noqa: ANN401
        from botocore.credentials import (  # noqa: PLC0415 - slow to import, and rarely needed
            AssumeRoleCredentialFetcher,
            DeferredRefreshableCredentials,
        )

        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(self._session.create_client, region_name=self._region),
            source_credentials=self._session.get_credentials(),
            role_arn=self._route_role,
            extra_args={"RoleSessionName": "vipmanager"},
        )
        session = trimmed_session(self._seen)
        assumed = DeferredRefreshableCredentials(
            refresh_using=fetcher.fetch_credentials, method="assume-role"
        )
        session._credentials = credentials.kept(assumed, self._route_role)  # noqa: SLF001 - botocore has no setter
        return self._connect(session)

    def _connect(self, session: "Session") -> Any:  # noqa: ANN401
        credentials.settle(session, self._region)
        return client(
            session,
            "ec2",
            self._region,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            max_pool_connections=CONNECTIONS,
            tcp_keepalive=True,
            user_agent_extra="vipmanager",
        )


def _outlived(error: BaseException | None) -> bool:
    """Tell whether AWS takes the credentials no more."""
    response: Mapping[str, Any] = getattr(error, "response", {})
    return refusals.refusal(str(response.get("Error", {}).get("Code"))).renews


def _spare(client: Any) -> None:  # noqa: ANN401
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - slow to import

    for pool in pools(client):
        try:
            pool.spare()
        except (HTTPError, OSError):
            return  # the address book knows; the next reading tries again


def _route_fields(action: RouteWrite | DeleteRoute) -> dict[str, object]:
    # The other family's field must be absent, not empty.
    v4 = isinstance(action.destination, IPv4Network)
    field = "DestinationCidrBlock" if v4 else "DestinationIpv6CidrBlock"
    fields: dict[str, object] = {
        "RouteTableId": action.table,
        field: str(action.destination),
    }
    return (
        fields if isinstance(action, DeleteRoute) else {**fields, "NetworkInterfaceId": action.eni}
    )
