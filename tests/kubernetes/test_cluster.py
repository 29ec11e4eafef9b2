"""The lab's cluster before a real API server: what a test takes for granted is there."""

import os
import signal

from clusters import Pod
from vipmanager_lab.kube.kinds import NODES
from vipmanager_lab.kube.store import Key
from vipmanager_lab.kubernetes.plane import Plane, await_true


def test_a_pods_node_is_there_so_that_garbage_collection_leaves_the_pod_alone(direct: Pod) -> None:
    found = direct.cluster.store.get(Key(NODES, "", direct.environ["NODE_NAME"]))
    assert found["metadata"]["name"] == direct.environ["NODE_NAME"]


def test_a_controller_manager_that_ended_beside_a_dead_api_server_is_there_again(
    plane: Plane,
) -> None:
    # It ends itself where the API is lost while it starts.
    os.kill(plane.controllers.pid, signal.SIGKILL)
    plane.apiserver.kill()
    plane.start_apiserver()
    plane.admin.create("/api/v1/namespaces", {"metadata": {"name": "after-a-crash"}})
    account = "/api/v1/namespaces/after-a-crash/serviceaccounts/default"
    await_true("it has its account", lambda: bool(plane.admin.get(account)))


def test_a_scheduler_schedules_after_a_rotation_and_the_api_server_s_next_start(
    plane: Plane,
) -> None:
    plane.admin.create("/api/v1/namespaces", {"metadata": {"name": "rotated"}})
    space = "/api/v1/namespaces/rotated"
    await_true("an account", lambda: bool(plane.admin.get(f"{space}/serviceaccounts/default")))

    def is_looked_at(name: str) -> bool:
        told = plane.admin.get(f"{space}/pods/{name}")["status"].get("conditions", ())
        return any(one["type"] == "PodScheduled" for one in told)

    for name in ("before", "after"):
        spec = {
            "nodeSelector": {"no": "node"},
            "containers": [{"name": "app", "image": "app"}],
        }
        plane.admin.create(f"{space}/pods", {"metadata": {"name": name}, "spec": spec})
        await_true(f"the scheduler has looked at {name}", lambda n=name: is_looked_at(n))  # type: ignore[misc]
        if name == "before":
            plane.rotate()
            plane.apiserver.kill()
            plane.start_apiserver()
