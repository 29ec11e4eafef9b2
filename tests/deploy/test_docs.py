"""All documents: what is generated is up to date, and every link leads somewhere."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from guide.pages import ROOT, bare, documents, prose, text

DOCUMENTS = tuple(documents())
EXTERNAL = Path(__file__).with_name("external_links.txt")
"""Every address outside of the repository, so that a new one is seen where it is added."""
NAMING = {
    **dict.fromkeys(("src", "lab/src", "scripts"), ("*.py",)),
    "deploy": ("*.py", "*.yaml", "*.json", "*.tpl", "*.txt"),
}
"""Where pages are named, and in which files."""
OTHERS = {"docs/cni-proposal.md", "docs/how-to-use.md"}
"""Pages of other projects that code gives as a source (the VPC CNI, Multus)."""


def test_the_generated_parts_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs", "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- links -------------------------------------------------------------------------------------


def links(name: str) -> list[str]:
    """Give where a document's links lead."""
    whole = prose(text(name))
    inline = re.findall(r"\]\(\s*([^)\s]+)", whole)
    return [
        *inline,
        *re.findall(r"<(https?:[^>]*)>", whole),
        *re.findall(r"(?m)^\[.*\]: (\S+)", whole),
    ]


def external(link: str) -> bool:
    return "://" in link or link.startswith("mailto:")


@cache
def anchors(document: Path) -> frozenset[str]:
    """Give what the headings of a document can be linked by, as GitHub and GitLab make it."""
    headings = re.findall(r"(?m)^#+ (.*)$", _without_blocks(document.read_text(encoding="utf-8")))
    seen: Counter[str] = Counter()
    made = set()
    for heading in headings:
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-").lower()
        made.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(made)


def _without_blocks(whole: str) -> str:
    return re.sub(r"(?ms)^( *)```.*?^\1```$", "", whole)


def target(name: str, link: str) -> tuple[Path, str]:
    path, _, anchor = link.partition("#")
    here = ROOT / name
    return (here.parent / path).resolve() if path else here, anchor


def lost(name: str) -> Iterator[str]:
    for link in links(name):
        if external(link):
            continue
        path, anchor = target(name, link)
        if not path.is_relative_to(ROOT) or not path.exists():
            yield f"{link}: no such file"
        elif anchor and anchor not in anchors(path):
            yield f"{link}: no such heading"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    assert list(lost(name)) == []


def test_every_page_is_found_from_the_readme() -> None:
    found, new = set(), {"README.md"}
    while new:
        found |= new
        reached = {
            target(name, link)[0] for name in new for link in links(name) if not external(link)
        }
        new = {str(p.relative_to(ROOT)) for p in reached if p.suffix == ".md"} - found
    assert sorted(set(DOCUMENTS) - found - {"CHANGELOG.md"}) == []


def test_every_link_to_the_outside_is_https_and_listed() -> None:
    outside = {link for name in DOCUMENTS for link in links(name) if external(link)}
    for link in outside:
        parts = urlsplit(link)
        assert (parts.scheme, parts.username) == ("https", None), link
        assert re.fullmatch(r"([a-z0-9-]+\.)+[a-z]{2,}", parts.netloc), link
        assert link.isascii(), link
    listed = EXTERNAL.read_text(encoding="utf-8").split()
    assert listed == sorted(outside), f"{EXTERNAL.name} should be\n" + "\n".join(sorted(outside))


def test_every_page_that_code_and_manifests_name_is_there() -> None:
    missing = []
    for folder, kinds in NAMING.items():
        for file in (each for kind in kinds for each in (ROOT / folder).rglob(kind)):
            named = re.findall(
                r"(?<![\w/.-])(docs/[\w/-]+\.md)(?:#([\w-]+))?", file.read_text(encoding="utf-8")
            )
            for page, anchor in named:
                known = page in OTHERS or (ROOT / page).exists()
                if not known or (anchor and anchor not in anchors(ROOT / page)):
                    missing.append(f"{file.relative_to(ROOT)}: {page}#{anchor}")
    assert missing == []


def test_no_two_headings_of_the_operations_page_have_one_anchor() -> None:
    # Alerts and findings link to them by name alone.
    headings = re.findall(r"(?m)^#+ (.*)$", _without_blocks(text("docs/operations.md")))
    assert len(set(map(str.lower, headings))) == len(headings)


# --- commands ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_command_stands_outside_of_a_block_that_says_what_it_needs(name: str) -> None:
    assert bare(text(name)) == []
