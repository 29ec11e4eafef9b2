"""What an answer of the API means, and of whatever answers in its place."""

import json

import pytest

from vipmanager.core.failures import Conflict, Failure, Permanent, Throttled, Transient, Unknown
from vipmanager.core.lease import Gone
from vipmanager.edges.kubernetes.answers import Answer, Missing, Request, document, event

ASKED = Request(verb="update", resource="leases", path="/apis/x")


def status(code: int, reason: str = "", message: str = "", **details: object) -> bytes:
    found = {"kind": "Status", "status": "Failure", "code": code, "message": message}
    return json.dumps(
        found | {"reason": reason} | ({"details": details} if details else {})
    ).encode()


def refusal(code: int, body: bytes, retry_after: str | None = None) -> Failure:
    with pytest.raises(Failure) as caught:
        document(ASKED, Answer(status=code, body=body, retry_after=retry_after))
    return caught.value


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (409, status(409, "Conflict", "modified"), Conflict),
        (409, status(409, "AlreadyExists", "there"), Conflict),
        (409, b"no Status", Transient),
        (404, status(404, "NotFound", "not found", name="group"), Missing),
        (404, status(404, "NotFound", "the server could not find the resource"), Permanent),
        (404, b"404 page not found\n", Transient),
        (403, status(403, "Forbidden", "cannot update"), Permanent),
        (403, b"<html>blocked</html>", Transient),
        (403, b"{}", Transient),
        (401, status(401, "Unauthorized", "Unauthorized"), Unknown),
        (400, status(400, "", "admission webhook denied"), Permanent),
        (422, status(422, "Invalid", "invalid"), Permanent),
        (408, b"", Transient),
        (410, status(410, "Expired", "too old"), Gone),
        (429, b"Too many requests, please try again later.\n", Throttled),
        (429, status(429, "TooManyRequests", "wait"), Throttled),
        (500, b"", Transient),
        (500, status(500, "InternalError", "etcd"), Transient),
        (502, b"bad gateway", Transient),
        (504, b"[]", Transient),
        (302, b"", Transient),
        (304, b"", Transient),
    ],
)
def test_the_code_tells_whose_turn_it_is(code: int, body: bytes, expected: type[Failure]) -> None:
    failure = refusal(code, body)
    assert type(failure) is expected
    assert str(failure).startswith("the Kubernetes API: update leases: ")
    assert str(code) in str(failure)


def test_overload_says_how_long_to_wait() -> None:
    body = b"Too many requests, please try again later.\n"
    assert str(refusal(429, body, retry_after="7")) == (
        "the Kubernetes API: update leases: 429 Too many requests, please try again later.; "
        "it asks to wait 7 s; it is tried again"
    )


@pytest.mark.parametrize("code", [400, 403, 422, 500])
def test_a_denial_of_a_webhook_is_told_in_its_words(code: int) -> None:
    said = 'admission webhook "w.example" denied the request: not on a Friday'
    assert said in str(refusal(code, status(code, "", said)))


def test_causes_are_told_too() -> None:
    body = status(422, "Invalid", "is invalid", causes=[{"message": "too long"}, None, 5])
    assert str(refusal(422, body)).endswith("422 Invalid: is invalid: too long")


@pytest.mark.parametrize("details", [None, [], "x", {"causes": 5}, {"causes": {}}, {"name": 5}])
def test_a_status_of_another_shape_is_a_failure(details: object) -> None:
    found = {"kind": "Status", "reason": ["a"], "message": None, "details": details}
    refusal(400, json.dumps(found).encode())


def test_a_foreign_text_is_one_short_line_without_control_characters() -> None:
    said = str(refusal(400, status(400, "", "one\ntwo\x1b[2J" + "x" * 5000)))
    assert r"one two\x1b[2J" in said
    assert said.isprintable()
    assert len(said) < 700


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"\xff", b"<html>", b"null", b'{"a": 1'])
def test_a_success_that_is_no_object_is_a_failure(body: bytes) -> None:
    assert type(refusal(200, body)) is Transient


def test_an_error_in_a_watch_drops_the_version() -> None:
    for code in (410, 403, 500):
        line = json.dumps({"type": "ERROR", "object": json.loads(status(code, "R", "m"))}).encode()
        with pytest.raises(Gone, match="the watch was ended: R: m"):
            event(ASKED, line)


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{}", b'{"type": 5, "object": {}}', b'{"type": "ADDED", "object": []}']
)
def test_a_line_that_is_no_event_is_a_failure(line: bytes) -> None:
    with pytest.raises(Transient, match="not as expected"):
        event(ASKED, line)
