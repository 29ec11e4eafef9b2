"""Refusals, as the API server words them: each becomes a `Status` object.

The reasons and their HTTP codes are those of apimachinery's `metav1.StatusReason`.
"""

from collections.abc import Mapping
from http import HTTPStatus

from vipmanager_lab.kube.kinds import Kind


class StatusError(Exception):
    """The API server refuses a request."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, object] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = int(code), reason, message
        self.details = dict(details or {})
        self.retry_after = retry_after
        """Seconds that a client shall wait, as header and detail."""

    def document(self) -> dict[str, object]:
        """Give the Status object."""
        details = dict(self.details)
        if self.retry_after is not None:
            details["retryAfterSeconds"] = self.retry_after
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            **({"details": details} if details else {}),
            "code": self.code,
        }


def _of(kind: Kind, name: str) -> dict[str, object]:
    found: dict[str, object] = {"name": name, "kind": kind.plural}
    return found | ({"group": kind.group} if kind.group else {})


def not_found(kind: Kind, name: str) -> StatusError:
    """404 for an object that is not there."""
    text = f'{kind.qualified} "{name}" not found'
    return StatusError(HTTPStatus.NOT_FOUND, "NotFound", text, details=_of(kind, name))


def unknown_path() -> StatusError:
    """404 for a path that leads nowhere."""
    text = "the server could not find the requested resource"
    return StatusError(HTTPStatus.NOT_FOUND, "NotFound", text)


def exists(kind: Kind, name: str) -> StatusError:
    """409 for a name that is taken."""
    text = f'{kind.qualified} "{name}" already exists'
    return StatusError(HTTPStatus.CONFLICT, "AlreadyExists", text, details=_of(kind, name))


def modified(kind: Kind, name: str) -> StatusError:
    """409 for a write that is based on an older version."""
    return _conflict(
        kind,
        name,
        "the object has been modified; please apply your changes to the latest version and try "
        "again",
    )


def other_uid(kind: Kind, name: str, wanted: str, found: str) -> StatusError:
    """409 for a write that means an object of the same name that is gone."""
    text = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    return _conflict(kind, name, text)


def _conflict(kind: Kind, name: str, why: str) -> StatusError:
    text = f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}'
    return StatusError(HTTPStatus.CONFLICT, "Conflict", text, details=_of(kind, name))


def invalid(kind: Kind, name: str, problem: str) -> StatusError:
    """422 for an object that breaks a rule of its kind."""
    text = f'{kind.name}{"." + kind.group if kind.group else ""} "{name}" is invalid: {problem}'
    return StatusError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", text, details=_of(kind, name))


def unpatchable(problem: str) -> StatusError:
    """422 for a patch that makes what can't be read."""
    text = f' "" is invalid: patch: Invalid value: {problem}'
    return StatusError(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", text)


def bad_request(text: str) -> StatusError:
    """400 for a request that can't be understood."""
    return StatusError(HTTPStatus.BAD_REQUEST, "BadRequest", text)


def expired(since: int, oldest: int) -> StatusError:
    """410 for a version older than what is remembered ("410 Gone", API concepts)."""
    text = f"too old resource version: {since} ({oldest})"
    return StatusError(HTTPStatus.GONE, "Expired", text)


def forbidden(user: str, path: str) -> StatusError:
    """403 for what no rule allows."""
    text = f'forbidden: User "{user}" cannot reach "{path}"'
    return StatusError(HTTPStatus.FORBIDDEN, "Forbidden", text)


def unauthorized() -> StatusError:
    """401 for a token that is not good, or not any more."""
    return StatusError(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")
