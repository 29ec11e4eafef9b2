"""What it means that a source gives no credentials: named as what it is, and whose turn it is."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vipmanager.core import refusals
from vipmanager.core.failures import Failure, Permanent, Transient
from vipmanager.core.findings import Condition
from vipmanager.core.text import printable, words
from vipmanager.edges.aws import environment

NONE = (
    "give the pod a role: EKS Pod Identity (aws eks create-pod-identity-association), IRSA, or the "
    "node's role with hop limit 2"
)
"""What to do where no source has any."""

_AGAIN = "it is tried again"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    name: str
    """What an operator calls it."""
    hint: str = _AGAIN


_SOURCES: Mapping[str, _Source] = {
    # By botocore's name of a provider.
    "env": _Source(name="the environment (AWS_ACCESS_KEY_ID)"),
    "assume-role-with-web-identity": _Source(
        name="IRSA (AWS_WEB_IDENTITY_TOKEN_FILE)",
        hint=f"check the way from the pod to STS; {_AGAIN}",
    ),
    "assume-role": _Source(
        name="sts:AssumeRole", hint=f"check the way from the pod to STS; {_AGAIN}"
    ),
    "container-role": _Source(
        name="EKS Pod Identity (AWS_CONTAINER_CREDENTIALS_FULL_URI)",
        hint="see the agent on the node (kubectl -n kube-system get pods -l "
        "app.kubernetes.io/name=eks-pod-identity-agent) and the association of the service "
        f"account; {_AGAIN}",
    ),
    "iam-role": _Source(
        name="the node's role (IMDS)", hint=f"check the node's instance profile; {_AGAIN}"
    ),
    "custom-process": _Source(
        name="credential_process of the AWS config file",
        hint=f"see what the program says; {_AGAIN}",
    ),
    "shared-credentials-file": _Source(name="the shared credentials file"),
    "config-file": _Source(name="the AWS config file"),
}


_PASSING = frozenset({"InvalidIdentityToken", "IDPCommunicationError", "IDPRejectedClaim"})
"""Beside what passes with EC2 (STS API reference, errors of AssumeRole and
AssumeRoleWithWebIdentity). A token that is not known may be one whose provider can't be asked now,
or was added a moment ago."""


def called(method: str) -> str:
    """Give what an operator calls a source that botocore calls `method`."""
    return _SOURCES[method].name if method in _SOURCES else method


def silent(method: str, seconds: float, role: str | None) -> Failure:
    """Make the silence of a source a failure."""
    said = f"no credentials from {called(method)}{_of(role)}: no answer within {seconds:g} s"
    return Transient(said, _hint(method))


def failure(method: str, error: Exception, role: str | None = None) -> Failure:
    """Make what botocore raises while it looks for credentials a failure.

    Args:
        method: botocore's name of the source.
        error: what was raised, of whatever library.
        role: that was to be assumed, where it is not the environment's.
    """
    from botocore.exceptions import (  # noqa: PLC0415 - slow to import
        ClientError,
        InvalidConfigError,
        PartialCredentialsError,
    )

    if isinstance(error, Failure):
        return error
    if isinstance(error, ClientError):
        return _refused(error.operation_name, error.response, role)
    wrong = next(environment.mistakes(os.environ), None)
    if wrong is not None:
        return Transient(wrong, _AGAIN)
    said = f"no credentials from {called(method)}{_of(role)}: {words(_told(error))}"
    if isinstance(error, InvalidConfigError | PartialCredentialsError):
        hint = "check the AWS_* variables of the container"
        return Permanent(said, hint, condition=Condition.NO_CREDENTIALS)
    return Transient(said, _hint(method))


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _of(role: str | None) -> str:
    return f" for {role} (RouteRoleArn)" if role else ""


def _hint(method: str) -> str:
    return _SOURCES[method].hint if method in _SOURCES else _AGAIN


def _refused(operation: str, response: Mapping[str, Any], role: str | None) -> Failure:
    """Make an answer of STS a failure."""
    code = printable(response.get("Error", {}).get("Code", "Unknown"), 80)
    said = words(str(response.get("Error", {}).get("Message", "")))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    key = "RouteRoleArn" if role else "AWS_ROLE_ARN"
    target = role or os.environ.get("AWS_ROLE_ARN") or "the role of the AWS profile"
    what = f"sts:{operation} for {target}: {code}: {said}"
    row = refusals.refusal(code, said, status)
    if code in _PASSING or issubclass(row.failure, Transient):
        lasts = "if it stays: is the cluster's OIDC provider known to IAM? (aws iam "
        lasts += "list-open-id-connect-providers)"
        return Transient(what, f"{_AGAIN}; {lasts}" if code == "InvalidIdentityToken" else _AGAIN)
    denied = row.condition is Condition.ACCESS_DENIED
    return Permanent(
        what,
        _allowed(operation, target) if denied else _checked(code, key),
        condition=Condition.ACCESS_DENIED if denied else Condition.NO_CREDENTIALS,
    )


def _allowed(operation: str, target: str) -> str:
    """Say who has to allow that a role is assumed."""
    if operation == "AssumeRoleWithWebIdentity":
        return (
            f"let the trust policy of {target} name the cluster's OIDC provider and the pod's "
            "service account"
        )
    return (
        f"allow sts:AssumeRole on {target} in the IAM policy of the pod's role, and name that "
        f"role in the trust policy of {target}"
    )


def _checked(code: str, key: str) -> str:
    if code == "RegionDisabledException":
        return "activate STS for this Region in the account settings of IAM"
    return f"check {key} and the pod's credentials"
