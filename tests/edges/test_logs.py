"""One line a change, and nothing when nothing changes."""

import io
import json
from dataclasses import replace

import pytest

from reports import displaced, failed, judged, marked, report, skipped, waiting, wrote
from vipmanager.core.failures import Permanent
from vipmanager.core.findings import Finding
from vipmanager.core.report import Report
from vipmanager.core.verdict import Verdict
from vipmanager.edges.logs import Log, LogReporter

RIGHT = (judged(Verdict.RIGHT),)


class Lines:
    """A reporter, and what it has written since the last look."""

    def __init__(self, *, as_json: bool = False, level: str = "info") -> None:
        self._stream = io.StringIO()
        log = Log(as_json=as_json, level=level, stream=self._stream, wall=lambda: 1_700_000_000.5)
        self.reporter = LogReporter(log)

    def after(self, *reports: Report) -> list[str]:
        for each in reports:
            self.reporter.report(each)
        lines = self._stream.getvalue().splitlines()
        self._stream.seek(0)
        self._stream.truncate()
        return lines


def test_a_write_is_one_line_with_what_where_and_why() -> None:
    (line,) = Lines().after(report(done=(wrote(),)))
    assert line == (
        "2023-11-14T22:13:20.500Z INFO    192.168.0.1/32 in rtb-00: none -> eni-a1 (claim; 80 ms)"
    )


def test_convergence_is_said_once_with_its_writes() -> None:
    lines = Lines()
    lines.after(report(done=(wrote(0), wrote(1))))
    said = lines.after(report(judged=(*RIGHT, judged(Verdict.RIGHT, 1))))
    assert len(said) == 1
    assert "2 routes, read back after 2 writes" in said[0]
    assert lines.after(report(judged=RIGHT)) == []


def test_a_quiet_pass_writes_nothing() -> None:
    lines = Lines()
    lines.after(report(skipped()))
    assert lines.after(*[report(skipped(), number=n) for n in range(2, 50)]) == []


@pytest.mark.parametrize(
    ("finding", "level"), [(waiting(), "WARNING"), (failed(), "ERROR"), (displaced(), "ERROR")]
)
def test_a_finding_is_said_when_it_comes_and_when_it_goes(finding: Finding, level: str) -> None:
    lines = Lines()
    with_it = replace(report(), findings=(finding,))
    (came,) = lines.after(with_it)
    assert f" {level} " in came
    assert str(finding) in came
    assert lines.after(*[replace(with_it, number=n) for n in range(2, 9)]) == []
    went = lines.after(report())
    assert [line for line in went if "no longer so: " in line] == went[:1]
    assert len(lines.after(with_it)) == 1


def test_an_action_that_failed_is_said_by_its_finding_alone() -> None:
    bad = wrote(0, Permanent("access denied", "allow it"))
    assert len(Lines().after(report(failed(), done=(bad,)))) == 1


def test_what_could_not_be_read_does_not_clear_what_was_found() -> None:
    lines = Lines()
    lines.after(report(failed()))
    assert len(lines.after(report(waiting(), observed=False))) == 1
    assert lines.after(report(waiting(), observed=False, number=3)) == []
    (cleared,) = lines.after(report(failed()))
    assert "no longer so: EC2 does not answer" in cleared


def test_convergence_is_said_again_after_a_repair() -> None:
    lines = Lines()
    lines.after(report(judged=RIGHT))
    lines.after(report(done=(wrote(),)))
    (line,) = lines.after(report(judged=RIGHT))
    assert "read back after 1 write " in line


def test_an_outage_of_the_api_between_two_clean_passes_is_no_new_convergence() -> None:
    lines = Lines()
    lines.after(report(judged=RIGHT), report(waiting(), observed=False))
    (line,) = lines.after(report(judged=RIGHT))
    assert "no longer so" in line


def test_json_lines_parse_and_carry_the_fields() -> None:
    lines = Lines(as_json=True)
    said = [
        json.loads(line)
        for line in lines.after(report(failed(), done=(wrote(), marked())), report(judged=RIGHT))
    ]
    write, mark, finding, cleared, converged = said
    assert write["event"] == "write"
    assert write["table"] == "rtb-00"
    assert write["destination"] == "192.168.0.1/32"
    assert (write["before"], write["after"], write["reason"]) == (None, "eni-a1", "claim")
    assert write["reasons"] == ["resync"]
    assert mark["event"] == "kernel"
    assert (finding["level"], finding["condition"]) == ("error", "PERMANENT")
    assert cleared["event"] == "cleared"
    assert (converged["event"], converged["writes"]) == ("converged", 1)
    assert all(entry["time"] == "2023-11-14T22:13:20.500Z" for entry in said)


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 2), ("error", 1)])
def test_the_level_decides_what_is_shown(level: str, count: int) -> None:
    assert len(Lines(level=level).after(report(failed(), done=(wrote(),)))) == count


@pytest.mark.parametrize("as_json", [False, True])
def test_a_line_stays_one_line_whatever_is_in_it(*, as_json: bool) -> None:
    finding = replace(failed(), fields=(("what", "two\nlines \x1b[2J"), ("hint", "")))
    (line,) = Lines(as_json=as_json).after(report(finding))
    assert r"two\nlines \x1b[2J" in (json.loads(line)["text"] if as_json else line)
