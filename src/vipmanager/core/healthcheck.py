"""What is asked of the application, and what its answers amount to.

A check that contradicts the present state counts; `rise` or `fall` of them in a row change it.
The very first failure counts in full: nothing is known yet that it could contradict.
"""

import re
import shlex
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

ALLOWED: Final = (
    "http://HOST:PORT/PATH, https://HOST:PORT/PATH, tcp://HOST:PORT or exec:COMMAND ARGUMENTS, "
    "where HOST is an IP address or localhost"
)
LOCALHOST: Final = "localhost"

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PATH = re.compile(r"[!-~]*")
"""What a request line carries: visible ASCII."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """A GET whose status has to be from 200 to 399; a redirect is not followed."""

    host: str
    """An address, or `localhost`: a name would have to be looked up, which can hang."""
    port: int
    path: str = "/"
    tls: bool = False

    def __str__(self) -> str:
        """Show it as it is configured."""
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{authority(self.host, self.port)}{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpCheck:
    """A connection that has to be accepted."""

    host: str
    port: int

    def __str__(self) -> str:
        """Show it as it is configured."""
        return f"tcp://{authority(self.host, self.port)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecCheck:
    """A command that has to exit with 0. It runs in the agent's container, with its rights."""

    command: tuple[str, ...]

    def __str__(self) -> str:
        """Show it as it is configured."""
        return f"exec:{shlex.join(self.command)}"


HealthCheck = HttpCheck | TcpCheck | ExecCheck


def authority(host: str, port: int) -> str:
    """Give host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(text: str) -> HealthCheck:
    """Read a check as it is configured.

    Raises:
        ValueError: it is none; the message says what is allowed.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in {"http", "https", "tcp", "exec"}:
        raise ValueError(ALLOWED)
    if scheme == "exec":
        return ExecCheck(command=_command(rest))
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError as error:
        raise ValueError(f"{ALLOWED}; {error}") from None
    if url.username is not None or url.fragment or not _is_local(host):
        raise ValueError(f"{ALLOWED}; {url.netloc or 'nothing'} is no such host")
    if port is None:
        port = _DEFAULT_PORTS.get(scheme)
    if not port:
        raise ValueError(f"{ALLOWED}; a port from 1 to 65535 is missing")
    if scheme == "tcp":
        if url.path not in {"", "/"} or url.query:
            raise ValueError(f"{ALLOWED}; tcp has no path")
        return TcpCheck(host=host, port=port)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    if not _PATH.fullmatch(path):
        raise ValueError(f"{ALLOWED}; write other signs in PATH as %XX")
    return HttpCheck(host=host, port=port, path=path, tls=scheme == "https")


def _command(text: str) -> tuple[str, ...]:
    try:
        command = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"{ALLOWED}; {error}") from None
    if not command or "\0" in text:
        raise ValueError(f"{ALLOWED}; the command is missing")
    return command


def _is_local(host: str) -> bool:
    if host == LOCALHOST:
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host


SLOWEST = 10.0
"""Seconds that one check may take at the most, however rarely it is made."""


class AppHealth(Enum):
    """What the checks amount to."""

    UNKNOWN = "unknown"
    """No check has ended yet."""
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthState:
    """The state after some checks."""

    health: AppHealth = AppHealth.UNKNOWN
    why: str = "it has not been checked yet"
    """The last check that counted, for people."""
    streak: int = 0
    """Checks in a row that contradict `health`."""

    def passed(self, *, rise: int) -> "HealthState":
        """Give the state after a check that passed."""
        return self._after(AppHealth.HEALTHY, "it passed its check", needed=rise)

    def failed(self, why: str, *, fall: int) -> "HealthState":
        """Give the state after a check that failed."""
        needed = 1 if self.health is AppHealth.UNKNOWN else fall
        return self._after(AppHealth.UNHEALTHY, why, needed=needed)

    def _after(self, health: AppHealth, why: str, *, needed: int) -> "HealthState":
        if health is self.health:
            return HealthState(health=health, why=why)
        if self.streak + 1 < needed:
            return replace(self, streak=self.streak + 1)
        return HealthState(health=health, why=why)
