"""What stands around the functions of deploy/lambda in AWS: events, Auto Scaling, a context."""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

ROOT = Path(__file__).parent.parent.parent
ACCOUNT = "123456789012"
REGION = "eu-central-1"

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "NO_PROXY": "*",
}


def shipped(file: str) -> str:
    """A function or a script as the one template that has it ships it."""
    block = re.compile(rf"(?ms)^ *# from {file}\n.*?# end of {file}\n")
    templates = (ROOT / "deploy/cloudformation").glob("*.yaml")
    [found] = [one for path in templates for one in block.findall(path.read_text("ascii"))]
    return dedent(found)


def load(name: str) -> ModuleType:
    """A function as Lambda imports it."""
    file = f"deploy/lambda/{name}.py"
    module = ModuleType(name)
    exec(compile(shipped(file), file, "exec"), module.__dict__)  # noqa: S102 - ours
    return module


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Lambda's context."""

    seconds: float = 900.0
    log_stream_name: str = "2026/11/23/[$LATEST]0123456789abcdef"

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def event(instance: str, *, group: str, launch: bool) -> dict[str, Any]:
    """As EventBridge delivers it (Auto Scaling user guide, "Lifecycle action events")."""
    kind, transition = ("launch", "LAUNCHING") if launch else ("terminate", "TERMINATING")
    arn = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:5c3812e5-af66-443a-a279-7205"
    return {
        "version": "0",
        "id": "468fe059-f4b7-445f-bb22-2a271b94974d",
        "detail-type": f"EC2 Instance-{kind} Lifecycle Action",
        "source": "aws.autoscaling",
        "account": ACCOUNT,
        "time": "2026-11-23T02:00:00Z",
        "region": REGION,
        "resources": [f"{arn}:autoScalingGroupName/{group}"],
        "detail": {
            "LifecycleActionToken": "71514b9d-6a40-4b26-8523-05e7eee35fa5",
            "AutoScalingGroupName": group,
            "LifecycleHookName": "attach-enis" if launch else "drain",
            "EC2InstanceId": instance,
            "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{transition}",
            "NotificationMetadata": "",
            "Origin": "EC2" if launch else "AutoScalingGroup",
            "Destination": "AutoScalingGroup" if launch else "EC2",
        },
    }


@dataclass(slots=True, kw_only=True)
class AutoScaling:
    """The one action of Auto Scaling that the function calls, which moto does not have."""

    completed: list[Mapping[str, str]] = field(default_factory=list)
    refusal: tuple[int, str, str] | None = None
    """Status, code and message to answer with instead."""

    def serve(self) -> ThreadingHTTPServer:
        """Start answering on a free port of the loopback."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                status, answer = outer.answer(dict(parse_qsl(body)))
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def answer(self, call: Mapping[str, str]) -> tuple[int, bytes]:
        namespace = 'xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"'
        if self.refusal is not None:
            status, code, message = self.refusal
            error = f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>"
            return (
                status,
                f"<ErrorResponse {namespace}><Error>{error}</Error></ErrorResponse>".encode(),
            )
        assert call["Action"] == "CompleteLifecycleAction"
        self.completed.append(call)
        result = "<CompleteLifecycleActionResult/>"
        return (
            200,
            f"<{call['Action']}Response {namespace}>{result}</{call['Action']}Response>".encode(),
        )

    @property
    def results(self) -> list[str]:
        """What the function answered, in order."""
        return [call["LifecycleActionResult"] for call in self.completed]
