"""What EC2's refusals and botocore's exceptions mean: whose turn is it?"""

import os
from collections.abc import Mapping
from typing import Any

from vipmanager.core import refusals
from vipmanager.core.failures import Failure, Permanent, TooLate, Transient
from vipmanager.core.text import printable, words
from vipmanager.edges.aws import environment
from vipmanager.edges.wire.connection import Silent


def is_silent(error: Exception) -> bool:
    """Tell whether botocore's exception wraps a request that was not acknowledged."""
    return isinstance(getattr(error, "kwargs", {}).get("error"), Silent)


class WouldSucceed(Failure):
    """EC2's answer to a dry run of a call that it would make (error code DryRunOperation)."""


def iam_action(operation: str) -> str:
    """Give the IAM action of a botocore method."""
    return "ec2:" + "".join(word.title() for word in operation.split("_"))


def refused(operation: str, subject: str, response: Mapping[str, Any]) -> Failure:
    """Make an EC2 error a failure: whose turn is it?"""
    code = printable(response.get("Error", {}).get("Code", "Unknown"), 80)
    said = str(response.get("Error", {}).get("Message", "")).partition(" Encoded authorization")[0]
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    action = iam_action(operation)
    what = f"{action} for {subject}: {code}: {words(said)}"
    if code == "DryRunOperation":
        return WouldSucceed(what)
    row = refusals.refusal(code, said, status)
    return row.failure(what, row.remedy.format(action=action), condition=row.condition)


def unreached(action: str, subject: str, error: Exception, *, to: str = "EC2") -> Failure:
    """Make what botocore, or a library under it, says without an answer of AWS a failure.

    Args:
        action: the IAM action of the call.
        subject: what it was about.
        error: of whatever library.
        to: whose endpoint it is.
    """
    from botocore import exceptions  # noqa: PLC0415 - slow to import
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    what = f"{action} for {subject}: {words(str(error) or type(error).__name__)}"
    match getattr(error, "kwargs", {}).get("error"):
        case TooLate() as late:
            return TooLate(f"{action} for {subject}: {late}")
        case Silent() as silent:
            what = f"{action} for {subject}: {silent}"
        case _:
            pass
    way = Transient(what, f"check the way from the pod to the {to} endpoint; it is retried")
    match error:
        case (
            exceptions.EndpointConnectionError()
            | exceptions.ConnectTimeoutError()
            | exceptions.ReadTimeoutError()
            | exceptions.ConnectionClosedError()
            | ResponseParserError()
        ):
            return way
        case _:
            wrong = next(environment.mistakes(os.environ, tokens=False), None)
    if wrong is not None:
        return Transient(f"{action} for {subject}: {wrong}", "it is tried again")
    return way if isinstance(error, exceptions.HTTPClientError | OSError) else Permanent(what, _SDK)


_SDK = "check the AWS_* variables of the container"
