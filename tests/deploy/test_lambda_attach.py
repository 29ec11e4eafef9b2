"""The function that attaches ENIs, with real clients against the lab's EC2 endpoint."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import TYPE_CHECKING

import pytest

from deploy.lifecycle import REGION

if TYPE_CHECKING:
    from deploy.conftest import Stage


def test_a_new_node_gets_an_eni_of_each_subnet_in_order(stage: Stage) -> None:
    stage.configure(TAGS="team=core,formula=a=b+c")
    assert stage.launch() == "CONTINUE"
    first, second = stage.made()
    assert [first.subnet, second.subnet] == stage.subnets
    for index, eni in enumerate((first, second), 1):
        tie = eni.attachment
        assert tie is not None
        assert (tie.instance, tie.device_index, tie.card_index) == (stage.instance, index, 0)
        assert tie.delete_on_termination
        assert not eni.source_dest_check
        assert dict(eni.tags) == {
            "Name": f"{stage.instance}-eth{index}",
            "team": "core",
            "formula": "a=b+c",
            "node.k8s.amazonaws.com/no_manage": "true",
            "vipmanager/node-group": "group",
            "vipmanager/instance": stage.instance,
            "vipmanager/device-index": str(index),
        }


def test_auto_scaling_is_told_with_the_token_of_the_event(stage: Stage) -> None:
    stage.launch()
    [call] = stage.autoscaling.completed
    assert call["LifecycleActionResult"] == "CONTINUE"
    assert call["LifecycleHookName"] == "attach-enis"
    assert call["AutoScalingGroupName"] == "group-zone1"
    assert call["LifecycleActionToken"] == "71514b9d-6a40-4b26-8523-05e7eee35fa5"
    assert call["InstanceId"] == stage.instance


def test_a_terminated_node_takes_its_enis_along(stage: Stage) -> None:
    stage.launch()
    stage.account.terminate_instance(stage.instance)
    assert stage.made() == []


def test_one_security_group_serves_all_subnets_and_several_one_each(stage: Stage) -> None:
    stage.launch()
    assert all(stage.groups[0] in dict(eni.groups) for eni in stage.made())
    stage.configure(SECURITY_GROUPS=",".join(stage.groups))
    other = stage.account.run_instance(stage.account.view.enis[next(iter(stage.before))].subnet)
    assert stage.launch(other) == "CONTINUE"
    enis = [it for it in stage.made() if it.attachment and it.attachment.instance == other][1:]
    created = stage.endpoint.calls_of("CreateNetworkInterface")[2:]
    assert [call.parameters["SecurityGroupId.1"] for call in created] == stage.groups
    assert len(enis) == 2


def test_every_eni_of_a_zone_also_gets_the_zones_extra_groups_each_once(stage: Stage) -> None:
    signalling, media = stage.groups
    extra = {"group-zone1": f"{media}, {signalling}", "group-zone2": "sg-of-the-other-zone"}
    stage.configure(
        SECURITY_GROUPS=f"{signalling},{media}", EXTRA_SECURITY_GROUPS=json.dumps(extra)
    )
    assert stage.launch() == "CONTINUE"
    assert all(set(dict(eni.groups)) == {signalling, media} for eni in stage.made())
    created = stage.endpoint.calls_of("CreateNetworkInterface")
    asked = [{k: v for k, v in it.parameters.items() if "SecurityGroup" in k} for it in created]
    assert asked == [
        {"SecurityGroupId.1": signalling, "SecurityGroupId.2": media},
        {"SecurityGroupId.1": media, "SecurityGroupId.2": signalling},
    ]


def test_static_addresses_are_the_first_free_ones_of_the_subnet(stage: Stage) -> None:
    stage.configure(ADDRESSES="static")
    for last in (4, 6):
        stage.account.create_eni(stage.subnets[0], ipv4=IPv4Address(f"10.0.11.{last}"))
    stage.account.create_eni(stage.subnets[1], ipv4=IPv4Address("10.0.12.200"))
    assert stage.launch() == "CONTINUE"
    attached = [eni for eni in stage.made() if eni.attachment]
    assert [str(eni.ipv4[0]) for eni in attached] == ["10.0.11.5", "10.0.12.4"]


def test_addresses_on_later_pages_of_ec2s_answer_count_as_used(stage: Stage) -> None:
    stage.configure(ADDRESSES="static")
    for last in range(4, 109):
        stage.account.create_eni(stage.subnets[0], ipv4=IPv4Address(f"10.0.11.{last}"))
    assert stage.launch() == "CONTINUE"
    [eni, _] = [eni for eni in stage.made() if eni.attachment]
    assert str(eni.ipv4[0]) == "10.0.11.109"
    assert len(stage.endpoint.calls_of("CreateNetworkInterface")) == 2


def test_a_static_address_that_someone_else_was_given_meanwhile_is_passed_over(
    stage: Stage,
) -> None:
    stage.configure(ADDRESSES="static")
    stage.faults.fail_next("CreateNetworkInterface", "InvalidIPAddress.InUse")
    assert stage.launch() == "CONTINUE"
    assert [str(eni.ipv4[0]) for eni in stage.made()] == ["10.0.11.5", "10.0.12.4"]


def test_a_full_subnet_is_named(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.configure(ADDRESSES="static")
    small = stage.account.create_subnet(stage.vpc, f"{REGION}a", IPv4Network("10.0.31.0/28"))
    for last in range(4, 15):
        stage.account.create_eni(small, ipv4=IPv4Address(f"10.0.31.{last}"))
    stage.use(stage.subnets[0], small)
    assert stage.launch() == "ABANDON"
    assert f"{small} has no free address" in caplog.text
    stage.account.terminate_instance(stage.instance)
    assert [eni for eni in stage.made() if eni.subnet != small] == []


@pytest.mark.parametrize("addresses", ["dhcp", "static"])
def test_a_subnet_with_ipv6_gives_an_ipv6_address_too(stage: Stage, addresses: str) -> None:
    dual = stage.account.create_subnet(
        stage.vpc, f"{REGION}a", IPv4Network("10.0.31.0/24"), ipv6=31
    )
    network = stage.account.view.subnets[dual].ipv6[0][1]
    stage.use(dual, stage.subnets[1])
    stage.configure(ADDRESSES=addresses)
    assert stage.launch() == "CONTINUE"
    both, four = stage.made()
    assert (len(both.ipv4), len(both.ipv6), len(four.ipv6)) == (1, 1, 0)
    assert both.ipv6[0] in network
    if addresses == "static":
        assert both.ipv6[0] == network[4]


@pytest.mark.parametrize("addresses", ["dhcp", "static"])
def test_a_subnet_with_ipv6_alone_is_served(stage: Stage, addresses: str) -> None:
    six = stage.account.create_subnet(stage.vpc, f"{REGION}a", None, ipv6=32)
    network = stage.account.view.subnets[six].ipv6[0][1]
    stage.use(six)
    stage.configure(ADDRESSES=addresses)
    if addresses == "static":
        stage.account.create_eni(six, ipv6=IPv6Address(network[4]))
    assert stage.launch() == "CONTINUE"
    [eni] = [eni for eni in stage.made() if eni.attachment]
    assert eni.ipv4 == ()
    assert len(eni.ipv6) == 1
    if addresses == "static":
        assert eni.ipv6[0] == network[5]


def test_an_event_that_comes_again_finds_its_work_done(stage: Stage) -> None:
    stage.launch()
    enis = stage.made()
    stage.endpoint.clear_calls()
    assert stage.launch() == "CONTINUE"
    assert stage.made() == enis
    assert all(action.startswith("Describe") for action in stage.endpoint.counts())


def test_one_event_delivered_twice_at_once_makes_each_eni_once(stage: Stage) -> None:
    stage.faults.latency = 0.02
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(stage.launch) for _ in range(2)]
        assert {result.result(timeout=60) for result in results} == {"CONTINUE"}
    assert [eni.subnet for eni in stage.made()] == stage.subnets
