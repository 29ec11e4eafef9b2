"""Where credentials come from is told in an operator's words, and EC2's clock is read."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from vipmanager.core.failures import Permanent, Transient
from vipmanager.edges.aws.identity import Identity

Serve = Callable[[int, Mapping[str, str], str], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve one answer to whatever is asked; give the URL."""
    servers: list[HTTPServer] = []

    def start(status: int, headers: Mapping[str, str], body: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response_only(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *_words: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing of this machine's own credentials."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


def test_pod_identity_is_named_with_the_end_of_its_credentials(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=6)
    keys = {"AccessKeyId": "ASIALAB", "SecretAccessKey": "lab", "Token": "lab"}
    body = json.dumps({**keys, "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ")})
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", serve(200, {}, body))
    found = Identity().credentials("eu-central-1")
    assert found.source.startswith("EKS Pod Identity")
    assert found.expires == end


def test_keys_of_the_environment_have_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIALAB")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "lab")
    found = Identity().credentials("eu-central-1")
    assert (found.source, found.expires) == ("the environment (AWS_ACCESS_KEY_ID)", None)


def test_no_credentials_and_a_source_that_refuses_are_told_apart(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Permanent, match="in the environment, in files or from a role"):
        Identity().credentials("eu-central-1")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", serve(403, {}, "denied"))
    with pytest.raises(Transient, match=r"EKS Pod Identity.*403"):
        Identity().credentials("eu-central-1")


@pytest.mark.parametrize("skew", [-600, 0, 600])
def test_a_refusal_of_ec2_tells_its_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, skew: int
) -> None:
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=skew), usegmt=True)
    error = "<Response><Errors><Error><Code>AuthFailure</Code></Error></Errors></Response>"
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", serve(401, {"Date": date}, error))
    ahead = Identity().ahead("eu-central-1")
    assert ahead is not None
    assert skew - 1 <= ahead <= skew + 60


def test_an_answer_without_a_date_tells_no_time(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", serve(401, {}, "<Response/>"))
    assert Identity().ahead("eu-central-1") is None


def test_no_answer_is_a_failure_of_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:9")
    with pytest.raises(Transient, match="eu-central-1 does not answer"):
        Identity().ahead("eu-central-1")
