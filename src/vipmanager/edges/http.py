"""What kubelet asks: /healthz, /readyz, and /status for people and tools."""

import json
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from vipmanager.core.failures import Permanent
from vipmanager.core.health import alive
from vipmanager.core.status import Status


class Probes:
    """Answers HTTP probes with the agent's status."""

    def __init__(self, *, port: int, resync: float, status: Callable[[], Status]) -> None:
        """Listen at once, on every address of the pod.

        Raises:
            Permanent: the port can't be had.
        """
        self._resync = resync
        self._status = status
        probes = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body, kind = probes.answer(self.path)
                payload = body.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

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

    def answer(self, path: str) -> tuple[int, str, str]:
        """Give status, body and content type for a path."""
        status, now = self._status(), time.monotonic()
        match path.partition("?")[0]:
            case "/healthz":
                turning = alive(since_pass=now - status.at, resync=self._resync)
                return (200, "ok\n", "text/plain") if turning else (503, "stuck\n", "text/plain")
            case "/readyz":
                code = 200 if status.health.ready else 503
                return code, f"{status.health.why}\n", "text/plain"
            case "/status":
                return 200, json.dumps(status.document(now), indent=1), "application/json"
            case _:
                return 404, "/healthz /readyz /status\n", "text/plain"


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
