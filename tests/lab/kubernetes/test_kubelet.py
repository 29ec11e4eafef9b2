"""Pods on a node of the lab, bound by a real scheduler; skipped where no Kubernetes is built."""

import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from clusters import plane
from vipmanager_lab.cni import PLUGINS
from vipmanager_lab.kubernetes.api import Api, ApiError
from vipmanager_lab.kubernetes.assets import AssetsError, find
from vipmanager_lab.kubernetes.joined import define_attachments, is_ready
from vipmanager_lab.kubernetes.kubelet import Kubelet, Pod, PodSettings, Timing
from vipmanager_lab.kubernetes.plane import ADMINS, await_true
from vipmanager_lab.world import World

SPACE = "/api/v1/namespaces/kubelet"
PODS = f"{SPACE}/pods"
NETWORKS = "/apis/k8s.cni.cncf.io/v1/namespaces/kubelet/network-attachment-definitions"
MANIFESTS = Path(__file__).parents[3] / "deploy" / "manifests" / "base"
WAITS = "trap 'exit 0' TERM; sleep infinity & wait"
_numbers = count(1)


@dataclass(frozen=True)
class Stage:
    """A cluster with one node."""

    api: Api
    world: World
    kubelet: Kubelet

    def run(self, spec: Mapping[str, Any], annotations: Mapping[str, str] | None = None) -> str:
        name = f"pod-{next(_numbers)}"
        metadata = {"name": name, "annotations": annotations or {}}
        self.api.create(PODS, {"metadata": metadata, "spec": spec})
        return name

    def status(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"{PODS}/{name}")["status"]
        return found

    def container(self, name: str) -> dict[str, Any]:
        told: list[dict[str, Any]] = self.status(name).get("containerStatuses", [])
        return told[0] if told else {"state": {}, "started": False, "restartCount": -1}

    def here(self, name: str) -> Pod:
        return self.kubelet.pods[f"kubelet/{name}"]

    def is_ready(self, name: str) -> bool:
        return is_ready(self.api.get(f"{PODS}/{name}"))

    def await_ready(self, name: str) -> None:
        await_true(f"{name} is ready", lambda: self.is_ready(name))

    def await_phase(self, name: str, phase: str) -> None:
        await_true(f"{name} is {phase}", lambda: self.status(name)["phase"] == phase)

    def delete(self, name: str) -> None:
        self.api.delete(f"{PODS}/{name}")
        await_true(f"{name} is gone", lambda: self.is_gone(name))

    def is_gone(self, name: str) -> bool:
        try:
            self.api.get(f"{PODS}/{name}")
        except ApiError as error:
            return error.reason == "NotFound"
        return False


def shell(script: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"name": "app", "image": "busybox:1", "command": ["/bin/sh", "-c", script], **more}


def join(world: World) -> Kubelet:
    kubelet = Kubelet(
        world,
        "a",
        api=plane().api("system:node:node-a", ["system:nodes"]),
        multus=plane().api("multus", ADMINS),
        pods=PodSettings(service=("172.20.0.1", 443), timing=Timing(back_off=0.2, volumes=0.2)),
        labels={"multus": "true"},
    )
    kubelet.start()
    return kubelet


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    try:
        find()
    except AssetsError as error:
        pytest.skip(str(error))
    api = plane().admin
    api.create("/api/v1/namespaces", {"metadata": {"name": "kubelet"}})
    define_attachments(plane())
    with World() as world, join(world) as kubelet:
        await_true("the node is ready", lambda: has_node(api))
        await_true("there is an account", lambda: bool(api.get(f"{SPACE}/serviceaccounts/default")))
        yield Stage(api, world, kubelet)
        api.delete(PODS, gracePeriodSeconds=0)
        api.delete("/api/v1/nodes/node-a")


def has_node(api: Api) -> bool:
    node = api.get("/api/v1/nodes/node-a")
    return is_ready(node) and not node["spec"].get("taints")


def test_a_pod_runs_and_is_deleted_and_leaves_nothing(stage: Stage) -> None:
    name = stage.run({"containers": [shell(f"echo I am $HOSTNAME; {WAITS}")]})
    stage.await_ready(name)
    pod, status = stage.here(name), stage.status(name)
    assert status["podIP"] == "10.0.1.100"
    assert pod.containers["app"].logs() == f"I am {name}"
    assert pod.containers["app"].execute(["/bin/sh", "-c", "echo $0 in $HOSTNAME"]).code == 0
    stage.delete(name)
    assert f"kubelet/{name}" not in stage.kubelet.pods
    assert pod.netns is None


