"""What the kernel tells a process of its container beside addresses, routes and rules."""

import json
import re
import socket
import subprocess
import time
from ipaddress import IPv4Address
from pathlib import Path

from vipmanager.core.failures import Permanent
from vipmanager.core.values import Address

_NET_ADMIN = 12
"""`CAP_NET_ADMIN` (capability.h)."""

_PATIENCE = 1.0
"""Seconds for a neighbour to answer: a VPC's gateway is the node's own hypervisor."""

_POLL = 0.02

_DISCARD = 9
"""The port of the discard protocol (RFC 863): nobody answers, the next hop is asked for."""

_ANSWERED = {"REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT", "NOARP"}
"""States of a neighbour whose link address is known or not needed (ip-neighbour(8))."""


def begins() -> bool:
    """Tell whether the container's first process is an agent, which may not listen yet."""
    try:
        words = Path("/proc/1/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"run" in words and any(w.endswith(b"vipmanager") for w in words)


class Container:
    """The container that this process runs in."""

    def may_administer(self) -> bool:
        """Tell whether this process has NET_ADMIN.

        Raises:
            Permanent: /proc does not tell.
        """
        match = re.search(r"^CapEff:\s*([0-9a-f]+)$", _read("/proc/self/status"), re.MULTILINE)
        if match is None:
            raise Permanent("/proc/self/status has no CapEff")
        return bool(int(match[1], 16) & 1 << _NET_ADMIN)

    def rp_filter(self, interface: str) -> int:
        """Give the filter that counts: the greater one of `all` and the interface's (ip-sysctl).

        Raises:
            Permanent: /proc does not tell.
        """
        place = "/proc/sys/net/ipv4/conf/{}/rp_filter"
        return max(int(_read(place.format(name))) for name in ("all", interface))

    def answers(self, interface: str, neighbour: Address) -> bool:
        """Tell whether an address answers the question for its link address.

        Raises:
            Permanent: this process may not ask.
        """
        four = isinstance(neighbour, IPv4Address)
        family = socket.AF_INET if four else socket.AF_INET6
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                # Bound to the interface, so that no route of the pod is needed.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
                index = socket.if_nametoindex(interface)
                to = (str(neighbour), _DISCARD) if four else (str(neighbour), _DISCARD, 0, index)
                probe.sendto(b"", to)
        except OSError as error:
            raise Permanent(
                f"{neighbour} can't be asked on {interface}: {error.strerror}"
            ) from error
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            if _state(interface, neighbour) & _ANSWERED:
                return True
            time.sleep(_POLL)
        return False


def _state(interface: str, neighbour: Address) -> set[str]:
    command = ["ip", "-j", "neigh", "show", "to", str(neighbour), "dev", interface]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=5)
        entries = json.loads(done.stdout or "[]")
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise Permanent(f"the neighbours of {interface} can't be read: {error}") from error
    return {state for entry in entries for state in entry.get("state", ())}


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError as error:
        raise Permanent(f"{path} can't be read: {error.strerror}") from error
