"""The JSON documents: described, versioned, and kept as the last release had them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from vipmanager.core.schema import Schema
from vipmanager_lab.cli.demo import SCHEMA as DEMO

FOLDER = Path(__file__).parents[2] / "docs" / "schema"
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))
Node = Mapping[str, Any]


def read(file: Path) -> Node:
    found: Node = json.loads(file.read_text(encoding="utf-8"))
    return found


def version(schema: Node) -> int:
    return int(schema["properties"]["schema"]["const"].rpartition("/v")[2])


def broken(then: Node, now: Node, roots: tuple[Node, Node], where: str = "") -> Iterator[str]:
    """Name what a program that reads documents by the old schema may miss, or not understand."""
    then, now = (_followed(node, root) for node, root in zip((then, now), roots, strict=True))
    if _types(now, roots[1]) - _types(then, roots[0]):
        yield f"{where or 'the document'} has another type"
    for name, old in then.get("properties", {}).items():
        inner = f"{where}.{name}" if where else name
        if name not in now.get("properties", {}):
            yield f"{inner} is gone"
        elif name in then.get("required", ()) and name not in now.get("required", ()):
            yield f"{inner} may be absent"
        else:
            yield from broken(old, now["properties"][name], roots, inner)
    for key, mark in (("items", "[]"), ("additionalProperties", ".*")):
        old, new = then.get(key), now.get(key)
        if isinstance(old, Mapping):
            yield from broken(old, new if isinstance(new, Mapping) else {}, roots, where + mark)
    olds, news = then.get("anyOf", ()), now.get("anyOf", ())
    if len(olds) == len(news):
        for old, new in zip(olds, news, strict=True):
            yield from broken(old, new, roots, where)


def _followed(node: Node, root: Node) -> Node:
    if "$ref" in node:
        found: Node = root["$defs"][node["$ref"].rpartition("/")[2]]
        return found
    return node


def _types(node: Node, root: Node) -> set[str]:
    """Give the JSON types that a value may have; `any` where the schema does not say."""
    node = _followed(node, root)
    if "anyOf" in node:
        return set().union(*(_types(each, root) for each in node["anyOf"]))
    for each in (node.get("enum"), [node["const"]] if "const" in node else None):
        if each is not None:
            return {_TYPES[type(value)] for value in each}
    told = node.get("type", "any")
    return {told} if isinstance(told, str) else set(told)


_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def test_each_document_has_a_description_that_names_its_version() -> None:
    described = {read(FOLDER / f"{name}.json")["properties"]["schema"]["const"] for name in NAMES}
    assert described == {*map(str, Schema), DEMO}
    for name in NAMES:
        schema = read(FOLDER / f"{name}.json")
        assert schema["properties"]["schema"]["const"].startswith(f"vipmanager/{name}/v")
        assert "schema" in schema["required"]


@pytest.mark.parametrize("released", sorted(FOLDER.glob("released/*.json")), ids=lambda f: f.stem)
def test_an_incompatible_change_raises_the_version(released: Path) -> None:
    file = FOLDER / released.name
    assert file.exists(), f"{file.name} is described no more: programs read it"
    then, now = read(released), read(file)
    assert version(now) >= version(then), f"{file.name}: versions only grow"
    if version(now) == version(then):
        assert not list(broken(then, now, (then, now))), (
            f"{file.name}: raise its version (core/schema.py), or keep what programs read"
        )


PLAIN = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "ages": {"type": "array", "items": {"$ref": "#/$defs/age"}},
    },
    "required": ["name", "ages"],
    "$defs": {"age": {"type": "object", "properties": {"years": {"type": "number"}}}},
}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("properties",), {"name": {"type": "string"}}, ["ages is gone"]),
        (("properties", "name", "type"), "integer", ["name has another type"]),
        (("properties", "name", "type"), ["string", "null"], ["name has another type"]),
        (("required",), ["name"], ["ages may be absent"]),
        (("$defs", "age", "properties"), {}, ["ages[].years is gone"]),
        (("properties", "ages", "items"), {"type": "string"}, ["ages[] has another type"]),
        (("properties", "more"), {"type": "string"}, []),
        (("properties", "name", "description"), "What it is called.", []),
    ],
)
def test_what_is_incompatible(path: tuple[str, ...], value: object, said: list[str]) -> None:
    changed = json.loads(json.dumps(PLAIN))
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    found = list(broken(PLAIN, changed, (PLAIN, changed)))
    assert found[: len(said)] == said
    assert bool(found) == bool(said)
