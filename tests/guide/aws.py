"""`aws` for the documents: EC2 calls go to the lab, the others are checked and answered here."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jmespath  # type: ignore[import-untyped]

from deploy.stacks import template
from guide.terminal import Answer
from guide.words import SESSION, Operation, WrongCommandError, check, operation, options

CLUSTER = {
    "name": "telco",
    "version": "1.35",
    "endpoint": "https://0123456789.gr7.eu-central-1.eks.amazonaws.com",
    "certificateAuthority": {"data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"},
    "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.100.0.0/16"},
}
STACKS = {
    "Stacks": [
        {
            "StackName": "vipmanager-policy",
            "CreationTime": "2026-11-23",
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": [
                {"OutputKey": "PolicyArn", "OutputValue": "arn:aws:iam::123456789012:policy/agent"}
            ],
        }
    ]
}

# What the AWS CLI has beyond the API: the options of its reference that the documents may use.
_CUSTOM: Mapping[tuple[str, str], frozenset[str]] = {
    ("eks", "update-kubeconfig"): frozenset({"name"}),
    ("ecr", "get-login-password"): frozenset(),
}
_DEPLOY = {"stack-name", "template-file", "parameter-overrides", "capabilities"}
_LARGEST = 51_200
"""Bytes of a template that needs no bucket (CloudFormation quotas)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What `aws cloudformation deploy` was asked for."""

    name: str
    template: str
    parameters: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Aws:
    """The command. `ec2` makes a call to EC2; `gone` is told of each stack that is deleted."""

    vpc: str
    ec2: Callable[[Operation], Mapping[str, Any]] = lambda _: {}
    gone: Callable[[str], None] = lambda _: None
    answers: bool = True
    """False: a call is checked, not made, and prints nothing."""
    stacks: list[Stack] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    """The names of stacks."""

    def __call__(self, words: Sequence[str], folder: Path, _piped: str) -> Answer:
        """Run one command."""
        try:
            return Answer(out=self._run(words, folder))
        except WrongCommandError as error:
            return Answer(code=252, err=f"{error}\n")

    def _run(self, words: Sequence[str], folder: Path) -> str:
        service, command, *rest = words
        if (service, command) == ("cloudformation", "deploy"):
            self._deploy(dict(options(rest)), folder)
            return ""
        if command == "wait":
            waiters = SESSION.get_waiter_model(service).waiter_names
            if rest[0].replace("-", "") not in {name.lower() for name in waiters}:
                raise WrongCommandError(f"aws {service} wait {rest[0]}: no such waiter")
            return ""
        if (service, command) in _CUSTOM:
            if unknown := dict(options(rest)).keys() - _CUSTOM[service, command]:
                raise WrongCommandError(f"aws {service} {command}: no option --{unknown.pop()}")
            return "password\n"
        asked = operation(words)
        if not self.answers:
            jmespath.compile(asked.query or "@")
            return ""
        answer = self.ec2(asked) if service == "ec2" else self._made_up(asked)
        return _show(answer, asked)

    def _made_up(self, asked: Operation) -> Mapping[str, Any]:
        match asked.method:
            case "describe_cluster":
                network = {"clusterSecurityGroupId": "sg-0123456789abcdef0", "vpcId": self.vpc}
                answer: Mapping[str, Any] = {"cluster": {**CLUSTER, "resourcesVpcConfig": network}}
            case "describe_stacks":
                answer = STACKS
            case "delete_stack":
                self.deleted.add(asked.parameters["StackName"])
                self.gone(asked.parameters["StackName"])
                answer = {}
            case _:
                answer = {}
        if asked.model.output_shape is not None:
            check(answer, asked.model.output_shape)
        return answer

    def _deploy(self, given: Mapping[str, list[str]], folder: Path) -> None:
        if unknown := given.keys() - _DEPLOY:
            raise WrongCommandError(f"aws cloudformation deploy: no option --{unknown.pop()}")
        file = folder / given["template-file"][0]
        if file.stat().st_size > _LARGEST:
            raise WrongCommandError(f"{file.name} is too large without --s3-bucket")
        body = template(file.stem)
        roles = any(it["Type"] == "AWS::IAM::Role" for it in body["Resources"].values())
        if roles and given["capabilities"] != ["CAPABILITY_IAM"]:
            raise WrongCommandError(f"{file.name} needs --capabilities CAPABILITY_IAM")
        parameters = dict(word.split("=", 1) for word in given["parameter-overrides"])
        _fit(parameters, body["Parameters"], file.name)
        self.stacks.append(
            Stack(name=given["stack-name"][0], template=file.stem, parameters=parameters)
        )


def _fit(parameters: Mapping[str, str], wanted: Mapping[str, Any], name: str) -> None:
    """Compare parameters with a template's."""
    if unknown := parameters.keys() - wanted.keys():
        raise WrongCommandError(f"{name} has no parameters {sorted(unknown)}")
    needed = {key for key, it in wanted.items() if "Default" not in it}
    if missing := needed - parameters.keys():
        raise WrongCommandError(f"{name} needs the parameters {sorted(missing)}")
    for key, value in parameters.items():
        pattern, allowed = wanted[key].get("AllowedPattern"), wanted[key].get("AllowedValues")
        if (pattern and not re.fullmatch(pattern, value)) or (allowed and value not in allowed):
            raise WrongCommandError(f"{name}: {key}={value!r} is not allowed")
        kind = wanted[key]["Type"]
        if kind.startswith(("AWS::", "List<AWS::")) and not value:
            raise WrongCommandError(f"{name}: {key} is empty")


def _show(answer: Mapping[str, Any], asked: Operation) -> str:
    """Print as --query and --output say."""
    shown: Any = answer
    if asked.query is not None:
        shown = jmespath.search(asked.query, answer)
        if shown is None or shown == []:
            raise WrongCommandError(f"--query {asked.query!r} finds nothing in {answer}")
    if asked.output == "text":
        rows = shown if isinstance(shown, list) else [shown]
        if rows and isinstance(rows[0], list):
            return "".join("\t".join(map(str, row)) + "\n" for row in rows)
        return "\t".join(map(str, rows)) + "\n"
    shown = {k: v for k, v in shown.items() if k != "ResponseMetadata"} if shown else shown
    return json.dumps(shown, default=str, indent=4) + "\n" if shown else ""
