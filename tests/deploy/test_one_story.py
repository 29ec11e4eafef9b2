"""Of a lost floating IP /readyz, `status`, metrics, the alert and the client tell the same."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from agent_fixtures import Typed, wait_until
from deploy.prometheus import PORT, RULES
from deploy.scene import (
    ADDRESS,
    Scene,
    Theatre,
    address_is_back,
    address_is_removed,
    check_is_switched_off,
    check_is_switched_on,
)
from vipmanager_lab.client import Client

(ALERT,) = (
    rule["expr"]
    for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    if rule["alert"] == "VipmanagerLost"
)
OTHER = "192.168.0.2"
"""The pod's other floating IP, which nothing happens to."""


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre[Scene]]:
    made = Theatre(tmp_path_factory, Scene.built)
    yield made
    made.close()


def link_goes_down(scene: Scene) -> None:
    scene.pod.ip_batch(["link set net1 down"])


def link_comes_up(scene: Scene) -> None:
    scene.pod.ip_batch(["link set net1 up"])


def eni_is_detached(scene: Scene) -> None:
    scene.world.account.detach(scene.stage.enis("a")[0])


def eni_is_attached(scene: Scene) -> None:
    node = scene.world.nodes["a"]
    scene.world.account.attach(node.secondary[0], node.instance, 1)


def interface_is_deleted(scene: Scene) -> None:
    scene.pod.ip_batch(["link del net1"])


@dataclass(frozen=True, slots=True)
class Story:
    """What each of them says of the floating IP at one moment."""

    readyz: bool
    status: bool
    document: bool
    metric: bool
    alert: bool
    client: bool
    """True where it is fine; the client's count is of what it sent last."""


FINE = Story(*[True] * 6)
LOST = Story(*[False] * 6)


class Witnesses:
    """All who can be asked."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._counts: dict[str, Any] = {}
        self._application = scene.world.application(scene.pod, scene.stage.floating)
        self._client = Client(
            scene.world, scene.stage.floating, interval_ms=20, count_ms=100, heard=self._heard
        )
        self._client.await_answers()

    def close(self) -> None:
        self._client.end()
        self._application.close()

    def _heard(self, record: dict[str, Any]) -> None:
        if record["event"] == "count":
            self._counts[record["address"]] = record

    def get(self, path: str) -> tuple[int, str]:
        def ask() -> tuple[int, str]:
            connection = HTTPConnection("127.0.0.1", PORT, timeout=5)
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

        return self._scene.pod.call(ask)

    def answered(self, address: str) -> bool:
        """Tell whether the client is answered what it sends from now on."""
        self._client.count_anew()
        self._counts.clear()
        wait_until(lambda: self._counts.get(address, {}).get("sent", 0) >= 10)
        return bool(self._counts[address]["answered"])

    def story(self) -> Story:
        prometheus = self._scene.prometheus
        code, said = self.get("/readyz")
        assert (code == 200) != ("is lost" in said), said
        typed = Typed(self._scene.stage, self._scene.pod, "status")
        document = json.loads(self.get("/status")[1])
        ours = next(ip for ip in document["floatingIPs"] if ip["address"] == ADDRESS)
        state = f'vipmanager_floating_ip_state{{floating_ip="{ADDRESS}",state="lost"}}'
        return Story(
            readyz=code == 200,
            status=typed.code == 0 and typed.out.startswith("READY"),
            document=document["ready"] and ours["lost"] is None,
            metric=prometheus.value(state) == [0],  # it stays, whatever it tells
            alert=prometheus.value(ALERT) == [],
            client=self.answered(ADDRESS),
        )


Do = Callable[[Scene], None]


@pytest.mark.parametrize(
    ("strike", "mend"),
    [
        (address_is_removed, address_is_back),
        (link_goes_down, link_comes_up),
        (check_is_switched_on, check_is_switched_off),
        (eni_is_detached, eni_is_attached),
        (interface_is_deleted, None),
    ],
)
def test_all_tell_the_same_of_a_floating_ip_that_is_lost(
    theatre: Theatre[Scene], strike: Do, mend: Do | None
) -> None:
    scene = theatre.scene()
    seen = Witnesses(scene)
    try:
        wait_until(lambda: seen.story() == FINE)
        strike(scene)
        wait_until(lambda: seen.story() == LOST)
        code, said = seen.get("/readyz")
        assert code == 503
        assert said.startswith(f"{ADDRESS} is lost: ")
        assert "4 of 4 route tables still lead to" in said
        typed = Typed(scene.stage, scene.pod, "status")
        assert typed.out.startswith(f"NOT READY: {ADDRESS} is lost: ")
        assert seen.answered(OTHER)
        if mend is not None:
            mend(scene)
            wait_until(lambda: seen.story() == FINE)
    finally:
        seen.close()
        if mend is None:
            theatre.close()
