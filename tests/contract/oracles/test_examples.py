"""AWS's own examples: what the clients send for them, and what they make of the answers."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from contract.oracles import beside, examples, lambdas, lists
from contract.oracles.asked import Asked, wire
from contract.oracles.examples import Example
from vipmanager.edges.aws.session import MODELS

ROOT = Path(__file__).parents[3]
OURS = (*examples.EXAMPLES, *beside.EXAMPLES)
EVERY = (*OURS, *lists.EXAMPLES, *lambdas.EXAMPLES)


def shipped(folder: str = "*models") -> Iterator[tuple[str, str]]:
    """The operations of the models that we ship: what the agent and its commands call."""
    for path in MODELS.parent.glob(f"{folder}/*/*/service-2.json"):
        for operation in json.loads(path.read_text())["operations"]:
            yield path.parts[-3], operation


def of_lambdas() -> Iterator[str]:
    """The operations that the functions call, as methods of botocore."""
    for path in (ROOT / "deploy/lambda").glob("*.py"):
        text = path.read_text()
        yield from re.findall(r"(?:ec2|autoscaling)\.((?!get_paginator)[a-z]+_[a-z_]+)\b", text)
        yield from re.findall(r"get_paginator\(\"([a-z_]+)\"\)", text)


def method(operation: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


def test_every_operation_that_is_called_has_an_example() -> None:
    assert {*shipped()} <= {(e.service, e.operation) for e in EVERY}
    assert {*of_lambdas()} <= {method(e.operation) for e in EVERY}
    assert {(e.service, e.operation) for e in OURS} <= {*shipped()}


def written(example: Example) -> bytes:
    if example.service == "arc-zonal-shift":
        return json.dumps(example.answers).encode()
    return wire(example.service, example.operation, example.answers)


def plain(value: Any) -> Any:  # noqa: ANN401 - of any answer
    """An answer without what every answer has, and with seconds for a time."""
    match value:
        case dict():
            return {k: plain(v) for k, v in value.items() if k != "ResponseMetadata"}
        case list():
            return [plain(v) for v in value]
        case datetime():
            return value.timestamp()
        case str() if re.fullmatch(r"\d{4}-\d\d-\d\dT.*", value):
            return datetime.fromisoformat(value).timestamp()
        case _:
            return value


KNOWN = {
    "all": {(e.service, e.operation) for e in EVERY},
    "our": {*shipped("models")},
    "measure": {*shipped("measure_models")},
}
SENT = [
    pytest.param(example, models, id=f"{example.name}, {models} models")
    for example in EVERY
    for models, known in KNOWN.items()
    if (example.service, example.operation) in known
]


@pytest.mark.parametrize(("example", "models"), SENT)
def test_an_example_is_sent_and_read_as_aws_has_it(
    aws: Asked, make: Callable[[str, str], Any], example: Example, models: str
) -> None:
    arc = example.service == "arc-zonal-shift"
    aws.answers["GET" if arc else example.operation] = 200, written(example)
    made = make(example.service, models)
    said: Mapping[str, Any] = getattr(made, method(example.operation))(**example.asks)
    if arc:
        assert unquote(aws.requests[0].path) == "/managedresources/" + beside.CLUSTER
    else:
        always = {"Action": example.operation, "Version": made.meta.service_model.api_version}
        assert aws.forms == [{**always, **example.form}]
    assert plain(said) == plain(example.answers)
