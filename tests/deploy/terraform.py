"""Terraform against the account that moto has in this process."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import BotocoreStubber

from deploy.lifecycle import ENVIRONMENT, ROOT

MODULE = ROOT / "deploy/terraform/multus-nodegroup"
_SECONDS = 300


def program() -> str | None:
    """Terraform or OpenTofu, where one of them is installed."""
    return shutil.which("terraform") or shutil.which("tofu")


def need() -> str:
    """Skip a test unless it is asked for: its provider is a large download."""
    if os.environ.get("VIPMANAGER_TEST_TERRAFORM") != "1":
        pytest.skip("make test-terraform asks for it")
    found = program()
    assert found is not None, "terraform or tofu is not installed"
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Terraform:
    """A folder with a configuration, and an account to apply it to."""

    folder: Path
    endpoint: str

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """One command; gives what it said.

        Raises:
            AssertionError: it ended with another code than these.
        """
        done = subprocess.run(
            [need(), *words, "-no-color"],
            cwd=self.folder,
            env={**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL": self.endpoint},
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        said = done.stdout + done.stderr
        assert done.returncode in codes, said
        return said

    def configure(self, configuration: str) -> None:
        """Make this the whole of the configuration."""
        (self.folder / "main.tf").write_text(_PROVIDER + configuration, encoding="utf-8")
        self.run("init", "-input=false")

    def apply(self, configuration: str) -> None:
        """Make this the whole of the configuration, and apply it."""
        self.configure(configuration)
        self.run("apply", "-auto-approve", "-input=false")

    def plan(self) -> dict[str, set[str]]:
        """What the next apply would change: the attributes, by the address of what has them."""
        self.run("plan", "-out=next", "-input=false")
        changes = {
            one["address"]: one["change"]
            for one in json.loads(self.run("show", "-json", "next"))["resource_changes"]
        }
        return {
            address: {key for key, value in it["after"].items() if value != it["before"].get(key)}
            for address, it in changes.items()
            if it["actions"] not in (["no-op"], ["read"])
        }

    def made(self) -> dict[str, str]:
        """The ids of what was made, by address."""
        root = json.loads(self.run("show", "-json"))["values"]["root_module"]
        modules = [root, *root.get("child_modules", [])]
        return {
            one["address"]: one["values"]["id"]
            for module in modules
            for one in module.get("resources", [])
        }

    def refused(self, configuration: str) -> str:
        """What a plan of this configuration complains of."""
        self.configure(configuration)
        return self.run("plan", "-input=false", codes=(1,))


_PROVIDER = """\
provider "aws" {
  skip_metadata_api_check = true
}
"""


@contextmanager
def terraform(folder: Path) -> Iterator[Terraform]:
    """Terraform in an empty folder; to be used inside of `mock_aws`."""
    server = HTTPServer(("127.0.0.1", 0), _Moto)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Terraform(folder=folder, endpoint=f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Moto(BaseHTTPRequestHandler):
    """Hands each request to moto as if it had been sent to AWS; one after the other."""

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        # Signature version 4: Credential=KEY/DATE/REGION/SERVICE/aws4_request
        region, service = self.headers["Authorization"].split("/")[2:4]
        headers = HTTPHeaders()
        for key, value in self.headers.items():
            headers[key] = value
        request = AWSPreparedRequest(
            method=self.command,
            url=f"https://{service}.{region}.amazonaws.com{self.path}",
            headers=headers,
            body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
            stream_output=False,
        )
        answer = BotocoreStubber().process_request(request)
        assert answer is not None
        status, fields, body = answer
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for key, value in fields.items():
            if key.lower() != "content-length":
                self.send_header(key, str(value))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 - the library's
