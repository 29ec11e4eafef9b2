"""The pod's network namespace: read and written with iproute2, watched by a netlink socket.

`ip` starts in 1 to 3 ms, a netlink library takes 200 ms to import; events are only hints, so a
bare socket is enough for them.
"""

import json
import os
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from vipmanager.core.actions import (
    AddAddress,
    AddRoute,
    AddRule,
    KernelAction,
    RemoveRoute,
    RemoveRule,
)
from vipmanager.core.failures import Conflict, Failure, Permanent, Transient
from vipmanager.core.values import (
    MAIN_TABLE,
    AddressState,
    KernelRoute,
    KernelState,
    Mac,
    Network,
    PodAddress,
    PodInterface,
    PolicyRule,
    RouteKind,
)

TIMEOUT = 5.0
"""Seconds for one run of `ip`; the kernel answers in milliseconds."""

_READ = "addr show\nroute show table all\nrule show\n"
_DEFAULTS = {4: "0.0.0.0/0", 6: "::/0"}
_KINDS = {"1": RouteKind.UNICAST, "9": RouteKind.THROW}
"""Numbers of the route types (`RTN_UNICAST`, `RTN_THROW`, rtnetlink.h)."""

_FAILED = re.compile(r"Command failed -:(\d+)")
_DOWN = ("Network is down", "Network is unreachable", "is not up")
_GONE = ("No such process", "No such file or directory", "Cannot find device")


