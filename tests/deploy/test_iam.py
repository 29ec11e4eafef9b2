"""Who may do what: the agent's role, the functions' roles, the nodes' role."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.lifecycle import ACCOUNT, REGION, ROOT
from deploy.stacks import Cloud, cloud, decided, template
from vipmanager.core.measurement import OWNER, OWNER_TAG

OPTIONS = ("MayCleanUp", "MaySwitchCheck", "MaySeeShifts", "HasRouteRole")
ISSUER = "oidc.eks.eu-central-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"


@pytest.fixture(scope="module")
def aws() -> Iterator[Cloud]:
    with cloud() as it:
        yield it


def _agent(aws: Cloud, stack: str, *options: str, **parameters: str) -> dict[str, str]:
    body = decided(template("agent-role"), {name: name in options for name in OPTIONS})
    if "PodIdentityAssociation" in body["Resources"]:  # which moto does not know
        del body["Resources"]["PodIdentityAssociation"]
    return aws.create(stack, body, ClusterName="telco", VpcId=aws.vpc, **parameters)


def _policy(aws: Cloud, arn: str) -> dict[str, Any]:
    answer = aws.client("iam").get_policy_version(PolicyArn=arn, VersionId="v1")
    document: dict[str, Any] = answer["PolicyVersion"]["Document"]
    return document


def _inline(aws: Cloud, resource: str, name: str, **parameters: str) -> dict[str, Any]:
    """The one inline policy of a role, as its template has it, with its references filled in."""
    [policy] = template(name)["Resources"][resource]["Properties"]["Policies"]
    values = {
        "AWS::Partition": "aws",
        "AWS::Region": REGION,
        "AWS::AccountId": ACCOUNT,
        "AWS::StackName": "core",
        "VpcId": aws.vpc,
        **parameters,
    }

    def filled(part: Any) -> Any:  # noqa: ANN401 - any part of JSON
        match part:
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{(.*?)\}", lambda it: values[it[1]], text)
            case {"Ref": str(key)}:
                return values[key]
            case {"Fn::GetAtt": [str(), "Arn"]}:
                return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:core:*"
            case dict():
                return {key: filled(value) for key, value in part.items()}
            case list():
                return [filled(value) for value in part]
        return part

    document: dict[str, Any] = filled(policy["PolicyDocument"])
    return document


def _findings(document: dict[str, Any]) -> str:
    """What the linter says.

    It wants all resources of an action in one statement. IAM asks for each resource on its own,
    so an action that has several statements is shown to it with the resources of them all.
    """
    statements = document["Statement"]
    for one in statements:
        same = [it for it in statements if it["Action"] == one["Action"]]
        if len(same) > 1:
            resources = [name for it in same for name in _several(it["Resource"])]
            lone = {key: value for key, value in one.items() if key != "Condition"}
            statements = [it for it in statements if it not in same] + [
                {**lone, "Resource": resources}
            ]
    joined = {**document, "Statement": statements}
    tool = Path(sys.executable).parent / "parliament"
    done = subprocess.run(
        [tool, "--string", json.dumps(joined)], capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr).splitlines(keepends=True)
    return "".join(line for line in said if not line.startswith(_OUTDATED))


_OUTDATED = "LOW - Unnecessary use of Resource * -  - ['arc-zonal-shift:GetManagedResource'] - "
"""The linter knows load balancers alone; ARC manages EKS clusters too, since November 2024. The
statement's condition names the cluster."""


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _attached(role: str) -> list[dict[str, str]]:
    # From the template: moto attaches nothing to a stack's roles.
    arns: list[dict[str, str]] = template("agent-role")["Resources"][role]["Properties"][
        "ManagedPolicyArns"
    ]
    return arns


def _actions(document: dict[str, Any]) -> set[str]:
    actions = [statement["Action"] for statement in document["Statement"]]
    return {name for it in actions for name in ([it] if isinstance(it, str) else it)}


def _statement(document: dict[str, Any], sid: str) -> dict[str, Any]:
    [found] = [it for it in document["Statement"] if it["Sid"] == sid]
    return dict(found)


