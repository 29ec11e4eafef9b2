"""Replicas that do not fit together: other floating IPs, other clocks, other keys, one zone."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from agent_fixtures import wait_until
from standby_fixtures import standing
from steady import (
    ALONE,
    SHORT,
    await_renewals,
    await_words,
    holders,
    lines,
    moved_once,
    unmoved,
)
from vipmanager_lab.cni import Delegate
from vipmanager_lab.netns import Netns
from vipmanager_lab.replicas import Replica, Replicas
from vipmanager_lab.world import World

OTHERS = ("192.168.0.11/24", "192.168.0.12/24")
"""The floating IPs of another group."""


def test_a_group_of_other_floating_ips_with_the_same_lease_name_takes_nothing() -> None:
    with standing(SHORT) as group:
        holder = group.start("a")
        holder.await_takeover()
        with unmoved(group):
            stranger = Replica(
                group.world,
                "other-1",
                "b",
                floating=OTHERS,
                environment=group.plane.create_pod("other-1") | group.config,
                heard=lambda _replica, _record: None,
            )
            await_words(stranger, f"the Lease belongs to {holder.uid}/")
            await_renewals(group, 9)  # three times LeaseSeconds
        assert not stranger.status()["ready"]
        assert len(lines(stranger, "give each group of floating IPs a LeaseName of its own")) == 1


SLEEP = """
import threading
import time

time.sleep = lambda seconds: threading.Event().wait(seconds)
"""
"""libfaketime 0.9.10 refuses Python's own sleep where it is to leave CLOCK_MONOTONIC alone."""


@pytest.fixture
def fast_clock(tmp_path: Path) -> dict[str, str]:
    """Give the environment of a process whose wall clock is four minutes fast.

    Of CLOCK_MONOTONIC nobody knows another machine's, so it is left as it is.
    """
    if shutil.which("faketime") is None:
        pytest.skip("faketime is not installed")
    printed = subprocess.run(
        ["faketime", "-f", "+4m", "env"], check=True, capture_output=True, text=True
    ).stdout
    found = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    (tmp_path / "sitecustomize.py").write_text(SLEEP)
    return {
        "LD_PRELOAD": found["LD_PRELOAD"],
        "FAKETIME": found["FAKETIME"],
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}",
    }


def offset(replica: Replica) -> float:
    """Give the seconds by which its wall clock is ahead of CLOCK_MONOTONIC."""
    record = replica.agent.records[0]
    return datetime.fromisoformat(record["time"]).timestamp() - float(record["monotonic"])


@pytest.mark.parametrize("ahead", ["a", "b"])
def test_clocks_that_are_minutes_apart_neither_hasten_nor_hinder_a_takeover(
    ahead: str, fast_clock: dict[str, str]
) -> None:
    with standing(ALONE) as group:
        holder = group.start("a", **(fast_clock if ahead == "a" else {}))
        holder.await_takeover()
        standby = group.start("b", **(fast_clock if ahead == "b" else {}))
        standby.await_standby()
        with unmoved(group):
            await_renewals(group, 6)
        with moved_once(group, to=standby):
            group.world.network.cut("a")
            assert standby.await_takeover()["cause"] == "expired"
        apart = abs(offset(holder) - offset(standby))
        assert apart == pytest.approx(240, abs=5)


@pytest.mark.parametrize("deaf", ["a", "b"])
def test_a_replica_without_a_heartbeat_port_makes_the_takeover_wait_for_the_lease(
    deaf: str,
) -> None:
    with standing(SHORT) as group:
        off = {"HeartbeatPort": "0"}
        holder = group.start("a", **(off if deaf == "a" else {}))
        holder.await_takeover()
        standby = group.start("b", **(off if deaf == "b" else {}))
        standby.await_ready()
        with unmoved(group):
            await_renewals(group, 6)
        with moved_once(group, to=standby):
            group.world.network.cut("a")
            assert standby.await_takeover()["cause"] == "expired"


