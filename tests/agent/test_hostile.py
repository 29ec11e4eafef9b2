"""An agent that hangs, and who comes to do it harm."""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable

import pytest

from agent_fixtures import Stage, Typed, converged, wait_until
from vipmanager_lab.netns import Netns
from vipmanager_lab.world import World

PORT = 8080
MAX_PEERS = 3000


@pytest.mark.parametrize("order", ["yield", "claim"])
def test_a_stopped_agent_is_told_and_an_order_that_it_did_not_hear_is_void(
    stage: Stage, order: str
) -> None:
    pod = stage.pod()
    agent = stage.sidecar(pod)
    agent.wait_for(converged)
    agent.signal(signal.SIGSTOP)
    seen = Typed(stage, pod, "status")
    assert seen.code == 1
    assert f"(process {agent.pid}) hangs: it is stopped (SIGSTOP)" in seen.out
    assert f"kill -CONT {agent.pid}" in seen.out
    checked = json.loads(Typed(stage, pod, "doctor", "--output", "json").out)
    (sidecar,) = [c for c in checked["checks"] if c["check"] == "sidecar"]
    assert sidecar["state"] == "error"
    assert f"kill -CONT {agent.pid}" in sidecar["findings"][0]["fix"]
    ordered = Typed(stage, pod, order)
    assert ordered.code == 1
    assert "hangs" in ordered.err
    agent.signal(signal.SIGCONT)
    passes = stage.world.endpoint.counts()["DescribeRouteTables"]
    wait_until(lambda: stage.world.endpoint.counts()["DescribeRouteTables"] > passes + 3)
    assert not [r for r in agent.records if f"asked to {order}" in str(r)]
    assert Typed(stage, pod, "status").code == 0
    assert Typed(stage, pod, order).code == 0


def connect(pod: Netns, host: str) -> socket.socket:
    return pod.call(lambda: socket.create_connection((host, PORT), timeout=10))


def test_the_probes_are_at_the_pod_s_own_addresses_and_answer_in_a_crowd(
    make_world: Callable[..., World],
) -> None:
    stage = Stage(make_world())
    pod = stage.pod()
    agent = stage.sidecar(pod, HTTPPort=str(PORT))
    agent.wait_for(converged)
    for floating in stage.floating:
        with pytest.raises(ConnectionRefusedError):
            connect(pod, floating.partition("/")[0])
    own = pod.call(primary)
    with contextlib.ExitStack() as stack:
        for _ in range(MAX_PEERS):
            stack.enter_context(connect(pod, own))
        for host in (own, "127.0.0.1"):
            with connect(pod, host) as kubelet:
                kubelet.sendall(b"GET /readyz HTTP/1.1\r\nHost: pod\r\n\r\n")
                assert kubelet.recv(100).startswith(b"HTTP/1.1 200")
        assert threads(agent.pid) < 30
        assert Typed(stage, pod, "status").code == 0


def primary() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_packet:
        any_packet.connect(("169.254.169.254", 80))
        name: str = any_packet.getsockname()[0]
        return name


def threads(process: int) -> int:
    with open(f"/proc/{process}/status", encoding="ascii") as status:  # noqa: PTH123
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))


NOISE = {
    "routes": "route {} 100.64.{}.0/24 dev net1 proto 186 table 500",
    "routes in main": "route {} 100.64.{}.0/24 dev net1 proto 186",
    "routes of the primary": "route {} 100.64.{}.0/24 dev eth0 proto 186",
    "rules": "rule {} from 100.64.{}.0/24 lookup 500 priority 20000",
    "addresses": "addr {} 100.64.{}.1/32 dev lo",
    "neighbours": "neigh {} 10.0.11.{} lladdr 02:00:00:00:00:01 dev net1",
}


@pytest.mark.parametrize("change", NOISE.values(), ids=NOISE)
def test_what_other_programs_do_in_the_pod_costs_no_reading_of_ec2(
    stage: Stage, change: str
) -> None:
    pod = stage.pod()
    agent = stage.sidecar(pod, ResyncSeconds="3600")
    agent.wait_for(converged)
    pod.ip_batch(["route add 100.64.255.0/24 dev net1 table 500"])  # the first look settles
    wait_until(lambda: quiet(stage))
    before = reads(stage), cpu(agent.pid)
    began = time.monotonic()
    for number in range(100, 200):
        pod.ip_batch([change.format("add", number)])
        time.sleep(0.05)
        pod.ip_batch([change.format("del", number)])
    assert reads(stage) == before[0]
    assert cpu(agent.pid) - before[1] < 0.3 * (time.monotonic() - began)
    pod.ip_batch(["addr add 192.168.0.9/32 dev net1"])
    agent.wait_for(lambda r: r["event"] == "write" and "192.168.0.9/32" in str(r["text"]))


def reads(stage: Stage) -> int:
    return sum(n for a, n in stage.world.endpoint.counts().items() if a.startswith("Describe"))


def quiet(stage: Stage) -> bool:
    before = reads(stage)
    time.sleep(1)
    return reads(stage) == before


def cpu(process: int) -> float:
    with open(f"/proc/{process}/stat", encoding="ascii") as stat:  # noqa: PTH123
        fields = stat.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
