"""Documents that are made of tables in the code, and the links in all of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *("docs/metrics.md", "docs/operations.md", "docs/security.md"),
    *("docs/release.md", "docs/schema/README.md", "docs/upgrade.md"),
    "deploy/observability/README.md",
]


def test_the_generated_parts_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs", "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    here = ROOT / name
    lost = []
    for link in re.findall(r"\]\(([^)]+)\)", here.read_text()):
        path, _, anchor = link.partition("#")
        target = here.parent / path if path else here
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            lost.append(link)
    assert lost == []


def _anchors(document: Path) -> set[str]:
    """Give what the headings of a document can be linked by."""
    headings = re.findall(r"(?m)^#+ (.*)$", document.read_text())
    return {re.sub(r"[^\w\- ]", "", h).replace(" ", "-").lower() for h in headings}


def test_no_two_headings_of_the_operations_page_have_one_anchor() -> None:
    headings = re.findall(r"(?m)^#+ (.*)$", (ROOT / "docs/operations.md").read_text())
    assert len(set(map(str.lower, headings))) == len(headings)
