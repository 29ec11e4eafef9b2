"""The EC2 API through botocore: reads become values, error codes become failures."""

import gc
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from vipmanager.core.actions import (
    CloudAction,
    CreateRoute,
    DeleteRoute,
    DisableSourceDestCheck,
    ReplaceRoute,
    RouteWrite,
)
from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, Transient
from vipmanager.core.values import (
    Address,
    CloudRoute,
    Eni,
    EniId,
    InstanceId,
    Mac,
    Network,
    RouteTable,
    RouteTableId,
    Subnet,
    SubnetId,
    Target,
    TargetKind,
    VpcId,
)

if TYPE_CHECKING:
    from botocore.session import Session

T = TypeVar("T")

MODELS = Path(__file__).parent / "models"
"""botocore's service models cut down to our operations: they load in a tenth of the time."""

CONNECT_TIMEOUT = 1.0
READ_TIMEOUT = 3.0
"""Seconds. botocore tries once: the engine retries, so that its bucket sees every call."""

CONNECTIONS = 40
"""Room for a whole wave and the readings beside it."""

PAGE = 100
"""Results a page, the most that DescribeRouteTables gives."""

_TRANSIENT = frozenset(
    {
        # EC2 error codes page, "server errors"; `InternalFailure` and the next ones are common.
        "InternalError",
        "InternalFailure",
        "ServerInternal",
        "ServiceUnavailable",
        "Unavailable",
        "RequestTimeout",
        # EC2 is eventually consistent: an ENI that was attached a moment ago.
        "InvalidNetworkInterfaceID.NotFound",
    }
)
_EXPIRED = frozenset({"RequestExpired", "ExpiredToken", "ExpiredTokenException"})
"""A clock that is being set, or credentials that are being renewed."""

_THROTTLED = frozenset(
    {
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "EC2ThrottledException",
        "BandwidthLimitExceeded",
    }
)
_DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
_CREDENTIALS = frozenset(
    {"AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "MissingAuthenticationToken"}
)
_NO_ROUTE = "There is no route defined for"
"""The text by which ReplaceRoute tells an absent route from any other InvalidParameterValue."""

_HINTS = {
    "RouteLimitExceeded": "the route table is full: raise quota L-93826ACB, or remove routes",
    "InvalidRouteTableID.NotFound": "the table was deleted; it is left out from the next reading",
}


class Ec2:
    """The `Cloud` port. Safe to call from several threads at once."""

    def __init__(self, *, route_role: str | None = None) -> None:
        """Prepare nothing yet; `route_role` is assumed for route tables."""
        self._route_role = route_role
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
        return self._describe("routes", "describe_route_tables", "RouteTables", filters, _table)

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
        return self._describe("enis", "describe_subnets", "Subnets", {"vpc-id": vpcs}, _subnet)

    def write(self, action: CloudAction) -> None:
        """Make one call that changes something; `Conflict` where the route changed meanwhile."""
        self._write(action)

    def permits(self, action: CloudAction) -> None:
        """Ask EC2 whether it would make a call, without making it (its DryRun)."""
        try:
            self._write(action, DryRun=True)
        except _WouldSucceed:
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
        return self._describe("enis", operation, key, filters, _eni)

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
                found += [parse(one) for one in page.get(key, ())]
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                what = (
                    f"{_action(operation)} for {subject}: the answer is not as expected ({error!r})"
                )
                raise Transient(what, "check what AWS_ENDPOINT_URL leads to") from error
            if not page.get("NextToken"):
                return tuple(found)
            token = {"NextToken": page["NextToken"]}

    def _call(self, whose: str, operation: str, subject: str, **fields: object) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - slow to import
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        client: Any = None
        try:
            client = self._client(whose)
            call: Callable[..., dict[str, Any]] = getattr(client, operation)
            return call(**fields)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _EXPIRED | _CREDENTIALS:
                self._forget(client)
            raise _translate(operation, subject, error.response) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise _unreached(operation, subject, error) from error

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
        from botocore.session import Session  # noqa: PLC0415 - slow to import

        session = Session()
        session.get_component("data_loader").search_paths.insert(0, str(MODELS))
        session.get_credentials()
        return session

    @cached_property
    def _eni_client(self) -> Any:  # noqa: ANN401
        return self._connect(self._session)

    @cached_property
    def _route_client(self) -> Any:  # noqa: ANN401
        from botocore.credentials import (  # noqa: PLC0415 - slow to import, and rarely needed
            AssumeRoleCredentialFetcher,
            DeferredRefreshableCredentials,
        )
        from botocore.session import Session  # noqa: PLC0415

        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(self._session.create_client, region_name=self._region),
            source_credentials=self._session.get_credentials(),
            role_arn=self._route_role,
            extra_args={"RoleSessionName": "vipmanager"},
        )
        session = Session()
        session.get_component("data_loader").search_paths.insert(0, str(MODELS))
        session._credentials = DeferredRefreshableCredentials(  # noqa: SLF001 - botocore has no setter
            refresh_using=fetcher.fetch_credentials, method="assume-role"
        )
        return self._connect(session)

    def _connect(self, session: "Session") -> Any:  # noqa: ANN401
        from botocore.config import Config  # noqa: PLC0415 - slow to import

        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=CONNECTIONS,
            tcp_keepalive=True,
            user_agent_extra="vipmanager",
        )
        return session.create_client("ec2", region_name=self._region, config=config)


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


# --- answers -----------------------------------------------------------------------------------