def test_containers_start_and_stop_in_their_order(stage: Stage) -> None:
    mounts = {"volumeMounts": [{"name": "log", "mountPath": "/log"}]}
    probe = {"startupProbe": {"exec": {"command": ["test", "-e", "/log/up"]}, "periodSeconds": 1}}
    stops = "trap 'date +%s%N; exit 0' TERM; sleep infinity & wait"
    sidecar = {"restartPolicy": "Always", **mounts}
    name = stage.run(
        {
            "volumes": [{"name": "log", "emptyDir": {}}],
            "initContainers": [
                shell("sleep 0.3; echo first >> /log/order", **mounts) | {"name": "first"},
                shell(f"sleep 0.3; echo one >> /log/order; touch /log/up; {stops}", **sidecar)
                | {"name": "one", **probe},
                shell("echo second >> /log/order", **mounts) | {"name": "second"},
                shell(stops, **sidecar) | {"name": "two"},
            ],
            "containers": [shell(f"cat /log/order; {stops}", **mounts)],
        }
    )
    stage.await_ready(name)
    containers = stage.here(name).containers
    assert [*containers["app"].lines] == ["first", "one", "second"]
    stage.delete(name)
    ends = [containers[one].lines[-1] for one in ("app", "two", "one")]
    assert ends == sorted(ends)


def test_a_container_that_crashes_waits_longer_each_time(stage: Stage) -> None:
    app = shell("echo last words; exit 3", terminationMessagePolicy="FallbackToLogsOnError")
    name = stage.run({"containers": [app]})

    def loops() -> bool:
        one = stage.container(name)
        reason = one["state"].get("waiting", {}).get("reason")
        return bool(one["restartCount"] >= 2 and reason == "CrashLoopBackOff")

    await_true("a crash loop", loops)
    assert stage.status(name)["phase"] == "Running"
    ended = stage.container(name)["lastState"]["terminated"]
    assert ended["exitCode"] == 3
    assert "last words" in ended["message"]
    stage.delete(name)


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (4, "Failed")])
def test_a_pod_that_is_not_restarted_ends_and_its_sidecar_with_it(
    stage: Stage, code: int, phase: str
) -> None:
    name = stage.run(
        {
            "restartPolicy": "Never",
            "initContainers": [shell(WAITS, restartPolicy="Always") | {"name": "sidecar"}],
            "containers": [shell(f"exit {code}")],
        }
    )
    stage.await_phase(name, phase)
    assert "terminated" in stage.status(name)["initContainerStatuses"][0]["state"]
    stage.delete(name)


def test_probes_hold_back_and_restart(stage: Stage) -> None:
    def test(file: str, **more: int) -> dict[str, Any]:
        return {"exec": {"command": ["test", "-e", f"/v/{file}"]}, "periodSeconds": 1, **more}

    name = stage.run(
        {
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [
                shell(
                    f"touch /v/alive; {WAITS}",
                    volumeMounts=[{"name": "v", "mountPath": "/v"}],
                    readinessProbe=test("ready"),
                    livenessProbe=test("alive", failureThreshold=1),
                )
            ],
        }
    )
    await_true("it has started", lambda: bool(stage.container(name)["started"]))
    assert not stage.is_ready(name)
    app = stage.here(name).containers["app"]
    app.execute(["touch", "/v/ready"])
    stage.await_ready(name)
    app.execute(["rm", "/v/alive"])
    await_true("it was restarted", lambda: stage.container(name)["restartCount"] == 1)
    stage.delete(name)


def test_volumes_have_a_token_and_follow_their_config_map(stage: Stage) -> None:
    stage.api.create(f"{SPACE}/configmaps", {"metadata": {"name": "cm"}, "data": {"key": "old"}})
    mount = {"name": "cm", "mountPath": "/etc/no/such"}
    name = stage.run(
        {
            "volumes": [{"name": "cm", "configMap": {"name": "cm"}}],
            "containers": [shell(WAITS, volumeMounts=[mount])],
        }
    )
    stage.await_ready(name)
    app = stage.here(name).containers["app"]

    def reads(path: str) -> str:
        return app.execute(["cat", path]).output

    assert reads("/etc/no/such/key") == "old"
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert reads(f"{account}/namespace") == "kubelet"
    assert reads(f"{account}/token").count(".") == 2
    assert "BEGIN CERTIFICATE" in reads(f"{account}/ca.crt")
    stage.api.patch(f"{SPACE}/configmaps/cm", {"data": {"key": "new"}})
    await_true("the file is replaced", lambda: reads("/etc/no/such/key") == "new")
    stage.delete(name)


def test_what_is_missing_is_waited_for(stage: Stage) -> None:
    app = shell(WAITS, envFrom=[{"configMapRef": {"name": "late"}}])
    name = stage.run({"containers": [app]})

    def reason() -> str:
        return str(stage.container(name)["state"].get("waiting", {}).get("reason"))

    await_true("it waits", lambda: reason() == "CreateContainerConfigError")
    stage.api.create(f"{SPACE}/configmaps", {"metadata": {"name": "late"}})
    stage.await_ready(name)
    stage.delete(name)


