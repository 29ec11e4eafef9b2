"""The Terraform module: it takes and makes what the template of the node group takes and makes."""

import base64
import json
import re
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.lifecycle import ACCOUNT, REGION, load, shipped
from deploy.stacks import (
    NODE_GROUP,
    Cloud,
    Group,
    cloud,
    node_group,
    node_group_parameters,
    template,
)
from deploy.terraform import MODULE, Terraform, need, program, terraform

GIVEN = {
    "TaintUntilMultus": "true",
    "NodeTaints": "cnf=upf:NoSchedule",
    "NodeLabels": "multus=true,zone=both",
    "MaxPods": "30",
    "NodeConfig": "kind: NodeConfig\nspec: {kubelet: {config: {cpuManagerPolicy: static}}}\n",
    "BootScript": "sysctl -w vm.nr_hugepages=1024\necho $PATH %{http_code}",
    "EniTags": "team=core",
    "NodesPerZone": "1",
    "MaxNodesPerZone": "3",
    "ImageParameter": "/telco/ami",
}


# --- what can be told by looking ---------------------------------------------------------------


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _variables() -> dict[str, str]:
    """The text of each variable's block, by name."""
    text = (MODULE / "variables.tf").read_text(encoding="ascii")
    return dict(re.findall(r'(?ms)^variable "(\w+)" \{\n(.*?)^\}$', text))


def test_the_module_takes_what_the_template_takes() -> None:
    parameters = template(NODE_GROUP)["Parameters"]
    assert set(_variables()) == {"name", *map(_snake, parameters)}


def test_what_may_be_left_out_is_by_default_what_it_is_in_the_template() -> None:
    wanted, found = {}, {}
    for name, it in template(NODE_GROUP)["Parameters"].items():
        block = _variables()[_snake(name)]
        default = re.search(r"(?m)^  default += (.*)$", block)
        wanted[name] = str(it["Default"]) if "Default" in it else None
        found[name] = None if default is None else _as_a_parameter(default[1])
    assert found == wanted


def _as_a_parameter(value: str) -> str:
    """A default as CloudFormation writes it."""
    if value in {"[]", "{}"}:
        return ""
    if pairs := re.fullmatch(r'\{ (\w+) = "(\w+)" \}', value):
        return "=".join(pairs.groups())
    return value.strip('"')


def test_every_variable_is_used() -> None:
    text = "".join(path.read_text(encoding="ascii") for path in MODULE.glob("*.tf"))
    assert {name for name in _variables() if f"var.{name}" not in text} == set()


@pytest.mark.parametrize("name", ["user-data.tftpl", "attach-enis.json.tftpl"])
def test_what_a_generated_file_leaves_open_is_filled_in(name: str) -> None:
    text = (MODULE / name).read_text(encoding="ascii")
    assert "%{" not in text  # which Terraform would take for a command
    code = "".join(path.read_text(encoding="ascii") for path in MODULE.glob("*.tf"))
    [given] = re.findall(
        rf'(?s)templatefile\("\$\{{path.module\}}/{name}", \{{\n(.*?)\n +\}}\)', code
    )
    names = set(re.findall(r"(?m)^ +([A-Z]\w+) +=", given))
    assert names == set(re.findall(r"\$\{(.*?)\}", text))


def test_the_archive_holds_the_function_as_lambda_wants_it() -> None:
    with zipfile.ZipFile(MODULE / "attach-enis.zip") as archive:
        [info] = archive.infolist()
        assert archive.read(info).decode() == shipped("deploy/lambda/attach_enis.py")
    assert info.filename == "index.py"
    assert info.external_attr >> 16 & 0o444 == 0o444


