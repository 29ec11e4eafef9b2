"""A way from the pods of a world to the API server itself, byte by byte: TLS is between the two."""

from __future__ import annotations

import contextlib
import socket
import threading

from vipmanager_lab.closing import Closing
from vipmanager_lab.services import CLUSTER_IP
from vipmanager_lab.world import World

PORT = 7443
_PIECE = 65536


class Relay(Closing):
    """Listens at the cluster's Service address, in each zone."""

    def __init__(self, world: World, port: int) -> None:
        self._port = port
        self._sockets: list[socket.socket] = []
        for listener in world.services.listen(CLUSTER_IP, PORT):
            listener.listen()
            self._begin(self._accept, listener)

    def close(self) -> None:
        for one in list(self._sockets):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _begin(self, work: object, *sockets: socket.socket) -> None:
        self._sockets += sockets
        threading.Thread(target=work, args=sockets, name="relay", daemon=True).start()  # type: ignore[arg-type]

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._port))
                except OSError:
                    near.close()
                    continue
                self._begin(_pump, near, far)
                self._begin(_pump, far, near)


def _pump(source: socket.socket, destination: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(_PIECE):
            destination.sendall(piece)
    for one in (source, destination):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
