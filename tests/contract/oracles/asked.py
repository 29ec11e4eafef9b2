"""An AWS that answers as it was told, and keeps what it was asked."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import botocore.session
from botocore.config import Config
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

from vipmanager.edges.aws.scratch import MEASURE_MODELS
from vipmanager.edges.aws.session import trimmed_session
from vipmanager_lab.server import HttpAnswer, HttpRequest, Server

REGION = "us-east-1"
FULL = botocore.session.Session()
"""The installed botocore with all of its models, which are slow to read."""


@dataclass(slots=True)
class Asked:
    """The requests so far, and the bodies to answer with, by action."""

    port: int = 0
    forms: list[dict[str, str]] = field(default_factory=list)
    requests: list[HttpRequest] = field(default_factory=list)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def forget(self) -> None:
        for kept in (self.forms, self.requests, self.answers):
            kept.clear()

    def respond(self, request: HttpRequest) -> HttpAnswer:
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        self.requests.append(request)
        self.forms.append(form)
        status, body = self.answers.get(form.get("Action", request.method), (200, b""))
        return HttpAnswer(status=status, body=body, headers={"Content-Type": "text/xml"})


@contextmanager
def asked() -> Iterator[Asked]:
    made = Asked()
    server = Server(made.respond, name="asked")
    listener = socket.create_server(("127.0.0.1", 0))
    made.port = listener.getsockname()[1]
    server.listen(listener)
    try:
        yield made
    finally:
        server.close()


@contextmanager
def client(service: str, url: str, models: str = "all") -> Iterator[Any]:
    """A client with `all` models of botocore, or with trimmed ones: `our` or those of `measure`."""
    session = FULL if models == "all" else trimmed_session()
    if models == "measure":
        session.get_component("data_loader").search_paths.insert(0, str(MEASURE_MODELS))
    made = session.create_client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    try:
        yield made
    finally:
        made.close()


_model = cache(get_service_model)


def wire(service: str, operation: str, answer: Mapping[str, Any]) -> bytes:
    """An answer as AWS writes it."""
    model = _model(service)
    serializer = get_serializer_class(service, model.protocol)
    body = serializer(model.operation_model(operation)).serialize(answer)["body"]
    return body if isinstance(body, bytes) else body.encode()


def shape(value: Any, path: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - of any answer
    """Every field of an answer, with the type of its value; lists have `[]`."""
    match value:
        case dict():
            for key, one in value.items():
                if key != "ResponseMetadata":
                    yield from shape(one, f"{path}.{key}".removeprefix("."))
        case list():
            yield f"{path}[]", "list"
            for one in value:
                yield from shape(one, f"{path}[]")
        case _:
            yield path, type(value).__name__
