"""What a health check may be, and how its results are counted."""

import pytest

from vipmanager.core.healthcheck import (
    AppHealth,
    ExecCheck,
    HealthCheck,
    HealthState,
    HttpCheck,
    TcpCheck,
    parse,
)


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("http://127.0.0.1:8080/ready", HttpCheck(host="127.0.0.1", port=8080, path="/ready")),
        ("http://localhost", HttpCheck(host="localhost", port=80)),
        ("http://[::1]:8080/a?b=c", HttpCheck(host="::1", port=8080, path="/a?b=c")),
        ("https://10.0.0.5/", HttpCheck(host="10.0.0.5", port=443, tls=True)),
        ("tcp://[fd00::5]:5060", TcpCheck(host="fd00::5", port=5060)),
        ("tcp://localhost:5060", TcpCheck(host="localhost", port=5060)),
        ("exec:/bin/check -n 'two words'", ExecCheck(command=("/bin/check", "-n", "two words"))),
    ],
)
def test_a_check_is_read_and_shown_as_it_was_written(text: str, check: HealthCheck) -> None:
    assert parse(text) == check
    assert parse(str(check)) == check


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        "localhost:8080",
        "ftp://127.0.0.1:21",
        "HTTP://127.0.0.1:80",
        "http://",
        "http://app.telco.svc:8080/ready",
        "http://user@127.0.0.1:8080/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:http/",
        "http://[::1/",
        "http://[fe80::1%eth0]:80/",
        "http://127.0.0.1:80/#part",
        "http://127.0.0.1:80/two words",
        "http://127.0.0.1:80/ä",
        "tcp://127.0.0.1",
        "tcp://127.0.0.1:80/path",
        "exec:",
        "exec:   ",
        "exec:'open",
        "exec:a\0b",
    ],
)
def test_anything_else_is_refused_and_the_forms_are_named(text: str) -> None:
    with pytest.raises(ValueError, match="tcp://HOST:PORT or exec:COMMAND"):
        parse(text)


UP, DOWN, NEW = AppHealth.HEALTHY, AppHealth.UNHEALTHY, AppHealth.UNKNOWN


@pytest.mark.parametrize(
    ("rise", "fall", "results", "states"),
    [
        (1, 3, "+", [UP]),
        (1, 3, "-", [DOWN]),
        (3, 3, "+++", [NEW, NEW, UP]),
        (2, 2, "+-", [NEW, DOWN]),
        (1, 3, "+--+---", [UP, UP, UP, UP, UP, UP, DOWN]),
        (2, 1, "++-+-++", [NEW, UP, DOWN, DOWN, DOWN, DOWN, UP]),
        (1, 1, "+-+-", [UP, DOWN, UP, DOWN]),
    ],
)
def test_only_results_in_a_row_change_the_health(
    rise: int, fall: int, results: str, states: list[AppHealth]
) -> None:
    pulse, seen = HealthState(), []
    for result in results:
        pulse = pulse.passed(rise=rise) if result == "+" else pulse.failed("refused", fall=fall)
        seen.append(pulse.health)
    assert seen == states


def test_the_reason_is_of_the_last_check_that_counted() -> None:
    pulse = HealthState().passed(rise=1).failed("slow", fall=2)
    assert "passed" in pulse.why
    assert pulse.failed("refused", fall=2).why == "refused"
