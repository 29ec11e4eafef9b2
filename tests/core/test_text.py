"""Foreign text reaches logs and terminals in one line that does nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipmanager.core.failures import Permanent
from vipmanager.core.text import LONGEST, printable, words
from vipmanager.edges.settings import SettingsError

HOSTILE = {
    "a line of its own": ("pod\n2026-01-01 INFO right", r"pod\n2026-01-01 INFO right"),
    "a colour": ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
    "a cursor that goes back": ("right\rwrong\b\x07", r"right\rwrong\x08\x07"),
    "a terminal's 8-bit control": ("\x9b2J", r"\x9b2J"),
    "a direction turned round": ("eni-\u202e1\u2066", r"eni-\u202e1\u2066"),
    "no width": ("po\u200bd\ufeff", r"po\u200bd\ufeff"),
    "another line's end": ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
    "half a pair": ("\udcff", r"\udcff"),
    "a tag of no language": ("a\U000e0041", r"a\U000e0041"),
}


@pytest.mark.parametrize(("said", "shown"), HOSTILE.values(), ids=HOSTILE)
def test_what_moves_a_terminal_is_shown_as_it_is_written(said: str, shown: str) -> None:
    assert printable(said) == shown


@pytest.mark.parametrize(
    "said", ["app-1 (eu-central-1a)", "größer als 10 €", "東京", "🚀", r"a\nb"]
)
def test_what_people_write_stays(said: str) -> None:
    assert printable(said) == said


@given(st.text(st.characters(exclude_categories=())), st.integers(8, 40))
def test_every_text_becomes_one_short_line_once(said: str, longest: int) -> None:
    shown = printable(said, longest)
    assert shown.isprintable()
    assert len(shown) <= longest
    assert printable(shown, longest) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    assert printable("a" * LONGEST) == "a" * LONGEST
    assert printable("\x1b" * 10**6) == (r"\x1b" * LONGEST)[: LONGEST - 3] + "..."


def test_an_error_page_is_its_words() -> None:
    page = "<html>\r\n  <h1>403</h1>\x1b[2J\n\n</html>"
    assert words(page) == r"<html> <h1>403</h1>\x1b[2J </html>"


def test_no_failure_holds_a_foreign_line_or_escape() -> None:
    failure = Permanent("EC2 said: \x1b]0;owned\x07\nfine", "do\nit")
    assert str(failure).isprintable()
    found = failure.finding("reading")
    assert (found.text + found.remedy).isprintable()


def test_a_setting_is_told_in_one_line() -> None:
    assert all(p.isprintable() for p in SettingsError(["Key=\x1b[2J\nfine"]).problems)
