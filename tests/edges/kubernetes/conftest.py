"""A server in the API's place, which a test has in its hands."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from vipmanager.edges.kubernetes.client import Kube
from vipmanager_lab.kube.certificates import Authority
from vipmanager_lab.server import HttpAnswer, HttpRequest, Server

if TYPE_CHECKING:
    from pathlib import Path


class Api:
    """Its answers, its certificates, and the files that are mounted in the pod."""

    def __init__(self, folder: Path, address: str = "127.0.0.1") -> None:
        self.folder, self.address, self.port = folder, address, 0
        self.server: Server | None = None
        self.answer: Callable[[HttpRequest], HttpAnswer] = lambda _: HttpAnswer(
            body=b'{"metadata": {"name": "n"}}'
        )
        for name, text in {"token": "t", "namespace": "n"}.items():
            (folder / name).write_text(text)

    def serve(self, authority: Authority, name: str | None = None) -> None:
        """Answer with a certificate for an address."""
        self.close()
        tls = authority.server([ip_address(name or self.address)])
        self.server = Server(self._answer, tls=tls)
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        listener = socket.create_server((self.address, self.port), family=family)
        self.port = listener.getsockname()[1]
        self.server.listen(listener)

    def trust(self, *authorities: Authority) -> None:
        (self.folder / "ca.crt").write_text("".join(it.pem for it in authorities))

    def kube(self) -> Kube:
        environ = {
            "KUBERNETES_SERVICE_HOST": self.address,
            "KUBERNETES_SERVICE_PORT": str(self.port),
            "VIPMANAGER_SERVICE_ACCOUNT": str(self.folder),
        }
        return Kube(environ)

    def _answer(self, asked: HttpRequest) -> HttpAnswer:
        return self.answer(asked)

    def close(self) -> None:
        if self.server is not None:
            self.server.close()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with contextlib.closing(Api(tmp_path)) as made:
        yield made


@pytest.fixture
def trusted(api: Api) -> Iterator[Kube]:
    """Give a client that trusts the API."""
    authority = Authority()
    api.trust(authority)
    api.serve(authority)
    with contextlib.closing(api.kube()) as kube:
        yield kube
