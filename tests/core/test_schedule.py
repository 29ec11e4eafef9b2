"""When the next pass is due."""

import pytest

from reports import contested, failed, refused, report, skipped, waiting, wrote
from vipmanager.core.failures import Transient
from vipmanager.core.report import Report
from vipmanager.core.schedule import next_look

SLOW = Transient("slow")


@pytest.mark.parametrize(
    ("given", "attempt", "jitter", "expected"),
    [
        # a write is read back at once
        (report(done=(wrote(),)), 0, 0.5, 0.0),
        (report(waiting(), done=(wrote(), wrote(1, SLOW))), 3, 0.5, 0.0),
        # all is well: resync, spread by a quarter
        (report(), 0, 0.0, 22.5),
        (report(), 0, 0.5, 30.0),
        (report(), 0, 1.0, 37.5),
        (report(skipped()), 9, 0.5, 30.0),
        # what a person has to change is no reason to hurry
        (report(failed()), 9, 0.5, 30.0),
        (report(refused()), 9, 0.5, 30.0),
        # what passes is tried again, less and less often
        (report(waiting()), 0, 1.0, 0.1),
        (report(waiting()), 1, 1.0, 0.2),
        (report(waiting()), 20, 1.0, 10.0),
        (report(failed(), observed=False), 1, 1.0, 0.2),
        # the claim rule knows when to look
        (report(contested(), recheck=7.5), 9, 0.5, 7.5),
        (report(contested(), waiting(), recheck=7.5), 0, 1.0, 0.1),
        (report(recheck=100.0), 0, 0.5, 30.0),
    ],
)
def test_the_next_look_comes_when_it_can_change_something(
    given: Report, attempt: int, jitter: float, expected: float
) -> None:
    assert next_look(given, attempt=attempt, jitter=jitter, resync=30) == pytest.approx(expected)
