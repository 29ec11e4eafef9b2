"""Drills with real packets: what they tell is what the lab did."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from agent_fixtures import SCHEMAS, Stage, wait_until
from clusters import NAMESPACE
from drill_fixtures import attached
from standby_fixtures import standing
from vipmanager_lab.kube.kinds import LEASES, NODES, PODS
from vipmanager_lab.kube.status import StatusError
from vipmanager_lab.kube.store import Key
from vipmanager_lab.replicas import HEALTH_PORT, Replica, Replicas
from vipmanager_lab.world import World

UDP = ("--udp", "7007")


class Client:
    """A client of a world that drills."""

    def __init__(self, world: World, floating: tuple[str, ...], **environ: str) -> None:
        prober = world.probe(floating)  # it gives the client its routes
        prober.close()
        self.world, self.addresses = world, [f.partition("/")[0] for f in floating]
        self.environ = world.container_environment({"COLUMNS": "80", **environ})
        self.code, self.err = 0, ""

    def drill(self, *words: str, output: str = "json") -> str:
        usual = ("--output", output, "--settle", "1s", "--timeout", "40s")
        process = self.world.client.popen(
            [sys.executable, "-m", "vipmanager", "drill", *self.addresses, *usual, *words],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = process.communicate(timeout=90)
        self.code, self.err = process.returncode, err.decode()
        return out.decode()

    def document(self, *words: str) -> Mapping[str, Any]:
        printed = self.drill(*words, "--yes")
        found: Mapping[str, Any] = json.loads(printed)
        jsonschema.validate(found, json.loads((SCHEMAS / "drill.json").read_text()))
        assert found["good"] is (self.code == 0)
        return found


@contextmanager
def kubelet(group: Replicas) -> Iterator[None]:
    """End a pod whose object is deleted or is to be, with all that is in it."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(0.01):
            for replica in tuple(group.running):
                if ending(replica):
                    group.end(replica)

    def ending(replica: Replica) -> bool:
        try:
            found = group.plane.cluster.store.get(Key(PODS, NAMESPACE, replica.name))
        except StatusError:
            group.plane.create_pod(replica.name, replica.zone)  # for `end` to delete
            return True
        return "deletionTimestamp" in found["metadata"]

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def pair() -> Iterator[Replicas]:
    """A holder on node-a and a standby on node-b, whose objects tell what Multus attached."""
    with standing() as group:
        group.pair()
        bare = group.floating[0].partition("/")[0]
        for replica in group.running:
            change = {"metadata": {"annotations": attached(bare)}}
            group.plane.cluster.store.patch(Key(PODS, NAMESPACE, replica.name), change)
        account = group.plane.account
        account.allow(PODS, ["list", "delete"])
        account.allow(PODS, ["create"], subresource="eviction")
        account.allow(PODS, ["list"], everywhere=True)
        account.allow(LEASES, ["get"])
        account.allow(NODES, ["get", "list", "patch"])
        yield group


def client(group: Replicas) -> Client:
    given = group.running[0].environment
    kube = {k: v for k, v in given.items() if k.startswith(("KUBERNETES_", "VIPMANAGER_"))}
    return Client(group.world, group.floating, **kube)


def in_pod(replica: Replica, *words: str) -> str:
    """Give the command that types something in a replica's pod, as `kubectl exec` does."""
    inside = f"nsenter --net=/run/netns/{replica.netns.full_name}"
    return f"{inside} {sys.executable} -m vipmanager {' '.join(words)}"


def events(found: Mapping[str, Any]) -> list[str]:
    return [line["text"] for line in found["timeline"]]


def test_a_yield_loses_next_to_nothing_and_resets_an_open_connection(pair: Replicas) -> None:
    holder = pair.running[0]
    hold = ("--hold", str(HEALTH_PORT), "--lease", "vipmanager", "--at-most", "10s")
    found = client(pair).document("--run", in_pod(holder, "yield"), *hold)
    assert found["verdict"] == "within"
    assert found["probe"] == "icmp"
    assert found["lease"]["moved"]
    assert found["lease"]["after"].startswith(pair.running[1].name)
    assert {(c["state"], c["how"]) for c in found["connections"]} == {("broken", "reset")}
    assert "the command has ended" in events(found)
    assert any(e.startswith("Lease telco/vipmanager: held by ") for e in events(found))


def test_a_holder_that_is_deleted_costs_an_outage_that_is_judged(pair: Replicas) -> None:
    words = ("--lease", "vipmanager", "--delete-holder", *UDP)
    holder = pair.running[0].name
    with kubelet(pair):
        found = client(pair).document(*words, "--at-most", "2ms")
        assert pair.points_at("b")
    assert found["verdict"] == "beyond", events(found)
    for each in found["addresses"]:
        assert each["lost"] >= each["gaps"][0]["lost"] > 0
        assert 0.002 < each["outage"] < 30
        assert 0 <= each["first_loss"] < each["first_answer"] <= found["seconds"]
    assert f"pod telco/{holder} is gone" in events(found)
    assert events(found)[0] == f"delete the pod telco/{holder}"
    assert found["outage"] == max(each["outage"] for each in found["addresses"])


