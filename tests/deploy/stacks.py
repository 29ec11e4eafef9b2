"""CloudFormation stacks in moto, from the templates as they are in deploy/cloudformation."""

import base64
import email
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]
from cfnlint.decode import decode  # type: ignore[import-untyped]
from moto import mock_aws
from moto.core.config import DefaultConfig

from deploy.lifecycle import ENVIRONMENT, REGION, ROOT

NODE_GROUP = "eks-multiaz-nodegroup-multus"
_NOTHING = {"Ref": "AWS::NoValue"}


def template(name: str) -> dict[str, Any]:
    """A template with its functions in the long form."""
    parsed, problems = decode(str(ROOT / f"deploy/cloudformation/{name}.yaml"))
    assert not problems
    plain: dict[str, Any] = json.loads(json.dumps(parsed))
    return plain


def decided(part: Any, conditions: Mapping[str, bool]) -> Any:  # noqa: ANN401 - any part of JSON
    """A part of a template with these conditions decided.

    moto keeps AWS::NoValue as null in lists, where CloudFormation leaves the item out.
    """
    if isinstance(part, list):
        items = [decided(item, conditions) for item in part]
        return [item for item in items if item != _NOTHING]
    if not isinstance(part, dict):
        return part
    if set(part) == {"Fn::If"} and part["Fn::If"][0] in conditions:
        name, yes, no = part["Fn::If"]
        return decided(yes if conditions[name] else no, conditions)
    return {key: decided(value, conditions) for key, value in part.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """moto, with a VPC that has three subnets in each of two zones."""

    vpc: str
    subnets: Mapping[str, str]
    control_plane: str

    def client(self, service: str) -> Any:  # noqa: ANN401 - made at run time
        return boto3.client(service, region_name=REGION)

    def create(self, name: str, body: Mapping[str, Any], **parameters: str) -> dict[str, str]:
        """A stack; gives its outputs once it is complete."""
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName=name,
            TemplateBody=json.dumps(body),
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        [stack] = formation.describe_stacks(StackName=name)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        return {it["OutputKey"]: it["OutputValue"] for it in stack.get("Outputs", [])}

    def resources(self, name: str) -> dict[str, str]:
        """The physical ids of a stack by logical id."""
        answer = self.client("cloudformation").describe_stack_resources(StackName=name)
        return {
            it["LogicalResourceId"]: it.get("PhysicalResourceId", "")
            for it in answer["StackResources"]
            if "LogicalResourceId" in it
        }


@contextmanager
def cloud(*, managed_policies: bool = False) -> Iterator[Cloud]:
    """An empty account in moto with a VPC; with AWS's own policies, which take a while."""
    config: DefaultConfig = {"iam": {"load_aws_managed_policies": managed_policies}}
    with pytest.MonkeyPatch.context() as patch, mock_aws(config=config):
        for key, value in ENVIRONMENT.items():
            patch.setenv(key, value)
        ec2 = boto3.client("ec2", region_name=REGION)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = {}
        for number, name in enumerate(("a0", "a1", "a2", "b0", "b1", "b2")):
            answer = ec2.create_subnet(
                VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{REGION}{name[0]}"
            )
            subnets[name] = answer["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="cp", Description="cp", VpcId=vpc)
        yield Cloud(vpc=vpc, subnets=subnets, control_plane=group["GroupId"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A stack of the node group."""

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


def node_group_parameters(it: Cloud, **more: str) -> dict[str, str]:
    """What a node group needs, and more."""
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


def node_group(it: Cloud, name: str, **more: str) -> Group:
    """A stack of the node group with its other parameters as they are by default."""
    outputs = it.create(name, template(NODE_GROUP), **node_group_parameters(it, **more))
    return Group(cloud=it, outputs=outputs, resources=it.resources(name))


def user_data(data: dict[str, Any]) -> list[tuple[str, str]]:
    """The parts of the user data with their types."""
    text = base64.b64decode(data["UserData"])
    assert len(text) <= 16_384  # EC2's limit
    message: Message = email.message_from_bytes(text)
    assert message.is_multipart()
    parts = [part for part in message.walk() if not part.is_multipart()]
    return [(part.get_content_type(), str(part.get_payload())) for part in parts]


def node_config(data: dict[str, Any]) -> dict[str, Any]:
    """The group's own NodeConfig."""
    kind, text = user_data(data)[0]
    assert kind == "application/node.eks.aws"
    config: dict[str, Any] = yaml.safe_load(text)
    return config


def boot_script(data: dict[str, Any]) -> str:
    """The group's own script, which is the last part."""
    kind, text = user_data(data)[-1]
    assert kind == "text/x-shellscript"
    return text