class IpRoute:
    """The `Kernel` port over iproute2."""

    def __init__(
        self,
        command: Sequence[str] = ("ip",),
        *,
        falls: Callable[[], Mapping[int, int]] = dict,
    ) -> None:
        """Prepare.

        Args:
            command: what to use as `ip`; it may lead into another namespace.
            falls: how often each link, by index, was seen to go down.
        """
        self._ip = tuple(command)
        self._falls = falls

    def read(self) -> KernelState:
        """Read interfaces, routes and rules of both families.

        Raises:
            Transient: `ip` failed or said something else than expected; never an empty state.
            Permanent: there is no `ip`.
        """
        falls = self._falls()
        # Without a family, `addr` and `route` show both and `rule` shows IPv4.
        with (
            self._start(["-N", "-j", "-batch", "-"]) as both,
            self._start(["-N", "-j", "-6", "rule", "show"]) as six,
        ):
            try:
                text, text6 = self._finish(both, _READ), self._finish(six, "")
            except Failure:
                both.kill()
                six.kill()
                raise
        links, routes, rules = _documents(text, 3)
        (rules6,) = _documents(text6, 1)
        try:
            state = KernelState(
                interfaces=tuple(_interface(link, falls) for link in links if "ifname" in link),
                routes=tuple(r for r in map(_route, routes) if r is not None),
                rules=(*(_rule(r, 4) for r in rules), *(_rule(r, 6) for r in rules6)),
            )
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise Transient(f"`ip -j` answered with something unexpected: {error}") from error
        if not state.interfaces:
            raise Transient("`ip -j` showed no interface, not even `lo`")
        return state

    def write(self, actions: Sequence[KernelAction]) -> Sequence[tuple[KernelAction, Failure]]:
        """Apply all actions, one batch per family; go on past failures and give them."""
        failed: list[tuple[KernelAction, Failure]] = []
        for version in (4, 6):
            group = [a for a in actions if _version(a) == version]
            if group:
                failed += self._batch(version, group)
        return failed

    def _batch(
        self, version: int, actions: Sequence[KernelAction]
    ) -> list[tuple[KernelAction, Failure]]:
        script = "".join(str(a).removeprefix("ip ") + "\n" for a in actions)
        # A batch stops at its first error unless it is forced.
        process = self._start([f"-{version}", "-force", "-batch", "-"])
        try:
            _, errors = process.communicate(script, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            slow = Transient("`ip` did not end in time")
            return [(a, slow) for a in actions]
        failed: list[tuple[KernelAction, Failure]] = []
        said: list[str] = []
        if process.returncode and not _FAILED.search(errors):
            # Not a line failed, but `ip` itself: nothing was done.
            dead = Transient(f"`ip` failed: {errors.strip() or process.returncode}")
            return [(a, dead) for a in actions]
        for line in errors.splitlines():
            match = _FAILED.match(line)
            if match is None:
                said.append(line)
                continue
            action = actions[int(match[1]) - 1]
            failure = _failure(action, " ".join(said).strip())
            if failure is not None:
                failed.append((action, failure))
            said.clear()
        return failed

    def _start(self, arguments: Sequence[str]) -> "subprocess.Popen[str]":
        try:
            return subprocess.Popen(
                [*self._ip, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            raise Permanent(
                f"{self._ip[0]} can't be started ({error.strerror})", "install iproute2"
            ) from error

    def _finish(self, process: "subprocess.Popen[str]", script: str) -> str:
        try:
            answer, errors = process.communicate(script, timeout=TIMEOUT)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise Transient("`ip` did not end in time") from error
        if process.returncode:
            raise Transient(f"the kernel could not be read: {errors.strip()}")
        return answer


def _documents(text: str, count: int) -> list[list[dict[str, Any]]]:
    """Split the JSON documents that a batch prints, one for each command."""
    decoder = json.JSONDecoder()
    found: list[list[dict[str, Any]]] = []
    at = 0
    try:
        while len(found) < count:
            while at < len(text) and text[at].isspace():
                at += 1
            document, at = decoder.raw_decode(text, at)
            found.append([d for d in document if d])
    except (RecursionError, TypeError, ValueError) as error:
        raise Transient(f"`ip -j` answered with something unexpected: {error}") from error
    return found


def _interface(link: dict[str, Any], falls: Mapping[int, int]) -> PodInterface:
    return PodInterface(
        name=link["ifname"],
        index=link["ifindex"],
        mac=Mac(link.get("address", "").lower()),
        up="UP" in link.get("flags", ()),
        falls=falls.get(link["ifindex"], 0),
        addresses=tuple(
            PodAddress(
                address=ip_address(a["local"]),
                prefix_length=a["prefixlen"],
                state=_state(a),
                dynamic=bool(a.get("dynamic")),
            )
            for a in link.get("addr_info", ())
            if "local" in a and _lasting(a)
        ),
    )


def _lasting(address: dict[str, Any]) -> bool:
    """Leave out what is not global, and what will not stay."""
    return address.get("scope") in {"0", "global"} and not (
        address.get("temporary") or address.get("deprecated")
    )


def _state(address: dict[str, Any]) -> AddressState:
    if address.get("dadfailed"):
        return AddressState.DUPLICATE
    # An optimistic address may be used before detection ends, but not be steered to.
    if address.get("tentative") or address.get("optimistic"):
        return AddressState.TENTATIVE
    return AddressState.READY


def _route(route: dict[str, Any]) -> KernelRoute | None:
    table = int(route.get("table", MAIN_TABLE))
    if table == 255:  # noqa: PLR2004 - RT_TABLE_LOCAL, which the kernel keeps by itself
        return None
    gateway = route.get("gateway")
    source = route.get("prefsrc")
    metric = int(route.get("metric", 0))
    kind = _KINDS.get(route.get("type", "1"), RouteKind.OTHER)
    return KernelRoute(
        destination=_destination(route),
        table=table,
        gateway=ip_address(gateway) if gateway else None,
        # The kernel shows an IPv6 `throw` on lo; it has no device of its own.
        device=route.get("dev") if kind is not RouteKind.THROW else None,
        source=ip_address(source) if source else None,
        metric=metric,
        protocol=int(route.get("protocol", 3)),
        kind=kind,
        on_link="onlink" in route.get("flags", ()),
    )


def _destination(route: dict[str, Any]) -> Network:
    text = route["dst"]
    if text != "default":
        return ip_network(text)
    six = ":" in route.get("gateway", "") or "pref" in route
    return ip_network(_DEFAULTS[6 if six else 4])


_PLAIN = {"priority", "src", "srclen", "table", "protocol"}


def _rule(rule: dict[str, Any], version: int) -> PolicyRule:
    source = rule.get("src", "all")
    length = rule.get("srclen")
    if source != "all" and length is not None:
        source = f"{source}/{length}"
    return PolicyRule(
        priority=rule["priority"],
        source=None if source == "all" else ip_network(source),
        table=int(rule.get("table", 0)),
        protocol=int(rule.get("protocol", 2)),
        version=version,
        plain=set(rule) <= _PLAIN,
    )


def _version(action: KernelAction) -> int:
    match action:
        case AddRoute(route=route) | RemoveRoute(route=route):
            return route.destination.version
        case AddRule(rule=rule) | RemoveRule(rule=rule):
            return rule.version
        case AddAddress(address=address):
            return address.version


def _failure(action: KernelAction, said: str) -> Failure | None:
    removing = isinstance(action, RemoveRoute | RemoveRule)
    if removing and any(gone in said for gone in _GONE):
        return None  # it went away by itself, which is what was wanted
    what = f"`{action}` failed: {said or 'no reason given'}"
    if "Operation not permitted" in said:
        return Permanent(
            what, "give the container NET_ADMIN: securityContext.capabilities.add: [NET_ADMIN]"
        )
    if "File exists" in said:
        return Conflict(what, "the pod's routes are read again")
    if any(passing in said for passing in (*_GONE, *_DOWN)):
        return Transient(what, "the interface may be going down or coming up")
    return Permanent(what, "check the interface and its subnet's gateway")


# --- events ------------------------------------------------------------------------------------

_GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 1 << 18
"""Link, IPv4 address, route and rule, IPv6 address, route and rule (rtnetlink.h, `RTNLGRP_*`)."""

_DEBOUNCE = 0.01
"""Seconds to let a burst of messages end: one attachment makes a dozen."""

_PATIENCE = 0.1
"""Seconds after which a burst that does not end is told of all the same."""


class NetlinkWatch:
    """Calls back when anything in the namespace changes. What changed is for a reading to tell."""

    def __init__(self, stirred: Callable[[], None]) -> None:
        """Subscribe at once: a change after this line is never missed.

        Raises:
            Permanent: the kernel gives no netlink socket.
        """
        self._stirred = stirred
        self._falls: dict[int, int] = {}
        try:
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
            )
            self._socket.bind((0, _GROUPS))
        except OSError as error:
            raise Permanent(
                f"no netlink socket ({error.strerror})", "allow AF_NETLINK in the seccomp profile"
            ) from error

    def start(self) -> None:
        """Watch, in a thread of its own, until the process ends."""
        threading.Thread(target=self._watch, name="netlink", daemon=True).start()

    def falls(self) -> Mapping[int, int]:
        """Tell how often each link, by index, was seen to go down."""
        return dict(self._falls)

    def _watch(self) -> None:
        while True:
            self._drain(None)
            self._drain(_DEBOUNCE)
            self._stirred()

    def _drain(self, quiet: float | None) -> None:
        """Read one message, or all until none came for `quiet` seconds, within patience."""
        self._socket.settimeout(quiet)
        patience = time.monotonic() + _PATIENCE
        while quiet is None or time.monotonic() < patience:
            try:
                message = self._socket.recv(65536)
            except TimeoutError:
                return
            except OSError:
                return  # ENOBUFS: messages were lost, which is a change too
            for index in links_down(message):
                self._falls[index] = self._falls.get(index, 0) + 1
            if quiet is None:
                return


_HEADER = struct.Struct("=IHHII")
"""`struct nlmsghdr`: length, type, flags, sequence, port (netlink(7))."""

_LINK = struct.Struct("=BxHiI")
"""The beginning of `struct ifinfomsg`: family, type, index, flags (rtnetlink(7))."""

_RTM_NEWLINK = 16
_IFF_UP = 1


def links_down(data: bytes) -> list[int]:
    """List the links that netlink messages show as down; what is cut short is left out."""
    found = []
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            break
        if kind == _RTM_NEWLINK and at + _HEADER.size + _LINK.size <= len(data):
            _, _, index, flags = _LINK.unpack_from(data, at + _HEADER.size)
            if not flags & _IFF_UP:
                found.append(index)
        at += (length + 3) & ~3
    return found
