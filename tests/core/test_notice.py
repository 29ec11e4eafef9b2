"""Which of AWS' announcements end an instance."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vipmanager.core.notice import departure, interruption


@pytest.mark.parametrize("action", ["terminate", "stop", "hibernate"])
def test_an_interruption_says_what_and_when(action: str) -> None:
    notice = interruption(f'{{"action": "{action}", "time": "2026-09-18T08:22:00Z"}}')
    assert str(notice) == f"EC2 will {action} this Spot Instance at 2026-09-18T08:22:00Z"


def test_an_interruption_without_a_time_is_one_too() -> None:
    assert str(interruption('{"action": "stop"}')) == "EC2 will stop this Spot Instance"


@pytest.mark.parametrize(
    "text", ["", "none", "[]", "{}", '{"action": 1}', '{"action": ""}', "[" * 60_000]
)
def test_what_is_no_interruption_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        interruption(text)


@given(st.text())
def test_any_text_is_an_interruption_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert interruption(text).what


@pytest.mark.parametrize(
    ("state", "leaves"),
    [
        (None, False),
        ("InService", False),
        ("Detached", False),
        ("Standby", False),
        ("Warmed:Running", False),
        ("Terminated", True),
        ("Warmed:Terminated", True),
        ("Warmed:Stopped", True),
        ("Warmed:Hibernated", True),
        ("<html>", False),
    ],
)
def test_only_a_state_without_pods_is_a_departure(
    state: str | None,
    leaves: bool,  # noqa: FBT001 - a table's column
) -> None:
    notice = departure(state)
    assert (notice is not None) is leaves
    if notice is not None:
        assert str(state) in str(notice)
