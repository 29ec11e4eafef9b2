"""What is asked of the Kubernetes API, and what its answers mean: JSON values in, failures out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, Transient, Unknown
from vipmanager.core.lease import Gone
from vipmanager.core.text import printable, words

MERGE = "application/merge-patch+json"
FIELD_MANAGER = "vipmanager"

_METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}


class Missing(Permanent):
    """404: the object, or its namespace, does not exist."""


_MEANS: Mapping[int, tuple[type[Failure], str]] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: (Unknown, "the token is read again once kubelet renewed it"),
        HTTPStatus.FORBIDDEN: (
            Permanent,
            "allow {verb} on {resource} in a {role} bound to the pod's service account",
        ),
        HTTPStatus.NOT_FOUND: (Missing, ""),
        HTTPStatus.REQUEST_TIMEOUT: (Transient, ""),
        HTTPStatus.CONFLICT: (Conflict, ""),
        HTTPStatus.GONE: (Gone, ""),
    }
)
"""HTTP codes below 500; any other is Permanent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. Each may be sent twice: a second one changes nothing, or meets a conflict."""

    verb: str
    """As RBAC names it."""
    resource: str
    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        """Name it as messages do."""
        return f"the Kubernetes API: {self.verb} {self.resource}"

    @property
    def role(self) -> str:
        """What grants it: a ClusterRole, what is of no namespace or of all."""
        return "Role" if "/namespaces/" in self.path else "ClusterRole"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return _METHODS.get(self.verb, "GET")

    @property
    def target(self) -> str:
        """Path and query."""
        managed = self.body is not None and self.verb != "delete"
        writes = {"fieldManager": FIELD_MANAGER} if managed else {}
        query = urlencode(writes | dict(self.parameters))
        return f"{self.path}?{query}" if query else self.path

    @property
    def content(self) -> bytes | None:
        """The body as it is sent."""
        return None if self.body is None else json.dumps(self.body).encode()

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that belong to the body."""
        kind = MERGE if self.verb == "patch" else "application/json"
        return {} if self.body is None else {"Content-Type": kind}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, whole."""

    status: int
    body: bytes
    retry_after: str | None = None


def document(request: Request, answer: Answer) -> Mapping[str, Any]:
    """Give the object that a call was answered with.

    Raises:
        Failure: it was refused, or the answer is none of a Kubernetes API.
    """
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise refused(request, answer)
    found = _object(answer.body)
    if found is None:
        raise _no_answer(request, answer.body)
    return found


def event(request: Request, line: bytes) -> tuple[str, Mapping[str, Any]]:
    """Read one line of a watch.

    Raises:
        Gone: the API ends the watch, and says why; the version is not to be asked for again.
        Transient: it is no event.
    """
    found = _object(line) or {}
    kind, changed = found.get("type"), found.get("object")
    if not isinstance(kind, str) or not isinstance(changed, dict):
        raise _no_answer(request, line)
    if kind == "ERROR":
        raise Gone(f"{request}: the watch was ended: {_said(changed)}", "it begins anew")
    return kind, changed


def unexpected(what: str, said: object) -> Transient:
    """Make a failure of what no Kubernetes API gives."""
    return Transient(
        f"{what} is not as expected ({said})", "check what KUBERNETES_SERVICE_HOST leads to"
    )


def refused(request: Request, answer: Answer) -> Failure:
    """Make a failure of a refusal: whose turn is it?

    The HTTP code decides. What says that something is for good, or for sure, has to come from the
    API itself, in a Status: a proxy or a load balancer in its place knows nothing of Leases.
    """
    status, code = _object(answer.body) or {}, answer.status
    genuine = status.get("kind") == "Status" or status.get("status") == "Failure"
    said = _said(status) if status else words(answer.body.decode(errors="replace"))
    text = f"{request}: {code} {said}".rstrip()
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        wait = (
            f"it asks to wait {printable(answer.retry_after, 20)} s; " if answer.retry_after else ""
        )
        return Throttled(text, f"{wait}it is tried again")
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient(text, "it is tried again")
    kind, hint = _MEANS.get(code, (Permanent, ""))
    if not genuine and issubclass(kind, Permanent | Conflict):
        return Transient(f"{request}: HTTP {code} without a Status: {said}".rstrip(": "))
    if kind is Missing and not _names_object(status):
        kind = Permanent
    return kind(text, hint.format(verb=request.verb, resource=request.resource, role=request.role))


def _no_answer(request: Request, body: bytes) -> Transient:
    return unexpected(f"{request}: the answer", words(body.decode(errors="replace")) or "nothing")


def _names_object(status: Mapping[str, Any]) -> bool:
    """Tell a missing object from a path that this server does not know (at its start, say)."""
    details = status.get("details")
    return isinstance(details, dict) and bool(details.get("name"))


def _said(status: Mapping[str, Any]) -> str:
    """Give a Status in words: a webhook's denial may have a message and no reason, or causes."""
    said = [str(status.get(key) or "") for key in ("reason", "message")]
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    for cause in causes if isinstance(causes, list) else ():
        told = str(cause.get("message") or "") if isinstance(cause, dict) else ""
        if told and told not in said[1]:
            said.append(told)
    return words(": ".join(word for word in said if word)) or "without a reason"


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
