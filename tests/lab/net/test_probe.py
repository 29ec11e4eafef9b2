"""The prober's account of an outage."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest

from vipmanager_lab.network import Network, Pod
from vipmanager_lab.probe import Gap, Tally, echo_command, probe_command

Process = subprocess.Popen[bytes]


@pytest.mark.parametrize(
    ("answered", "gaps"),
    [
        ([0, 1, 2, 3, 4], []),
        ([0, 1, 4], [Gap(2, 2, 12.0, 14.0)]),
        ([4], [Gap(0, 4, 10.0, 14.0)]),
        ([0], [Gap(1, 4, 11.0, None)]),
        ([1, 3], [Gap(0, 1, 10.0, 11.0), Gap(2, 1, 12.0, 13.0), Gap(4, 1, 14.0, None)]),
        ([4, 3, 2, 1, 0], []),
    ],
)
def test_a_gap_runs_from_the_first_lost_to_the_next_answered(
    answered: list[int], gaps: list[Gap]
) -> None:
    tally = Tally()
    for second in range(10, 15):
        tally.send(float(second))
    for number in answered:
        assert tally.answer(number)
    assert tally.gaps() == gaps


def test_duplicates_and_numbers_never_sent_are_no_answers() -> None:
    tally = Tally()
    assert tally.answer(tally.send(1.0))
    assert not tally.answer(0)
    assert not tally.answer(1)


def test_an_overdue_probe_is_told_once_and_may_still_be_answered() -> None:
    tally = Tally()
    for second in range(3):
        tally.send(float(second))
    assert tally.answer(1)
    assert [tally.overdue(2.5) for _ in range(3)] == [0, 2, None]
    assert tally.answer(0)
    assert tally.gaps() == [Gap(2, 1, 2.0, None)]


def test_what_was_lost_before_the_first_answer_is_not_told_as_a_new_loss() -> None:
    tally = Tally()
    for second in range(4):
        tally.send(float(second))
    assert tally.answer(2)
    tally.recovered(2)
    assert tally.overdue(2.5) is None
    assert tally.gaps()[0] == Gap(0, 2, 0.0, 2.0)


def test_a_count_tells_what_is_known_of_the_probes_since_a_mark() -> None:
    tally = Tally()

    def sent_and_lost(now: float) -> tuple[int, int, int, bool]:
        count = tally.count(now)
        return count.sent, count.answered, count.lost, count.up

    assert sent_and_lost(9.0) == (0, 0, 0, False)
    for number in range(4):
        tally.answer(tally.send(10.0 + number / 100))
    assert sent_and_lost(10.03) == (4, 4, 0, True)
    tally.mark()
    for number in range(4, 8):
        tally.send(10.0 + number / 100)
    assert sent_and_lost(10.13) == (0, 0, 0, True), "what may still be answered is not lost"
    assert sent_and_lost(10.15) == (4, 0, 4, False)
    assert tally.count(10.18).outage == pytest.approx(0.14), "and it grows until an answer"
    tally.answer(tally.send(10.09))
    count = tally.count(10.5)
    assert (count.sent, count.answered, count.lost, count.up) == (5, 1, 4, True)
    assert count.outage == pytest.approx(0.05)
    assert count.newest == 10.09


def test_an_answer_that_comes_late_is_taken_off_the_count_of_the_lost() -> None:
    tally = Tally()
    for number in range(3):
        tally.send(10.0 + number / 100)
    assert tally.count(11.0).lost == 3
    tally.answer(1)
    tally.answer(2)
    assert tally.count(11.0)[:3] == (3, 2, 1)
    assert tally.count(11.0).outage == pytest.approx(0.01)


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
