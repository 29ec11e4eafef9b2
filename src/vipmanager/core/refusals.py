"""What the error codes of EC2 mean, and those that all of AWS has: the one table of them.

Who adds a code adds it here. `scripts/docs` takes from it the table of codes of docs/operations.md
and what the function in deploy/lambda waits for.
"""

from dataclasses import dataclass

from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, Transient
from vipmanager.core.findings import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One meaning, and the codes that have it."""

    codes: tuple[str, ...]
    said: str = ""
    """A part of the message, where EC2 uses one code for much."""
    failure: type[Failure]
    """How it is handled: tried again, read again, or left to a person."""
    condition: Condition
    """What it is told as."""
    remedy: str
    """What a person or the program does next; `{action}` is the IAM action of the call."""
    renews: bool = False
    """Whether AWS takes the credentials no more, so that they are looked for anew."""


REFUSALS = (
    Refusal(
        # EC2 error codes page, "RequestLimitExceeded"; the others are what botocore takes for
        # throttling, whose list is its own (botocore/retries/standard.py).
        codes=(
            "RequestLimitExceeded",
            "Throttling",
            "ThrottlingException",
            "EC2ThrottledException",
            "BandwidthLimitExceeded",
        ),
        failure=Throttled,
        condition=Condition.THROTTLED,
        remedy="EC2's bucket is empty; it is tried again",
    ),
    Refusal(
        codes=("RouteAlreadyExists", "InvalidRoute.NotFound"),
        failure=Conflict,
        condition=Condition.TRANSIENT,
        remedy="the route table is read again",
    ),
    Refusal(
        # The text by which ReplaceRoute tells an absent route from other wrong values.
        codes=("InvalidParameterValue",),
        said="There is no route defined for",
        failure=Conflict,
        condition=Condition.TRANSIENT,
        remedy="the route table is read again",
    ),
    Refusal(
        # EC2 error codes page, "server errors"; `InternalFailure`, `ServiceUnavailable` and
        # `RequestTimeout` are common to all of AWS.
        codes=(
            "InternalError",
            "InternalFailure",
            "ServerInternal",
            "ServiceUnavailable",
            "Unavailable",
            "RequestTimeout",
        ),
        failure=Transient,
        condition=Condition.TRANSIENT,
        remedy="it is tried again",
    ),
    Refusal(
        # EC2 is eventually consistent: an ENI that was attached a moment ago.
        codes=("InvalidNetworkInterfaceID.NotFound",),
        failure=Transient,
        condition=Condition.TRANSIENT,
        remedy="it is tried again",
    ),
    Refusal(
        # A clock that is being set, or credentials that are being renewed.
        codes=("RequestExpired", "ExpiredToken", "ExpiredTokenException"),
        failure=Transient,
        condition=Condition.TRANSIENT,
        remedy="it is tried again",
        renews=True,
    ),
    Refusal(
        codes=("UnauthorizedOperation", "AccessDenied", "AccessDeniedException"),
        failure=Permanent,
        condition=Condition.ACCESS_DENIED,
        remedy="allow {action} in the IAM policy of the pod's role",
    ),
    Refusal(
        codes=(
            "AuthFailure",
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
            "MissingAuthenticationToken",
        ),
        failure=Permanent,
        condition=Condition.NO_CREDENTIALS,
        remedy="check the pod's credentials and the clock of the node",
        renews=True,
    ),
    Refusal(
        codes=("RouteLimitExceeded",),
        failure=Permanent,
        condition=Condition.ROUTE_QUOTA,
        remedy="the route table is full: raise quota L-93826ACB, or remove routes",
    ),
    Refusal(
        codes=("InvalidRouteTableID.NotFound",),
        failure=Permanent,
        condition=Condition.TABLE_GONE,
        remedy="the table was deleted; it is left out from the next reading",
    ),
)
"""What an agent's calls meet; the first row with the code and the text counts."""

UNKNOWN = Refusal(
    codes=(),
    failure=Permanent,
    condition=Condition.PERMANENT,
    remedy="see the EC2 error codes page",
)
"""A code that is in no row."""

SERVER_ERROR = Refusal(
    codes=(), failure=Transient, condition=Condition.TRANSIENT, remedy="it is tried again"
)
"""An answer of HTTP status 500 and more, unless its row says more."""

ATTACHING = (
    # EC2 does not know yet what the function just made.
    "InvalidInstanceID.NotFound",
    "InvalidAttachmentID.NotFound",
    # The instance is pending; another call for the same event is at it.
    "IncorrectState",
    "IncorrectInstanceState",
    "InvalidNetworkInterface.InUse",
)
"""What time mends for the function that attaches ENIs alone: no call of an agent meets it."""


def refusal(code: str, said: str = "", status: int = 400) -> Refusal:
    """Give what an answer means.

    Args:
        code: the error code.
        said: the message.
        status: of HTTP.
    """
    row = next((r for r in REFUSALS if code in r.codes and r.said in said), UNKNOWN)
    faulty = status >= 500  # noqa: PLR2004 - HTTP's server errors
    return SERVER_ERROR if faulty and row.failure is Permanent else row


def mended_by_time() -> tuple[str, ...]:
    """Give the codes for which the function that attaches ENIs waits.

    Its credentials are Lambda's to renew.
    """
    passing = (r for r in REFUSALS if r.failure in {Transient, Throttled} and not r.renews)
    return tuple(sorted({code for r in passing for code in r.codes} | {*ATTACHING}))
