"""ARC's zonal shifts through botocore, and whether the pod may stay in its zone."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol

from vipmanager.core import places
from vipmanager.core.failures import Failure, Permanent, Throttled, Transient
from vipmanager.core.text import all_printable, printable, words
from vipmanager.edges.aws.credentials import signing
from vipmanager.edges.aws.ec2 import CONNECT_TIMEOUT, READ_TIMEOUT
from vipmanager.edges.aws.failures import unreached
from vipmanager.edges.aws.session import client

ACTION = "arc-zonal-shift:GetManagedResource"
"""The IAM action, on the cluster's ARN."""

_REGISTER = "aws eks update-cluster-config --name CLUSTER --zonal-shift-config enabled=true"

_REFUSED: Mapping[str, tuple[type[Failure], str]] = {
    "ThrottlingException": (Throttled, "it is asked less often"),
    "AccessDeniedException": (Permanent, f"allow {ACTION} in the IAM policy of the pod's role"),
    "ResourceNotFoundException": (
        Permanent,
        f"correct ClusterArn, or let ARC manage the cluster: {_REGISTER}",
    ),
    "ValidationException": (Permanent, "correct ClusterArn"),
    "UnrecognizedClientException": (Permanent, "check the pod's credentials"),
    "InvalidSignatureException": (Permanent, "check the clock of the node"),
}
"""What the API's error codes mean (ARC API reference); any other below 500 is a person's too."""


class ZonalShifts:
    """Reads what ARC says of a resource."""

    def __init__(self, region: str) -> None:
        """Prepare nothing yet; the Region is the resource's."""
        self._region = region

    def of(self, resource: str) -> Mapping[str, Any]:
        """Read what ARC says of a resource, by its ARN.

        Raises:
            Transient, Permanent: it said nothing.
        """
        from botocore.exceptions import ClientError  # noqa: PLC0415 - slow to import

        what = f"{ACTION} on {resource}"
        try:
            answer: Mapping[str, Any] = self._client.get_managed_resource(
                resourceIdentifier=resource
            )
        except ClientError as error:
            # botocore keeps credentials until they expire, also those that were taken back.
            self.__dict__.pop("_client", None)
            raise _refused(what, error.response) from error
        except Failure:  # of the credentials
            raise
        except Exception as error:
            raise unreached(ACTION, resource, error, to="ARC") from error
        said: Mapping[str, Any] = all_printable(answer)
        return said

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - botocore makes clients at run time
        return client(
            signing(self._region),
            "arc-zonal-shift",
            self._region,
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            user_agent_extra="vipmanager",
        )


class Shifts(Protocol):
    """Where zonal shifts are read."""

    def of(self, resource: str) -> Mapping[str, Any]:
        """Read what ARC says of a resource."""
        ...


class ZonePlace:
    """The `Place` port of the zone."""

    name = "zone"
    every = 30.0
    """Seconds, as Karpenter does (1.12, pkg/controllers/providers/arczonalshift)."""

    def __init__(self, shifts: Shifts, cluster: str, zone: Callable[[], str]) -> None:
        """Ask nothing yet.

        Args:
            shifts: ARC.
            cluster: the ARN of the EKS cluster.
            zone: gives the id of the pod's zone.
        """
        self._shifts, self._cluster, self._find = shifts, cluster, zone
        self._zone = ""

    def why_leave(self) -> str:
        """Read the cluster's shifts.

        Raises:
            Transient, Permanent: they, or the zone, could not be read.
        """
        self._zone = self._zone or self._find()
        try:
            return places.of_zone(self._zone, self._shifts.of(self._cluster))
        except ValueError as error:
            raise Transient(
                f"{ACTION}: an unexpected answer ({error})",
                "check what AWS_ENDPOINT_URL_ARC_ZONAL_SHIFT leads to",
            ) from error


def _refused(what: str, response: Mapping[str, Any]) -> Failure:
    error = response.get("Error", {})
    code, said = printable(error.get("Code", "Unknown"), 80), words(str(error.get("Message", "")))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    text = f"{what}: {code}: {said}"
    if code.startswith("ExpiredToken") or status >= 500:  # noqa: PLR2004 - HTTP's server errors
        return Transient(text, "it is asked again")
    kind, hint = _REFUSED.get(code, (Permanent, "see the ARC API reference"))
    return kind(text, hint)
