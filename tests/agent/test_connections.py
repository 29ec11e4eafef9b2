"""What a move does to a connection that a client has open."""

import contextlib
import socket

import pytest

from agent_fixtures import Stage, converged, wait_until

PORT = 5060


def test_an_open_connection_is_reset_by_the_pod_that_takes_over_and_a_new_one_works(
    stage: Stage,
) -> None:
    world, address = stage.world, stage.floating[0].partition("/")[0]

    def listening(zone: str) -> socket.socket:
        pod = stage.pod(zone, name=f"pod-{zone}")
        world.application(pod, stage.floating)
        stage.sidecar(pod).wait_for(converged)
        wait_until(lambda: stage.points_at(zone))
        stage.answers()
        return pod.call(lambda: socket.create_server((address, PORT)))

    def connected() -> socket.socket:
        return world.client.call(lambda: socket.create_connection((address, PORT), timeout=10))

    with contextlib.ExitStack() as sockets:
        sockets.enter_context(listening("a"))
        client = sockets.enter_context(connected())
        client.sendall(b"before")
        sockets.enter_context(listening("b"))
        client.sendall(b"after")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        sockets.enter_context(connected()).sendall(b"anew")
