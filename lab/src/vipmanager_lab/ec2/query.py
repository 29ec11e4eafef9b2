"""EC2's Query protocol, the request half: form fields, indexed lists, filters, credentials."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from vipmanager_lab.ec2.errors import ApiError, invalid, missing

Parameters = Mapping[str, str]

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/")
_ID = re.compile(r"(?P<prefix>[a-z]+)-([0-9a-f]{8}|[0-9a-f]{17})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One describe filter: any of its values may match."""

    name: str
    values: tuple[str, ...]


def parse(query: str, body: bytes) -> dict[str, str]:
    """The form fields of a request, from the query string and the body."""
    fields = parse_qsl(query, keep_blank_values=True)
    fields += parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    return dict(fields)


def access_key(authorization: str | None) -> str | None:
    """The access key id in a SigV4 Authorization header."""
    found = _CREDENTIAL.search(authorization or "")
    return found.group(1) if found else None


def flag(parameters: Parameters, name: str) -> bool:
    """Whether a boolean parameter is set to true."""
    return parameters.get(name, "").lower() == "true"


def indexed(parameters: Parameters, prefix: str) -> tuple[str, ...]:
    """The values of `prefix.1`, `prefix.2`, ... up to the first gap."""
    values: list[str] = []
    while (value := parameters.get(f"{prefix}.{len(values) + 1}")) is not None:
        values.append(value)
    return tuple(values)


def indexed_fields(parameters: Parameters, prefix: str) -> tuple[dict[str, str], ...]:
    """The fields of `prefix.1.Field`, `prefix.2.Field`, ... up to the first gap."""
    found: list[dict[str, str]] = []
    while True:
        start = f"{prefix}.{len(found) + 1}."
        fields = {
            name.removeprefix(start): value
            for name, value in parameters.items()
            if name.startswith(start)
        }
        if not fields:
            return tuple(found)
        found.append(fields)


def tags(parameters: Parameters, kind: str) -> tuple[tuple[str, str], ...]:
    """The tags that a create call gives to resources of this kind."""
    return tuple(
        sorted(
            (tag.get("Key", ""), tag.get("Value", ""))
            for given in indexed_fields(parameters, "TagSpecification")
            if given.get("ResourceType") == kind
            for tag in indexed_fields(given, "Tag")
        )
    )


def filters(parameters: Parameters) -> tuple[Filter, ...]:
    """The filters of a describe call.

    Raises:
        ApiError: a filter has no values.
    """
    result: list[Filter] = []
    while name := parameters.get(f"Filter.{len(result) + 1}.Name"):
        values = indexed(parameters, f"Filter.{len(result) + 1}.Value")
        if not values:
            raise invalid(f"The filter '{name}' must have at least one value")  # GUESS at the text
        result.append(Filter(name=name, values=values))
    return tuple(result)


def require(parameters: Parameters, name: str) -> str:
    """A parameter that must be there.

    Raises:
        ApiError: MissingParameter.
    """
    value = parameters.get(name)
    if not value:
        raise missing(name[0].lower() + name[1:])
    return value


def check_id(value: str, prefix: str, code: str) -> str:
    """An id of the right form: a prefix and 8 or 17 hexadecimal digits.

    Raises:
        ApiError: `code`, one of EC2's `.Malformed` codes.
    """
    found = _ID.fullmatch(value)
    if not found or found.group("prefix") != prefix:
        raise ApiError(code, f'Invalid id: "{value}" (expecting "{prefix}-...")')
    return value
