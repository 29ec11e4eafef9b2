"""What a node group's parameters change."""

import re

import pytest
import yaml  # type: ignore[import-untyped]

from deploy.lifecycle import ROOT, load
from deploy.stacks import NODE_GROUP, Group, node_config, node_group, template, user_data


@pytest.mark.parametrize(
    ("given", "registered"),
    [
        ({"NodeTaints": "cnf=upf:NoSchedule"}, "cnf=upf:NoSchedule"),
        ({"TaintUntilMultus": "true"}, "multus=starting:NoSchedule"),
        (
            {"TaintUntilMultus": "true", "NodeTaints": "cnf=upf:NoSchedule"},
            "multus=starting:NoSchedule,cnf=upf:NoSchedule",
        ),
    ],
)
def test_taints_and_pods_per_node_reach_kubelet(
    group: Group, given: dict[str, str], registered: str
) -> None:
    name = f"taints{len(registered)}"
    data = node_group(group.cloud, name, MaxPods="30", KeyName="operator", **given).launch_data()
    kubelet = node_config(data)["spec"]["kubelet"]
    assert kubelet["config"]["maxPods"] == 30
    assert kubelet["flags"] == ["--node-labels=multus=true", f"--register-with-taints={registered}"]
    assert data["KeyName"] == "operator"


def test_the_daemonset_takes_off_the_taint_that_the_nodes_come_with() -> None:
    # multus:NoSchedule- is whatever value the taint has.
    text = (ROOT / "deploy/node/multus-ready.yaml").read_text(encoding="ascii")
    [daemon] = [it for it in yaml.safe_load_all(text) if it["kind"] == "DaemonSet"]
    commands = [it["command"] for it in daemon["spec"]["template"]["spec"]["initContainers"]]
    assert "multus:NoSchedule-" in commands[-1]
    flags = template(NODE_GROUP)["Resources"]["LaunchTemplate"]["Properties"]
    assert "--register-with-taints=multus=starting:NoSchedule" in str(flags)


@pytest.mark.parametrize(
    ("given", "image"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, "ami-0123456789abcdef0"),
        ({"ImageParameter": "/telco/nodes/ami"}, "{{resolve:ssm:/telco/nodes/ami}}"),
        (
            {"ImageId": "ami-0123456789abcdef0", "ImageParameter": "/telco/nodes/ami"},
            "ami-0123456789abcdef0",
        ),
    ],
)
def test_an_image_of_ones_own_is_an_id_or_a_parameter(
    group: Group, given: dict[str, str], image: str
) -> None:
    data = node_group(group.cloud, f"image{len(given)}{len(image)}", **given).launch_data()
    assert data["ImageId"] == image


NODE_CONFIG = """\
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  kubelet:
    config: {cpuManagerPolicy: static, reservedSystemCPUs: "0-1"}
    flags: ["--v=2"]
"""
BOOT_SCRIPT = "sysctl -w vm.nr_hugepages=1024\necho $PATH"


def test_a_node_config_and_a_script_of_ones_own_stand_between_the_groups_parts(
    group: Group,
) -> None:
    more = {"NodeConfig": NODE_CONFIG, "BootScript": BOOT_SCRIPT}
    data = node_group(group.cloud, "bootstrap", **more).launch_data()
    parts = user_data(data)
    assert [kind for kind, _ in parts] == [
        *("application/node.eks.aws", "application/node.eks.aws"),
        *("text/x-shellscript", "text/x-shellscript"),
    ]
    # nodeadm merges in this order: the later config wins, flags add up (amazon-eks-ami).
    assert yaml.safe_load(parts[1][1]) == yaml.safe_load(NODE_CONFIG)
    assert parts[2][1].rstrip() == f"#!/usr/bin/bash\n{BOOT_SCRIPT}"
    assert [parts[0], parts[-1]] == user_data(group.launch_data())


def test_the_longest_parameters_fit_into_theuser_data(group: Group) -> None:
    # 4,096 bytes are CloudFormation's limit of a parameter.
    more = {"NodeConfig": "#" * 4_096, "BootScript": "#" * 4_096}
    assert len(user_data(node_group(group.cloud, "longest", **more).launch_data())) == 4


def test_extra_security_groups_of_nodes_and_of_a_zones_enis(group: Group) -> None:
    a, b = group.cloud.control_plane, group.outputs["NodeSecurityGroup"]
    more = {
        "NodeExtraSecurityGroups": f"{a},{b}",
        "Zone1EniExtraSecurityGroups": f"{b},{a}",
        "Zone2EniExtraSecurityGroups": a,
    }
    it = node_group(group.cloud, "extra", **more)
    own = it.outputs["NodeSecurityGroup"]
    assert it.launch_data()["SecurityGroupIds"] == [own, a, b]
    client = group.cloud.client("lambda")
    function = client.get_function_configuration(FunctionName=it.resources["AttachFunction"])
    variables = {key: str(value) for key, value in function["Environment"]["Variables"].items()}
    source = load("attach_enis")
    groups = [source.wanted(variables, f"extra-zone{zone}").security_groups for zone in (1, 2)]
    assert groups == [((own, b, a),) * 2, ((own, a),) * 2]


def test_a_zones_group_has_the_least_and_the_most_nodes_that_were_asked_for(group: Group) -> None:
    node_group(group.cloud, "sizes", NodesPerZone="2", MaxNodesPerZone="5")
    answer = group.cloud.client("autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=["sizes-zone1", "sizes-zone2"]
    )
    sizes = [(it["MinSize"], it["MaxSize"]) for it in answer["AutoScalingGroups"]]
    assert sizes == [(2, 5), (2, 5)]


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
        assert wanted.security_groups == ((group.outputs["NodeSecurityGroup"],),) * 2
        assert not wanted.static
    assert int(variables["DRAIN_SECONDS"]) == 300


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("InstanceType", "m5 large"),
        ("KubernetesVersion", "latest"),
        ("NodeTaints", "multus=true"),
        ("NodeLabels", "multus"),
        ("ImageId", "resolve:ssm:/telco/nodes/ami"),
        ("ImageParameter", "{{resolve:ssm:/telco/nodes/ami}}"),
        ("TaintUntilMultus", "multus=starting:NoSchedule"),
        ("ApiServerEndpoint", "http://plain"),
        ("ServiceCidr", "10.100.0.0"),
    ],
)
def test_a_value_of_the_wrong_form_does_not_fit_its_pattern(parameter: str, value: str) -> None:
    # CloudFormation refuses the stack then; moto does not look at patterns.
    declared = template(NODE_GROUP)["Parameters"][parameter]
    pattern = declared.get("AllowedPattern") or "|".join(declared["AllowedValues"])
    assert not re.fullmatch(pattern, value)
