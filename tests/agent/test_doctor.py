"""`vipmanager doctor` in every place where someone may type it."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from agent_fixtures import Stage
from doctor_runs import VIPMANAGER, DoctorRun
from vipmanager.doctor.table import CHECKS
from vipmanager_lab.ec2.faults import Unreachable
from vipmanager_lab.world import World

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "doctor.json"
REGION = {"AWS_REGION": "eu-central-1"}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("pattern", [1, 2])
def test_nothing_is_wrong_in_a_pod_that_is_well_and_nothing_is_written(
    make_world: Callable[..., World], pattern: int, version: int
) -> None:
    stage = Stage(make_world(), pattern=pattern, version=version)
    pod = stage.pod()
    assert stage.init(pod).wait() == 0
    stage.world.endpoint.clear_calls()
    visit = DoctorRun(stage, pod)
    assert visit.faults() == {}, visit.document
    assert visit.code == 0
    assert stage.world.writes() == 0
    assert list(visit.checks) == [c.code for c in CHECKS]
    jsonschema.validate(visit.document, json.loads(SCHEMA.read_text()))


def test_outside_of_a_pod_what_needs_one_is_skipped_and_the_rest_is_checked(stage: Stage) -> None:
    assert stage.init(stage.pod()).wait() == 0
    words = ["--vpc", stage.world.vpc]
    for address, eni in zip(("192.168.0.1", "192.168.0.2"), stage.enis("a"), strict=True):
        words += ["--floating-ip", address, "--eni", eni]
    visit = DoctorRun(stage, stage.world.client, *words, **REGION)
    assert visit.faults() == {}, visit.document
    skipped = {code: c["skipped"] for code, c in visit.checks.items() if c["skipped"]}
    assert set(skipped.values()) == {"not in a pod", "no --namespace", "LeaderElection=False"}
    assert set(skipped) == {"admission"} | {c.code for c in CHECKS if c.pod or c.standby}
    stage.world.account.drop_route(stage.world.tables[1], "192.168.0.2/32")
    visit = DoctorRun(stage, stage.world.client, *words, **REGION)
    assert (visit.code, visit.faults()) == (1, {"routes": "error"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--vpc", "vpc-1"], "name each floating IP and its ENI"),
        (["--eni", "eni-1"], "--floating-ip and --eni need --vpc"),
        (["--VPCRTIds", "nonsense"], "route table ids such as rtb-"),
    ],
)
def test_options_that_can_not_be_used_are_one_line_and_exit_code_2(
    stage: Stage, words: list[str], message: str
) -> None:
    visit = DoctorRun(stage, stage.world.client, *words, **REGION)
    assert visit.code == 2
    assert message in visit.err
    assert len(visit.err.splitlines()) == 1


def test_outside_of_a_pod_a_region_has_to_be_named(stage: Stage) -> None:
    words = ["--vpc", "vpc-1", "--floating-ip", "192.168.0.1", "--eni", "eni-1"]
    visit = DoctorRun(stage, stage.world.client, *words)
    assert visit.code == 2
    assert "set AWS_REGION" in visit.err


def test_a_vpc_that_is_not_there_is_named(stage: Stage) -> None:
    words = ["--vpc", "vpc-1", "--floating-ip", "192.168.0.1", "--eni", stage.enis("a")[0]]
    visit = DoctorRun(stage, stage.world.client, *words, **REGION)
    assert visit.code == 1
    assert "check --vpc and --eni" in visit.finding("read-access", "not in vpc-1")
    assert visit.checks["routes"]["skipped"] == "read-access failed"


def test_a_place_that_is_no_pod_is_named_with_what_to_type_there(stage: Stage) -> None:
    visit = DoctorRun(stage, stage.world.client)
    assert visit.code == 2
    assert "this is no pod; use --vpc: " in visit.err
    assert "vipmanager doctor --vpc ID --floating-ip ADDRESS --eni ID" in visit.err


def test_an_image_without_iproute2_is_named(stage: Stage) -> None:
    visit = DoctorRun(stage, stage.pod(), PATH="/nowhere")
    assert visit.code == 1
    assert "install iproute2" in visit.finding("kernel", "ip can't be started")
    assert visit.checks["routes"]["skipped"] == "kernel failed"
    assert visit.state("credentials") == "ok"


def test_an_ec2_that_does_not_answer_is_the_one_error(stage: Stage) -> None:
    stage.world.faults.unreachable = Unreachable.SILENT
    visit = DoctorRun(stage, stage.pod())
    assert (visit.code, visit.faults()) == (1, {"endpoint": "error"})
    assert "HTTPS_PROXY" in visit.finding("endpoint", "eu-central-1 does not answer")
    stage.world.faults.clear()


def test_a_terminal_of_60_columns_folds_and_loses_nothing(stage: Stage) -> None:
    typed = ["script", "-qec", " ".join([*VIPMANAGER, "doctor"]), "/dev/null"]
    config = stage.world.container_environment({**stage.config, "COLUMNS": "60", "TERM": "xterm"})
    process = stage.pod().popen(typed, env=config, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    out, _ = process.communicate(timeout=60)
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.decode())
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 60
    for words in (*(c.code for c in CHECKS), "RunAsSidecar", "error: routes: 192.168.0.1/32"):
        assert words in text


def test_a_reader_that_goes_away_is_no_traceback(stage: Stage) -> None:
    read, write = os.pipe()
    os.close(read)
    process = stage.pod().popen(
        [*VIPMANAGER, "doctor"],
        env=stage.world.container_environment(stage.config),
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"")


def test_the_exit_codes_are_in_the_help() -> None:
    done = subprocess.run(
        [*VIPMANAGER, "doctor", "--help"], capture_output=True, text=True, check=True
    )
    assert "Exit code: 0 no error (there may be warnings), 1 errors, 2" in done.stdout
