"""`vipmanager measure`, typed against the lab's EC2: its figures, its manners, its end."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from clusters import pod_in_a_cluster
from vipmanager.core.measurement import OF_LEASES, Quantity
from vipmanager_lab.kube.kinds import LEASES
from vipmanager_lab.kube.status import StatusError
from vipmanager_lab.kube.store import Key
from vipmanager_lab.latency import Even

if TYPE_CHECKING:
    from measure.conftest import Lab

QUICK = ("--times", "2", "--rate", "5")
SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "measure.json"
OF_EC2 = [each.value for each in Quantity if each not in OF_LEASES]


def test_each_figure_is_what_ec2_takes_and_nothing_is_left(lab: Lab) -> None:
    lab.faults.pace = {
        "ModifyManagedPrefixList carried out": Even(0.5, 0.5),
        "* carried out": Even(0.1, 0.1),
        "Describe*": Even(0.02, 0.02),
        "ReplaceRoute": Even(0.15, 0.15),
        "*": Even(0.05, 0.05),
    }
    found = lab.json(*QUICK)
    jsonschema.validate(found, json.loads(SCHEMA.read_text()))
    assert found["complete"]
    figures = {each["name"]: each for each in found["figures"]}
    assert list(figures) == OF_EC2
    assert all(each["failed"] == 0 for each in figures.values())
    counts = {name: each["count"] for name, each in figures.items()}
    assert (counts["create_route"], counts["replace_route"], counts["modify_list"]) == (2, 2, 4)
    assert counts["replace_route_meanwhile"] == 2
    least = {name: each["p50"] for name, each in figures.items()}
    assert least["create_route"] >= 0.05
    assert least["create_route_seen"] >= 0.05 + 0.02
    assert least["replace_route"] >= 0.15
    assert least["replace_route_meanwhile"] >= 0.15
    assert least["modify_list_complete"] >= 0.5
    assert least["describe_route_tables"] >= 0.02
    assert {each["name"] for each in found["not_measured"]} == {
        "first_packet",
        *(each.value for each in OF_LEASES),
    }
    assert lab.now() == lab.before


def test_it_makes_what_it_tags_and_writes_to_nothing_else(lab: Lab) -> None:
    lab.json(*QUICK)
    calls = lab.endpoint.calls
    made = [call for call in calls if call.action.startswith("Create") and "Table" in call.action]
    made += [call for call in calls if call.action == "CreateManagedPrefixList"]
    assert len(made) == 2
    for call in made:
        tags = {
            call.parameters[f"TagSpecification.1.Tag.{n}.Key"]: call.parameters[
                f"TagSpecification.1.Tag.{n}.Value"
            ]
            for n in range(1, 5)
        }
        assert tags["vipmanager"] == "measure"
        assert datetime.fromisoformat(tags["vipmanager-until"]) > datetime.now(UTC)
    written = {
        call.parameters[name]
        for call in calls
        if not call.action.startswith("Describe")
        for name in ("RouteTableId", "PrefixListId")
        if name in call.parameters
    }
    assert lab.table not in written
    assert len(written) == 2


def test_its_writes_keep_to_the_rate(lab: Lab) -> None:
    lab.json("--times", "2", "--rate", "2")
    rounds = {"CreateRoute", "ReplaceRoute", "ModifyManagedPrefixList"}
    writes = [call for call in lab.endpoint.calls if call.action in rounds]
    assert len(writes) == 11  # five a round, and the list's own route
    # The two of a modification and the route write beside it go together.
    assert writes[-1].start - writes[0].start >= (len(writes) - 2) / 2 * 0.9


def test_what_people_read_has_a_verdict_first_and_fits(lab: Lab) -> None:
    done = lab.run("--vpc", lab.vpc, *QUICK, COLUMNS="60")
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert re.fullmatch(r"MEASURED: 2 of 2 rounds in \d+ s; nothing of it is left", first)
    assert max(len(line) for line in lines) <= 60
    row = next(line for line in lines if line.endswith("ReplaceRoute"))
    assert re.fullmatch(r" *\d+ +\d+ +\d+ +2 +0 +ReplaceRoute", row)
    assert "about 2 s" in done.stderr


def test_a_refusal_during_a_modification_is_a_figure_of_its_own(lab: Lab) -> None:
    # Two writes lead a CIDR and the list; then every second ReplaceRoute is the list's.
    lab.faults.fail_next("ReplaceRoute", "IncorrectState", after=1, message="it changes")
    figures = {each["name"]: each for each in lab.json(*QUICK)["figures"]}
    meanwhile = figures["replace_route_meanwhile"]
    assert (meanwhile["count"], meanwhile["failed"]) == (1, 1)
    assert "IncorrectState: it changes" in meanwhile["failure"]
    assert lab.now() == lab.before


def test_calls_that_fail_are_counted_and_make_it_incomplete(lab: Lab) -> None:
    lab.faults.fail_next("ModifyManagedPrefixList", "InternalError", 500, times=100)
    done = lab.run("--vpc", lab.vpc, *QUICK)
    assert done.returncode == 1
    assert done.stdout.startswith("INCOMPLETE: 2 of 2 rounds")
    assert "failed: ModifyManagedPrefixList: ec2:ModifyManagedPrefixList" in done.stdout
    assert lab.now() == lab.before


def test_where_the_bucket_is_empty_it_leaves_it_to_the_agents_for_a_while(lab: Lab) -> None:
    lab.faults.fail_next("ReplaceRoute", "RequestLimitExceeded", 503)
    done = lab.run("--vpc", lab.vpc, *QUICK)
    assert "RequestLimitExceeded" in done.stdout
    writes = [
        call
        for call in lab.endpoint.calls
        if call.action in {"CreateRoute", "ReplaceRoute", "ModifyManagedPrefixList"}
    ]
    refused = next(n for n, call in enumerate(writes) if call.error == "RequestLimitExceeded")
    assert writes[refused + 1].start - writes[refused].finish >= 4.5


@pytest.mark.parametrize(
    "action",
    [
        "DescribeRouteTables",
        "DescribeManagedPrefixLists",
        "DescribeNetworkInterfaces",
        "CreateManagedPrefixList",
        "CreateRouteTable",
        "CreateRoute",
        "ReplaceRoute",
        "ModifyManagedPrefixList",
    ],
)
def test_a_missing_right_is_named_and_nothing_is_left(lab: Lab, action: str) -> None:
    lab.faults.deny(action)
    done = lab.run("--vpc", lab.vpc, *QUICK)
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert f"allow ec2:{action} in the IAM policy" in last
    assert lab.now() == lab.before


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("DeleteManagedPrefixList", "aws ec2 delete-managed-prefix-list --prefix-list-id"),
        ("DeleteRouteTable", "aws ec2 delete-route-table --route-table-id"),
    ],
)
def test_who_may_not_delete_is_told_before_anything_else_is_made(
    lab: Lab, action: str, command: str
) -> None:
    lab.faults.deny(action)
    done = lab.run("--vpc", lab.vpc, *QUICK)
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert f"allow ec2:{action} in the IAM policy" in last
    left = set(lab.account.view.tables) | set(lab.account.view.lists)
    [left_id] = left - {*lab.before[0], *lab.before[1]}  # type: ignore[misc] # two mappings
    assert f"{command} {left_id}" in last
    assert lab.endpoint.counts()["CreateRoute"] == 0


def test_where_ec2_does_not_answer_at_the_start_it_ends_soon_since_nothing_was_made(
    lab: Lab,
) -> None:
    lab.faults.fail_next("DescribeRouteTables", "InternalError", 500, times=10**6)
    done = lab.run("--vpc", lab.vpc, *QUICK)
    assert done.returncode == 1
    assert "InternalError" in done.stderr
    # Two looks a second for ten seconds, and not for the two minutes of what may be left.
    assert lab.endpoint.counts()["DescribeRouteTables"] < 40


def _make(lab: Lab, **tags: str) -> str:
    return lab.account.create_route_table(lab.vpc, tags=tags)


def test_a_run_first_removes_what_runs_left_behind_that_are_over(lab: Lab) -> None:
    own, now = {"vipmanager": "measure", "vipmanager-run": "other"}, datetime.now(UTC)
    past = (now - timedelta(seconds=5)).isoformat()
    later = (now + timedelta(hours=1)).isoformat()
    over = _make(lab, **own, **{"vipmanager-until": past})
    kept = {
        _make(lab, **own, **{"vipmanager-until": later}),
        _make(lab, **own),
        _make(lab, **own, **{"vipmanager-until": "yesterday"}),
        _make(lab, **{"vipmanager-until": past}),
        lab.table,
    }
    done = lab.run("--clean")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"REMOVED: {over} in eu-central-1\n"
    assert kept <= set(lab.account.view.tables)
    found = json.loads(lab.run("--clean", "--output", "json").stdout)
    assert found["removed"] == []
    over = _make(lab, **own, **{"vipmanager-until": past})
    lab.json(*QUICK)
    assert over not in lab.account.view.tables
    assert kept <= set(lab.account.view.tables)


def test_describes_that_lag_behind_hide_nothing_that_it_made(lab: Lab) -> None:
    view = lab.account.view
    enis = [it.id for it in view.enis.values() if it.attachment and it.attachment.device_index]
    named = (option for eni in enis for option in ("--eni", eni))
    lab.faults.stale_reads(seconds=1.0)  # the ENIs are younger
    found = lab.json(*QUICK, *named)
    seen = next(each for each in found["figures"] if each["name"] == "replace_route_seen")
    assert seen["p50"] >= 0.9
    assert lab.now() == lab.before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--vpc", "10.0.0.0/16"), "expected vpc-..., not 10.0.0.0/16"),
        (("--vpc", "vpc-1", "--times", "1"), "expected 2 to 200, not 1"),
        (("--vpc", "vpc-1", "--rate", "50"), "expected 0.1 to 5, not 50"),
        (("--vpc", "vpc-1", "--eni", "eni-1"), "1 different --eni are given, expected 2, or none"),
        (("--vpc", "vpc-1", "--clean"), "not allowed with argument"),
        ((), "one of the arguments --vpc --clean is required"),
    ],
)
def test_bad_options_are_told_before_anything_is_done(
    lab: Lab, options: tuple[str, ...], said: str
) -> None:
    done = lab.run(*options)
    assert done.returncode == 2
    assert said in done.stderr
    assert not lab.endpoint.calls


def test_without_a_region_or_two_enis_it_says_what_to_name(lab: Lab) -> None:
    done = lab.run("--clean", AWS_REGION="")
    assert (done.returncode, done.stderr) == (
        2,
        "vipmanager measure: no region is known here; set AWS_REGION\n",
    )
    done = lab.run("--vpc", "vpc-1")
    assert done.returncode == 1
    assert "vpc-1 in eu-central-1: 0 attached ENIs, expected at least 2" in done.stderr
    assert lab.now() == lab.before


def test_in_a_pod_lease_calls_are_measured_on_a_lease_of_its_own(lab: Lab, tmp_path: Path) -> None:
    with pod_in_a_cluster(tmp_path) as pod:
        pod.account.allow(LEASES, ["create"])
        pod.account.allow(LEASES, ["get", "update", "delete"], ["vipmanager-measure"])
        found = lab.json(*QUICK, **pod.environ)
        figures = {each["name"]: each for each in found["figures"]}
        assert [figures[each.value]["count"] for each in OF_LEASES] == [2, 2]
        assert [each["name"] for each in found["not_measured"]] == ["first_packet"]
        with pytest.raises(StatusError, match="not found"):
            pod.cluster.store.get(Key(LEASES, "telco", "vipmanager-measure"))


def test_where_leases_are_not_allowed_the_rest_is_measured(lab: Lab, tmp_path: Path) -> None:
    with pod_in_a_cluster(tmp_path) as pod:
        found = lab.json(*QUICK, **pod.environ)
    why = {each["name"]: each["why"] for each in found["not_measured"]}
    assert "allow get on leases in a Role" in why["get_lease"]
    assert found["complete"]
