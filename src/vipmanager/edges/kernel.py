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
from vipmanager.core.text import printable
from vipmanager.core.values import (
    MAIN_TABLE,
    AddressState,
    KernelRoute,
    KernelState,
    Mac,
    Network,
    PodAddress,
    PodInterface,
    PodNetworks,
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
_NO_FAMILY = ("Address family not supported", "Operation not supported")
"""What `ip -6` says of a kernel without IPv6: `ipv6.disable=1` (EAFNOSUPPORT, EOPNOTSUPP)."""
_GONE = ("No such process", "No such file or directory", "Cannot find device")


class IpRoute:
    """The `Kernel` port over iproute2."""

    def __init__(
        self,
        command: Sequence[str] = ("ip",),
        *,
        falls: Callable[[], Mapping[int, int]] = dict,
        networks: Callable[[], PodNetworks] = PodNetworks,
    ) -> None:
        """Prepare.

        Args:
            command: what to use as `ip`; it may lead into another namespace.
            falls: how often each link, by index, was seen to go down.
            networks: what Kubernetes tells of the pod's networks.
        """
        self._ip = tuple(command)
        self._falls = falls
        self._networks = networks

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
                text = self._finish(both, _READ)
                text6 = self._finish(six, "", instead="[]")
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
                networks=self._networks(),
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
                errors="surrogateescape",  # a name may be any bytes
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            raise Permanent(
                f"{self._ip[0]} can't be started ({error.strerror})", "install iproute2"
            ) from error

    def _finish(
        self, process: "subprocess.Popen[str]", script: str, *, instead: str | None = None
    ) -> str:
        """Give what `ip` says; `instead`, where it is given and the kernel lacks the family."""
        try:
            answer, errors = process.communicate(script, timeout=TIMEOUT)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise Transient("`ip` did not end in time") from error
        if process.returncode:
            if instead is not None and any(lacking in errors for lacking in _NO_FAMILY):
                return instead
            raise Transient(f"the kernel could not be read: {errors.strip()}")
        return answer


def _documents(text: str, count: int) -> list[list[dict[str, Any]]]:
    """Split the JSON documents that a batch prints, one for each command."""
    decoder = json.JSONDecoder(strict=False)  # `ip` escapes no control character of a name
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
        name=printable(link["ifname"]),
        index=link["ifindex"],
        mac=Mac(link.get("address", "").lower()),
        up="UP" in link.get("flags", ()),
        # Shown of a link that is up and not running (IFF_RUNNING, netdevice(7)).
        carrier="NO-CARRIER" not in link.get("flags", ()),
        falls=falls.get(link["ifindex"], 0),
        addresses=tuple(
            PodAddress(
                address=ip_address(a["local"]),
                prefix_length=a["prefixlen"],
                state=_state(a),
                dynamic=bool(a.get("dynamic")),
                deprecated=bool(a.get("deprecated")),
            )
            for a in link.get("addr_info", ())
            if "local" in a and _lasting(a)
        ),
    )


_FAR = "0", "global"
_NEAR = "253", "link"
"""Scopes, as `ip -N` and `ip` show them (rtnetlink.h, `RT_SCOPE_*`)."""


def _lasting(address: dict[str, Any]) -> bool:
    """Leave out what is good on its link alone, and what will not stay.

    An IPv6 address tells its scope itself. That of an IPv4 address is set by hand: `link` makes it
    no source of other connections (ip-address(8)), and it is reached all the same.

    `dynamic` is an address whose time is limited; one that is deprecated as well is going away.
    Deprecated for good (`preferred_lft 0 valid_lft forever`) is set by hand, so that the address is
    no source of other connections (ip-address(8)).
    """
    leaving = address.get("deprecated") and address.get("dynamic")
    if address.get("temporary") or leaving:
        return False
    found = ip_address(address["local"])
    by_hand = found.version == 4 and not found.is_link_local  # noqa: PLR2004 - the family's name
    return address.get("scope") in ((*_FAR, *_NEAR) if by_hand else _FAR)


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
        device=printable(route["dev"]) if "dev" in route and kind is not RouteKind.THROW else None,
        source=ip_address(source) if source else None,
        metric=metric,
        protocol=int(route.get("protocol", 3)),
        kind=kind,
        on_link="onlink" in route.get("flags", ()),
        plain=not _SELECTORS & set(route),
    )


_SELECTORS = {"from", "tos"}
"""What a route asks of a packet beside its destination, as ip-route(8) calls it."""


def _destination(route: dict[str, Any]) -> Network:
    text = route["dst"]
    if text != "default":
        return ip_network(text)
    six = ":" in route.get("gateway", "") or "pref" in route
    return ip_network(_DEFAULTS[6 if six else 4])


_PLAIN = {"priority", "src", "srclen", "dst", "dstlen", "table", "protocol", "action"}
_REFUSING = {"6", "7", "8", "blackhole", "unreachable", "prohibit"}
"""`FR_ACT_BLACKHOLE`, `FR_ACT_UNREACHABLE`, `FR_ACT_PROHIBIT` (linux/fib_rules.h)."""


def _rule(rule: dict[str, Any], version: int) -> PolicyRule:
    selectors = set(rule) - ({"iif"} if rule.get("iif") == "lo" else set())  # what the pod sends
    return PolicyRule(
        priority=rule["priority"],
        source=_selected(rule, "src"),
        destination=_selected(rule, "dst"),
        table=int(rule.get("table", 0)),
        refuses=str(rule.get("action", "")) in _REFUSING,
        protocol=int(rule.get("protocol", 2)),
        version=version,
        plain=selectors <= _PLAIN,
    )


def _selected(rule: dict[str, Any], end: str) -> Network | None:
    address, length = rule.get(end, "all"), rule.get(f"{end}len")
    if address == "all":
        return None
    return ip_network(address if length is None else f"{address}/{length}")


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

_RESPITE = 0.3
"""Seconds without reading after such a burst: a flood costs a part of the processor only. What the
kernel does not keep of it meanwhile is told as one change."""


class NetlinkWatch:
    """Calls back when anything in the namespace changes. What changed is for a reading to tell."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """Subscribe at once: a change after this line is never missed.

        Raises:
            Permanent: the kernel gives no netlink socket.
        """
        self._changed = changed
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
            if not self._drain(_DEBOUNCE):
                time.sleep(_RESPITE)
            self._changed()

    def _drain(self, quiet: float | None) -> bool:
        """Read one message, or all until none came for `quiet` seconds, within patience.

        Gives whether it is quiet.
        """
        self._socket.settimeout(quiet)
        patience = time.monotonic() + _PATIENCE
        while quiet is None or time.monotonic() < patience:
            try:
                message = self._socket.recv(65536)
            except TimeoutError:
                return True
            except OSError:
                return False  # ENOBUFS: messages were lost, which is a change too
            for index in links_down(message):
                self._falls[index] = self._falls.get(index, 0) + 1
            if quiet is None:
                return True
        return False


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
