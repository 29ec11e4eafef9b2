"""The documents that people follow, as blocks of commands with what each block needs."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/deploy.md", "docs/migrate.md", "docs/standby.md")

NEEDS = ("everywhere", "AWS", "cluster", "Docker", "internet")
ONLY = ("on a peer", "pattern 2", "sidecars")

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(rf"# ({'|'.join(NEEDS)})((?:, (?:{'|'.join(ONLY)}))*)\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of shell commands."""

    page: str
    line: int
    text: str
    needs: str
    only: frozenset[str]

    def __str__(self) -> str:
        """Say where it is."""
        return f"{self.page}:{self.line}"


class UnmarkedError(Exception):
    """A block that does not say what it needs."""


def text(page: str) -> str:
    """Give a document."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """Give the blocks of shell commands of a document, in order.

    Raises:
        UnmarkedError: one of them has no mark in its first line.
    """
    return parse(page, text(page))


def parse(page: str, whole: str) -> list[Block]:
    """Give the blocks of a text; raises as `blocks` does."""
    found = []
    for fence in _FENCE.finditer(whole):
        _, language, body = fence.groups()
        if language not in {"sh", ""}:
            continue
        body = dedent(body)
        line = whole.count("\n", 0, fence.start()) + 1
        mark = _MARK.match(body)
        if mark is None:
            raise UnmarkedError(
                f"{page}:{line}: expected a first line such as '# everywhere' or '# AWS'"
            )
        only = frozenset(filter(None, mark[2].split(", ")))
        found.append(Block(page=page, line=line, text=body, needs=mark[1], only=only))
    return found
