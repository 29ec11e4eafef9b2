"""The values of the chart as a table: each key of values.yaml, and the comment above it."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml  # type: ignore[import-untyped]

_KEY = re.compile(r"^( *)([A-Za-z]+):")


def values(path: Path) -> Iterator[str]:
    """Give the table; a group of values has a row of its own where a comment tells of it."""
    defaults = yaml.safe_load(path.read_text(encoding="utf-8"))
    yield "| value | default | meaning |"
    yield "|---|---|---|"
    for names, meaning in _told(path):
        default = defaults
        for name in names:
            default = default[name]
        group = isinstance(default, dict) and default
        shown = (
            ""
            if group
            else f"`{yaml.safe_dump(default, default_flow_style=True).split(chr(10))[0]}`"
        )
        yield f"| `{'.'.join(names)}` | {shown} | {meaning} |"


def _told(path: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give each key that has a comment, by its path, with the comment."""
    above: list[str] = []
    within: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        bare = line.strip()
        if bare.startswith("#"):
            above.append(bare.removeprefix("#").strip())
        elif found := _KEY.match(line):
            within = [*within[: len(found[1]) // 2], found[2]]
            if above:
                yield tuple(within), " ".join(above).replace("|", "\\|")
            above = []
        else:
            above = []
