"""The documents of the repository, and in them blocks of commands with what each block needs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
NEEDS = ("everywhere", "here", "AWS", "cluster", "Docker", "internet")
ONLY = ("on a peer", "pattern 2", "sidecars")

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_COMMANDS = frozenset({"", "sh", "bash", "shell", "console"})
"""The languages of blocks that are typed."""
_BARE = re.compile(
    r"^ {4,}(?:make|kubectl|helm|aws|vipmanager|pip|docker|curl|git|eksctl|\.venv/\S+) .*$",
    re.MULTILINE,
)
"""A command that is indented, without a fence: nothing says what it needs."""
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


def documents() -> Iterator[str]:
    """Give every document of the repository."""
    for folder in ("", "docs", "deploy", "lab"):
        found = (ROOT / folder).rglob("*.md") if folder else ROOT.glob("*.md")
        yield from sorted(str(each.relative_to(ROOT)) for each in found)


def prose(whole: str) -> str:
    """Give a text without its blocks and without its code, both of which hold no links."""
    return re.sub(r"`[^`]*`", "", _FENCE.sub("", whole))


def bare(whole: str) -> list[str]:
    """Give the commands of a text that are in no block.

    What stands between comments is code that another test takes from there.
    """
    without = re.sub(r"<!-- (\w+) -->.*?<!-- end of \1 -->", "", whole, flags=re.DOTALL)
    return _BARE.findall(_FENCE.sub("", without))


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
        if language not in _COMMANDS:
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


PAGES = tuple(page for page in documents() if blocks(page))
"""Those with commands."""
