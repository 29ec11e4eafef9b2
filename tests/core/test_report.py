"""What the outcome of a pass is called."""

from dataclasses import replace

import pytest

from reports import contested, displaced, failed, marked, refused, report, skipped, waiting, wrote
from vipmanager.core.failures import Permanent, Transient
from vipmanager.core.report import Report

DENIED, SLOW = Permanent("denied"), Transient("slow")


@pytest.mark.parametrize(
    ("given", "clean", "changed", "settled", "displaced_"),
    [
        (report(), True, False, True, False),
        (report(skipped()), True, False, True, False),
        (report(done=(marked(),)), True, False, True, False),
        (report(done=(wrote(),)), False, True, False, False),
        (report(failed(), done=(wrote(failure=DENIED),)), False, False, True, False),
        (report(failed(), done=(wrote(failure=DENIED), marked())), False, False, True, False),
        (report(failed(), done=(wrote(failure=DENIED), wrote(1))), False, True, False, False),
        (report(waiting(), done=(wrote(failure=SLOW),)), False, False, False, False),
        (report(refused()), False, False, True, False),
        (report(contested()), False, False, False, False),
        (report(displaced()), False, False, True, True),
        (report(waiting(), observed=False), False, False, False, False),
        (report(failed(), observed=False), False, False, False, False),
    ],
)
def test_a_report_is_read_in_one_way(
    given: Report,
    clean: bool,  # noqa: FBT001 - a table's columns
    changed: bool,  # noqa: FBT001
    settled: bool,  # noqa: FBT001
    displaced_: bool,  # noqa: FBT001
) -> None:
    found = given.clean, given.changed, given.settled, given.yields
    assert found == (clean, changed, settled, displaced_)


def test_failures_are_the_actions_that_failed() -> None:
    bad = wrote(1, DENIED)
    assert replace(report(), done=(wrote(), bad)).failures == (bad,)
