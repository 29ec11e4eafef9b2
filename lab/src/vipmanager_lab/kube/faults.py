"""What goes wrong between a client and the Kubernetes API; actions are named `update leases`."""

from dataclasses import dataclass
from http import HTTPStatus

from vipmanager_lab.faults import Break, Hang, NetworkFaults
from vipmanager_lab.kube.status import StatusError


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Answer with a Status; nothing is applied."""

    code: int
    reason: str
    message: str
    retry_after: int | None = None
    plain: bool = False
    """Whether it is said in plain text, by what stands before the API proper."""

    def error(self) -> StatusError:
        """Give the refusal as the error to answer with."""
        return StatusError(self.code, self.reason, self.message, retry_after=self.retry_after)


TOO_MANY = Refuse(
    code=HTTPStatus.TOO_MANY_REQUESTS,
    reason="TooManyRequests",
    message="Too many requests, please try again later.",
    retry_after=1,
    plain=True,
)
"""What an API server says that has too much to do (apiserver, pkg/server/filters/maxinflight.go).
"""
STARTING = Refuse(
    code=HTTPStatus.FORBIDDEN,
    reason="Forbidden",
    message='forbidden: User "system:serviceaccount:telco:vip" cannot do this: RBAC: not loaded',
)
"""What an API server that starts says for about a second, until it has read its Roles."""
EXPIRED = Refuse(code=HTTPStatus.GONE, reason="Expired", message="too old resource version: 1 (2)")
INTERNAL = Refuse(
    code=HTTPStatus.INTERNAL_SERVER_ERROR,
    reason="InternalError",
    message="Internal error occurred: etcdserver: request timed out",
)
UNAVAILABLE = Refuse(
    code=HTTPStatus.SERVICE_UNAVAILABLE,
    reason="ServiceUnavailable",
    message="the server is currently unable to handle the request",
)

Fault = Refuse | Hang | Break


class Faults(NetworkFaults[Fault]):
    """What the network does to calls and watches, and refusals by verb and resource.

    `inject("update leases", TOO_MANY)`, `inject("* events", Break.RESET, times=3)`.
    """
