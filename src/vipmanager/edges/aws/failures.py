"""What EC2's refusals and botocore's exceptions mean: whose turn is it?"""

from collections.abc import Mapping
from typing import Any

from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, Transient

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
EXPIRED = frozenset({"RequestExpired", "ExpiredToken", "ExpiredTokenException"})
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
CREDENTIALS = frozenset(
    {"AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "MissingAuthenticationToken"}
)
_NO_ROUTE = "There is no route defined for"
"""The text by which ReplaceRoute tells an absent route from any other InvalidParameterValue."""

_HINTS = {
    "RouteLimitExceeded": "the route table is full: raise quota L-93826ACB, or remove routes",
    "InvalidRouteTableID.NotFound": "the table was deleted; it is left out from the next reading",
}


class WouldSucceed(Failure):
    """EC2's answer to a dry run of a call that it would make (error code DryRunOperation)."""


def iam_action(operation: str) -> str:
    """Give the IAM action of a botocore method."""
    return "ec2:" + "".join(word.title() for word in operation.split("_"))


def refused(operation: str, subject: str, response: Mapping[str, Any]) -> Failure:
    """Make an EC2 error a failure: whose turn is it?"""
    code = str(response.get("Error", {}).get("Code", "Unknown"))
    said = str(response.get("Error", {}).get("Message", "")).partition(" Encoded authorization")[0]
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    action = iam_action(operation)
    what = f"{action} for {subject}: {code}: {said.strip()}"
    if code == "DryRunOperation":
        return WouldSucceed(what)
    if code in _THROTTLED:
        return Throttled(what, "EC2's bucket is empty; it is tried again")
    if code in {"RouteAlreadyExists", "InvalidRoute.NotFound"} or _NO_ROUTE in said:
        return Conflict(what, "the route table is read again")
    if code in _TRANSIENT | EXPIRED or status >= 500:  # noqa: PLR2004 - HTTP's server errors
        return Transient(what, "it is tried again")
    return Permanent(what, _remedy(code, action))


def _remedy(code: str, action: str) -> str:
    if code in _DENIED:
        return f"allow {action} in the IAM policy of the pod's role"
    if code in CREDENTIALS:
        return "check the pod's credentials and the clock of the node"
    return _HINTS.get(code, "see the EC2 error codes page")


_NO_CREDENTIALS = "give the pod a role: EKS Pod Identity, IRSA, or the node's role with hop limit 2"


def unreached(operation: str, subject: str, error: Exception) -> Failure:
    """Make what botocore says without an answer from EC2 a failure."""
    from botocore import exceptions  # noqa: PLC0415 - slow to import

    action = iam_action(operation)
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