def _table(table: Mapping[str, Any]) -> RouteTable:
    associations = table.get("Associations", ())
    return RouteTable(
        id=RouteTableId(table["RouteTableId"]),
        vpc=VpcId(table["VpcId"]),
        main=any(a.get("Main") for a in associations),
        subnets=tuple(SubnetId(a["SubnetId"]) for a in associations if a.get("SubnetId")),
        edges=tuple(a["GatewayId"] for a in associations if a.get("GatewayId")),
        tags=MappingProxyType({t["Key"]: t["Value"] for t in table.get("Tags", ())}),
        routes=tuple(_routes(table.get("Routes", ()))),
    )


def _routes(routes: Sequence[Mapping[str, Any]]) -> Iterator[CloudRoute]:
    for route in routes:
        destination = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")
        if destination is None:
            continue  # a prefix list: many destinations, none of them ours
        yield CloudRoute(
            destination=ip_network(destination),
            target=_target(route),
            blackhole=route.get("State") == "blackhole",
            propagated=route.get("Origin") in {"EnableVgwRoutePropagation", "Advertisement"},
        )


_OTHERS = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "LocalGatewayId",
    "CarrierGatewayId",
    "CoreNetworkArn",
    "OdbNetworkArn",
    "InstanceId",
    "IpAddress",
)


def _target(route: Mapping[str, Any]) -> Target:
    eni = route.get("NetworkInterfaceId")
    if eni:
        instance = route.get("InstanceId")
        return Target(
            kind=TargetKind.ENI, id=eni, instance=InstanceId(instance) if instance else None
        )
    other = next((str(route[key]) for key in _OTHERS if route.get(key)), "an unknown target")
    return Target(kind=TargetKind.LOCAL if other == "local" else TargetKind.OTHER, id=other)


def _eni(eni: Mapping[str, Any]) -> Eni:
    attachment = eni.get("Attachment", {})
    instance = attachment.get("InstanceId")
    return Eni(
        id=EniId(eni["NetworkInterfaceId"]),
        mac=Mac(eni.get("MacAddress", "").lower()),
        vpc=VpcId(eni["VpcId"]),
        subnet=SubnetId(eni["SubnetId"]),
        addresses=frozenset(_addresses(eni)),
        source_dest_check=eni.get("SourceDestCheck", True),
        instance=InstanceId(instance) if instance else None,
        attached=attachment.get("Status") == "attached",
        device_index=attachment.get("DeviceIndex", 0),
        card_index=attachment.get("NetworkCardIndex", 0),
        zone=eni.get("AvailabilityZone"),
        tags=MappingProxyType({t["Key"]: t["Value"] for t in eni.get("TagSet", ())}),
    )


def _addresses(eni: Mapping[str, Any]) -> Iterator[Address]:
    for private in eni.get("PrivateIpAddresses", ()):
        yield ip_address(private["PrivateIpAddress"])
    for six in eni.get("Ipv6Addresses", ()):
        yield ip_address(six["Ipv6Address"])


def _subnet(subnet: Mapping[str, Any]) -> Subnet:
    networks: list[Network] = []
    if subnet.get("CidrBlock"):
        networks.append(ip_network(subnet["CidrBlock"]))
    networks += [
        ip_network(a["Ipv6CidrBlock"])
        for a in subnet.get("Ipv6CidrBlockAssociationSet", ())
        if a.get("Ipv6CidrBlockState", {}).get("State") == "associated"
    ]
    return Subnet(
        id=SubnetId(subnet["SubnetId"]), vpc=VpcId(subnet["VpcId"]), networks=tuple(networks)
    )


# --- failures ----------------------------------------------------------------------------------


class _WouldSucceed(Failure):
    """EC2's answer to a dry run of a call that it would make (error code DryRunOperation)."""


def _action(operation: str) -> str:
    """Give the IAM action of a botocore method."""
    return "ec2:" + "".join(word.title() for word in operation.split("_"))


def _translate(operation: str, subject: str, response: Mapping[str, Any]) -> Failure:
    """Make an EC2 error a failure: whose turn is it?"""
    code = str(response.get("Error", {}).get("Code", "Unknown"))
    said = str(response.get("Error", {}).get("Message", "")).partition(" Encoded authorization")[0]
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    action = _action(operation)
    what = f"{action} for {subject}: {code}: {said.strip()}"
    if code == "DryRunOperation":
        return _WouldSucceed(what)
    if code in _THROTTLED:
        return Throttled(what, "EC2's bucket is empty; it is tried again")
    if code in {"RouteAlreadyExists", "InvalidRoute.NotFound"} or _NO_ROUTE in said:
        return Conflict(what, "the route table is read again")
    if code in _TRANSIENT | _EXPIRED or status >= 500:  # noqa: PLR2004 - HTTP's server errors
        return Transient(what, "it is tried again")
    return Permanent(what, _remedy(code, action))


def _remedy(code: str, action: str) -> str:
    if code in _DENIED:
        return f"allow {action} in the IAM policy of the pod's role"
    if code in _CREDENTIALS:
        return "check the pod's credentials and the clock of the node"
    return _HINTS.get(code, "see the EC2 error codes page")


_NO_CREDENTIALS = "give the pod a role: EKS Pod Identity, IRSA, or the node's role with hop limit 2"


def _unreached(operation: str, subject: str, error: Exception) -> Failure:
    """Make what botocore says without an answer from EC2 a failure."""
    from botocore import exceptions  # noqa: PLC0415 - slow to import

    action = _action(operation)
    what = f"{action} for {subject}: {error}"
    match error:
        case exceptions.NoCredentialsError() | exceptions.PartialCredentialsError():
            return Permanent(what, _NO_CREDENTIALS)
        case (
            exceptions.ProfileNotFound()
            | exceptions.NoRegionError()
            | exceptions.InvalidRegionError()
            | exceptions.ParamValidationError()
            | exceptions.UnknownServiceError()
        ):
            return Permanent(what, "check the AWS_* variables of the container")
        case _:
            return Transient(what, "check the way from the pod to the EC2 endpoint; it is retried")
