"""How the endpoint says no: one exception that carries EC2's code, text and HTTP status."""

from http import HTTPStatus


class ApiError(Exception):
    """An answer in EC2's error format.

    Attributes:
        code: EC2's error code, such as `InvalidParameterValue`.
        message: the text a person reads.
        status: the HTTP status; client errors are 400 unless EC2 says otherwise.
    """

    def __init__(self, code: str, message: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = int(status)


def invalid(message: str) -> ApiError:
    """InvalidParameterValue, EC2's overloaded code for most refusals."""
    return ApiError("InvalidParameterValue", message)


def missing(parameter: str) -> ApiError:
    """A required parameter is absent; EC2 spells it with a small first letter."""
    return ApiError("MissingParameter", f"The request must contain the parameter {parameter}")


def throttled() -> ApiError:
    """What EC2 answers an empty bucket: a server error (EC2 error codes page)."""
    return ApiError(
        "RequestLimitExceeded", "Request limit exceeded.", HTTPStatus.SERVICE_UNAVAILABLE
    )


def dry_run() -> ApiError:
    """What EC2 answers a permitted call with DryRun set; nothing is changed."""
    return ApiError(
        "DryRunOperation",
        "Request would have succeeded, but DryRun flag is set.",
        HTTPStatus.PRECONDITION_FAILED,
    )