def test_a_drained_node_is_in_use_again_and_its_pod_is_gone(pair: Replicas) -> None:
    holder = pair.running[0].name
    with kubelet(pair):
        here = client(pair)
        found = here.document("--drain-node", "node-a", "--at-most", "30s", *UDP)
    assert (found["verdict"], here.err) == ("within", ""), events(found)
    assert events(found)[0].startswith(f"cordon node node-a and evict the pod telco/{holder};")
    assert "node node-a is cordoned" in events(found)
    assert f"pod telco/{holder} is gone" in events(found)
    node = pair.plane.cluster.store.get(Key(NODES, "", "node-a"))
    assert not node["spec"].get("unschedulable")
    assert pair.points_at("b")


def test_what_is_printed_fits_in_60_and_80_columns(pair: Replicas) -> None:
    here = client(pair)
    holder = pair.running[0]
    with kubelet(pair):
        words = ("--lease", "vipmanager", "--delete-holder", "--at-most", "30s", "--yes", *UDP)
        out = here.drill(*words, output="text")
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "What the client saw"
    assert lines[-1].startswith("WITHIN THE LIMIT: "), out
    assert f"pod telco/{holder.name} is gone" in out
    (strip,) = [line for line in lines if line.startswith("  192.168.0.1  ")]
    assert set(strip.split()[1]) <= set("-xX")
    assert "X" in strip
    here.environ["COLUMNS"] = "60"
    out = here.drill("--run", "true", "--yes", output="text")
    assert max(map(len, out.splitlines())) <= 60, out
    assert out.splitlines()[-1] == "ANSWERED AGAIN: 0 ms without an answer at the most"


def test_a_failover_that_does_not_happen_is_no_success(pair: Replicas) -> None:
    here = client(pair)
    words = ("--run", "true", "--lease", "vipmanager", "--timeout", "2s")
    assert here.document(*words)["verdict"] == "stayed"
    out = here.drill(*words, "--yes", output="text")
    assert here.code == 1
    assert "NO FAILOVER: Lease telco/vipmanager is held by app-1 (eu-central-1a), as" in out


@pytest.mark.parametrize(
    ("sidecar", "probe"),
    [(True, UDP), (False, ("--tcp", str(HEALTH_PORT))), (False, ("--icmp",))],
    ids=["sidecar, UDP", "initContainer, TCP", "initContainer, ICMP"],
)
def test_a_pod_that_is_replaced_is_measured_whatever_the_mode(
    sidecar: bool,  # noqa: FBT001 - pytest gives it by name
    probe: tuple[str, ...],
    tmp_path: Path,
    make_world: Callable[..., World],
) -> None:
    stage = Stage(make_world())
    start(stage, "old", "a", sidecar=sidecar)
    stage.answers()
    struck = tmp_path / "struck"

    def replace() -> None:
        wait_until(struck.exists)
        stage.world.kill_pod("old")
        start(stage, "new", "b", sidecar=sidecar)

    failover = threading.Thread(target=replace)
    failover.start()
    found = Client(stage.world, stage.floating).document(
        "--run", f"touch {struck}", "--at-most", "30s", "--settle", "2s", *probe
    )
    failover.join()
    assert found["verdict"] == "within", found
    assert all(each["outage"] > 0 for each in found["addresses"])
    assert stage.points_at("b")


def start(stage: Stage, name: str, zone: str, *, sidecar: bool) -> None:
    """Start a pod with the agent and the application in it."""
    pod = stage.pod(zone, name)
    stage.world.application(pod, stage.floating, listen=HEALTH_PORT)
    if sidecar:
        stage.sidecar(pod)
    else:
        assert stage.init(pod).wait() == 0


def test_an_address_that_never_answers_again_is_said_so(
    tmp_path: Path, make_world: Callable[..., World]
) -> None:
    stage = Stage(make_world())
    start(stage, "old", "a", sidecar=False)
    stage.answers()
    struck = tmp_path / "struck"

    def strike() -> None:
        wait_until(struck.exists)
        stage.world.kill_pod("old")

    failure = threading.Thread(target=strike)
    failure.start()
    here = Client(stage.world, stage.floating)
    words = ("--run", f"touch {struck}", "--timeout", "4s", "--yes", *UDP)
    out = here.drill(*words, output="text")
    failure.join()
    assert here.code == 1
    assert "NOT ANSWERED AGAIN: 192.168.0.1, 192.168.0.2, " in out.splitlines()[-1]
