"""The templates: what a linter says, and what a stack of them is made of."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.lifecycle import ROOT, event, load, shipped
from deploy.stacks import NODE_GROUP, Group, boot_script, node_config, template

TEMPLATES = sorted(path.stem for path in (ROOT / "deploy/cloudformation").glob("*.yaml"))


def test_templates_and_module_are_built_from_the_functions_and_scripts_of_today() -> None:
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
def test_a_template_can_be_sent_without_a_bucket_and_may_grow(name: str) -> None:
    # CloudFormation quotas: 51,200 bytes in a request, more only from S3.
    assert (ROOT / f"deploy/cloudformation/{name}.yaml").stat().st_size <= 51_200 - 1_024


@pytest.mark.parametrize(
    "file",
    ["deploy/lambda/attach_enis.py", "deploy/lambda/reserve_cidr.py", "deploy/node/name-enis.py"],
)
def test_what_is_shipped_is_the_file_without_what_it_says_to_readers(file: str) -> None:
    whole = ast.parse((ROOT / file).read_text(encoding="ascii"))
    for node in ast.walk(whole):
        match node:
            case ast.Module(body=body) | ast.ClassDef(body=body) | ast.FunctionDef(body=body):
                said = [it for it in body if isinstance(it, ast.Expr) and _is_text(it.value)]
                node.body = [it for it in body if it not in said] or [ast.Pass()]
    assert ast.dump(ast.parse(shipped(file))) == ast.dump(whole)
    comments = re.findall(r"(?m)^ *#(.*)$", shipped(file))
    assert comments == [f" from {file}", f" end of {file}"]


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


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


def test_nodeadm_gets_the_cluster_the_labels_and_the_drain(group: Group) -> None:
    config = node_config(group.launch_data())
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


def test_the_boot_part_is_a_script_that_installs_the_scripts_as_they_are(
    group: Group, tmp_path: Path
) -> None:
    script = boot_script(group.launch_data())
    assert script.startswith("#!/usr/bin/bash\n")
    local = script.replace("/usr/local/sbin/", f"{tmp_path}/").replace(
        "/etc/systemd/system/", f"{tmp_path}/"
    )
    calls = tmp_path / "calls"
    systemctl = f'systemctl() {{ echo "$*" >>{calls}; }}\n'
    subprocess.run(["bash", "-c", systemctl + local], check=True)
    for name, source in (("name-enis", "name-enis.py"), ("leave-group", "leave-group")):
        installed = (tmp_path / name).read_text(encoding="ascii")
        assert installed == shipped(f"deploy/node/{source}")
    unit = (tmp_path / "name-enis.service").read_text(encoding="ascii")
    assert f"ExecStart=/usr/bin/python3 -I {tmp_path}/name-enis 2\n" in unit
    assert "Before=nodeadm-run.service" in unit
    assert calls.read_text(encoding="ascii").splitlines() == [
        "daemon-reload",
        "enable --now leave-group.service",
        "enable --now name-enis.service",
    ]


def test_a_node_that_lacks_an_eni_powers_off(group: Group, tmp_path: Path) -> None:
    script = boot_script(group.launch_data())
    local = script.replace("/usr/local/sbin/", f"{tmp_path}/").replace(
        "/etc/systemd/system/", f"{tmp_path}/"
    )
    calls = tmp_path / "calls"
    systemctl = f'systemctl() {{ echo "$*" >>{calls}; [ "${{3-}}" != name-enis.service ]; }}\n'
    subprocess.run(["bash", "-c", systemctl + local], check=True)
    assert calls.read_text(encoding="ascii").splitlines()[-1] == "poweroff"


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
