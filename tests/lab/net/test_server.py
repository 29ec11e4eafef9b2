"""The server that both APIs of the lab stand on."""

import os
import socket
import struct
from ipaddress import IPv4Address

import pytest

from vipmanager_lab.kube.certificates import Authority
from vipmanager_lab.server import HttpAnswer, Server


def test_a_connection_that_is_reset_before_its_handshake_is_closed() -> None:
    context = Authority().server([IPv4Address("127.0.0.1")])
    server = Server(lambda _: HttpAnswer(), tls=context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        descriptor = accepted.fileno()
        with pytest.raises(ConnectionResetError):
            context.wrap_socket(accepted, server_side=True)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    server.close()
