"""Write what the documents take from tables in the code; `--check` tells what is out of date."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]
from causes import CAUSES

from vipmanager.core.findings import Condition, Kind
from vipmanager.core.tally import FAILOVER_BOUNDS, PASS_BOUNDS
from vipmanager.core.tenure import BOUNDS
from vipmanager.doctor.check import Check
from vipmanager.doctor.table import CHECKS
from vipmanager.edges.metrics import METRICS

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy/observability/vipmanager-rules.yaml"

TURNS: Final[Mapping[Kind, str]] = {
    Kind.SKIPPED: "nothing is wrong",
    Kind.DEGRADED: "traffic is right, and what protects it is not",
    Kind.ASKED: "a person asked for it",
    Kind.WAITING: "time heals it",
    Kind.REFUSED: "it would do harm, and a person can allow it",
    Kind.FAILED: "a person has to change something",
}


WHOLLY: Final[Mapping[str, str]] = {
    "{what}": "what EC2, IMDS or the kernel said",
    "{hint}": "what the line says after the semicolon",
    "{command}": "the command that the finding names",
}
"""Texts that come from elsewhere as a whole."""

MARKUP: Final = re.compile(r"[<>*|]")


def named(text: str) -> str:
    """Put names of objects where the code puts objects, for Markdown."""
    if text in WHOLLY:
        return WHOLLY[text]
    for hole, filling in (("{subnet_hint}", ""), ("{known}", ""), ("{version}", "N")):
        text = text.replace(hole, filling)
    text = re.sub(r"(?<!\{)\{(\w+)[^{}]*\}(?!\})", lambda m: m[1].upper(), text)
    return MARKUP.sub(lambda m: f"\\{m[0]}", text)


def metrics() -> Iterator[str]:
    """Give the table of metrics."""
    yield "| metric | kind | labels | meaning |"
    yield "|---|---|---|---|"
    for row in METRICS:
        labels = ", ".join(f"`{label}`" for label in row.labels)
        yield f"| `{row.name}` | {row.kind} | {labels} | {row.meaning} |"
    yield ""
    buckets = {"pass": PASS_BOUNDS, "failover": FAILOVER_BOUNDS, "takeover": BOUNDS}
    for name, bounds in buckets.items():
        shown = ", ".join(f"{bound:g}" for bound in bounds)
        yield f"Buckets of `vipmanager_{name}_duration_seconds`, seconds: {shown}."


def alerts() -> Iterator[str]:
    """Give the table of alerts."""
    yield "| alert | severity | after | summary |"
    yield "|---|---|---|---|"
    for rule in _rules():
        name, summary = rule["alert"], rule["annotations"]["summary"]
        after, severity = rule.get("for", "at once"), rule["labels"]["severity"]
        yield f"| {_link(name)} | {severity} | {after} | {summary} |"


def _rules() -> list[dict[str, Any]]:
    found = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


def conditions() -> Iterator[str]:
    """Give a section for each condition."""
    for condition in Condition:
        row = condition.value
        yield f"### {condition.name}"
        yield ""
        yield f"> {named(row.text)}"
        yield ""
        yield f"- Kind: `{row.kind.name.lower()}`, {TURNS[row.kind]}."
        yield f"- Cause: {named(CAUSES[condition])}."
        yield f"- Fix: {named(row.remedy)}"
        yield ""


def checks() -> Iterator[str]:
    """Give a section for each check of the doctor."""
    for check in CHECKS:
        yield f"### {check.code}"
        yield ""
        yield f"> {named(check.title)}"
        yield ""
        yield f"- Why it matters: {named(check.why)}."
        yield f"- Fix: {_remedy(check)}"
        if check.after:
            yield f"- Needs: {', '.join(_link(code) for code in check.after)}."
        yield ""


def _remedy(check: Check) -> str:
    own = [named(check.fix).replace("{{", "{").replace("}}", "}")] if check.fix else []
    told = [_link(c.name) for c in Condition if c in check.conditions]
    own += [f"as for {', '.join(told)}"] if told else []
    return "; or ".join(own) or "the finding names it"


def _link(heading: str) -> str:
    return f"[{heading}](#{heading.lower()})"


GENERATED: Final[tuple[tuple[str, str, Callable[[], Iterator[str]]], ...]] = (
    ("docs/metrics.md", "metrics", metrics),
    ("docs/operations.md", "alerts", alerts),
    ("docs/operations.md", "conditions", conditions),
    ("docs/operations.md", "checks", checks),
)
"""Document, marker, and what stands between `<!-- MARKER -->` and `<!-- end of MARKER -->`."""


def renewed(text: str, marker: str, lines: Iterator[str]) -> str:
    """Put lines between a document's markers.

    Raises:
        ValueError: the document lacks a marker.
    """
    begin, end = f"<!-- {marker} -->\n", f"<!-- end of {marker} -->"
    before, after = text.index(begin) + len(begin), text.index(end)
    return text[:before] + "\n".join(lines).strip("\n") + "\n" + text[after:]


def main() -> int:
    """Write, or check; give the exit code."""
    outdated = []
    for name, marker, make in GENERATED:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        fresh = renewed(text, marker, make())
        if fresh != text:
            outdated.append(f"{name}: {marker}")
            if "--check" not in sys.argv:
                path.write_text(fresh, encoding="utf-8")
    verb = "out of date, run scripts/docs:" if "--check" in sys.argv else "wrote"
    for each in outdated:
        print(f"{verb} {each}")
    return 1 if outdated and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
