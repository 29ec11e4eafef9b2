"""The HTTP endpoint: a request through the faults to the account, and a log of every call."""

import secrets
import socket
import ssl
import threading
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from moto.core.request import Request

from vipmanager_lab.ec2 import answers
from vipmanager_lab.ec2.account import Account
from vipmanager_lab.ec2.describe import DESCRIBES
from vipmanager_lab.ec2.errors import ApiError, dry_run
from vipmanager_lab.ec2.faults import Break, Fail, Faults, Forget, Hang, refusal
from vipmanager_lab.ec2.prefix_lists import LIST_ACTIONS
from vipmanager_lab.ec2.query import access_key, flag, parse
from vipmanager_lab.ec2.routes import ROUTE_ACTIONS
from vipmanager_lab.server import Delivery, HttpAnswer, HttpRequest, Server

_STS_VERSION: Final = "2011-06-15"

_RESOURCES: Final[Mapping[str, tuple[str, str]]] = {
    # The action's parameter that names its resource, and the resource's type in an ARN
    # (Service Authorization Reference). Describes have no resource level.
    "CreateRoute": ("RouteTableId", "route-table"),
    "ReplaceRoute": ("RouteTableId", "route-table"),
    "DeleteRoute": ("RouteTableId", "route-table"),
    "DeleteRouteTable": ("RouteTableId", "route-table"),
    "ModifyManagedPrefixList": ("PrefixListId", "prefix-list"),
    "DeleteManagedPrefixList": ("PrefixListId", "prefix-list"),
    "ModifyNetworkInterfaceAttribute": ("NetworkInterfaceId", "network-interface"),
    "AssignPrivateIpAddresses": ("NetworkInterfaceId", "network-interface"),
    "AssignIpv6Addresses": ("NetworkInterfaceId", "network-interface"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that arrived, answered or not."""

    start: float
    """Monotonic seconds when the request had been read."""
    finish: float
    """Monotonic seconds when the answer was ready to leave."""
    action: str
    parameters: Mapping[str, str]
    error: str | None
    """EC2's error code; `reset`, `lost`, `truncated` or `unreachable` for an answer that did
    not arrive whole; None for success."""
    access_key: str | None
    source: str
    """The address that it came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    action: str
    parameters: Mapping[str, str]
    key: str | None
    sts: bool
    http: HttpRequest


_NOTHING: Final[tuple[HttpAnswer, str | None]] = (
    HttpAnswer(delivery=Delivery.CLOSED),
    "unreachable",
)


class Endpoint:
    """EC2 and STS for one account, on any number of sockets.

    Signatures are not verified; see `account.credentials` for keys that expire.

    Args:
        account: what is served.
        faults: what goes wrong; None for nothing.
        tls: serve HTTPS with this context.
        idle_seconds: close a connection that has been quiet for so long.
    """

    def __init__(
        self,
        account: Account,
        faults: Faults | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        idle_seconds: float | None = None,
    ) -> None:
        self.account = account
        self.faults = faults or Faults()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._server = Server(self._respond, name="lab-ec2", tls=tls, idle_seconds=idle_seconds)

    def listen(self, listener: socket.socket) -> None:
        """Serve a bound socket, such as one opened in another network namespace."""
        self._server.listen(listener)

    def close(self) -> None:
        """End every connection, hang and thread, within a second."""
        self._closing.set()
        self.faults.wake()
        self._server.close()

    # The log

    @property
    def connections(self) -> int:
        """Connections accepted so far."""
        return self._server.accepted

    @property
    def calls(self) -> list[Call]:
        """Every call so far, in the order in which they finished."""
        with self._lock:
            return list(self._calls)

    def calls_of(self, action: str) -> list[Call]:
        """The calls of one action."""
        return [call for call in self.calls if call.action == action]

    def counts(self) -> Counter[str]:
        """How many calls each action got."""
        return Counter(call.action for call in self.calls)

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        with self._lock:
            self._calls.clear()

    # One request

    def _respond(self, http: HttpRequest) -> HttpAnswer:
        start = time.monotonic()
        parameters = parse(http.query, http.body)
        asked = _Asked(
            action=parameters.get("Action", ""),
            parameters=parameters,
            key=access_key(http.headers.get("authorization")),
            sts=parameters.get("Version") == _STS_VERSION,
            http=http,
        )
        answer, error = self.faults.carry(
            http.source,
            lambda: self._strike(asked),
            action=asked.action,
            nothing=_NOTHING,
            closing=self._closing,
        )
        with self._lock:
            self._calls.append(
                Call(
                    start=start,
                    finish=time.monotonic(),
                    action=asked.action,
                    parameters=parameters,
                    error=error,
                    access_key=asked.key,
                    source=http.source,
                )
            )
        return answer

    def _strike(self, asked: _Asked) -> tuple[HttpAnswer, str | None]:
        request_id = str(uuid.uuid4())
        fault = self.faults.strike(asked.action)
        if fault is Break.RESET:
            return HttpAnswer(delivery=Delivery.RESET), fault.value
        if isinstance(fault, Hang):
            self.faults.hang(fault, self._closing.is_set)
            if self._closing.is_set():
                return _NOTHING
        try:
            if isinstance(fault, Fail):
                raise refusal(fault)
            self._admit(asked)
            if isinstance(fault, Forget):
                body = answers.result(asked.action, request_id, "<return>true</return>")
            else:
                body = self._perform(asked, request_id)
            status, error = HTTPStatus.OK, None
        except ApiError as refused:
            body = answers.error(refused, request_id, sts=asked.sts)
            status, error = HTTPStatus(refused.status), refused.code
        delivery = Delivery.WHOLE
        if isinstance(fault, Break):
            delivery = Delivery.RESET if fault is Break.LOST else Delivery.TRUNCATED
            error = fault.value
        answer = HttpAnswer(
            status=status,
            body=body.encode(),
            headers={
                "Content-Type": "text/xml;charset=UTF-8",
                "Date": formatdate(usegmt=True),
                "x-amzn-RequestId": request_id,
            },
            delivery=delivery,
        )
        return answer, error

    def _admit(self, asked: _Asked) -> None:
        """Everything EC2 checks before it looks at the request itself."""
        token = asked.http.headers.get("x-amz-security-token")
        self.account.credentials.check(asked.key, token, asked.action, sts=asked.sts)
        self.faults.spend(asked.action, asked.parameters)
        parameter, kind = _RESOURCES.get(asked.action, ("", ""))
        resource = asked.parameters.get(parameter)
        if self.faults.denied(asked.action, resource):
            raise self._not_authorized(asked, f"{kind}/{resource}" if resource else None)
        if not asked.sts and flag(asked.parameters, "DryRun"):
            # A dry run is authorised first and ends there: nothing else is looked at.
            raise dry_run()

    def _perform(self, asked: _Asked, request_id: str) -> str:
        try:
            if asked.action in ROUTE_ACTIONS and not asked.sts:
                self.account.write_route(asked.action, asked.parameters)
                return answers.result(asked.action, request_id, "<return>true</return>")
            if asked.action in LIST_ACTIONS and not asked.sts:
                took = self.faults.delay(f"{asked.action} carried out")
                content = self.account.write_list(asked.action, asked.parameters, took)
                return answers.result(asked.action, request_id, content)
            if asked.action in DESCRIBES and not asked.sts:
                stale = self.faults.staleness
                view = self.account.view
                if stale is not None:
                    view = self.account.view_before(seconds=stale.seconds, writes=stale.writes)
                content = DESCRIBES[asked.action](view, asked.parameters)
                return answers.result(asked.action, request_id, content)
            request = Request.from_primitives(
                asked.http.method,
                f"http://lab{asked.http.path}?{asked.http.query}",
                asked.http.headers,
                asked.http.body,
            )
            body = self.account.perform(asked.action, request, sts=asked.sts)
        except ApiError:
            raise
        except Exception as bug:
            raise ApiError(
                "InternalError",
                f"An internal error has occurred: {bug!r}",
                HTTPStatus.INTERNAL_SERVER_ERROR,
            ) from bug
        return answers.with_request_id(body, request_id)

    def _not_authorized(self, asked: _Asked, resource: str | None) -> ApiError:
        """EC2's text, as pasted in public issues; STS says AccessDenied."""
        account = self.account
        service = "sts" if asked.sts else "ec2"
        arn = asked.parameters.get("RoleArn", "*") if asked.sts else "*"
        if resource is not None:
            arn = f"arn:aws:ec2:{account.region}:{account.id}:{resource}"
        text = (
            f"User: {account.caller(asked.key)} is not authorized to perform: "
            f"{service}:{asked.action} on resource: {arn} because no identity-based policy "
            f"allows the {service}:{asked.action} action"
        )
        if asked.sts:
            return ApiError("AccessDenied", text, HTTPStatus.FORBIDDEN)
        return ApiError(
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. {text}. "
            f"Encoded authorization failure message: {secrets.token_urlsafe(120)}",
            HTTPStatus.FORBIDDEN,
        )
