"""Write what the documents take from tables in the code; `--check` tells what is out of date."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

import yaml  # type: ignore[import-untyped]
from causes import CAUSES
from chart import values

from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, Transient
from vipmanager.core.findings import Condition, Kind
from vipmanager.core.refusals import REFUSALS, UNKNOWN, mended_by_time
from vipmanager.core.role_status import BOUNDS
from vipmanager.core.tally import CALL_BOUNDS, FAILOVER_BOUNDS, PASS_BOUNDS
from vipmanager.doctor.check import Check
from vipmanager.doctor.table import CHECKS
from vipmanager.edges.metrics import METRICS
from vipmanager.edges.settings.keys import KEYS

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "deploy/observability/vipmanager-rules.yaml"
CHART: Final = ROOT / "deploy/helm/vipmanager"

TURNS: Final[Mapping[Kind, str]] = {
    Kind.SKIPPED: "nothing is wrong",
    Kind.DEGRADED: "traffic is right, and what protects it is not",
    Kind.ASKED: "a person asked for it",
    Kind.WAITING: "time heals it",
    Kind.REFUSED: "it would do harm, and a person can allow it",
    Kind.FAILED: "a person has to change something",
}


HANDLED: Final[Mapping[type[Failure], str]] = {
    Throttled: "tried again, as the bucket fills",
    Conflict: "tried again, after the table is read",
    Transient: "tried again",
    Permanent: "left to a person, and tried again with each reading",
}

WHOLLY: Final[Mapping[str, str]] = {
    "{what}": "what EC2, IMDS or the kernel said",
    "{hint}": "what the line says after the semicolon",
    "{command}": "the command that the finding names",
}
"""Texts that come from elsewhere as a whole."""

WIDTH: Final = 76
"""Characters of codes in a line of the function, without their marks."""

PEERS: Final = (
    "comma-separated hosts and networks, IPv4 or IPv6, that talk to the pod's N-th Multus "
    "interface (`netN`, or the N-th in order; where there is no N-th, that of the ENI with device "
    "index N, as in the AWS sample); each becomes a route via the ENI subnet's gateway"
)
"""The keys that are no row of `KEYS`, since there is one for each interface."""

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
    buckets = {
        "pass": PASS_BOUNDS,
        "failover": FAILOVER_BOUNDS,
        "takeover": BOUNDS,
        "api_call": CALL_BOUNDS,
    }
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


def refusals() -> Iterator[str]:
    """Give the table of EC2's error codes."""
    yield "| code | finding | handling | remedy |"
    yield "|---|---|---|---|"
    for row in (*REFUSALS, UNKNOWN):
        codes = ", ".join(f"`{code}`" for code in row.codes) or "any other"
        said = f': "{row.said}"' if row.said else ""
        told, remedy = _link(row.condition.name), named(row.remedy)
        yield f"| {codes}{said} | {told} | {HANDLED[row.failure]} | {remedy} |"


def passing() -> Iterator[str]:
    """Give the codes that the function in deploy/lambda waits for."""
    # A template of CloudFormation may have 51,200 bytes, so that a line takes what it can.
    for line in wrap(" ".join(mended_by_time()), WIDTH, break_long_words=False):
        codes = ", ".join(f'"{code}"' for code in line.split())
        yield f"    *({codes}),"


def checks() -> Iterator[str]:
    """Give a section for each check of the doctor."""
    for check in CHECKS:
        yield f"### {check.code}"
        yield ""
        yield f"> {named(check.title)}"
        yield ">"
        yield f"> FAILED: {named(check.failed)}"
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


def keys() -> Iterator[str]:
    """Give the configuration table."""
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    yield f"| `Intf<N>Peers` | none | {PEERS} |"
    for key in KEYS:
        default = f"`{key.default}`" if key.default else "none"
        yield f"| `{key.name}` | {default} | {key.meaning} |"


def values_schema(path: Path) -> str:
    """Give the chart's schema of values with what the configuration's keys may be."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    settable = {k.name: {"description": k.meaning, **k.schema} for k in KEYS if k.schema}
    schema["properties"]["config"]["properties"] = settable
    return json.dumps(schema, indent=2) + "\n"


GENERATED: Final[tuple[tuple[str, str, Callable[[], Iterator[str]]], ...]] = (
    ("docs/settings.md", "keys", keys),
    ("docs/metrics.md", "metrics", metrics),
    ("docs/operations.md", "alerts", alerts),
    ("docs/operations.md", "conditions", conditions),
    ("docs/operations.md", "refusals", refusals),
    ("docs/operations.md", "checks", checks),
    ("deploy/lambda/attach_enis.py", "src/vipmanager/core/refusals.py", passing),
    ("deploy/helm/vipmanager/README.md", "values", lambda: values(CHART / "values.yaml")),
)
"""File, marker, and what stands between the comments MARKER and "end of MARKER"."""


def renewed(path: Path, marker: str, lines: Iterator[str]) -> str:
    """Give a file with these lines between its markers.

    Raises:
        ValueError: the file lacks a marker.
    """
    text = path.read_text(encoding="utf-8")
    comment = "    # {}" if path.suffix == ".py" else "<!-- {} -->"
    begin, end = comment.format(marker) + "\n", comment.format(f"end of {marker}")
    before, after = text.index(begin) + len(begin), text.index(end)
    return text[:before] + "\n".join(lines).strip("\n") + "\n" + text[after:]


LASTING: Final = re.compile(r"ACCESS_DENIED(\|[A-Z_]+)*")
"""In an alert's expression: what an API refuses for good."""


def alert_rules(path: Path) -> str:
    """Give the alerts with the conditions of what an API refuses for good."""
    lasting = {r.condition.name for r in (*REFUSALS, UNKNOWN) if r.failure is Permanent}
    return LASTING.sub("|".join(sorted(lasting)), path.read_text(encoding="utf-8"))


def pages() -> Iterator[tuple[str, str, Callable[[Path], str]]]:
    """Give each file, what of it is generated, and how it is renewed."""
    for name, marker, make in GENERATED:
        yield name, marker, partial(renewed, marker=marker, lines=make())
    yield "deploy/helm/vipmanager/values.schema.json", "config", values_schema
    yield "deploy/observability/vipmanager-rules.yaml", "refusals", alert_rules
    # A chart reads no file outside of it.
    yield (
        "deploy/helm/vipmanager/files/vipmanager-rules.yaml",
        "alerts",
        lambda _: RULES.read_text(),
    )


def main() -> int:
    """Write, or check; give the exit code."""
    outdated = []
    for name, what, renew in pages():
        path = ROOT / name
        fresh = renew(path)
        if fresh != path.read_text(encoding="utf-8"):
            outdated.append(f"{name}: {what}")
            if "--check" not in sys.argv:
                path.write_text(fresh, encoding="utf-8")
    verb = "out of date, run scripts/docs:" if "--check" in sys.argv else "wrote"
    for each in outdated:
        print(f"{verb} {each}")
    return 1 if outdated and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