def test_a_closed_heartbeat_port_is_said_by_the_standby() -> None:
    with standing(SHORT) as group:
        holder = group.start("a")
        holder.await_takeover()
        standby = group.start("b")
        group.sever(standby, holder)
        group.sever(holder, standby)
        with unmoved(group):
            await_words(standby, "open HeartbeatPort (UDP) between the pods")
            assert standby.status()["ready"]
        with moved_once(group, to=standby):
            group.world.network.cut("a")
            assert standby.await_takeover()["cause"] == "expired"


def test_keys_that_differ_are_said_and_only_the_lease_decides(tmp_path: Path) -> None:
    with standing(SHORT) as group:
        files = {zone: tmp_path / zone for zone in ("a", "b")}
        for zone, file in files.items():
            file.write_text(zone * 32)
        holder = group.start("a", HeartbeatKeyFile=str(files["a"]))
        holder.await_takeover()
        standby = group.start("b", HeartbeatKeyFile=str(files["b"]))
        with unmoved(group):
            await_words(holder, f"heartbeats from {standby.address} are sealed with another key")
            await_words(standby, "give both the same key")
        with moved_once(group, to=standby):
            group.world.network.cut("a")
            assert standby.await_takeover()["cause"] == "expired"


def test_with_one_key_a_silent_holder_is_relieved_at_once(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("k" * 32)
    with standing(SHORT | {"HeartbeatKeyFile": str(file)}) as group:
        _, standby = group.pair()
        with moved_once(group, to=standby):
            group.world.network.cut("a")
            assert standby.await_takeover()["cause"] == "silent"


def test_a_heartbeat_port_that_the_application_has_is_named() -> None:
    with standing(SHORT) as group:
        replica = group.start("a")
        replica.await_takeover()
        replica.agent.close()
        with replica.netns.socket(kind=socket.SOCK_DGRAM) as taken:
            taken.bind((replica.address, 7946))
            replica.start_agent()
            assert replica.agent.wait() == 1
        assert lines(replica, "HeartbeatPort=7946: Address already in use (UDP")


class Roomy(World):
    """Nodes with ENIs for two pods: a kernel without ipvlan gives an ENI to one pod alone."""

    def __init__(self) -> None:
        super().__init__(interfaces=4)

    def start_pod(
        self,
        name: str,
        zone: str,
        floating: Iterable[str | Sequence[str] | Delegate],
        *,
        dad: bool = False,
        first: int = 1,
    ) -> Netns:
        """Start the second pod of a node on its third and fourth ENI."""
        taken = any(node.zone == zone for node, _ in self._pods.values())
        return super().start_pod(name, zone, floating, dad=dad, first=3 if taken else first)

    def seconds(self, zone: str) -> tuple[str, ...]:
        """Give the ENIs of the second pod."""
        return self.nodes[zone].secondary[2:]


def steered_to(group: Replicas, enis: Sequence[str]) -> bool:
    pairs = zip(group.floating, enis, strict=True)
    return all(group.world.targets(group.world.destination(f)) == {eni} for f, eni in pairs)


FLOATING = ("192.168.0.1/24", "192.168.0.2/24")


def test_two_replicas_in_one_zone_are_said_and_work() -> None:
    with Roomy() as world, Replicas(world, floating=FLOATING, config=SHORT) as group:
        holder = group.start("a")
        holder.await_takeover()
        standby = group.start("a")
        standby.await_standby()
        await_words(standby, "are both in eu-central-1a: a lost zone takes both")
        holder.agent.close()
        assert standby.await_takeover()["cause"] == "silent"
        assert steered_to(group, world.seconds("a"))


def test_of_three_replicas_one_takes_over_and_the_third_is_the_next() -> None:
    with Roomy() as world, Replicas(world, floating=FLOATING, config=SHORT) as group:
        first, second = group.pair()
        third = group.start("a")
        third.await_standby()
        enis = {second: world.nodes["b"].secondary[:2], third: world.seconds("a")}
        first.agent.close()
        group.running.remove(first)
        wait_until(lambda: group.holder() in enis)
        next_ = group.holder()
        assert next_ is not None
        wait_until(lambda: steered_to(group, enis[next_]))
        last = second if next_ is third else third
        last.await_standby()
        assert len(holders(group)) == 2
        next_.agent.close()
        last.await_takeover()
        assert steered_to(group, enis[last])
        assert len(holders(group)) == 3
