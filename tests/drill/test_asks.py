"""A drill asks a person before it causes anything."""

import sys
from pathlib import Path

import pytest

from drill_fixtures import HERE
from pty_terminal import Typist, plain


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("y\r", 0, "ANSWERED AGAIN: 0 ms without an answer at the most"),
        ("\r", 2, "nothing was caused, as asked"),
        ("\x03", 130, "stopped by a signal; what it had changed is undone"),
    ],
    ids=["yes", "no", "Ctrl-C"],
)
def test_a_person_is_asked_once_every_address_answers(
    typed: str, code: int, said: str, tmp_path: Path
) -> None:
    done = tmp_path / "done"
    words = (HERE, "--run", f"touch {done}", "--settle", "1s")
    command = [sys.executable, "-m", "vipmanager", "drill", *words]
    with Typist(command, columns=80) as person:
        person.expect(r"Every address answers\. To be caused: run: touch")
        person.expect(r"Go on\? \[y/N\] ")
        assert not done.exists()
        person.type(typed)
        assert person.end() == code
        assert said in " ".join(plain(person.printed).split())
    assert done.exists() is (code == 0)
