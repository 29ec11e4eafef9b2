"""How commands print: blocks of words for people, as wide as they look at them; JSON for programs.

A line is as wide as the terminal, or as COLUMNS says; 80 where neither is known, as through
`kubectl exec` without -t. It ends between two words, so that a name can be copied.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from vipmanager.core.findings import Finding, Kind
from vipmanager.core.remote_finding import RemoteFinding
from vipmanager.core.schema import Schema

GOOD, BAD, UNSURE, QUIET, TITLE = "green", "red", "yellow", "dim", "bold"

_STYLES = {
    Kind.SKIPPED: QUIET,
    Kind.DEGRADED: UNSURE,
    Kind.ASKED: UNSURE,
    Kind.WAITING: UNSURE,
    Kind.REFUSED: BAD,
    Kind.FAILED: BAD,
}

Cell = str | Text

_GAP = 2
"""Columns between two cells."""

_HANG = 4
"""Columns by which what belongs to the line above is set in."""

_PROSE = 24
"""Columns below which a sentence in a table is no pleasure: then each row is a paragraph."""


class Block(Protocol):
    """Something to read."""

    def lines(self, width: int) -> Iterator[Text]:
        """Give its lines, each at most so wide if its words are."""
        ...


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph; what follows its first line hangs by so many columns."""

    text: Text
    hang: int = 0

    def lines(self, width: int) -> Iterator[Text]:
        """Break between words only."""
        rest, indent = self.text, 0
        while True:
            first, *more = _broken(rest, width - indent)
            yield Text(" " * indent) + first
            if not more:
                return
            rest = rest[len(first.plain) :]
            rest = rest[len(rest.plain) - len(rest.plain.lstrip()) :]
            indent = self.hang


def words(text: str, style: str = "", *, hang: int = 0) -> Words:
    """Build a paragraph in one style."""
    return Words(Text(text, style=style), hang)


BLANK = Words(Text())


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows below a title, without lines between them.

    Where the last column has no room it is broken between words, and where that would be a narrow
    strip each row becomes a paragraph.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]] = field(default_factory=tuple)

    def lines(self, width: int) -> Iterator[Text]:
        """Lay out for a width."""
        yield from words(self.title, TITLE).lines(width)
        cells = [[c if isinstance(c, Text) else Text(c) for c in row] for row in self.rows]
        head = [Text(c, style=QUIET) for c in self.columns]
        grid = [head, *cells]
        widths = [max(row[n].cell_len for row in grid) for n in range(len(head))]
        before = sum(widths[:-1]) + _GAP * (len(head) - 1)
        longest = max((_longest(row[-1]) for row in grid), default=0)
        if before + widths[-1] <= width or before + max(_PROSE, longest) <= width:
            for row in grid:
                yield from _in_columns(row, widths, width)
        else:
            for row in grid:
                yield from _in_a_paragraph(row, width)


def _in_columns(row: Sequence[Text], widths: Sequence[int], width: int) -> Iterator[Text]:
    line = Text()
    for cell, wide in zip(row[:-1], widths[:-1], strict=True):
        line += cell
        line += Text(" " * (wide - cell.cell_len + _GAP))
    begin = line.cell_len
    for part in _broken(row[-1], max(1, width - begin)):
        line += part
        line.rstrip()
        yield line
        line = Text(" " * begin)


def _in_a_paragraph(row: Sequence[Text], width: int) -> Iterator[Text]:
    """Put as many cells on each line as have room."""
    line = Text()
    for cell in row:
        if not cell.plain:
            continue
        begin = line.cell_len
        if begin and begin + _GAP + cell.cell_len <= width:
            line += Text(" " * _GAP) + cell
            continue
        if begin:
            yield line
        indent = _HANG if begin else 0
        *whole, line = (
            Text(" " * (indent if n == 0 else _HANG)) + part
            for n, part in enumerate(_broken(cell, max(1, width - _HANG)))
        )
        yield from whole
    yield line


def _broken(text: Text, width: int) -> list[Text]:
    """Break between words; a longer word has a line of its own."""
    offsets, line = [], 0
    for word in _WORD.finditer(text.plain):
        wide = cell_len(word[0].rstrip())
        if line and line + wide > width:
            offsets.append(word.start())
            line = 0
        line += cell_len(word[0])
    lines = list(text.divide(offsets))
    for each in lines:
        each.rstrip()
    return lines


_WORD = re.compile(r"\s*\S+\s*")


def _longest(text: Text) -> int:
    return max((len(word) for word in text.plain.split()), default=0)


class Page:
    """Blocks, as rich draws them in a terminal that is looked at for longer."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        """Take the blocks, from the top."""
        self._blocks = tuple(blocks)

    def lines(self, width: int) -> Iterator[Text]:
        """Give every line."""
        for block in self._blocks:
            yield from block.lines(width)

    def __rich_console__(self, _console: Console, options: object) -> Iterator[Text]:
        """Draw it."""
        for line in self.lines(getattr(options, "max_width", 80)):
            line.no_wrap, line.overflow = True, "ignore"
            yield line


def console() -> Console:
    """Give standard output; rich heeds COLUMNS, NO_COLOR and what the terminal can do."""
    return Console(highlight=False, emoji=False, markup=False)


def show(*blocks: Block) -> None:
    """Print to standard output."""
    out = console()
    for line in Page(blocks).lines(out.width):
        out.print(line, soft_wrap=True)


def print_json(schema: Schema, content: Mapping[str, object]) -> None:
    """Print a document, which says what it is."""
    print(json.dumps(schema.document(content), indent=1))


def findings(found: Iterable[Finding | RemoteFinding]) -> list[Words]:
    """Give a paragraph for each finding, and one for its remedy."""
    lines = []
    for finding in found:
        lines.append(finding_line(finding.kind, finding.text))
        if finding.remedy:
            lines.append(remedy(finding.remedy))
    return lines


def finding_line(kind: Kind, text: str) -> Words:
    """Say whose turn it is, and what is so."""
    return words(f"{kind.name.lower()}: {text}", _STYLES[kind], hang=_HANG)


def remedy(text: str) -> Words:
    """Say what to do about the line above."""
    return words(f"  -> {text}", hang=_HANG + 1)


def age(seconds: float) -> str:
    """Give seconds as people say them."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def ago(seconds: float) -> str:
    """Say how long ago something was."""
    return "just now" if seconds < 1 else f"{age(seconds)} ago"
