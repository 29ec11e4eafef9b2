"""What kubelet asks, /healthz and /readyz; /status for people and tools; /metrics."""

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from vipmanager.core.failures import Permanent
from vipmanager.core.health import alive
from vipmanager.core.status import Status

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format."""


class Probes:
    """Answers HTTP probes with the agent's status."""

    def __init__(
        self,
        *,
        port: int,
        resync: float,
        status: Callable[[], Status],
        document: Callable[[], Mapping[str, object]],
        metrics: Callable[[], bytes],
    ) -> None:
        """Listen at once, on every address of the pod.

        Args:
            port: of TCP.
            resync: seconds between readings; a loop that is silent for much longer is stuck.
            status: for the probes.
            document: what /status shows.
            metrics: what /metrics shows.

        Raises:
            Permanent: the port can't be had.
        """
        self._resync = resync
        self._status = status
        self._document = document
        self._metrics = metrics
        probes = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body, kind = probes.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                pass

        try:
            self._server = _listen(port, Handler)
        except OSError as error:
            raise Permanent(
                f"HTTPPort={port}: {error.strerror}", "choose a port that nothing in the pod uses"
            ) from error
        self._server.daemon_threads = True
        # Nothing ever shuts it down, so it need not wake up to look for that.
        threading.Thread(
            target=self._server.serve_forever, args=(3600.0,), name="http", daemon=True
        ).start()

    def answer(self, path: str) -> tuple[int, bytes, str]:
        """Give status, body and content type for a path."""
        match path.partition("?")[0]:
            case "/healthz":
                silent = time.monotonic() - self._status().at
                if alive(since_pass=silent, resync=self._resync):
                    return 200, b"ok\n", "text/plain"
                return 503, f"stuck for {silent:.0f} s\n".encode(), "text/plain"
            case "/readyz":
                health = self._status().health
                return (200 if health.ready else 503), f"{health.why}\n".encode(), "text/plain"
            case "/status":
                return 200, json.dumps(self._document(), indent=1).encode(), "application/json"
            case "/metrics":
                return 200, self._metrics(), METRICS_TYPE
            case _:
                return 404, b"/healthz /readyz /status /metrics\n", "text/plain"


def _listen(port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """Listen on every address of both families, where the pod has both."""
    both = socket.has_dualstack_ipv6()
    listener = socket.create_server(
        ("", port),
        family=socket.AF_INET6 if both else socket.AF_INET,
        dualstack_ipv6=both,
        backlog=16,
    )
    server = ThreadingHTTPServer(("", port), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    return server
