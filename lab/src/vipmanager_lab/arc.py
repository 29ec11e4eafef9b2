"""ARC's zonal shifts of one cluster: the one call that is made, over HTTP.

Source: ARC API reference, "GetManagedResource". Signatures are not verified.
"""

import json
import socket
from collections.abc import Mapping
from http import HTTPStatus
from typing import Self
from urllib.parse import unquote

from vipmanager_lab.closing import Closing
from vipmanager_lab.server import HttpAnswer, HttpRequest, Server
from vipmanager_lab.services import EC2_ADDRESSES, EC2_NAME, Services
from vipmanager_lab.world import REGION, World

PORT = 8443
ENVIRONMENT = {"AWS_ENDPOINT_URL_ARC_ZONAL_SHIFT": f"http://{EC2_NAME}:{PORT}"}
"""Leads a container there."""

_PATH = "/managedresources/"


class Arc(Closing):
    """The endpoint, and what is shifted."""

    def __init__(self, cluster: str) -> None:
        """Shift nothing yet; `cluster` is the ARN of the one resource that is managed."""
        self.cluster = cluster
        self.shifts: dict[str, str] = {}
        """Zones by their ids, and how each is shifted: `ZONAL_SHIFT`, `PRACTICE_RUN` or
        `ZONAL_AUTOSHIFT`."""
        self.waiting: dict[str, str] = {}
        """The same for shifts that wait behind others: not in effect."""
        self.refuse: tuple[int, str] | None = None
        """An HTTP status and an error code to answer with."""
        self.calls: list[str] = []
        """The addresses that asked."""
        self._server = Server(self._respond, name="lab-arc")

    @classmethod
    def of(cls, world: World) -> Self:
        """Make that of a world's one cluster."""
        return cls(f"arn:aws:eks:{REGION}:{world.account.id}:cluster/lab")

    def serve(self, services: Services) -> None:
        """Answer wherever EC2 does."""
        for address in EC2_ADDRESSES.values():
            for listener in services.listen(address, PORT):
                self.listen(listener)

    def listen(self, listener: socket.socket) -> None:
        """Serve a bound socket, such as one opened in another network namespace."""
        self._server.listen(listener)

    def close(self) -> None:
        """End every connection."""
        self._server.close()

    def _respond(self, http: HttpRequest) -> HttpAnswer:
        self.calls.append(http.source)
        if self.refuse is not None:
            return _refusal(*self.refuse)
        if http.method != "GET" or not http.path.startswith(_PATH):
            return _refusal(HTTPStatus.NOT_FOUND, "UnknownOperationException")
        if unquote(http.path.removeprefix(_PATH)) != self.cluster:
            return _refusal(HTTPStatus.NOT_FOUND, "ResourceNotFoundException")
        return _answer(HTTPStatus.OK, self._resource())

    def _resource(self) -> dict[str, object]:
        every = [
            *((zone, kind, "APPLIED") for zone, kind in self.shifts.items()),
            *((zone, kind, "NOT_APPLIED") for zone, kind in self.waiting.items()),
        ]
        auto = "ZONAL_AUTOSHIFT"
        return {
            "arn": self.cluster,
            "name": self.cluster.rpartition("/")[2],
            "appliedWeights": dict.fromkeys(self.shifts, 0.0),
            "zonalShifts": [self._shift(*each) for each in every if each[1] != auto],
            "autoshifts": [
                {"appliedStatus": status, "awayFrom": zone, "startTime": 1764547200}
                for zone, kind, status in every
                if kind == auto
            ],
            "zonalAutoshiftStatus": "ENABLED",
        }

    def _shift(self, zone: str, kind: str, status: str) -> dict[str, object]:
        return {
            "appliedStatus": status,
            "awayFrom": zone,
            "comment": "by the lab",
            "expiryTime": 1795996800,
            "resourceIdentifier": self.cluster,
            "shiftType": kind,
            "startTime": 1764547200,
            "zonalShiftId": "00000000-0000-0000-0000-000000000000",
        }


def _answer(status: int, document: Mapping[str, object], **headers: str) -> HttpAnswer:
    return HttpAnswer(
        status=status,
        body=json.dumps(document).encode(),
        headers={"Content-Type": "application/json", **headers},
    )


def _refusal(status: int, code: str) -> HttpAnswer:
    return _answer(status, {"message": "refused by the lab"}, **{"x-amzn-ErrorType": code})
