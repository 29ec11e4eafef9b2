"""The words of an `aws` command as the parameters of its operation, as the AWS CLI reads them.

The AWS CLI makes its options from botocore's models; so does this, and refuses what they lack.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import ListShape, OperationModel, Shape, StructureShape
from botocore.validate import ParamValidator

SESSION = botocore.session.Session()
GLOBAL = ("query", "output", "region")


class WrongCommandError(Exception):
    """What the AWS CLI would not understand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A command that is one call."""

    service: str
    method: str
    """The method of botocore's client."""
    model: OperationModel
    parameters: Mapping[str, Any]
    query: str | None
    output: str


def options(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Give each option with its words."""
    rest = list(words)
    while rest:
        name = rest.pop(0)
        if not name.startswith("--"):
            raise WrongCommandError(f"{name}: expected an option")
        values = []
        while rest and not rest[0].startswith("--"):
            values.append(rest.pop(0))
        yield name[2:], values


def operation(words: Sequence[str]) -> Operation:
    """Read `SERVICE COMMAND --OPTION...`.

    Raises:
        WrongCommandError: there is no such service, command or option, or a value has another type.
    """
    service, command, *rest = words
    try:
        model = SESSION.get_service_model(service)
    except UnknownServiceError as error:
        raise WrongCommandError(f"aws {service}: no such service") from error
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if command not in names:
        raise WrongCommandError(f"aws {service} {command}: no such command")
    found = model.operation_model(names[command])
    members: Mapping[str, Shape] = found.input_shape.members if found.input_shape else {}
    allowed = {xform_name(name, "-"): name for name in members}
    common: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    for option, values in options(rest):
        if option in GLOBAL:
            (common[option],) = values
        elif option in allowed:
            parameters[allowed[option]] = _value(members[allowed[option]], option, values)
        else:
            raise WrongCommandError(f"aws {service} {command}: no option --{option}")
    if found.input_shape is not None:
        check(parameters, found.input_shape)
    return Operation(
        service=service,
        method=xform_name(names[command]),
        model=found,
        parameters=parameters,
        query=common.get("query"),
        output=common.get("output", "json"),
    )


def check(value: Any, shape: Shape) -> None:  # noqa: ANN401 - any value of the API
    """Compare a value with its shape.

    Raises:
        WrongCommandError: it does not fit.
    """
    report = ParamValidator().validate(value, shape)
    if report.has_errors():
        raise WrongCommandError(report.generate_report())


def _value(shape: Shape, option: str, words: list[str]) -> Any:  # noqa: ANN401 - as the API has it
    if shape.type_name == "boolean":
        if words:
            raise WrongCommandError(f"--{option} takes no value")
        return True
    if isinstance(shape, ListShape):
        if len(words) == 1 and words[0].startswith("["):
            return json.loads(words[0])
        return [_one(shape.member, word) for word in words]
    if len(words) != 1:
        raise WrongCommandError(f"--{option}: expected one value, not {words}")
    return _one(shape, words[0])


def _one(shape: Shape, word: str) -> Any:  # noqa: ANN401 - as above
    if isinstance(shape, StructureShape):
        return json.loads(word) if word.startswith("{") else _Shorthand(word).pairs(shape)
    return int(word) if shape.type_name in {"integer", "long"} else word


class _Shorthand:
    """`Key=role,Value=vip` and `Names=[{A=1},{A=2}]` (AWS CLI user guide, "shorthand syntax")."""

    def __init__(self, word: str) -> None:
        self._tokens = re.findall(r"[\[\]{},=]|[^\[\]{},=]+", word)

    def pairs(self, shape: StructureShape) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._tokens and self._tokens[0] != "}":
            key = self._take()
            if key not in shape.members:
                raise WrongCommandError(f"{shape.name} has no {key}")
            self._take("=")
            found[key] = self._value(shape.members[key])
            if self._tokens and self._tokens[0] == ",":
                self._take()
        return found

    def _value(self, shape: Shape) -> Any:  # noqa: ANN401 - as above
        if isinstance(shape, ListShape):
            return self._items(shape.member)
        if self._tokens[0] == "{" and isinstance(shape, StructureShape):
            self._take("{")
            found = self.pairs(shape)
            self._take("}")
            return found
        return self._take()

    def _items(self, shape: Shape) -> list[Any]:
        bracket = self._tokens[0] == "["
        if bracket:
            self._take("[")
        found = [self._value(shape)]
        # Without brackets a list goes on until a word is followed by `=`.
        while self._tokens[:1] == [","] and (bracket or self._tokens[2:3] != ["="]):
            self._take()
            found.append(self._value(shape))
        if bracket:
            self._take("]")
        return found

    def _take(self, expected: str | None = None) -> str:
        token = self._tokens.pop(0) if self._tokens else ""
        if expected is not None and token != expected:
            raise WrongCommandError(f"expected {expected}, not {token!r}")
        return token