@pytest.mark.skipif(program() is None, reason="terraform or tofu is not installed")
def test_it_is_written_as_terraform_writes_it() -> None:
    done = subprocess.run(
        [str(program()), "fmt", "-check", "-diff", "-recursive", MODULE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


# --- what Terraform says and does --------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A stack `stack` and a module `module` in one account, with the same parameters."""

    stack: Group
    terraform: Terraform
    made: dict[str, str]
    """The ids of what the module made, by address."""

    @property
    def cloud(self) -> Cloud:
        return self.stack.cloud


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    need()
    with (
        cloud(managed_policies=True) as it,
        terraform(tmp_path_factory.mktemp("terraform")) as tool,
    ):
        ami = it.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        it.client("ssm").put_parameter(Name="/telco/ami", Value=ami, Type="String")
        extra = {
            "NodeExtraSecurityGroups": it.control_plane,
            "Zone1EniExtraSecurityGroups": it.control_plane,
        }
        stack = node_group(it, "stack", **GIVEN, **extra)
        tool.apply(_configuration(it, {**GIVEN, **extra}))
        yield Pair(stack=stack, terraform=tool, made=tool.made())


def _configuration(it: Cloud, given: dict[str, str], name: str = "module") -> str:
    """A call of the module with a stack's parameters."""
    blocks = _variables()
    lines = [f'  name = "{name}"']
    for key, value in node_group_parameters(it, **given).items():
        kind = re.search(r"(?m)^  type += (.*)$", blocks[_snake(key)])
        assert kind is not None
        words = value.split(",") if value else []
        match kind[1]:
            case "list(string)":
                written = json.dumps(words)
            case "map(string)":
                written = json.dumps(dict(word.split("=", 1) for word in words))
            case "bool" | "number":
                written = value
            case _:
                written = json.dumps(value).replace("%{", "%%{")
        lines.append(f"  {_snake(key)} = {written}")
    body = "\n".join([f'  source = "{MODULE}"', *lines])
    return f'module "nodes" {{\n{body}\n}}\n'


def _launch_data(pair: Pair) -> dict[str, Any]:
    answer = pair.cloud.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=pair.made["module.nodes.aws_launch_template.node"]
    )
    data: dict[str, Any] = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return data


def test_nodes_get_the_same_user_data(pair: Pair) -> None:
    of_module, of_stack = (
        base64.b64decode(it["UserData"]).decode()
        for it in (_launch_data(pair), pair.stack.launch_data())
    )
    assert GIVEN["NodeConfig"] in of_module
    assert GIVEN["BootScript"] in of_module
    assert "multus=starting:NoSchedule,cnf=upf:NoSchedule" in of_module
    assert of_module == of_stack


def test_nodes_are_launched_alike(pair: Pair) -> None:
    of_module, of_stack = _launch_data(pair), pair.stack.launch_data()
    for key in ("InstanceType", "MetadataOptions", "BlockDeviceMappings"):
        assert of_module[key] == of_stack[key]
    assert of_module["ImageId"].startswith("ami-")
    own = pair.made["module.nodes.aws_security_group.node"]
    assert of_module["SecurityGroupIds"] == [own, pair.cloud.control_plane]


def test_each_zone_has_its_group_with_the_same_hooks(pair: Pair) -> None:
    client = pair.cloud.client("autoscaling")
    for zone in (1, 2):
        both = client.describe_auto_scaling_groups(
            AutoScalingGroupNames=[f"module-zone{zone}", f"stack-zone{zone}"]
        )["AutoScalingGroups"]
        of_module, of_stack = sorted(both, key=lambda it: str(it["AutoScalingGroupName"]))
        for key in ("MinSize", "MaxSize", "DesiredCapacity", "VPCZoneIdentifier"):
            assert of_module[key] == of_stack[key]
        tags = [
            {it["Key"]: it["Value"].replace("module", "stack") for it in group["Tags"]}
            for group in (of_module, of_stack)
        ]
        assert tags[0] == tags[1]
        hooks = client.describe_lifecycle_hooks(AutoScalingGroupName=f"module-zone{zone}")
        found = {it["LifecycleHookName"]: it for it in hooks["LifecycleHooks"]}
        resource = template(NODE_GROUP)["Resources"][f"Zone{zone}Group"]
        for wanted in resource["Properties"]["LifecycleHookSpecificationList"]:
            assert wanted.items() <= found[wanted["LifecycleHookName"]].items()


def test_the_function_is_the_same_and_configured_alike(pair: Pair) -> None:
    client = pair.cloud.client("lambda")
    of_stack = client.get_function_configuration(
        FunctionName=pair.stack.resources["AttachFunction"]
    )
    of_module = client.get_function_configuration(FunctionName="module-attach-enis")
    for key in ("Runtime", "Handler", "Timeout", "MemorySize", "Description"):
        assert of_module[key] == of_stack[key]
    mine = of_module["Environment"]["Variables"]
    own = pair.made["module.nodes.aws_security_group.node"]
    assert mine.pop("SECURITY_GROUPS") == own
    for key, value in mine.items():
        theirs = of_stack["Environment"]["Variables"][key]
        assert _parsed(value.replace("module", "stack")) == _parsed(str(theirs)), key
    source = load("attach_enis")
    wanted = source.wanted({**mine, "SECURITY_GROUPS": own}, "module-zone1")
    assert wanted.subnets == (pair.cloud.subnets["a1"], pair.cloud.subnets["a2"])
    assert wanted.security_groups == ((own, pair.cloud.control_plane),) * 2
    assert wanted.tags == {"team": "core"}


def _parsed(value: str) -> Any:  # noqa: ANN401 - any JSON, or text
    return json.loads(value) if value.startswith("{") else value


def test_the_functions_rights_are_the_templates(pair: Pair) -> None:
    client = pair.cloud.client("iam")
    role = pair.made["module.nodes.aws_iam_role.attach"]
    found = client.get_role_policy(RoleName=role, PolicyName="attach-enis")["PolicyDocument"]
    log = pair.made["module.nodes.aws_cloudwatch_log_group.attach"]
    # moto's account
    values = {
        "Partition": "aws",
        "Region": REGION,
        "AccountId": ACCOUNT,
        "StackName": "module",
        "VpcId": pair.cloud.vpc,
        "AttachLogArn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{log}:*",
    }
    text = (MODULE / "attach-enis.json.tftpl").read_text(encoding="ascii")
    assert found == json.loads(re.sub(r"\$\{(\w+)\}", lambda it: values[it[1]], text))


def test_the_same_events_call_the_function(pair: Pair) -> None:
    events = pair.cloud.client("events")
    patterns = [
        json.loads(events.describe_rule(Name=name)["EventPattern"])
        for name in (
            pair.made["module.nodes.aws_cloudwatch_event_rule.lifecycle"],
            pair.stack.resources["LifecycleRule"],
        )
    ]
    assert patterns[0] == json.loads(json.dumps(patterns[1]).replace("stack", "module"))


def test_the_same_traffic_is_let_in(pair: Pair) -> None:
    client = pair.cloud.client("ec2")

    def rules(of: str, own: str) -> set[tuple[str, str, int | None, int | None]]:
        [found] = client.describe_security_groups(GroupIds=[of])["SecurityGroups"]
        return {
            (
                "own" if one["GroupId"] == own else one["GroupId"],
                it["IpProtocol"],
                it.get("FromPort"),
                it.get("ToPort"),
            )
            for it in found["IpPermissions"]
            for one in it["UserIdGroupPairs"]
            if one["GroupId"] in {own, pair.cloud.control_plane}
        }

    own = pair.made["module.nodes.aws_security_group.node"]
    theirs = pair.stack.outputs["NodeSecurityGroup"]
    assert rules(own, own) == rules(theirs, theirs)
    of_control_plane = pair.cloud.control_plane
    assert rules(of_control_plane, own) == rules(of_control_plane, theirs)


def test_another_apply_would_change_nothing(pair: Pair) -> None:
    forgotten = {"aws_lambda_function": {"logging_config"}}  # by moto
    forgotten |= {"aws_vpc_security_group_ingress_rule": {"description"}}
    changes = pair.terraform.plan()
    kinds = {address: address.removeprefix("module.nodes.").split(".")[0] for address in changes}
    assert changes == {address: forgotten.get(kind) for address, kind in kinds.items()}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"Zone2NodeSubnet": "a0"}, "must be in different zones"),
        ({"Zone1EniSubnets": "a1,b1"}, "must be in the zone of zone1_node_subnet"),
        ({"Zone1EniSubnets": "a1"}, "must be as many"),
        ({"NodesPerZone": "5"}, "must not be above max_nodes_per_zone"),
        ({"NodeTaints": "multus=true"}, "Expected key=value:effect"),
        ({"ImageId": "resolve:ssm:/telco/ami"}, "Expected an AMI id such as"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(
    pair: Pair, tmp_path: Path, wrong: dict[str, str], said: str
) -> None:
    subnets = pair.cloud.subnets
    given = {
        key: ",".join(subnets.get(word, word) for word in value.split(","))
        for key, value in wrong.items()
    }
    text = _configuration(pair.cloud, {**GIVEN, **given}, "wrong")
    with terraform(tmp_path) as tool:
        complaint = tool.refused(text)
    assert said in " ".join(complaint.replace("\u2502", " ").split())


# --- routes in a table of Terraform's ----------------------------------------------------------

INLINE = """\
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this.id
  }
"""
APART = """\
resource "aws_route" "default" {
  route_table_id         = aws_route_table.this.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}
"""
IGNORED = "  lifecycle { ignore_changes = [route] }\n"


@pytest.mark.parametrize(
    ("inside", "beside", "kept"),
    [
        (INLINE, "", False),
        (INLINE + IGNORED, "", True),
        ("", APART, True),
        ("  route = []\n", "", False),
    ],
    ids=["inline", "inline and ignored", "aws_route", "an empty list"],
)
def test_which_tables_keep_a_route_that_the_agent_wrote(
    tmp_path: Path, inside: str, beside: str, *, kept: bool
) -> None:
    need()
    with cloud() as it, terraform(tmp_path) as tool:
        configuration = f"""
resource "aws_internet_gateway" "this" {{ vpc_id = "{it.vpc}" }}
resource "aws_route_table" "this" {{
  vpc_id = "{it.vpc}"
{inside}}}
{beside}"""
        tool.apply(configuration)
        ec2 = it.client("ec2")
        eni = ec2.create_network_interface(SubnetId=it.subnets["a1"])["NetworkInterface"]
        table = tool.made()["aws_route_table.this"]
        ec2.create_route(
            RouteTableId=table,
            DestinationCidrBlock="192.168.0.1/32",
            NetworkInterfaceId=eni["NetworkInterfaceId"],
        )
        assert tool.plan() == ({} if kept else {"aws_route_table.this": {"route"}})
        tool.apply(configuration)
        [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        there = {route["DestinationCidrBlock"] for route in found["Routes"]}
        assert ("192.168.0.1/32" in there) == kept
