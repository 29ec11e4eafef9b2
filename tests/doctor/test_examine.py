"""Checks run side by side, and what depends on a failed one says so instead of failing too."""

import threading

import pytest

from vipmanager.core.failures import Permanent
from vipmanager.core.settings import Settings
from vipmanager.core.values import VpcId
from vipmanager.doctor.check import Check, Result, Seen, Severity, issue
from vipmanager.doctor.examine import examine
from vipmanager.doctor.readings import Readings, elsewhere, here


def check(code: str, *after: str, sees: Severity | None = None, pod: bool = False) -> Check:
    found = () if sees is None else (issue(sees, f"{code} is wrong"),)
    return Check(
        code=code, title="", why="", look=lambda _: Seen(issues=found), after=after, pod=pod
    )


def run(*checks: Check, pod: bool = True, patience: float = 20.0) -> dict[str, Result]:
    return {r.check.code: r for r in examine(checks, readings(pod=pod), patience=patience)}


def readings(*, pod: bool) -> Readings:
    if pod:
        return here(Settings(), {})
    return elsewhere(Settings(region="eu-central-1"), VpcId("vpc-1"), {}, "")


def test_results_come_in_the_order_of_the_table_whoever_ends_first() -> None:
    second = threading.Event()

    def first_waits(_: Readings) -> Seen:
        assert second.wait(10)
        return Seen(note="after the second")

    def second_goes(_: Readings) -> Seen:
        second.set()
        return Seen()

    slow = Check(code="slow", title="", why="", look=first_waits)
    fast = Check(code="fast", title="", why="", look=second_goes)
    results = examine((slow, fast), readings(pod=True))
    assert [r.check.code for r in results] == ["slow", "fast"]
    assert results[0].seen.note == "after the second"


def test_what_depends_on_a_failed_check_is_skipped_and_names_the_root() -> None:
    results = run(
        check("root", sees=Severity.ERROR),
        check("stem", "root"),
        check("leaf", "stem"),
        check("other", sees=Severity.WARNING),
        check("beside", "other"),
    )
    assert results["stem"].skipped == "root failed"
    assert results["leaf"].skipped == "root failed"
    assert results["beside"].state == "ok"


def test_what_looks_at_a_pod_is_skipped_outside_of_one_and_the_rest_is_done() -> None:
    results = run(check("kernel", pod=True), check("leaf", "kernel"), pod=False)
    assert results["kernel"].skipped == "not in a pod"
    assert results["leaf"].state == "ok"


def test_a_failure_of_an_outside_world_is_an_error_with_its_own_remedy() -> None:
    def fails(_: Readings) -> Seen:
        raise Permanent("ip can't be started", "install iproute2")

    result = run(Check(code="kernel", title="", why="", fix="the row's", look=fails))["kernel"]
    assert result.failed
    (found,) = result.seen.issues
    assert (found.what, result.check.remedy(found)) == ("ip can't be started", "install iproute2")


def test_a_check_that_does_not_end_is_given_up_and_the_others_are_shown() -> None:
    never = threading.Event()
    hangs = Check(code="hangs", title="", why="", look=lambda _: Seen(note=str(never.wait())))
    results = run(hangs, check("waits", "hangs"), check("fine"), patience=0.2)
    never.set()
    assert "no result after" in results["hangs"].seen.issues[0].what
    assert results["waits"].skipped == "hangs failed"
    assert results["fine"].state == "ok"


def test_a_bug_in_a_check_is_no_finding() -> None:
    def bug(_: Readings) -> Seen:
        raise KeyError("not an outside world")

    with pytest.raises(KeyError):
        run(Check(code="bug", title="", why="", look=bug))


def test_the_worst_trouble_is_the_state_of_a_check() -> None:
    seen = Seen(issues=(issue(Severity.WARNING, "a"), issue(Severity.ERROR, "b")))
    row = Check(code="x", title="", why="", look=lambda _: seen)
    assert run(row)["x"].state == "error"