def test_the_linter_finds_nothing_in_the_agents_policy(aws: Cloud) -> None:
    plain = _agent(aws, "plain", TrustedBy="nobody")
    full = _agent(
        aws,
        "full",
        *OPTIONS,
        TrustedBy="nobody",
        RouteRoleArn="arn:aws:iam::210987654321:role/routes",
    )
    for outputs in (plain, full):
        assert _findings(_policy(aws, outputs["PolicyArn"])) == ""


def test_the_agent_writes_routes_only_in_tagged_tables_of_its_vpc(aws: Cloud) -> None:
    outputs = _agent(aws, "routes", TrustedBy="nobody", RouteTableTagValue="floating")
    document = _policy(aws, outputs["PolicyArn"])
    write = _statement(document, "WriteRoutesOfTaggedTables")
    assert write["Resource"] == f"arn:aws:ec2:{REGION}:{ACCOUNT}:route-table/*"
    assert write["Condition"] == {
        "ArnEquals": {"ec2:Vpc": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/{aws.vpc}"},
        "StringEquals": {"aws:ResourceTag/role": "floating"},
    }


def test_with_every_option_the_agent_may_do_all_that_it_can_call_and_no_more(aws: Cloud) -> None:
    role = "arn:aws:iam::210987654321:role/routes"
    outputs = _agent(aws, "most", *OPTIONS, TrustedBy="nobody", RouteRoleArn=role)
    calls = {
        f"{service}:{name}"
        for service in ("arc-zonal-shift", "ec2")
        for model in (ROOT / "src/vipmanager/edges/aws/models" / service).rglob("service-2.json")
        for name in json.loads(model.read_text(encoding="utf-8"))["operations"]
    }
    document = _policy(aws, outputs["PolicyArn"])
    assert _actions(document) == {*calls, "sts:AssumeRole"}
    shifts = _statement(document, "SeeZonalShifts")
    cluster = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/telco"
    assert shifts["Condition"] == {"StringEquals": {"arc-zonal-shift:ResourceIdentifier": cluster}}
    assert _statement(document, "AssumeRouteRole")["Resource"] == role


def test_without_options_it_can_neither_delete_routes_nor_change_enis(aws: Cloud) -> None:
    outputs = _agent(aws, "least", TrustedBy="nobody")
    assert _actions(_policy(aws, outputs["PolicyArn"])) == {
        "ec2:CreateRoute",
        "ec2:ReplaceRoute",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSubnets",
    }


def _measure(aws: Cloud) -> dict[str, Any]:
    body = decided(template("measure-policy"), {})
    del body["Resources"]["Association"]  # which moto does not know
    return _policy(aws, aws.create("measure", body, VpcId=aws.vpc)["PolicyArn"])


def test_measure_may_do_what_it_calls_and_only_with_its_tag(aws: Cloud) -> None:
    document = _measure(aws)
    assert _findings(document) == ""
    [model] = (ROOT / "src/vipmanager/edges/aws/measure_models").rglob("service-2.json")
    calls = {f"ec2:{name}" for name in json.loads(model.read_text(encoding="utf-8"))["operations"]}
    assert _actions(document) == {*calls, "ec2:CreateTags"}
    own = {OWNER_TAG: OWNER}
    for sid, key in (
        ("MakeTaggedTable", "RequestTag"),
        ("MakeTaggedList", "RequestTag"),
        ("ChangeAndDeleteTagged", "ResourceTag"),
    ):
        condition = _statement(document, sid)["Condition"]
        assert condition == {"StringEquals": {f"aws:{key}/{k}": v for k, v in own.items()}}
    for each in document["Statement"]:
        writes = not all(":Describe" in action for action in _actions({"Statement": [each]}))
        assert not writes or each["Sid"] == "MakeATableInTheVpc" or "Condition" in each
    made = _statement(document, "MakeATableInTheVpc")["Resource"]
    assert made == f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/{aws.vpc}"


def test_pod_identity_is_trusted_for_this_cluster_alone(aws: Cloud) -> None:
    outputs = _agent(aws, "pods", TrustedBy="pod-identity")
    name = outputs["PodIdentityRoleArn"].rpartition("/")[2]
    client = aws.client("iam")
    [trust] = client.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert trust["Condition"]["ArnEquals"] == {
        "aws:SourceArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/telco"
    }
    assert _attached("PodIdentityRole") == [{"Ref": "AgentPolicy"}]
    assert template("agent-role")["Resources"]["PodIdentityAssociation"]["Properties"] == {
        "ClusterName": {"Ref": "ClusterName"},
        "Namespace": {"Ref": "Namespace"},
        "ServiceAccount": {"Ref": "ServiceAccount"},
        "RoleArn": {"Fn::GetAtt": ["PodIdentityRole", "Arn"]},
    }


def test_irsa_is_trusted_for_one_service_account(aws: Cloud) -> None:
    outputs = _agent(aws, "irsa", TrustedBy="irsa", OidcIssuer=ISSUER, Namespace="core")
    name = outputs["IrsaRoleArn"].rpartition("/")[2]
    client = aws.client("iam")
    [trust] = client.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"}
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert trust["Condition"]["StringEquals"] == {
        f"{ISSUER}:aud": "sts.amazonaws.com",
        f"{ISSUER}:sub": "system:serviceaccount:core:vipmanager",
    }
    assert _attached("IrsaRole") == [{"Ref": "AgentPolicy"}]


def test_what_iam_can_not_prevent_is_said_where_the_policy_is() -> None:
    said = " ".join(template("agent-role")["Description"].split())
    assert "IAM has no condition on a route's destination or target" in said
    assert "0.0.0.0/0" in said


FUNCTIONS = [
    ("AttachRole", "eks-multiaz-nodegroup-multus", "attach_enis"),
    ("ReserveRole", "pattern2-subnets", "reserve_cidr"),
]


@pytest.mark.parametrize(("role", "name", "source"), FUNCTIONS)
def test_the_linter_finds_nothing_in_the_functions_policies(
    aws: Cloud, role: str, name: str, source: str
) -> None:
    assert source
    assert _findings(_inline(aws, role, name)) == ""


@pytest.mark.parametrize(("role", "name", "source"), FUNCTIONS)
def test_the_functions_may_do_what_they_call_and_no_more(
    aws: Cloud, role: str, name: str, source: str
) -> None:
    text = (ROOT / f"deploy/lambda/{source}.py").read_text(encoding="ascii")
    methods = {
        *re.findall(r"\bec2\.([a-z_0-9]+)\(", text),
        *re.findall(r"_ec2\.([a-z_0-9]+)", text),
    }
    methods |= set(re.findall(r'get_paginator\("(\w+)"', text))
    calls = {_pascal(method) for method in methods - {"get_paginator"}}
    allowed = _actions(_inline(aws, role, name))
    tagging = {"ec2:CreateTags"} if "TagSpecifications" in text else set()
    assert {it for it in allowed if it.startswith("ec2:")} == {*calls, *tagging}


def _pascal(method: str) -> str:
    return "ec2:" + "".join(word.title() for word in method.split("_"))


def test_the_attaching_function_changes_only_what_is_marked_as_the_groups(aws: Cloud) -> None:
    document = _inline(aws, "AttachRole", "eks-multiaz-nodegroup-multus")
    change = _statement(document, "ChangeMarked")
    assert change["Condition"] == {
        "StringEquals": {"aws:ResourceTag/vipmanager/node-group": "core"}
    }
    create = _statement(document, "CreateMarked")
    assert create["Condition"] == {"StringEquals": {"aws:RequestTag/vipmanager/node-group": "core"}}


def test_nodes_have_no_rights_to_write_routes_unless_asked_for() -> None:
    role = template("eks-multiaz-nodegroup-multus")["Resources"]["NodeRole"]["Properties"]
    assert "Policies" not in role
    choices = {"HasCniPolicy": True, "HasSessionManager": False, "HasAgentPolicy": False}
    arns = [it["Fn::Sub"] for it in decided(role["ManagedPolicyArns"], choices)]
    assert [arn.rpartition("/")[2] for arn in arns] == [
        "AmazonEKSWorkerNodeMinimalPolicy",
        "AmazonEC2ContainerRegistryPullOnly",
        "AmazonEKS_CNI_Policy",
    ]
