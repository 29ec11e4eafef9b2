"""The prober's account of an outage."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from vipmanager_lab.network import Network, Pod
from vipmanager_lab.probe import echo_command, probe_command

Process = subprocess.Popen[bytes]


def records(process: Process) -> Callable[[str], dict[str, Any]]:
    """Read on until an event; the process's end is a failure."""

    def until(event: str) -> dict[str, Any]:
        assert process.stdout is not None
        for line in process.stdout:
            record: dict[str, Any] = json.loads(line)
            if record["event"] == event:
                return record
        raise AssertionError(f"ended before {event}")

    return until


def test_an_outage_is_measured_from_a_real_cut(
    network: Network, floating_pod: Callable[..., Pod], steer: Callable[[str, str, str], None]
) -> None:
    pod = floating_pod("a", "100.64.0.1/32", "2001:db8:f::1/128").netns
    steer("rtb-client", "100.64.0.1/32", "eni-a1")
    steer("rtb-client", "2001:db8:f::1/128", "eni-a1")
    addresses = ["100.64.0.1", "2001:db8:f:0::1"]
    pipe = subprocess.PIPE
    client = network.host("c").netns
    with (
        pod.popen(echo_command(addresses), stdin=pipe, stdout=pipe) as answering,
        client.popen(probe_command(addresses, count_ms=10), stdin=pipe, stdout=pipe) as probing,
    ):
        measure(network, answering, probing)


def measure(network: Network, answering: Process, probing: Process) -> None:
    addresses = ("100.64.0.1", "2001:db8:f::1")
    bound, told = records(answering), records(probing)
    assert {bound("bound")["address"] for _ in addresses} == set(addresses)
    for _ in addresses:
        told("answered")
    while not (told("count")["up"] and told("count")["up"]):
        pass
    probing.send_signal(signal.SIGUSR1)
    told("counting")
    assert told("count")["lost"] == 0, "what was lost before is not counted"
    network.cut("a")
    for _ in addresses:
        told("lost")
    counted = told("count")
    while counted["up"]:
        counted = told("count")
    assert counted["sent"] == counted["answered"] + counted["lost"]
    assert counted["outage"] > 0
    back = time.monotonic()
    network.restore("a")
    for _ in addresses:
        told("answered")
    probing.terminate()
    for address in addresses:
        final = told("final")
        assert final["address"] == address
        lost = sum(gap["lost"] for gap in final["gaps"])
        assert final["sent"] == final["answered"] + lost
        # A busy machine may lose probes before and after; the cut is the gap that was open then.
        (outage,) = [g for g in final["gaps"] if g["since"] < back <= g["until"]]
        assert outage["lost"] > 0
    assert probing.wait() == 0
    assert answering.stdin is not None
    answering.stdin.close()
    assert answering.wait() == 0


def test_the_echo_waits_for_an_address_that_appears_later(
    network: Network, floating_pod: Callable[..., Pod]
) -> None:
    pod, pipe = floating_pod("a", "100.64.0.1/32").netns, subprocess.PIPE
    with pod.popen(echo_command(["100.64.0.1", "100.64.0.2"]), stdin=pipe, stdout=pipe) as process:
        bound = records(process)
        assert bound("bound")["address"] == "100.64.0.1"
        pod.ip_batch(["addr add 100.64.0.2/32 dev net1"])
        assert bound("bound")["address"] == "100.64.0.2"
        network.remove_pod("pod-a")
        assert process.returncode == -9, "a killed pod's processes end with it"
    assert network.add_pod("a", "next", IPv4Address("10.0.1.50"))
