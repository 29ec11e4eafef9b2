"""Asks the application whether it is well.

Every check has one deadline for all of it, so a server that accepts and says nothing, or says it
one byte at a time, has failed once its time is over.
"""

import contextlib
import errno
import functools
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import time
from typing import assert_never

from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.healthcheck import (
    LOCALHOST,
    ExecCheck,
    HealthCheck,
    HttpCheck,
    TcpCheck,
    authority,
)

_LOCAL = ("127.0.0.1", "::1")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_LINE = 1024
"""Bytes in which the status line has to end."""
_DRAIN = 10 * 1024
"""Bytes of an answer that are read on, so that the server can end it in peace."""
_LINGER = 0.02
"""Seconds without a byte after which an answer that goes on is cut off."""
_ORPHANS = 1.0
"""Seconds for a killed command's descendants to be gone."""


def examine(check: HealthCheck, *, timeout: float) -> None:
    """Make one check; return where it passed.

    Args:
        check: what is asked.
        timeout: seconds for all of it.

    Raises:
        Transient: the application is not well, or did not say so in time.
        Permanent: it can't be asked: a person has to change the check.
    """
    deadline = time.monotonic() + timeout
    try:
        match check:
            case HttpCheck():
                _http(check, deadline)
            case TcpCheck():
                _connect(check.host, check.port, deadline).close()
            case ExecCheck():
                _exec(check, deadline)
            case _:
                assert_never(check)
    except TimeoutError as error:
        raise Transient(f"{check} did not answer within {timeout:g} s") from error
    except ssl.SSLCertVerificationError as error:
        raise Permanent(
            f"{check}: {error.verify_message}",
            f"give it a certificate for {check.host if isinstance(check, HttpCheck) else ''} of a "
            "known authority (SSL_CERT_FILE), or check by http:, tcp: or exec:",
        ) from error
    except OSError as error:
        raise Transient(f"{check}: {error.strerror or error}") from error


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to an address, or to `localhost` of either family."""
    if host != LOCALHOST:
        return _connect_to(host, port, deadline)
    try:
        return _connect_to(_LOCAL[0], port, deadline)
    except ConnectionRefusedError:
        with contextlib.suppress(OSError):
            return _connect_to(_LOCAL[1], port, deadline)
        raise


def _connect_to(address: str, port: int, deadline: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        connection.settimeout(_left(deadline))
        connection.connect((address, port))
        if connection.getsockname() == connection.getpeername():
            # Nobody listens, and the kernel drew this very port as the source: an echo.
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        stack.pop_all()
    return connection


def _http(check: HttpCheck, deadline: float) -> None:
    with _open(check, deadline) as connection:
        connection.settimeout(_left(deadline))
        connection.sendall(
            f"GET {check.path} HTTP/1.1\r\nHost: {authority(check.host, check.port)}\r\n"
            "User-Agent: vipmanager\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
        )
        status = _status(check, connection, deadline)
        _drain(connection, deadline)
    if not 200 <= status < 400:  # noqa: PLR2004 - success, or a redirect
        raise Transient(f"{check} answered {status}")


def _open(check: HttpCheck, deadline: float) -> socket.socket:
    connection = _connect(check.host, check.port, deadline)
    if not check.tls:
        return connection
    with connection:  # unwrapped, it has nothing left to close
        connection.settimeout(_left(deadline))
        return _context().wrap_socket(connection, server_hostname=check.host)


def _status(check: HttpCheck, connection: socket.socket, deadline: float) -> int:
    head = b""
    while b"\n" not in head and len(head) < _LINE:
        connection.settimeout(_left(deadline))
        more = connection.recv(_LINE)
        if not more:
            break
        head += more
    match = _STATUS.match(head)
    if match is None:
        raise Transient(f"{check} answered {head[:40]!r}, which is no HTTP")
    return int(match[1])


def _drain(connection: socket.socket, deadline: float) -> None:
    """Read on for a moment: a server that is hung up on may log it as an error."""
    taken = 0
    with contextlib.suppress(OSError):
        while taken < _DRAIN:
            connection.settimeout(min(_LINGER, _left(deadline)))
            more = connection.recv(_DRAIN)
            if not more:
                return
            taken += len(more)


@functools.cache
def _context() -> ssl.SSLContext:
    """Give the context with the system's authorities; to load them takes 20 ms."""
    return ssl.create_default_context()


def _exec(check: ExecCheck, deadline: float) -> None:
    """Run the command in a process group of its own, of which nothing is left afterwards."""
    try:
        process = subprocess.Popen(
            check.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise Permanent(
            f"{check}: {error.strerror}",
            "name a program of the agent's own container, with its whole path",
        ) from error
    try:
        _ended(process.pid, deadline)
    finally:
        # Before the command is reaped: until then its number can't be another group's.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        _reap(process.pid)
    if code:
        how = f"was ended by signal {-code}" if code < 0 else f"exited with {code}"
        raise Transient(f"{check} {how}")


def _ended(pid: int, deadline: float) -> None:
    """Wait for a process to end, and leave it to be reaped (pidfd_open(2))."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(1000 * _left(deadline)):
            raise TimeoutError
    finally:
        os.close(descriptor)


def _reap(group: int) -> None:
    """Reap a killed command's descendants: as process 1 the agent inherits them."""
    until = time.monotonic() + _ORPHANS
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < until:
            found, _ = os.waitpid(-group, os.WNOHANG)
            if not found:
                time.sleep(0.005)
