"""Every view in every state of the lab, in terminals of 60, 80 and 120 columns."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SHOW_OFF = Path(__file__).parents[2] / "scripts" / "show-off"
VERDICTS = {
    "status": ("READY", "NOT READY", "RIGHT", "WRONG", "NO ANSWER", "UNKNOWN", "NO ROUTES"),
    "plan": ("CHANGES", "NOTHING TO CHANGE", "PROBLEMS", "UNKNOWN"),
    "doctor": ("HEALTHY", "WARNING", "FAILED"),
    "cleanup": ("TO DELETE", "NOTHING TO DELETE"),
    "yield": ("Yielded: ",),
    "claim": ("Claimed and verified: ", "Claim accepted, not verified yet: vipmanager status"),
}
SEEN = {
    "status": {"READY", "NOT READY", "RIGHT", "WRONG", "NO ANSWER", "NO ROUTES"},
    "yield": {"Yielded: "},
    "claim": {"Claimed and verified: "},
}
"""What the states of the show bring about."""
BROKEN = re.compile(r"\b(?:eni|rtb|vpc|i|subnet)-(?![0-9a-f]{17}\b)[0-9a-f]*(?=\s|$)")
"""An id of the lab that does not end where a word does."""


def shown(*words: str) -> Iterator[tuple[int, str, list[str]]]:
    """Give width, command and lines of each view."""
    done = subprocess.run(
        [sys.executable, str(SHOW_OFF), *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=850,
    )
    assert done.returncode == 0, done.stderr
    parts = re.split(r"^\$ COLUMNS=(\d+) vipmanager (.+)$", done.stdout, flags=re.MULTILINE)
    for width, command, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        yield int(width), command, text.partition("(exit code")[0].strip("\n").splitlines()


@pytest.mark.timeout(900)
def test_no_view_breaks_a_word_or_hides_its_verdict() -> None:
    begun: dict[str, set[str]] = {}
    widths = set()
    for width, command, lines in shown():
        widths.add(width)
        where = f"COLUMNS={width} {command}: {lines}"
        assert not [x for x in lines if len(x) > width and len(x.split()) > 1], where
        if command.endswith("--help"):
            continue
        assert not BROKEN.search("\n".join(lines)), where
        name = command.split()[0]
        if lines[0].startswith(f"vipmanager {name}: "):
            continue  # it was refused, and says why
        verdict = next((v for v in VERDICTS[name] if lines[0].startswith(v)), None)
        assert verdict is not None, where
        begun.setdefault(name, set()).add(verdict)
    assert widths == {60, 80, 120}
    assert all(states <= begun[name] for name, states in SEEN.items()), begun