def test_a_pod_with_a_field_that_is_not_known_fails(stage: Stage) -> None:
    name = stage.run({"hostNetwork": True, "containers": [shell(WAITS)]})
    stage.await_phase(name, "Failed")
    assert "hostNetwork" in stage.status(name)["message"]
    stage.delete(name)


@pytest.mark.skipif(not PLUGINS.is_dir(), reason="no CNI plugins are installed")
def test_an_attachment_is_waited_for_and_written_down(stage: Stage) -> None:
    spec = {"containers": [shell(WAITS)]}
    name = stage.run(spec, {"k8s.v1.cni.cncf.io/networks": "nad-if1@fast"})

    def told() -> bool:
        events = stage.api.get(f"{SPACE}/events", fieldSelector=f"involvedObject.name={name}")
        return any(one["reason"] == "FailedCreatePodSandBox" for one in events["items"])

    await_true("an Event tells why it waits", told)
    text = (MANIFESTS / "nonvpc" / "nad-1.yaml").read_text(encoding="utf-8")
    stage.api.create(NETWORKS, yaml.safe_load(text))
    stage.await_ready(name)
    annotations = stage.api.get(f"{PODS}/{name}")["metadata"]["annotations"]
    first, second = json.loads(annotations["k8s.v1.cni.cncf.io/network-status"])
    assert (first["interface"], first["default"]) == ("eth0", True)
    assert (second["name"], second["interface"]) == ("kubelet/nad-if1", "fast")
    assert second["ips"] == ["192.168.0.1"]
    stage.delete(name)


def test_what_happens_while_a_kubelet_is_cut_off_is_told_later(stage: Stage) -> None:
    name = stage.run({"containers": [shell("sleep 1; exit 1")]})
    await_true("it runs", lambda: "running" in stage.container(name)["state"])
    stage.kubelet.freeze()
    app = stage.here(name).containers["app"]
    await_true("it was restarted", lambda: app.restarts >= 1)
    stage.api.delete(f"{PODS}/{name}")
    assert stage.container(name)["restartCount"] == 0
    stage.kubelet.thaw()
    await_true("it is gone", lambda: stage.is_gone(name))


def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace_period(stage: Stage) -> None:
    app = shell("trap '' TERM; while :; do sleep 1; done")
    name = stage.run({"terminationGracePeriodSeconds": 600, "containers": [app]})
    stage.await_ready(name)
    pod = stage.here(name)
    stage.api.delete(f"{PODS}/{name}")
    await_true("it is being deleted", lambda: is_terminating(stage, name))
    stage.api.delete(f"{PODS}/{name}", gracePeriodSeconds=1)
    await_true("it is gone", lambda: stage.is_gone(name), seconds=10)
    ended = pod.containers["app"].seen(over=True).ended
    assert ended is not None
    assert ended.code == 137


def is_terminating(stage: Stage, name: str) -> bool:
    return "deletionTimestamp" in stage.api.get(f"{PODS}/{name}")["metadata"]


def test_a_pod_that_is_deleted_by_force_ends_here_too(stage: Stage) -> None:
    name = stage.run({"containers": [shell(WAITS)]})
    stage.await_ready(name)
    stage.api.delete(f"{PODS}/{name}", gracePeriodSeconds=0)
    await_true("it has ended", lambda: f"kubelet/{name}" not in stage.kubelet.pods)


def test_a_container_is_restarted_while_the_api_is_not_there(stage: Stage) -> None:
    stage.api.create(f"{SPACE}/configmaps", {"metadata": {"name": "kept"}, "data": {"A": "kept"}})
    app = shell(f"echo $A; {WAITS}", envFrom=[{"configMapRef": {"name": "kept"}}])
    name = stage.run({"containers": [app]})
    stage.await_ready(name)
    container = stage.here(name).containers["app"]
    plane().apiserver.stop()
    try:
        assert container.container is not None
        container.container.signal(signal.SIGTERM)
        await_true("it runs again", lambda: container.restarts == 1 and container.started)
        await_true("with the same", lambda: [*container.lines] == ["kept", "kept"])
    finally:
        plane().apiserver.start()
        plane().apiserver.await_ready(60)
    await_true("it is told", lambda: stage.container(name)["restartCount"] == 1)
    stage.delete(name)


def test_a_node_without_power_tells_nobody_and_runs_its_pods_again_later(stage: Stage) -> None:
    name = stage.run({"containers": [shell(WAITS)]})
    stage.await_ready(name)
    pod = stage.here(name)
    stage.kubelet.power_off()
    assert pod.netns is None
    assert stage.is_ready(name)
    with join(stage.world) as again:
        await_true("it was restarted", lambda: stage.container(name)["restartCount"] == 1)
        stage.await_ready(name)
        assert again.pods[f"kubelet/{name}"].containers["app"].started
        stage.delete(name)
