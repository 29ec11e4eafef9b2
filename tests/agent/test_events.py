"""Kubernetes Events on the pod, from a real agent to an API that its pod reaches."""

from collections.abc import Iterator

import pytest

from agent_fixtures import Stage, converged, wait_until
from vipmanager_lab.control_plane import NAMESPACE, ControlPlane
from vipmanager_lab.kube.kinds import EVENTS
from vipmanager_lab.world import World


class Api:
    """A cluster that the pod of a stage reaches, and its Events."""

    def __init__(self, world: World) -> None:
        self.plane = ControlPlane(world)
        self.account = self.plane.account
        self.environment = self.plane.create_pod("app-0") | {"KubernetesEvents": "True"}

    def reasons(self) -> set[tuple[str, str]]:
        """Give reason and type of every Event on the pod."""
        _, stored = self.plane.cluster.store.list(EVENTS, NAMESPACE)
        assert all(e["involvedObject"]["name"] == "app-0" for e in stored)
        return {(e["reason"], e["type"]) for e in stored}


@pytest.fixture
def api(stage: Stage) -> Iterator[Api]:
    made = Api(stage.world)
    yield made
    made.plane.close()


MOVED, LOST = ("FloatingIPMoved", "Normal"), ("FloatingIPLost", "Warning")
REFUSED = ("FloatingIPRefused", "Warning")


def test_moved_and_lost_are_events_on_the_pod(stage: Stage, api: Api) -> None:
    api.account.allow(EVENTS, ["create", "patch"])
    stage.sidecar(stage.pod(), **api.environment).wait_for(converged)
    wait_until(lambda: api.reasons() == {MOVED})
    for table in stage.world.tables:
        stage.world.account.put_route(table, "192.168.0.1/32", stage.enis("b")[0])
    wait_until(lambda: api.reasons() == {MOVED, LOST})


def test_what_ec2_denies_is_an_event_on_the_pod(stage: Stage, api: Api) -> None:
    api.account.allow(EVENTS, ["create", "patch"])
    stage.world.faults.deny("CreateRoute", stage.world.tables[-1])
    stage.sidecar(stage.pod(), **api.environment)
    wait_until(lambda: api.reasons() == {MOVED, REFUSED})


def test_without_the_role_the_floating_ips_move_all_the_same(stage: Stage, api: Api) -> None:
    agent = stage.sidecar(stage.pod(), **api.environment)
    agent.wait_for(converged)
    agent.wait_for(lambda r: "events is forbidden" in r["text"] or "create events" in r["text"])
    assert stage.points_at("a")


def test_an_init_container_posts_its_events_before_it_ends(stage: Stage, api: Api) -> None:
    api.account.allow(EVENTS, ["create", "patch"])
    assert stage.init(stage.pod(), **api.environment).wait() == 0
    assert api.reasons() == {MOVED}
