"""The templates: what a linter says, and what a stack of them is made of."""

import base64
import email
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.lifecycle import ROOT, event, load
from deploy.stacks import Cloud, cloud, template

TEMPLATES = sorted(path.stem for path in (ROOT / "deploy/cloudformation").glob("*.yaml"))
NODE_GROUP = "eks-multiaz-nodegroup-multus"


def test_the_templates_hold_the_functions_and_scripts_as_they_are() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/build-templates", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_linter_finds_nothing(name: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "cfn-lint", ROOT / f"deploy/cloudformation/{name}.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_can_be_sent_without_a_bucket(name: str) -> None:
    # CloudFormation quotas: 51,200 bytes in a request, more only from S3.
    assert (ROOT / f"deploy/cloudformation/{name}.yaml").stat().st_size <= 51_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A stack `core` of the node group."""

    cloud: Cloud
    outputs: dict[str, str]
    resources: dict[str, str]

    def launch_data(self) -> dict[str, Any]:
        """What instances are launched with."""
        answer = self.cloud.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=self.resources["LaunchTemplate"]
        )
        data: dict[str, Any] = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        return data


def _parameters(it: Cloud, **more: str) -> dict[str, str]:
    return {
        "ClusterName": "telco",
        "ApiServerEndpoint": "https://0123456789.gr7.eu-central-1.eks.amazonaws.com",
        "CertificateAuthority": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
        "ClusterControlPlaneSecurityGroup": it.control_plane,
        "CreateAccessEntry": "false",  # moto does not know AWS::EKS::AccessEntry
        "VpcId": it.vpc,
        "Zone1NodeSubnet": it.subnets["a0"],
        "Zone1EniSubnets": f"{it.subnets['a1']},{it.subnets['a2']}",
        "Zone2NodeSubnet": it.subnets["b0"],
        "Zone2EniSubnets": f"{it.subnets['b1']},{it.subnets['b2']}",
        **more,
    }


@pytest.fixture(scope="module")
def group() -> Iterator[Group]:
    with cloud() as it:
        outputs = it.create("core", template(NODE_GROUP), **_parameters(it))
        yield Group(cloud=it, outputs=outputs, resources=it.resources("core"))


def test_there_is_a_group_for_each_zone_with_a_node_in_it(group: Group) -> None:
    answer = group.cloud.client("autoscaling").describe_auto_scaling_groups()
    first, second = sorted(
        answer["AutoScalingGroups"], key=lambda it: str(it["AutoScalingGroupName"])
    )
    assert first["AutoScalingGroupName"] == group.outputs["Zone1Group"] == "core-zone1"
    assert second["AutoScalingGroupName"] == group.outputs["Zone2Group"] == "core-zone2"
    assert first["VPCZoneIdentifier"] == group.cloud.subnets["a0"]
    assert second["VPCZoneIdentifier"] == group.cloud.subnets["b0"]
    assert len(first["Instances"]) == len(second["Instances"]) == 1
    template_of = {it["LaunchTemplate"]["LaunchTemplateId"] for it in (first, second)}
    assert template_of == {group.resources["LaunchTemplate"]}  # so the labels are the same
    for it in (first, second):
        tags = {tag["Key"]: tag["Value"] for tag in it["Tags"] if tag["PropagateAtLaunch"]}
        assert tags["kubernetes.io/cluster/telco"] == "owned"
        assert tags["vipmanager/node-group"] == "core"


def test_nodes_require_imdsv2_and_let_pods_reach_it(group: Group) -> None:
    options = group.launch_data()["MetadataOptions"]
    assert options == {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}


def test_nodes_run_the_current_al2023_image_of_their_version(group: Group) -> None:
    assert group.launch_data()["ImageId"] == (
        "{{resolve:ssm:/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/"
        "recommended/image_id}}"
    )


def test_root_volumes_are_encrypted(group: Group) -> None:
    [mapping] = group.launch_data()["BlockDeviceMappings"]
    assert mapping["Ebs"]["Encrypted"]
    assert mapping["Ebs"]["VolumeType"] == "gp3"
    assert mapping["Ebs"]["DeleteOnTermination"]


def test_nodes_of_both_zones_and_the_control_plane_may_talk(group: Group) -> None:
    nodes = group.outputs["NodeSecurityGroup"]
    assert group.launch_data()["SecurityGroupIds"] == [nodes]

    def rules(of: str) -> set[tuple[str, str, int | None, int | None]]:
        answer = group.cloud.client("ec2").describe_security_groups(GroupIds=[of])
        return {
            (pair["GroupId"], it["IpProtocol"], it.get("FromPort"), it.get("ToPort"))
            for it in answer["SecurityGroups"][0]["IpPermissions"]
            for pair in it["UserIdGroupPairs"]
        }

    assert rules(nodes) == {
        (nodes, "-1", None, None),
        (group.cloud.control_plane, "tcp", 1025, 65535),
        (group.cloud.control_plane, "tcp", 443, 443),
    }
    assert rules(group.cloud.control_plane) == {(nodes, "tcp", 443, 443)}


def _user_data(data: dict[str, Any]) -> dict[str, str]:
    """The parts of the user data by their type."""
    text = base64.b64decode(data["UserData"])
    assert len(text) <= 16_384  # EC2's limit
    message: Message = email.message_from_bytes(text)
    assert message.is_multipart()
    parts = [part for part in message.walk() if not part.is_multipart()]
    return {part.get_content_type(): str(part.get_payload()) for part in parts}


def test_nodeadm_gets_the_cluster_the_labels_and_the_drain(group: Group) -> None:
    config = yaml.safe_load(_user_data(group.launch_data())["application/node.eks.aws"])
    assert (config["apiVersion"], config["kind"]) == ("node.eks.aws/v1alpha1", "NodeConfig")
    assert config["spec"]["cluster"] == {
        "name": "telco",
        "apiServerEndpoint": "https://0123456789.gr7.eu-central-1.eks.amazonaws.com",
        "certificateAuthority": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
        "cidr": "10.100.0.0/16",
    }
    assert config["spec"]["kubelet"] == {
        "config": {"shutdownGracePeriod": "300s", "shutdownGracePeriodCriticalPods": "30s"},
        "flags": ["--node-labels=multus=true"],
    }


def test_taints_and_pods_per_node_reach_kubelet(group: Group) -> None:
    parameters = _parameters(
        group.cloud, MaxPods="30", NodeTaints="multus=true:NoSchedule", KeyName="operator"
    )
    group.cloud.create("other", template(NODE_GROUP), **parameters)
    resources = group.cloud.resources("other")
    other = Group(cloud=group.cloud, outputs={}, resources=resources)
    config = yaml.safe_load(_user_data(other.launch_data())["application/node.eks.aws"])
    assert config["spec"]["kubelet"]["config"]["maxPods"] == 30
    assert "--register-with-taints=multus=true:NoSchedule" in config["spec"]["kubelet"]["flags"]
    assert other.launch_data()["KeyName"] == "operator"


def test_the_boot_part_is_a_script_that_installs_the_scripts_as_they_are(
    group: Group, tmp_path: Path
) -> None:
    script = _user_data(group.launch_data())["text/x-shellscript"]
    assert script.startswith("#!/usr/bin/bash\n")
    local = script.replace("/usr/local/sbin/", f"{tmp_path}/").replace(
        "/etc/systemd/system/", f"{tmp_path}/"
    )
    calls = tmp_path / "calls"
    systemctl = f'systemctl() {{ echo "$*" >>{calls}; }}\n'
    subprocess.run(["bash", "-c", systemctl + local], check=True)
    for name, source in (("name-enis", "name-enis.py"), ("leave-group", "leave-group")):
        lines = (tmp_path / name).read_text(encoding="ascii").splitlines()
        expected = (ROOT / "deploy/node" / source).read_text(encoding="ascii")
        assert lines[1:-1] == expected.splitlines()
    unit = (tmp_path / "name-enis.service").read_text(encoding="ascii")
    assert f"ExecStart=/usr/bin/python3 -I {tmp_path}/name-enis 2\n" in unit
    assert "Before=nodeadm-run.service" in unit
    assert calls.read_text(encoding="ascii").splitlines() == [
        "daemon-reload",
        "enable --now leave-group.service",
        "enable --now name-enis.service",
    ]


def test_a_node_that_lacks_an_eni_powers_off(group: Group, tmp_path: Path) -> None:
    script = _user_data(group.launch_data())["text/x-shellscript"]
    local = script.replace("/usr/local/sbin/", f"{tmp_path}/").replace(
        "/etc/systemd/system/", f"{tmp_path}/"
    )
    calls = tmp_path / "calls"
    systemctl = f'systemctl() {{ echo "$*" >>{calls}; [ "${{3-}}" != name-enis.service ]; }}\n'
    subprocess.run(["bash", "-c", systemctl + local], check=True)
    assert calls.read_text(encoding="ascii").splitlines()[-1] == "poweroff"


def test_the_function_understands_how_the_stack_configures_it(group: Group) -> None:
    client = group.cloud.client("lambda")
    function = client.get_function_configuration(FunctionName=group.resources["AttachFunction"])
    assert (function["Runtime"], function["Handler"]) == ("python3.13", "index.handler")
    variables = {key: str(it) for key, it in function["Environment"]["Variables"].items()}
    source = load("attach_enis")
    for zone, subnets in (("1", ("a1", "a2")), ("2", ("b1", "b2"))):
        wanted = source.wanted(variables, f"core-zone{zone}")
        assert wanted.node_group == "core"
        assert wanted.subnets == tuple(group.cloud.subnets[name] for name in subnets)
        assert wanted.security_groups == (group.outputs["NodeSecurityGroup"],) * 2
        assert not wanted.static
    assert int(variables["DRAIN_SECONDS"]) == 300


@pytest.mark.parametrize("launch", [True, False])
@pytest.mark.parametrize(("name", "calls"), [("core-zone1", 1), ("core-zone2", 1), ("others", 0)])
def test_the_rule_calls_the_function_for_the_groups_own_events(
    group: Group, name: str, calls: int, *, launch: bool
) -> None:
    events = group.cloud.client("events")
    rule = events.describe_rule(Name=group.resources["LifecycleRule"])
    pattern = yaml.safe_load(rule["EventPattern"])
    happened = event("i-0123456789abcdef0", group=name, launch=launch)
    fits = (
        happened["source"] in pattern["source"]
        and happened["detail-type"] in pattern["detail-type"]
        and name in pattern["detail"]["AutoScalingGroupName"]
    )
    assert int(fits) == calls
    [target] = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"].endswith(f":{group.resources['AttachFunction']}")
    policy = group.cloud.client("lambda").get_policy(FunctionName=group.resources["AttachFunction"])
    assert rule["Arn"] in policy["Policy"]


@pytest.mark.parametrize("zone", ["Zone1Group", "Zone2Group"])
def test_hooks_and_function_are_there_before_the_first_node(zone: str) -> None:
    # From the template: moto leaves hooks out.
    it = template(NODE_GROUP)["Resources"][zone]
    assert {"LifecycleRule", "LifecyclePermission"} <= set(it["DependsOn"])
    launch, leave = it["Properties"]["LifecycleHookSpecificationList"]
    source = load("attach_enis")
    assert launch["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
    assert launch["DefaultResult"] == "ABANDON"
    assert launch["HeartbeatTimeout"] > source.LAUNCH_SECONDS + source.CLEANUP_SECONDS
    assert leave["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_TERMINATING"
    assert leave["DefaultResult"] == "CONTINUE"


def test_the_longest_drain_fits_into_the_functions_time() -> None:
    it, source = template(NODE_GROUP), load("attach_enis")
    longest = it["Parameters"]["DrainSeconds"]["MaxValue"]
    timeout = it["Resources"]["AttachFunction"]["Properties"]["Timeout"]
    assert longest + source.DRAIN_MARGIN_SECONDS + source.CLEANUP_SECONDS <= timeout
    for zone in ("Zone1Group", "Zone2Group"):
        leave = it["Resources"][zone]["Properties"]["LifecycleHookSpecificationList"][1]
        assert leave["HeartbeatTimeout"] >= timeout


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("InstanceType", "m5 large"),
        ("KubernetesVersion", "latest"),
        ("NodeTaints", "multus=true"),
        ("NodeLabels", "multus"),
        ("ApiServerEndpoint", "http://plain"),
        ("ServiceCidr", "10.100.0.0"),
    ],
)
def test_a_value_of_the_wrong_form_does_not_fit_its_pattern(parameter: str, value: str) -> None:
    # CloudFormation refuses the stack then; moto does not look at patterns.
    pattern = template(NODE_GROUP)["Parameters"][parameter]["AllowedPattern"]
    assert not re.fullmatch(pattern, value)


def test_dummy_subnets_are_made_in_their_zones(group: Group) -> None:
    body = template("pattern2-subnets")
    # moto never runs the function of a custom resource, so such a stack would not complete.
    body["Resources"] = {
        name: it for name, it in body["Resources"].items() if not it["Type"].startswith("Custom")
    }
    group.cloud.create(
        "dummy",
        body,
        VpcId=group.cloud.vpc,
        AvailabilityZone1="eu-central-1a",
        AvailabilityZone2="eu-central-1b",
        Cidr3="10.0.254.32/28",
    )
    resources = group.cloud.resources("dummy")
    assert "Subnet4" not in resources
    ids = [resources[f"Subnet{number}"] for number in (1, 2, 3)]
    answer = group.cloud.client("ec2").describe_subnets(SubnetIds=ids)
    assert {(it["CidrBlock"], it["AvailabilityZone"]) for it in answer["Subnets"]} == {
        ("10.0.254.0/28", "eu-central-1a"),
        ("10.0.254.16/28", "eu-central-1a"),
        ("10.0.254.32/28", "eu-central-1b"),
    }


def test_every_dummy_subnet_is_reserved_as_a_whole() -> None:
    resources = template("pattern2-subnets")["Resources"]
    for number in range(1, 5):
        subnet, reservation = resources[f"Subnet{number}"], resources[f"Reservation{number}"]
        assert reservation.get("Condition") == subnet.get("Condition")
        assert reservation["Properties"]["SubnetId"] == {"Ref": f"Subnet{number}"}
        assert reservation["Properties"]["Cidr"] == subnet["Properties"]["CidrBlock"]
