"""What goes wrong around the function that attaches ENIs, and what it leaves behind."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import botocore.exceptions
import pytest

from deploy.lifecycle import REGION, Context
from vipmanager.core.refusals import ATTACHING, mended_by_time
from vipmanager_lab.faults import Break

if TYPE_CHECKING:
    from types import ModuleType

    from deploy.conftest import Stage


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("CreateNetworkInterface", "RequestLimitExceeded"),
        ("DescribeSubnets", "InternalError"),
        ("AttachNetworkInterface", "IncorrectState"),
        ("AttachNetworkInterface", "InvalidNetworkInterfaceID.NotFound"),
        ("ModifyNetworkInterfaceAttribute", "RequestLimitExceeded"),
        ("DescribeInstances", "InvalidInstanceID.NotFound"),
    ],
)
def test_what_time_mends_does_not_cost_the_node(stage: Stage, action: str, code: str) -> None:
    stage.faults.fail_next(action, code, times=2)
    assert stage.launch() == "CONTINUE"
    assert [eni.subnet for eni in stage.made()] == stage.subnets
    assert stage.autoscaling.results == ["CONTINUE"]


def test_it_waits_for_what_the_agent_waits_for_and_for_the_nodes_own(
    function: ModuleType,
) -> None:
    assert set(mended_by_time()) == function.TRANSIENT
    assert {"RequestLimitExceeded", "InternalError", *ATTACHING} <= function.TRANSIENT
    assert "UnauthorizedOperation" not in function.TRANSIENT


@pytest.mark.parametrize("action", ["CreateNetworkInterface", "AttachNetworkInterface"])
def test_an_answer_that_is_lost_leaves_no_second_eni(stage: Stage, action: str) -> None:
    stage.faults.inject(action, Break.LOST)
    assert stage.launch() == "CONTINUE"
    assert [eni.subnet for eni in stage.made()] == stage.subnets


def test_an_eni_that_ec2_does_not_show_yet_is_not_made_twice(stage: Stage) -> None:
    stage.faults.fail_next("AttachNetworkInterface", "IncorrectState")
    stage.faults.stale_reads(count=2)
    assert stage.launch() == "CONTINUE"
    assert [eni.subnet for eni in stage.made()] == stage.subnets


def test_a_subnet_of_another_zone_is_named_and_nothing_is_made(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.use(stage.subnets[0], stage.elsewhere[0])
    assert stage.launch() == "ABANDON"
    assert f"{stage.elsewhere[0]} is in {REGION}b" in caplog.text
    assert f"{stage.instance} in {REGION}a" in caplog.text
    assert stage.endpoint.calls_of("CreateNetworkInterface") == []
    assert stage.autoscaling.results == ["ABANDON"]


def test_an_unknown_subnet_is_named_and_nothing_is_made(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.use(stage.subnets[0], "subnet-0123456789abcdef0")
    assert stage.launch() == "ABANDON"
    assert "The subnet ID 'subnet-0123456789abcdef0' does not exist" in caplog.text
    assert stage.endpoint.calls_of("CreateNetworkInterface") == []


def test_more_enis_than_the_instance_type_takes_are_refused_before_the_first(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    subnet = stage.account.view.enis[next(iter(stage.before))].subnet
    small = stage.account.run_instance(subnet, instance_type="t3.micro")
    assert stage.launch(small) == "ABANDON"
    assert "t3.micro takes 2 ENIs" in caplog.text
    assert stage.endpoint.calls_of("CreateNetworkInterface") == []


def test_the_limit_is_that_of_the_first_network_card(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    subnet = stage.account.view.enis[next(iter(stage.before))].subnet
    large = stage.account.run_instance(subnet, instance_type="p4d.24xlarge")
    stage.use(*(stage.subnets * 8))
    assert stage.launch(large) == "ABANDON"
    assert "p4d.24xlarge takes 15 ENIs on its first network card, and 16" in caplog.text


def test_a_device_index_that_someone_else_took_is_named(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    rival = stage.account.create_eni(stage.subnets[0])
    stage.account.attach(rival, stage.instance, 2)
    assert stage.launch() == "ABANDON"
    assert f"device index 2 of {stage.instance} is {rival}" in caplog.text
    left = {eni.id: eni.attachment for eni in stage.made() if eni.id != rival}
    assert all(tie and tie.delete_on_termination for tie in left.values())
    stage.account.terminate_instance(stage.instance)
    assert [eni.id for eni in stage.made()] == [rival]


@pytest.mark.parametrize(
    "action",
    ["CreateNetworkInterface", "AttachNetworkInterface", "ModifyNetworkInterfaceAttribute"],
)
def test_without_a_permission_nothing_is_left_behind(
    stage: Stage, action: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage.faults.deny(action)
    assert stage.launch() == "ABANDON"
    assert f"not authorized to perform: ec2:{action}" in caplog.text
    assert stage.made() == []


def test_an_attached_eni_that_can_not_be_finished_is_detached_and_deleted(stage: Stage) -> None:
    stage.faults.fail_next(
        "ModifyNetworkInterfaceAttribute", "UnauthorizedOperation", after=1, times=1
    )
    assert stage.launch() == "ABANDON"
    assert stage.endpoint.calls_of("DetachNetworkInterface")
    assert stage.made() == []


def test_a_fresh_eni_that_ec2_does_not_show_yet_is_deleted_too(stage: Stage) -> None:
    stage.faults.deny("AttachNetworkInterface")
    stage.faults.stale_reads(count=2)
    assert stage.launch() == "ABANDON"
    assert stage.endpoint.calls_of("CreateNetworkInterface")
    assert stage.made() == []


def test_an_unknown_security_group_leaves_nothing_behind(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.configure(SECURITY_GROUPS=f"{stage.groups[0]},sg-0123456789abcdef0")
    assert stage.launch() == "ABANDON"
    assert "sg-0123456789abcdef0" in caplog.text
    stage.account.terminate_instance(stage.instance)
    assert stage.made() == []


def test_when_the_time_is_up_the_launch_is_abandoned_and_undone(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.faults.fail_next("AttachNetworkInterface", "IncorrectState", times=1000)
    assert stage.launch(context=Context(seconds=61.0)) == "ABANDON"
    assert "the time is up" in caplog.text
    assert stage.made() == []
    assert stage.autoscaling.results == ["ABANDON"]


def test_enis_that_can_not_be_deleted_are_told_of(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stage.function, "CLEANUP_SECONDS", 1)
    stage.faults.deny("AttachNetworkInterface")
    stage.faults.deny("DeleteNetworkInterface")
    assert stage.launch() == "ABANDON"
    [eni] = stage.made()
    assert f"{eni.id}: " in caplog.text
    assert "delete the ENIs that have it in tag vipmanager/instance" in caplog.text


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"SUBNETS": "subnet-1"}, "the function's environment lacks"),
        ({"SUBNETS": "{}"}, "'group-zone1'"),
        ({"SUBNETS": '{"group-zone1": "a,b", "group-zone2": "c"}'}, "as many subnets in each zone"),
        ({"SECURITY_GROUPS": "sg-1,sg-2,sg-3"}, "has 3 groups for 2 subnets"),
        ({"SECURITY_GROUPS": ""}, "has 0 groups for 2 subnets"),
        ({"EXTRA_SECURITY_GROUPS": "{}"}, "'group-zone1'"),
        ({"ADDRESSES": "true"}, "ADDRESSES is 'true'"),
        ({"TAGS": "team"}, "TAGS has 'team'"),
    ],
)
def test_a_wrong_configuration_is_explained(
    stage: Stage, variables: dict[str, str], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    stage.configure(**variables)
    assert stage.launch() == "ABANDON"
    assert told in caplog.text
    assert stage.made() == []


def test_an_instance_that_is_gone_is_not_waited_for(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.account.terminate_instance(stage.instance)
    assert stage.launch() == "ABANDON"
    assert f"{stage.instance} is terminated" in caplog.text


def test_an_action_that_is_completed_already_is_no_error(stage: Stage) -> None:
    stage.autoscaling.refusal = (
        400,
        "ValidationError",
        f"No active Lifecycle Action found with instance ID {stage.instance}",
    )
    assert stage.launch() == "CONTINUE"


def test_lambda_calls_again_when_auto_scaling_can_not_be_told(stage: Stage) -> None:
    stage.autoscaling.refusal = (400, "AccessDenied", "not authorized")
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        stage.launch()
    stage.autoscaling.refusal = None
    assert stage.launch() == "CONTINUE"
    assert [eni.subnet for eni in stage.made()] == stage.subnets


def test_a_leaving_node_is_kept_until_it_has_powered_off(stage: Stage) -> None:
    with ThreadPoolExecutor(1) as pool:
        seen = threading.Event()
        answer = pool.submit(stage.leave)
        while not stage.endpoint.calls_of("DescribeInstances"):
            seen.wait(0.01)
        assert stage.autoscaling.completed == []
        stage.account.stop_instance(stage.instance)
        assert answer.result(timeout=60) == "CONTINUE"
    [call] = stage.autoscaling.completed
    assert call["LifecycleHookName"] == "drain"


def test_a_node_that_never_powers_off_is_terminated_in_the_end(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    assert stage.leave(Context(seconds=61.0)) == "CONTINUE"
    assert f"{stage.instance} is terminated before it has powered off" in caplog.text


def test_a_leaving_node_that_ec2_has_forgotten_is_no_error(stage: Stage) -> None:
    stage.faults.fail_next("DescribeInstances", "InvalidInstanceID.NotFound")
    assert stage.leave() == "CONTINUE"


def test_what_a_launch_left_behind_goes_with_the_node(stage: Stage) -> None:
    left = stage.account.create_eni(stage.subnets[0], tags={"vipmanager/instance": stage.instance})
    stage.account.stop_instance(stage.instance)
    assert stage.leave() == "CONTINUE"
    assert left not in stage.account.view.enis


def test_the_log_says_what_was_made(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stage.launch()
    for index, eni in enumerate(stage.made(), 1):
        assert f"{stage.instance}-eth{index}: made {eni.id} in {eni.subnet}" in caplog.text
