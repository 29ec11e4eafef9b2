"""How commands print: tables with colour for people, JSON for programs."""

import json
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from vipmanager.core.findings import Finding, Kind
from vipmanager.core.told import Told

GOOD, BAD, QUIET = "green", "red", "dim"

_STYLES = {
    Kind.SKIPPED: QUIET,
    Kind.DEGRADED: "yellow",
    Kind.ASKED: "yellow",
    Kind.WAITING: "yellow",
    Kind.REFUSED: BAD,
    Kind.FAILED: BAD,
}

_UNBOUNDED = 10_000
"""Columns where nobody looks at a terminal: a line is never folded for a file or a pipe."""


def show(*parts: RenderableType) -> None:
    """Print to standard output; rich heeds NO_COLOR and what the terminal can do."""
    out = Console(highlight=False, emoji=False, markup=False)
    if out.is_terminal:
        out.print(*parts, sep="\n")
        return
    out.width = _UNBOUNDED
    with out.capture() as captured:
        out.print(*parts, sep="\n")
    # rich fills every line up to the width of its table.
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_json(document: object) -> None:
    """Print a document."""
    print(json.dumps(document, indent=1))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Lay rows out below a title, without lines: they are read, and cut with awk."""
    grid = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold", header_style=QUIET)
    for row in rows:
        grid.add_row(*row)
    return grid


def findings(found: Iterable[Finding | Told]) -> list[Text]:
    """Give a line for each finding, and one for its remedy."""
    lines = []
    for finding in found:
        style = _STYLES[finding.kind]
        lines.append(Text(f"{finding.kind.name.lower()}: {finding.text}", style=style))
        if finding.remedy:
            lines.append(Text(f"  -> {finding.remedy}"))
    return lines
