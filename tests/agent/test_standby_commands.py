"""What `status`, `plan` and `doctor` say in the pods of a warm standby."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema

from staging import SCHEMAS
from standing import standing
from vipmanager.lab.ec2.faults import Unreachable
from vipmanager.lab.replicas import HEALTH_PORT, Replica, Replicas

CHECK = {"HealthCheck": f"tcp://127.0.0.1:{HEALTH_PORT}", "HealthIntervalMs": "100"}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a command printed in a replica's container, and its exit code."""

    code: int
    out: str
    document: Mapping[str, Any]


def type_in(group: Replicas, replica: Replica, command: str, **config: str) -> View:
    """Type a command in a replica's container, for people and for programs."""
    printed: list[tuple[int, str]] = []
    for form in ("text", "json"):
        process = replica.netns.popen(
            [sys.executable, "-m", "vipmanager", command, "--output", form],
            env=group.world.container_environment({**replica.environment, **config}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        out, _ = process.communicate(timeout=60)
        printed.append((process.returncode, out.decode()))
    (code, text), (same, document) = printed
    assert code == same
    found = json.loads(document)
    jsonschema.validate(found, json.loads((SCHEMAS / f"{command}.json").read_text()))
    return View(code=code, out=text, document=found)


def line(view: View, begin: str) -> str:
    """Give the one line that begins so."""
    (found,) = [each for each in view.out.splitlines() if each.startswith(begin)]
    return found


def states(view: View) -> dict[str, str]:
    """Give the checks of doctor that are not well, and how."""
    return {c["check"]: c["state"] for c in view.document["checks"] if c["state"] != "ok"}


def test_status_says_who_steers_and_all_is_right_in_both_pods() -> None:
    with standing() as group:
        holder, standby = group.pair()
        schema = json.loads((SCHEMAS / "agent.json").read_text())
        for replica in (holder, standby):
            view = type_in(group, replica, "status")
            assert view.code == 0, view.out
            jsonschema.validate(view.document["agent"], schema)
        seen = type_in(group, holder, "status")
        assert {r["verdict"] for r in seen.document["routes"]} == {"right"}
        said = line(seen, "Election: holder, generation 1: the Lease was free")
        assert "is held here; taken over in " in said
        assert said.endswith("takeovers: free 1")
        seen = type_in(group, standby, "status")
        said = line(seen, "Election: standby: ")
        assert f"Lease telco/vipmanager is held by {holder.uid}/" in said
        assert seen.out.count(" elsewhere ") == 4 * len(group.floating)
        assert {r["zone"] for r in seen.document["routes"]} == {"eu-central-1a"}


def test_status_of_a_standby_is_not_right_while_routes_lead_nowhere() -> None:
    # Nothing tells it of the holder's death before the Lease expires.
    with standing({"HeartbeatPort": "0", "LeaseSeconds": "60"}) as group:
        holder, standby = group.pair()
        holder.agent.close()
        group.world.account.detach(group.world.nodes["a"].secondary[0])
        view = type_in(group, standby, "status")
        assert view.code == 1
        assert ", blackhole" in view.out
        assert " wrong " in view.out


def test_status_of_a_standby_that_could_not_take_over_says_why() -> None:
    with standing(CHECK) as group:
        _, standby = group.pair()
        standby.application.close()
        standby.await_status(lambda s: not s["ready"])
        view = type_in(group, standby, "status")
        assert view.code == 1
        assert "the application is unhealthy" in line(view, "failed: not fit to take ")
        assert "UNFIT" in {f["condition"] for f in view.document["findings"]}


def test_plan_of_a_standby_is_what_it_writes_when_it_takes_over() -> None:
    with standing() as group:
        holder, standby = group.pair()
        view = type_in(group, standby, "plan")
        assert view.code == 2
        said = line(view, "LeaderElection: ")
        assert f"Lease telco/vipmanager. {holder.uid}/" in said
        assert view.document["election"]["role"] == "standby"
        written = len(standby.agent.records)
        standby.order("claim")
        standby.await_takeover(since=written)
        done = {
            r["text"].partition(" (")[0]
            for r in standby.agent.records[written:]
            if r["event"] == "write"
        }
        assert done == {c["text"].partition(" (")[0] for c in view.document["changes"]}
        assert {c["reason"] for c in view.document["changes"]} == {"takeover"}


def test_plan_of_a_holder_is_empty_when_all_is_right() -> None:
    with standing() as group:
        holder, _ = group.pair()
        view = type_in(group, holder, "plan")
        assert (view.code, view.document["changes"]) == (0, [])
        assert line(view, "LeaderElection: ").endswith("This pod holds it.")


def test_plan_reads_the_lease_where_no_sidecar_runs() -> None:
    with standing() as group:
        holder, standby = group.pair()
        standby.agent.close()
        view = type_in(group, standby, "plan")
        assert view.code == 2
        told = view.document["election"]
        assert (told["lease"], told["role"]) == ("telco/vipmanager", None)
        assert told["holder"].startswith(f"{holder.uid}/")
        group.kube.partition(standby.address, Unreachable.CLOSES)
        view = type_in(group, standby, "plan")
        assert line(view, "LeaderElection: ").endswith("Who holds it is not known here.")
        assert [f["subject"] for f in view.document["findings"]] == ["lease"]


def test_doctor_finds_nothing_wrong_with_a_holder_and_a_standby() -> None:
    with standing() as group:
        holder, standby = group.pair()
        for replica in (holder, standby):
            view = type_in(group, replica, "doctor")
            assert (view.code, states(view)) == (0, {}), view.out


def test_doctor_tells_a_role_that_does_not_allow_to_read_the_lease() -> None:
    with standing() as group:
        _, standby = group.pair()
        view = type_in(group, standby, "doctor", LeaseName="another")
        assert view.code == 1
        assert states(view) == {"lease": "error", "replicas": "skipped"}
        assert "403 Forbidden" in line(view, "error: lease: ")
        assert "allow get on leases" in view.out


def test_doctor_tells_a_lease_that_nobody_renews() -> None:
    with standing({"LeaseSeconds": "2"}) as group:
        holder, standby = group.pair()
        standby.agent.close()
        holder.agent.close()
        view = type_in(group, standby, "doctor")
        assert view.code == 1
        assert f"{holder.uid}/" in line(view, "error: lease: ")
        assert "has not renewed telco/vipmanager for 2 s" in view.out
        assert states(view)["fitness"] == "warning"
