"""What `status`, `plan` and `doctor` say in the pods of a warm standby."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema

from agent_fixtures import SCHEMAS, WIDE
from standby_fixtures import standing
from vipmanager_lab.ec2.faults import Unreachable
from vipmanager_lab.replicas import HEALTH_PORT, Replica, Replicas

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
            env=group.world.container_environment(
                {"COLUMNS": WIDE, **replica.environment, **config}
            ),
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
    fault = {c["check"]: c["state"] for c in view.document["checks"] if c["state"] != "ok"}
    if not any(c["skipped"] == "no HealthCheck" for c in view.document["checks"]):
        return fault
    return {check: state for check, state in fault.items() if check != "application"}


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
        whole = "2 of 2 floating IPs, 8 of 8 routes point to"
        assert seen.out.startswith(f"READY: {whole} this pod (checked ")
        said = line(seen, "Election: holder, generation 1: the Lease was free")
        assert "is held here; taken over in " in said
        assert said.endswith("takeovers: free 1")
        seen = type_in(group, standby, "status")
        where = f"{holder.name} (node-a, eu-central-1a)"
        assert seen.out.startswith(f"READY as standby: {whole} {where} (checked ")
        said = line(seen, "Election: standby: ")
        assert f"Lease telco/vipmanager is held by {where}" in said
        for address in ("192.168.0.1", "192.168.0.2"):
            assert f" {where} " in line(seen, address)
        assert {r["zone"] for r in seen.document["routes"]} == {"eu-central-1a"}


def test_status_of_a_standby_is_not_right_while_routes_lead_nowhere() -> None:
    # Nothing tells it of the holder's death before the Lease expires.
    with standing({"HeartbeatPort": "0", "LeaseSeconds": "60"}) as group:
        holder, standby = group.pair()
        holder.agent.close()
        group.world.account.detach(group.world.nodes["a"].secondary[0])
        view = type_in(group, standby, "status")
        assert view.code == 1
        assert view.out.startswith("READY as standby, but 1 of 2 floating IPs, 4 of 8 routes ")
        assert view.out.count(", blackhole") == 4
        assert view.out.count("wrong: for its holder to write") == 4


def test_status_of_a_standby_that_could_not_take_over_says_why() -> None:
    with standing(CHECK) as group:
        _, standby = group.pair()
        standby.application.close()
        standby.await_status(lambda s: not s["ready"])
        view = type_in(group, standby, "status")
        assert view.code == 1
        said = line(view, "NOT READY as standby: not fit to take the floating IPs: ")
        assert "the application is unhealthy" in said
        assert view.out.count("not fit to take") == 1
        assert "UNFIT" in {f["condition"] for f in view.document["findings"]}


def test_plan_of_a_standby_is_what_it_writes_when_it_takes_over() -> None:
    with standing() as group:
        holder, standby = group.pair()
        view = type_in(group, standby, "plan")
        assert view.code == 2
        said = line(view, "LeaderElection: ")
        assert f"Lease telco/vipmanager. {holder.name} (eu-central-1a) holds it." in said
        assert view.document["election"]["role"] == "standby"
        written = len(standby.agent.records)
        standby.order("claim")
        standby.await_takeover(since=written)
        done = {
            r["text"].partition(" (")[0]
            for r in standby.agent.records[written:]
            if r["event"] in {"write", "kernel"}
        }
        changes = view.document["changes"]
        assert done == {c["text"].partition(" (")[0] for c in changes}
        assert {c["reason"] for c in changes if "rtb-" in c["text"]} == {"takeover"}


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


def typed(group: Replicas, replica: Replica, order: str) -> str:
    process = replica.netns.popen(
        [sys.executable, "-m", "vipmanager", order],
        env=group.world.container_environment(replica.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.decode()


def test_yield_and_claim_say_who_holds_the_lease_now() -> None:
    with standing() as group:
        holder, standby = group.pair()
        said = typed(group, holder, "yield")
        assert said.splitlines() == [
            'Yielded: this pod takes nothing until "vipmanager claim".',
            f"Holder now: {standby.name} (eu-central-1b)",
        ]
        said = typed(group, standby, "yield")
        assert said.splitlines()[-1] == "Holder now: NOBODY"
        assert typed(group, holder, "claim").startswith(("Claimed and verified: 8 of 8 ", "Claim"))
