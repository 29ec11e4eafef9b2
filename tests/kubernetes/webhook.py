"""A validating admission webhook of Leases: slow, or against it."""

from __future__ import annotations

import base64
import json
import socket
import threading
from typing import Any

from vipmanager_lab.closing import Closing
from vipmanager_lab.kube.certificates import Authority
from vipmanager_lab.kubernetes.api import ApiError
from vipmanager_lab.kubernetes.plane import LOCAL, Plane, await_true
from vipmanager_lab.server import HttpAnswer, HttpRequest, Server

NAME = "lease.vipmanager.test"
_WHERE = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class Webhook(Closing):
    """Asked about each Lease of a namespace that is created or updated, once it is begun."""

    def __init__(self, plane: Plane, namespace: str) -> None:
        self.seconds = 0.0
        """How long it thinks."""
        self.denial = ""
        """Why it says no."""
        self._admin = plane.admin
        self._probed = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._namespace = namespace
        self._over = threading.Event()
        self._authority = Authority()
        self._asked = threading.Semaphore(0)
        self._server = Server(self._answer, name="webhook", tls=self._authority.server([LOCAL]))
        listener = socket.create_server((str(LOCAL), 0))
        self._port = listener.getsockname()[1]
        self._server.listen(listener)
        self._begun = False

    def begin(self, *, seconds: float = 0.0, denial: str = "") -> None:
        """Be asked from now on, and answer so."""
        self._admin.create(_WHERE, self._configuration())
        self._begun = True
        await_true("the webhook is asked", self._probe)
        self.seconds, self.denial = seconds, denial

    def end(self) -> None:
        """Be asked no more."""
        self.seconds, self.denial = 0.0, ""
        if self._begun:
            self._begun = False
            self._admin.delete(f"{_WHERE}/{NAME}")
            await_true("the webhook is not asked", lambda: not self._probe())

    def close(self) -> None:
        self._over.set()
        self.end()
        self._server.close()

    def await_asked(self, times: int = 1, *, seconds: float = 20.0) -> None:
        """Wait until it was asked so many times more, about writes that are meant."""
        for _ in range(times):
            assert self._asked.acquire(timeout=seconds), "nobody asks"

    def _probe(self) -> bool:
        """Tell whether a write that is not meant is denied by it."""
        self.denial = "probe"
        probe = {"metadata": {"name": "probe"}}
        try:
            self._admin.create(self._probed, probe, dryRun="All")
        except ApiError as error:
            if NAME not in str(error):
                raise
            return True
        finally:
            self.denial = ""
        return False

    def _answer(self, request: HttpRequest) -> HttpAnswer:
        asked = json.loads(request.body)["request"]
        if not asked.get("dryRun"):
            self._asked.release()
            self._over.wait(self.seconds)
        answer: dict[str, Any] = {"uid": asked["uid"], "allowed": not self.denial}
        if self.denial:
            answer["status"] = {"message": self.denial}
        review = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": answer,
        }
        return HttpAnswer(
            body=json.dumps(review).encode(), headers={"Content-Type": "application/json"}
        )

    def _configuration(self) -> dict[str, Any]:
        bundle = base64.b64encode(self._authority.pem.encode()).decode()
        return {
            "metadata": {"name": NAME},
            "webhooks": [
                {
                    "name": NAME,
                    "clientConfig": {"url": f"https://{LOCAL}:{self._port}/", "caBundle": bundle},
                    "rules": [
                        {
                            "apiGroups": ["coordination.k8s.io"],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE", "UPDATE"],
                            "resources": ["leases"],
                        }
                    ],
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": self._namespace}
                    },
                    "admissionReviewVersions": ["v1"],
                    "sideEffects": "None",
                    "timeoutSeconds": 10,
                    "failurePolicy": "Fail",
                }
            ],
        }
