"""Probes and lifecycle hooks: what they ask, and what so many answers in a row mean."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vipmanager_lab.kubernetes.kubelet.containers import Container, RunError
from vipmanager_lab.kubernetes.kubelet.environment import Object
from vipmanager_lab.kubernetes.kubelet.network import Sandbox

Kind = Literal["startup", "liveness", "readiness"]
_BODY = 256
_REFUSED = range(400, 600)


class ActionError(Exception):
    """A probe or a hook failed; the text is what an Event says of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where actions run: a container in its pod."""

    sandbox: Sandbox
    container: Container
    spec: Object
    command: Callable[[tuple[str, ...]], tuple[str, ...]] = lambda argv: argv
    """Gives a command as the machine runs it."""

    def port(self, port: int | str) -> int:
        """Give a port by number or name.

        Raises:
            ActionError: the container has no port of that name.
        """
        if isinstance(port, int):
            return port
        for one in self.spec.get("ports") or ():
            if one.get("name") == port:
                return int(one["containerPort"])
        raise ActionError(f"the container has no port {port}")


def act(action: Object, place: Place, seconds: float) -> None:
    """Run what a probe or hook says.

    Raises:
        ActionError: it failed, or took longer.
    """
    if "exec" in action:
        _exec(tuple(action["exec"]["command"]), place, seconds)
    elif "httpGet" in action:
        _http(action["httpGet"], place, seconds)
    elif "tcpSocket" in action:
        _tcp(action["tcpSocket"], place, seconds)
    elif "sleep" in action:
        place.container.wait(min(action["sleep"]["seconds"], seconds))


def _exec(argv: tuple[str, ...], place: Place, seconds: float) -> None:
    try:
        done = place.container.execute(place.command(argv), seconds=seconds)
    except RunError as error:
        raise ActionError(str(error)) from error
    if done.code:
        raise ActionError(f"{' '.join(argv)}: exit code {done.code}: {done.output.strip()}")


def _http(action: Object, place: Place, seconds: float) -> None:
    host, port = action.get("host") or place.sandbox.address, place.port(action["port"])
    headers = {one["name"]: one["value"] for one in action.get("httpHeaders") or ()}
    https = action.get("scheme", "HTTP") == "HTTPS"

    def get() -> tuple[int, bytes]:
        connection = (
            http.client.HTTPSConnection(
                host,
                port,
                timeout=seconds,
                context=ssl._create_unverified_context(),  # noqa: S323, SLF001
            )
            if https
            else http.client.HTTPConnection(host, port, timeout=seconds)
        )
        try:
            connection.request("GET", action.get("path") or "/", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_BODY)
        finally:
            connection.close()

    what = f"GET {host}:{port}{action.get('path') or '/'}"
    try:
        status, body = place.sandbox.netns.call(get)
    except (OSError, http.client.HTTPException) as error:
        raise ActionError(f"{what}: {error}") from error
    if status in _REFUSED:
        raise ActionError(f"{what}: status {status}: {body.decode(errors='replace')}")


def _tcp(action: Object, place: Place, seconds: float) -> None:
    host, port = action.get("host") or place.sandbox.address, place.port(action["port"])
    try:
        place.sandbox.netns.call(lambda: socket.create_connection((host, port), seconds).close())
    except OSError as error:
        raise ActionError(f"connect to {host}:{port}: {error}") from error


@dataclass(slots=True)
class Verdict:
    """What the answers of a probe mean so far."""

    success: int
    """So many good answers in a row are needed."""
    failure: int
    """So many bad ones."""
    good: bool | None = None
    """None before the first verdict."""
    _last: bool | None = None
    _row: int = 0

    @classmethod
    def of(cls, probe: Object) -> "Verdict":
        """Take a probe's thresholds."""
        return cls(probe.get("successThreshold") or 1, probe.get("failureThreshold") or 3)

    def count(self, *, good: bool) -> bool:
        """Count an answer; tell whether the verdict was reached by it, or reached again."""
        self._row = self._row + 1 if good == self._last else 1
        self._last = good
        if self._row < (self.success if good else self.failure):
            return False
        self.good = good
        return True


OnResult = Callable[[Kind, bool, str], None]
"""Takes a verdict, with the last answer where it is bad."""


class Prober:
    """Asks one probe of one run of a container, on a thread of its own."""

    def __init__(self, kind: Kind, probe: Object, place: Place, told: OnResult) -> None:
        self._kind, self._probe, self._place, self._told = kind, probe, place, told
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{kind} probe", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        probe: Mapping[str, Any] = self._probe
        period = float(probe.get("periodSeconds") or 10)
        verdict = Verdict.of(probe)
        wait = float(probe.get("initialDelaySeconds") or 0)
        while not self._over.wait(wait) and self._place.container.running:
            asked = time.monotonic()
            good, why = True, ""
            try:
                act(probe, self._place, float(probe.get("timeoutSeconds") or 1))
            except ActionError as error:
                good, why = False, str(error)
            if self._over.is_set():
                return
            if verdict.count(good=good):
                self._told(self._kind, good, why)
                if self._kind == "startup" or (self._kind == "liveness" and not good):
                    return
            wait = max(0.0, period - (time.monotonic() - asked))

    def end(self) -> None:
        """Ask no more; an answer that is on its way changes nothing."""
        self._over.set()

    def end_unless(self, kind: Kind) -> None:
        """End it where it is of another kind."""
        if self._kind != kind:
            self.end()

    def close(self) -> None:
        """End it, and wait for its thread."""
        self.end()
        self._thread.join()
